"""Folds have the properties of scikit-learn's: StratifiedKFold, GroupKFold and TimeSeriesSplit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold, StratifiedKFold, TimeSeriesSplit

from thalweg.data import Data, folds
from thalweg.errors import InputError


def made(targets=None, *, rows: int = 60, **marks) -> Data:
    if targets is None:
        return Data("made", "regression", np.zeros((rows, 1)), np.arange(float(rows)), **marks)
    names = tuple(map(str, range(int(targets.max()) + 1)))
    return Data("made", "multiclass", np.zeros((len(targets), 1)), targets, "y", names, **marks)


def check(found, rows) -> None:
    """Sorted, disjoint, and every row held out once."""
    for fold in found:
        assert fold.fit.dtype == fold.held_out.dtype == np.int64
        assert sorted([*fold.fit, *fold.held_out]) == list(rows)
        assert (np.diff(fold.fit) > 0).all()
        assert (np.diff(fold.held_out) > 0).all()
    assert sorted(np.concatenate([fold.held_out for fold in found]).tolist()) == list(rows)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(5, 40), min_size=2, max_size=6), st.integers(2, 5), st.integers(0, 99))
def test_classes_as_stratified_k_fold(counts, k, seed) -> None:
    targets = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    found = folds(made(targets), k, seed=seed)
    check(found, range(len(targets)))
    theirs = [held for _, held in StratifiedKFold(k).split(targets, targets)]
    assert sorted(len(fold.held_out) for fold in found) == sorted(map(len, theirs))
    for label, count in enumerate(counts):
        assert all((targets[fold.held_out] == label).sum() in (count // k, -(-count // k)) for fold in found)
    again = folds(made(targets), k, seed=seed)
    assert all((one.held_out == other.held_out).all() for one, other in zip(found, again, strict=True))


def test_regression_at_random() -> None:
    found = folds(made(rows=61), 4, seed=0)
    check(found, range(61))
    assert sorted(len(fold.held_out) for fold in found) == [15, 15, 15, 16]
    assert not np.array_equal(found[0].held_out, folds(made(rows=61), 4, seed=1)[0].held_out)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=5, max_size=30), st.integers(2, 5), st.integers(0, 99))
def test_groups_as_group_k_fold(sizes, k, seed) -> None:
    groups = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)) * 3, sizes))
    if len(groups) < 10:
        return
    found = folds(made(rows=len(groups), groups=groups), k, seed=seed)
    check(found, range(len(groups)))
    for fold in found:
        assert not set(groups[fold.fit]) & set(groups[fold.held_out])
    sizes_here = [len(fold.held_out) for fold in found]
    theirs = [len(held) for _, held in GroupKFold(k).split(groups, groups=groups)]
    assert max(sizes_here) - min(sizes_here) <= max(max(theirs) - min(theirs), 2 * max(sizes))
    assert min(sizes_here) > 0


def test_groups_keep_the_classes_in_proportion() -> None:
    groups = np.repeat(np.arange(200), 5)
    targets = np.repeat((np.arange(200) % 4 == 0).astype(np.int64), 5)
    for fold in folds(made(targets, groups=groups), 5, seed=0):
        assert abs(targets[fold.held_out].mean() - 0.25) < 0.01
        assert len(fold.held_out) == 200


@given(st.integers(12, 80), st.integers(2, 5), st.integers(0, 99))
def test_time_as_time_series_split(rows, k, seed) -> None:
    time = np.random.default_rng(seed).permutation(rows).astype(float)
    order = np.argsort(time)
    found = folds(made(rows=rows, time=time), k, seed=0)
    for fold, (fit, held) in zip(found, TimeSeriesSplit(k).split(order), strict=True):
        assert np.array_equal(fold.fit, np.sort(order[fit]))
        assert np.array_equal(fold.held_out, np.sort(order[held]))


@given(st.integers(0, 99), st.integers(2, 4))
def test_moments_are_not_parted(seed, k) -> None:
    time = np.random.default_rng(seed).integers(0, 12, 60).astype(float)
    for fold in folds(made(rows=60, time=time), k, seed=0):
        assert time[fold.fit].max() < time[fold.held_out].min()


@given(st.integers(0, 99), st.integers(2, 4))
def test_groups_and_time(seed, k) -> None:
    generator = np.random.default_rng(seed)
    groups, time = generator.integers(0, 15, 80), generator.normal(size=80)
    for fold in folds(made(rows=80, groups=groups, time=time), k, seed=0):
        assert not set(groups[fold.fit]) & set(groups[fold.held_out])
        ends = [max(time[(groups == group)]) for group in set(groups[fold.held_out])]
        assert time[fold.fit].max() < min(ends)


def test_the_test_part_is_in_no_fold() -> None:
    assigned = np.r_[np.zeros(30, np.int8), np.ones(15, np.int8), np.full(15, 2, np.int8)]
    check(folds(made(assigned=assigned), 3, seed=0), range(45))


@pytest.mark.parametrize(
    ("data", "k", "sentence"),
    [
        (made(), 1, "1 folds cannot be made"),
        (made(), 61, "60 rows for 61 folds"),
        (made(np.r_[np.zeros(30, np.int64), [1, 1, 1]]), 4, '3 rows of the class "1" for 4 folds: give fewer'),
        (made(groups=np.arange(60) % 3), 4, "3 groups for 4 folds"),
        (made(time=np.arange(60.0) // 20), 3, "3 different moments: 3 folds need 4"),
    ],
)
def test_what_cannot_be_folded(data, k, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        folds(data, k, seed=0)
