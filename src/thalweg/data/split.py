"""Train, dev and test: what is learned from, what is chosen by, and what is looked at once.

>>> parts = split(load("digits"), seed=0)
>>> len(parts.train), len(parts.dev), len(parts.test)
(1079, 359, 359)
>>> parts = split(load("digits"), seed=0, fractions=(0.8, 0.2, 0))      # no test part

How many rows are held out depends on how many there are (``sizes``): a fifth each while rows are few; then 10,000 each,
which measure an accuracy to half a per cent, up to 98/1/1 at a million; far above 99.5/0.4/0.1. Classes are spread evenly:
each part has a class's share to within two rows, and the training part has every class. The parts depend on the targets,
the seed and the fractions, on nothing else. A test part that the data set defines itself is the test part, always.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from thalweg.data.dataset import Data
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

    With an official test part the other rows are divided in the proportion of train to dev. Raises ``InputError`` for
    fractions that are not three, negative, or do not sum to 1, or leave nothing to train on.
    """
    official = np.zeros(0, np.int64) if data.official_test is None else np.sort(data.official_test).astype(np.int64)
    rest = np.setdiff1d(np.arange(len(data)), official, assume_unique=True)
    if fractions is not None:
        _check(fractions)
    if data.official_test is not None:
        dev = sizes(len(data))[0] if fractions is None else len(rest) * fractions[1] / (fractions[0] + fractions[1])
        wanted = (_whole(dev), 0)
    elif fractions is not None:
        wanted = (_whole(len(data) * fractions[1]), _whole(len(data) * fractions[2]))
    else:
        wanted = sizes(len(data))
    classes = data.targets[rest] if data.classes is not None else np.zeros(len(rest), np.int64)
    generator = np.random.default_rng([seed, 0x5B117])
    order, learnable = _by_class(classes, generator)
    spare = len(order) - learnable
    if fractions is None and sum(wanted) > spare:  # nearly every row is a class of its own
        wanted = (spare - spare // 2 * bool(wanted[1]), spare // 2 * bool(wanted[1]))
    held_out = sum(wanted)
    if held_out > spare:
        raise InputError(
            f"{data.name} has {len(rest):,} rows to divide, and each of its {learnable} classes needs one in training: "
            f"{held_out:,} cannot be held out; give smaller fractions"
        )
    candidates = order[learnable:]
    chosen = _evenly(len(candidates), held_out, generator)
    held = candidates[chosen]
    in_test = _evenly(held_out, wanted[1], generator)
    train = np.concatenate([order[:learnable], candidates[~chosen]])
    test = rest[np.sort(held[in_test])] if data.official_test is None else official
    return Split(rest[np.sort(train)], rest[np.sort(held[~in_test])], test)


def _check(fractions: Sequence[float]) -> None:
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
