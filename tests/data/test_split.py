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
