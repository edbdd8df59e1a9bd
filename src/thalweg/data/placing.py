"""Where rows may be parted: groups stay whole, moments in time stay whole.

>>> placed(groups, classes, shares=[0.6, 0.2, 0.2], generator=generator)      # a part for each group
>>> cuts(time_sorted, [60, 80])                                # the nearest places where time goes on
[61, 80]

``placed`` deals out groups that are alike (the same rows of the same classes) by share; the others are placed as scikit-learn's
``StratifiedGroupKFold`` does: large ones first, each where the classes then stand nearest to their shares, and those of like
size in random order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def placed(
    groups: np.ndarray,
    classes: np.ndarray,
    *,
    shares: Sequence[float],
    generator: np.random.Generator,
) -> np.ndarray:
    """The part of each row ``(n,)``, the same for rows of one group.

    ``groups`` and ``classes`` are codes from 0 ``(n,)``; ``shares`` of the parts sum to 1. A part whose share is above 0
    gets a group, if there are as many groups as such parts.
    """
    wanted = np.asarray(shares, np.float64)
    rows = np.bincount(groups)
    by_group = np.argsort(groups, kind="stable")
    starts = np.cumsum(rows) - rows
    order = generator.permutation(len(rows))
    part_of = _alike_by_share(classes[by_group], starts, order, wanted, generator)
    # With t the rows of a class and s a part's share, the cost of a part is the sum of (rows - s t)² / (s t); what one
    # more group adds to it follows from the rows that are there already.
    there = np.zeros((len(wanted), int(classes.max()) + 1))
    sure = part_of[groups] >= 0
    np.add.at(there, (part_of[groups[sure]], classes[sure]), 1)
    ideal = np.maximum(wanted[:, None] * np.bincount(classes), 1e-9)
    empty = (wanted > 0) & (there.sum(1) == 0)
    order = order[part_of[order] < 0]
    order = order[np.argsort(-np.floor(np.log2(rows[order])), kind="stable")]
    for left, group in zip(range(len(order), 0, -1), order, strict=True):
        members = by_group[starts[group] : starts[group] + rows[group]]
        kinds, counts = np.unique(classes[members], return_counts=True)
        cost = (counts * (2 * (there[:, kinds] - ideal[:, kinds]) + counts) / ideal[:, kinds]).sum(1)
        # Ties go to the part that is emptiest of all classes together.
        cost += 1e-9 * (there.sum(1) / np.maximum(wanted * len(classes), 1e-9))
        cost[~empty if left <= empty.sum() else wanted <= 0] = np.inf
        part = int(cost.argmin())
        part_of[group] = part
        there[part, kinds] += counts
        empty[part] = False
    return part_of[groups]


def _alike_by_share(
    classes: np.ndarray, starts: np.ndarray, order: np.ndarray, shares: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """The part of each group that has as many like it (the same rows of the same classes) that every part gets its whole
    share of them; -1 of those that are over. ``classes`` stand group by group."""
    weight = generator.integers(0, 1 << 63, int(classes.max()) + 1, dtype=np.uint64)
    alike = np.add.reduceat(weight[classes], starts)[order]  # equal sums of 63 random bits: equal counts
    _, kind, many = np.unique(alike, return_inverse=True, return_counts=True)
    by_kind = np.argsort(kind, kind="stable")
    place = np.empty(len(order), np.int64)
    place[by_kind] = np.arange(len(order)) - np.repeat(np.cumsum(many) - many, many)
    ends = np.cumsum(np.floor(many[:, None] * shares + 1e-9), axis=1)[kind]
    part = (place[:, None] >= ends).sum(1)
    part_of = np.empty(len(order), np.int64)
    part_of[order] = np.where(part < len(shares), part, -1)
    return part_of


def cuts(ordered: np.ndarray, wanted: Sequence[int]) -> list[int] | None:
    """Places in rising values ``(n,)``, each at the first of its equals, nearest to those ``wanted`` (rising as well), all
    different; None where there are too few different values."""
    places = np.flatnonzero(np.diff(ordered)) + 1
    count = len(wanted)
    if len(places) < count:
        return None
    chosen = np.abs(places[:, None] - np.asarray(wanted)).argmin(0)
    for index in range(count):
        chosen[index] = max(chosen[index], chosen[index - 1] + 1 if index else 0)
    for index in reversed(range(count)):
        chosen[index] = min(chosen[index], chosen[index + 1] - 1 if index + 1 < count else len(places) - 1)
    return places[chosen].tolist()


def latest(time: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """The time by which each row ``(n,)`` is placed: its own, or that of the last row of its group."""
    if groups is None:
        return time
    last = np.full(int(groups.max()) + 1, -np.inf)
    np.maximum.at(last, groups, time)
    return last[groups]
