"""Groups and moments stay whole, and the parts come as near to what is wanted as they allow."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from thalweg.data.placing import cuts, latest, placed


def part_of(groups, classes, shares, seed=0) -> np.ndarray:
    return placed(groups, classes, shares=shares, generator=np.random.default_rng(seed))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 30), min_size=3, max_size=60),
    st.sampled_from([(0.6, 0.2, 0.2), (0.8, 0.2, 0.0), (0.98, 0.01, 0.01), (0.25,) * 4, (0.5, 0.0, 0.5)]),
    st.integers(0, 99),
)
def test_groups_stay_whole_and_wanted_parts_get_one(sizes, shares, seed) -> None:
    generator = np.random.default_rng(seed)
    groups = generator.permutation(np.repeat(np.arange(len(sizes)), sizes))
    parts = part_of(groups, generator.integers(0, 3, len(groups)), shares, seed)
    assert all(len(set(parts[groups == group])) == 1 for group in range(len(sizes)))
    there = {part for part, share in enumerate(shares) if share > 0}
    assert set(parts) <= there
    if len(sizes) >= len(there):
        assert set(parts) == there


def test_groups_that_are_alike_are_dealt_out_by_share() -> None:
    groups, classes = np.repeat(np.arange(1000), 3), np.tile([0, 0, 1], 1000)
    parts = part_of(groups, classes, (0.6, 0.3, 0.1))
    assert np.bincount(parts).tolist() == [1800, 900, 300]
    assert not np.array_equal(parts, part_of(groups, classes, (0.6, 0.3, 0.1), seed=1))


def test_as_good_as_stratified_group_k_fold() -> None:
    """In the spread of rows of a class over folds, with groups of very different sizes and shares of the classes."""
    ours, theirs = [], []
    for seed in range(10):
        generator = np.random.default_rng(seed)
        sizes = generator.lognormal(2.5, 1, 60).astype(int) + 1
        groups = generator.permutation(np.repeat(np.arange(60), sizes))
        classes = (generator.random(len(groups)) < 0.6 * generator.random(60)[groups]).astype(np.int64)
        folds = [held for _, held in StratifiedGroupKFold(4).split(classes, classes, groups)]
        parts = part_of(groups, classes, (0.25,) * 4, seed)
        for found, spread in ((folds, theirs), ([np.flatnonzero(parts == fold) for fold in range(4)], ours)):
            counts = np.array([np.bincount(classes[rows], minlength=2) for rows in found])
            spread.append(counts.std(0).sum())
    assert np.mean(ours) <= 1.1 * np.mean(theirs), (np.mean(ours), np.mean(theirs))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 8), min_size=4, max_size=14), st.lists(st.integers(0, 14), min_size=1, max_size=2))
def test_cuts_are_the_nearest_places_where_time_goes_on(values, wanted) -> None:
    values, wanted = sorted(values), sorted(wanted)
    places = [place for place in range(1, len(values)) if values[place] > values[place - 1]]
    found = cuts(np.array(values, float), wanted)
    if len(places) < len(wanted):
        assert found is None
        return
    assert set(found) <= set(places)
    assert found == sorted(set(found))
    if len(wanted) == 1:
        assert abs(found[0] - wanted[0]) == min(abs(place - wanted[0]) for place in places)
    else:
        best = min(
            sum(abs(a - b) for a, b in zip(pair, wanted, strict=True)) for pair in itertools.combinations(places, 2)
        )
        far = max(abs(b - a) for a, b in itertools.pairwise([0, *places, len(values)]))
        assert sum(abs(a - b) for a, b in zip(found, wanted, strict=True)) <= best + 2 * far


def test_a_group_is_as_late_as_its_last_row() -> None:
    assert latest(np.array([3.0, 1, 2, 5]), np.array([0, 1, 0, 1])).tolist() == [3, 5, 3, 5]
    assert latest(np.array([3.0, 1]), None).tolist() == [3, 1]
