"""Train, dev and test: what is learned from, what is chosen by, and what is looked at once.

>>> parts = split(load("digits"), seed=0)
>>> len(parts.train), len(parts.dev), len(parts.test)
(1079, 359, 359)
>>> parts = split(load("digits"), seed=0, fractions=(0.8, 0.2, 0))      # no test part

How many rows are held out depends on how many there are (``sizes``): a fifth each while rows are few; then 10,000 each,
which measure an accuracy to half a per cent, up to 98/1/1 at a million; far above 99.5/0.4/0.1. Classes are spread evenly:
each part has a class's share to within two rows, and the training part has every class. The parts depend on the targets,
the seed, the fractions and what is said about the rows, not on the inputs:

* Parts that are assigned are kept; one that is missing is taken from the rows that are free, or else from training rows.
* Rows of a group stay together; the sizes, and then the classes, come as near as groups allow.
* Rows with a time are divided by it: the earliest are learned from, the latest are the test part, and rows of one moment stay
  together. Groups go by their last row then, so that nothing learned from is later than what is held out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from thalweg.data.dataset import DEV, FREE, TEST, TRAIN, Data
from thalweg.data.placing import cuts, latest, placed
from thalweg.errors import InputError

ENOUGH = 10_000
"""Rows that measure an accuracy to half a per cent (one standard error); more pay only when there are plenty."""


class Split(NamedTuple):
    """Row numbers, sorted, int64; the three are disjoint and hold every row."""

    train: np.ndarray
    dev: np.ndarray
    test: np.ndarray


def sizes(rows: int) -> tuple[int, int]:
    """(dev, test) rows of ``rows``: 20 % each up to 50,000 rows, then 10,000 each, which is 1 % of a million; in the end
    0.4 % (from 2.5 million rows on) and 0.1 % (from 10 million on). Neither ever falls while the data grow."""
    few = min(round(0.2 * rows), ENOUGH)
    return max(few, round(0.004 * rows)), max(few, round(0.001 * rows))


def split(data: Data, *, seed: int, fractions: Sequence[float] | None = None) -> Split:
    """Divides the rows. ``fractions`` of train, dev and test sum to 1; dev or test may be 0.

    Where a part is assigned, the other rows are divided in the proportion of the other two. Raises ``InputError`` for
    fractions that are not three, negative, or do not sum to 1, or leave nothing to train on; for a group that is assigned
    to two parts; and for fewer groups or moments than parts.
    """
    if fractions is not None:
        check_fractions(fractions)
    assigned = np.full(len(data), FREE, np.int8) if data.assigned is None else data.assigned
    if data.groups is not None:
        assigned = _with_their_groups(data, assigned, data.groups)
    given = [bool((assigned == part).any()) for part in (DEV, TEST)]
    fixed = assigned.astype(np.int64)
    pool = np.flatnonzero(assigned == FREE)
    if not len(pool):
        pool = np.flatnonzero(assigned == TRAIN)
    wanted = _wanted(data, fractions, int((assigned <= TRAIN).sum()), given)
    fixed[pool] = TRAIN
    if sum(wanted):
        generator = np.random.default_rng([seed, 0x5B117])
        groups = None if data.groups is None else np.unique(data.groups[pool], return_inverse=True)[1]
        if data.time is not None:
            fixed[pool] = _by_time(data, latest(data.time[pool], groups), wanted)
        elif groups is not None:
            fixed[pool] = _by_group(data, pool, groups, wanted, generator)
        else:
            fixed[pool] = _at_random(data, pool, wanted, generator, shrink=fractions is None)
    return Split(*(np.flatnonzero(fixed == part) for part in (TRAIN, DEV, TEST)))


def _wanted(data: Data, fractions: Sequence[float] | None, rest: int, given: Sequence[bool]) -> tuple[int, int]:
    """(dev, test) rows to choose, 0 of a part that is given; ``rest`` rows are in neither."""
    if fractions is None:
        wanted = sizes(len(data))
    elif not any(given):
        wanted = (_whole(len(data) * fractions[1]), _whole(len(data) * fractions[2]))
    else:
        wanted = (
            _whole(rest * fractions[1] / (fractions[0] + fractions[1])),
            _whole(rest * fractions[2] / (fractions[0] + fractions[2])),
        )
    return (0 if given[0] else wanted[0], 0 if given[1] else wanted[1])


def _at_random(
    data: Data, pool: np.ndarray, wanted: tuple[int, int], generator: np.random.Generator, *, shrink: bool
) -> np.ndarray:
    """The part of each row of ``pool``, drawn class by class."""
    classes = data.targets[pool] if data.classes is not None else np.zeros(len(pool), np.int64)
    order, learnable = _by_class(classes, generator)
    spare = len(order) - learnable
    if shrink and sum(wanted) > spare:  # nearly every row is a class of its own
        parts = sum(part > 0 for part in wanted)
        wanted = tuple(0 if not part else spare // parts + (spare % parts if not index else 0)
                       for index, part in enumerate(wanted))  # type: ignore[assignment]  # fmt: skip
    held_out = sum(wanted)
    if held_out > spare:
        raise InputError(
            f"{data.name} has {len(pool):,} rows to divide, and each of its {learnable} classes needs one in training: "
            f"{held_out:,} cannot be held out; give smaller fractions"
        )
    part = np.zeros(len(pool), np.int64)
    held = order[learnable:][_evenly(spare, held_out, generator)]
    part[held] = np.where(_evenly(held_out, wanted[1], generator), TEST, DEV)
    return part


def _by_time(data: Data, time: np.ndarray, wanted: tuple[int, int]) -> np.ndarray:
    """The part of each row, later ones for later parts."""
    order = np.argsort(time, kind="stable")
    parts = [part for part, rows in ((DEV, wanted[0]), (TEST, wanted[1])) if rows]
    ends = {DEV: len(time) - sum(wanted), TEST: len(time) - wanted[1]}
    places = cuts(time[order], [ends[part] for part in parts])
    if places is None:
        what = "moments" if data.groups is None else "moments at which a group ends"
        raise InputError(
            f"{data.name} has {len(np.unique(time))} different {what} to divide into {len(parts) + 1} parts: "
            f"give fewer parts, or leave the time out"
        )
    divided = np.zeros(len(time), np.int64)
    for part, place in zip(parts, places, strict=True):
        divided[order[place:]] = part
    return divided


def _by_group(
    data: Data, pool: np.ndarray, groups: np.ndarray, wanted: tuple[int, int], generator: np.random.Generator
) -> np.ndarray:
    rows = np.array([max(len(pool) - sum(wanted), 1), *wanted])
    if (there := int(groups.max()) + 1) < (needed := int((rows > 0).sum())):
        raise InputError(
            f"{data.name} has {there} group{'s' * (there != 1)} to divide into {needed} parts, and none may be parted: "
            f"give fewer parts, or leave the groups out"
        )
    classes = data.targets[pool] if data.classes is not None else np.zeros(len(pool), np.int64)
    return placed(groups, classes, shares=rows / rows.sum(), generator=generator)


def _with_their_groups(data: Data, assigned: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The parts with every free row in the part of its group, where one is assigned."""
    part = np.full(int(groups.max()) + 1, FREE, np.int8)
    for chosen in (TRAIN, DEV, TEST):
        part[groups[assigned == chosen]] = chosen
    wrong = (assigned != FREE) & (assigned != part[groups])
    if wrong.any():
        row = int(wrong.argmax())
        other = int(((groups == groups[row]) & (assigned == part[groups[row]])).argmax())
        words = {TRAIN: "train", DEV: "dev", TEST: "test"}
        raise InputError(
            f"{data.name}: rows {row + 1} and {other + 1} are of one group, and assigned to {words[int(assigned[row])]} and "
            f"{words[int(assigned[other])]}: give them one part, or leave the groups out"
        )
    return part[groups]


