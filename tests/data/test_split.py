"""The parts are disjoint, complete, of the sizes promised, and each has its share of every class."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.data import Data, sizes, split
from thalweg.data.dataset import DEV, FREE, TEST, TRAIN
from thalweg.errors import InputError


def made(targets, *, classes: bool = True, official: np.ndarray | None = None) -> Data:
    targets = np.asarray(targets, np.int64 if classes else np.float64)
    names = tuple(map(str, range(int(targets.max()) + 1))) if classes else None
    task = "multiclass" if classes else "regression"
    assigned = None
    if official is not None:
        assigned = np.full(len(targets), FREE, np.int8)
        assigned[official] = TEST
    return Data("made", task, np.zeros((len(targets), 1)), targets, "y", names, assigned=assigned)


@st.composite
def labelled(draw) -> np.ndarray:
    """Targets of some classes, of any sizes down to one row, in any order."""
    counts = draw(st.lists(st.integers(1, 60), min_size=2, max_size=8).filter(lambda counts: sum(counts) >= 10))
    targets = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(draw(st.integers(0, 99))).permutation(targets)


@given(labelled(), st.integers(0, 2**32))
def test_parts_are_disjoint_complete_and_repeatable(targets, seed) -> None:
    parts = split(made(targets), seed=seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(targets)))
    assert all((np.diff(part) > 0).all() and part.dtype == np.int64 for part in parts)
    again = split(made(targets), seed=seed)
    assert all((one == other).all() for one, other in zip(parts, again, strict=True))


@given(labelled(), st.integers(0, 2**32))
def test_classes_are_spread_evenly(targets, seed) -> None:
    parts = split(made(targets), seed=seed)
    assert set(targets[parts.train]) == set(targets)
    for part in parts[1:]:
        share = len(part) / (len(targets) - len(set(targets)))
        for label, count in zip(*np.unique(targets, return_counts=True), strict=True):
            assert abs((targets[part] == label).sum() - (count - 1) * share) < 2


@given(
    labelled(),
    st.sampled_from([(0.6, 0.2, 0.2), (0.8, 0.2, 0), (0.5, 0.25, 0.25), (0.9, 0, 0.1), (1, 0, 0)]),
    st.integers(0, 9),
)
def test_fractions_are_kept(targets, fractions, seed) -> None:
    parts = split(made(targets * 0 + np.arange(len(targets)) % 2), seed=seed, fractions=fractions)
    for part, fraction in zip(parts[1:], fractions[1:], strict=True):
        assert abs(len(part) - fraction * len(targets)) <= 1
        assert (len(part) == 0) == (fraction == 0)


def test_regression_is_split_at_random() -> None:
    parts = split(made(np.arange(500.0), classes=False), seed=3)
    assert [len(part) for part in parts] == [300, 100, 100]
    assert not (parts.dev == split(made(np.arange(500.0), classes=False), seed=4).dev).all()
    assert abs(parts.dev.mean() - 249.5) < 60  # 4 standard errors


def test_order_of_values_does_not_leak_into_the_parts() -> None:
    """Only targets, size and seed decide: other inputs, same rows."""
    targets = np.arange(100) % 3
    other = Data("other", "multiclass", np.ones((100, 4)), targets, "y", ("0", "1", "2"))
    assert all((a == b).all() for a, b in zip(split(made(targets), seed=1), split(other, seed=1), strict=True))


@pytest.mark.parametrize(
    ("rows", "dev", "test"),
    [
        (100, 20, 20),
        (9_999, 2000, 2000),
        (50_000, 10_000, 10_000),
        (200_000, 10_000, 10_000),
        (1_000_000, 10_000, 10_000),
        (10_000_000, 40_000, 10_000),
        (100_000_000, 400_000, 100_000),
    ],
)
def test_sizes(rows, dev, test) -> None:
    assert sizes(rows) == (dev, test)


@given(st.integers(10, 10**9), st.integers(0, 10**6))
def test_held_out_parts_never_shrink_while_data_grow(rows, more) -> None:
    assert sizes(rows) <= sizes(rows + more)
    assert sizes(rows)[1] <= sizes(rows)[0] <= 0.2 * rows + 1


def test_the_official_test_part_is_the_test_part() -> None:
    official = np.arange(300, 400)
    data = made(np.arange(400) % 4, official=official)
    for fractions in (None, (0.8, 0.2, 0), (0.5, 0.25, 0.25)):
        parts = split(data, seed=0, fractions=fractions)
        assert (parts.test == official).all()
        assert sorted([*parts.train, *parts.dev]) == list(range(300))
    assert len(split(data, seed=0, fractions=(0.8, 0.2, 0)).dev) == 60


def test_nearly_every_row_a_class_of_its_own() -> None:
    parts = split(made([0, 1, 2, 3, 4, 5, 6, 7, 8, 8]), seed=0)
    assert set(np.asarray([0, 1, 2, 3, 4, 5, 6, 7, 8, 8])[parts.train]) == set(range(9))
    assert sum(map(len, parts)) == 10


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_a_million_rows_of_rare_classes(seed) -> None:
    targets = np.zeros(200_000, np.int64)
    targets[[5, 77, 1000]] = 1
    targets[17] = 2
    parts = split(made(targets), seed=seed)
    assert set(targets[parts.train]) == {0, 1, 2}
    assert len(parts.dev) == len(parts.test) == 10_000


@pytest.mark.parametrize(
    ("fractions", "sentence"),
    [
        ((0.5, 0.5), "not three numbers"),
        ((0.7, 0.4, -0.1), "not three numbers"),
        ((0.7, 0.2, float("nan")), "not three numbers"),
        ((80, 10, 10), "sum to 100"),
        ((0, 0.5, 0.5), "nothing to train on"),
        ((0.01, 0.99, 0), "cannot be held out"),
    ],
)
def test_wrong_fractions_are_refused(fractions, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        split(made(np.arange(30) % 3), seed=0, fractions=fractions)


def marked(rows: int = 200, *, targets=None, **marks) -> Data:
    targets = np.arange(rows) % 2 if targets is None else targets
    return Data("made", "binary", np.zeros((rows, 1)), targets, "y", ("0", "1"), **marks)


@given(st.integers(0, 99), st.integers(20, 60), st.integers(0, 9))
def test_no_group_is_parted(seed, count, of_split) -> None:
    groups = np.random.default_rng(seed).integers(0, count, 300) * 7
    parts = split(marked(300, groups=groups), seed=of_split)
    assert sorted(np.concatenate(parts).tolist()) == list(range(300))
    there = [set(groups[part]) for part in parts]
    assert not (there[0] & there[1] or there[0] & there[2] or there[1] & there[2])
    largest = np.bincount(groups).max()
    assert all(abs(len(part) - wanted) <= largest for part, wanted in zip(parts, (180, 60, 60), strict=True))


def test_groups_keep_the_classes_in_proportion() -> None:
    groups = np.repeat(np.arange(100), 4)
    targets = np.repeat((np.arange(100) % 5 == 0).astype(np.int64), 4)
    parts = split(marked(400, targets=targets, groups=groups), seed=0)
    for part, wanted in zip(parts, (240, 80, 80), strict=True):
        assert len(part) == wanted
        assert targets[part].mean() == pytest.approx(0.2)
    assert not np.array_equal(parts.dev, split(marked(400, targets=targets, groups=groups), seed=1).dev)


def test_one_large_group_is_learned_from_and_every_part_has_one() -> None:
    groups = np.r_[np.zeros(190, np.int64), np.ones(5, np.int64), np.full(5, 2)]
    parts = split(marked(groups=groups), seed=0)
    assert [len(part) for part in parts] == [190, 5, 5]
    with pytest.raises(InputError, match="2 groups to divide into 3 parts"):
        split(marked(groups=groups // 2), seed=0)
    assert len(split(marked(groups=groups // 2), seed=0, fractions=(0.8, 0.2, 0)).dev) == 5


@given(st.integers(0, 99), st.integers(5, 200))
def test_time_goes_forward_and_moments_are_not_parted(seed, moments) -> None:
    time = np.random.default_rng(seed).integers(0, moments, 200).astype(float)
    parts = split(marked(time=time), seed=0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(200))
    assert time[parts.train].max() < time[parts.dev].min()
    assert time[parts.dev].max() < time[parts.test].min()
    most = np.bincount(time.astype(int)).max()
    assert all(abs(len(part) - wanted) <= 2 * most for part, wanted in zip(parts, (120, 40, 40), strict=True))


def test_time_without_ties_is_divided_to_the_row() -> None:
    time = np.random.default_rng(0).permutation(200).astype(float)
    parts = split(marked(time=time), seed=0)
    assert np.array_equal(np.sort(time[parts.test]), np.arange(160, 200))
    assert np.array_equal(np.sort(time[parts.train]), np.arange(120))
    assert len(split(marked(time=time), seed=0, fractions=(0.9, 0, 0.1)).test) == 20


@given(st.integers(0, 99))
def test_groups_and_time(seed) -> None:
    generator = np.random.default_rng(seed)
    groups, time = generator.integers(0, 40, 200), generator.normal(size=200)
    parts = split(marked(groups=groups, time=time), seed=0)
    there = [set(groups[part]) for part in parts]
    assert not (there[0] & there[1] or there[0] & there[2] or there[1] & there[2])
    last = np.array([time[groups == group].max() for group in groups])
    assert time[parts.train].max() < last[parts.dev].min()
    assert last[parts.dev].max() < last[parts.test].min()


def test_too_few_moments() -> None:
    with pytest.raises(InputError, match="2 different moments to divide into 3 parts"):
        split(marked(time=np.arange(200.0) // 100), seed=0)


def test_given_parts_are_kept() -> None:
    assigned = np.repeat(np.array([TRAIN, DEV, TEST], np.int8), (100, 60, 40))
    for fractions in (None, (0.5, 0.25, 0.25)):
        parts = split(marked(assigned=assigned), seed=3, fractions=fractions)
        assert [part.tolist() for part in parts] == [[*range(100)], [*range(100, 160)], [*range(160, 200)]]


def test_a_missing_part_is_taken_from_training_rows() -> None:
    assigned = np.repeat(np.array([TRAIN, TEST], np.int8), (150, 50))
    parts = split(marked(assigned=assigned), seed=0)
    assert parts.test.tolist() == [*range(150, 200)]
    assert len(parts.dev) == 40
    assert parts.dev.max() < 150
    of_dev = split(marked(assigned=np.repeat(np.array([TRAIN, DEV], np.int8), (150, 50))), seed=0)
    assert (len(of_dev.train), len(of_dev.test), of_dev.dev.min()) == (110, 40, 150)
    none = split(
        marked(assigned=np.repeat(np.array([TRAIN, DEV], np.int8), (150, 50))), seed=0, fractions=(0.8, 0.2, 0)
    )
    assert (len(none.train), len(none.test)) == (150, 0)


def test_free_rows_are_divided_and_the_others_stay() -> None:
    assigned = np.repeat(np.array([TRAIN, FREE, TEST], np.int8), (100, 60, 40))
    parts = split(marked(assigned=assigned), seed=0)
    assert set(range(100)) <= set(parts.train.tolist())
    assert parts.test.tolist() == [*range(160, 200)]
    assert len(parts.dev) == 40
    everything = np.repeat(np.array([TRAIN, FREE, DEV, TEST], np.int8), (100, 20, 40, 40))
    assert len(split(marked(assigned=everything), seed=0).train) == 120


def test_given_parts_with_groups_and_time() -> None:
    assigned = np.repeat(np.array([FREE, TEST], np.int8), (160, 40))
    groups = np.arange(200) // 10
    groups[150:165] = 99
    parts = split(marked(assigned=assigned, groups=groups), seed=0)
    assert parts.test.tolist() == [*range(150, 200)]
    assert not set(groups[parts.train]) & set(groups[parts.dev])
    time = np.arange(200.0)[::-1]
    by_time = split(marked(assigned=assigned, time=time), seed=0)
    assert time[by_time.train].max() < time[by_time.dev].min()
    wrong = np.repeat(np.array([TRAIN, TEST], np.int8), (160, 40))
    with pytest.raises(InputError, match="rows 151 and 161 are of one group, and assigned to train and test"):
        split(marked(assigned=wrong, groups=groups), seed=0)