def check_fractions(fractions: Sequence[float]) -> None:
    """Raises ``InputError`` for what are no shares of train, dev and test."""
    if len(fractions) != 3 or not all(math.isfinite(part) and part >= 0 for part in fractions):
        raise InputError(f"the fractions {list(fractions)} are not three numbers from 0 to 1 for train, dev and test")
    if abs(sum(fractions) - 1) > 1e-6:
        raise InputError(f"the fractions {list(fractions)} sum to {sum(fractions):g}: they must sum to 1")
    if fractions[0] == 0:
        raise InputError(f"the fractions {list(fractions)} leave nothing to train on: the first must be above 0")


def _whole(rows: float) -> int:
    """At least one row of a part that is wanted at all."""
    return max(round(rows), 1) if rows > 0 else 0


def _by_class(classes: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, int]:
    """Positions in random order, those of a class together; first of all one position of each class, which is trained on."""
    order = generator.permutation(len(classes))
    order = order[np.argsort(classes[order], kind="stable")]
    _, first = np.unique(classes[order], return_index=True)
    return np.concatenate([order[first], np.delete(order, first)]), len(first)


def _evenly(places: int, chosen: int, generator: np.random.Generator) -> np.ndarray:
    """A mask ``(places,)`` with ``chosen`` places at equal distances, the start drawn: systematic sampling, which takes
    of every run of places its share to within one."""
    if not places:
        return np.zeros(0, bool)
    start = int(generator.integers(places))
    return np.diff((np.arange(places + 1, dtype=np.int64) * chosen + start) // places) == 1
