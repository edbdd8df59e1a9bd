"""k-fold cross-validation: every row is held out once, by a model that has not seen it.

>>> for fold in folds(data, 5, seed=0):
...     model = trained(data, fold.fit)                          # thalweg's own or any other
...     outputs[fold.held_out] = model(data, fold.held_out)

Classes have their share in every fold to within one row (Kohavi 1995), groups stay whole. Rows with a time go forward: each
fold is held out from a model of all that came before it, so the earliest rows are held out by none (Hyndman, Athanasopoulos,
"Forecasting", 5.10). A test part that the data set defines is in no fold.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from thalweg.data.dataset import TEST, Data
from thalweg.data.placing import cuts, latest, placed
from thalweg.errors import InputError


class Fold(NamedTuple):
    """Row numbers, sorted, int64, disjoint."""

    fit: np.ndarray
    held_out: np.ndarray


def folds(data: Data, k: int, *, seed: int) -> list[Fold]:
    """``k`` folds, the same for the same seed: by time where the data have one (and then without chance), by groups, else by
    class. Rows assigned to the test part are in none.

    Raises ``InputError`` for fewer than 2, or more than there are groups, moments, rows, or rows of the smallest class.
    """
    rows = np.arange(len(data)) if data.assigned is None else np.flatnonzero(data.assigned != TEST)
    if k < 2:
        raise InputError(f"{k} folds cannot be made: give 2 or more, as 5")
    if k > len(rows):
        raise InputError(f"{data.name} has {len(rows):,} rows for {k:,} folds: give at most as many folds as rows")
    groups = None if data.groups is None else np.unique(data.groups[rows], return_inverse=True)[1]
    if data.time is not None:
        return _forward(data, rows, latest(data.time[rows], groups), k)
    classes = np.zeros(len(rows), np.int64) if data.classes is None else data.targets[rows]
    generator = np.random.default_rng([seed, 0xF01D5])
    if groups is not None:
        if k > groups.max() + 1:
            raise InputError(
                f"{data.name} has {groups.max() + 1:,} groups for {k:,} folds, and none may be parted: give fewer folds"
            )
        part = placed(groups, classes, shares=[1 / k] * k, generator=generator)
    else:
        _check_classes(data, rows, k)
        order = generator.permutation(len(rows))
        order = order[np.argsort(classes[order], kind="stable")]
        part = np.empty(len(rows), np.int64)
        part[order] = np.arange(len(rows)) % k
    return [Fold(rows[part != fold], rows[part == fold]) for fold in range(k)]


def _check_classes(data: Data, rows: np.ndarray, k: int) -> None:
    if data.classes is None:
        return
    classes, counts = np.unique(data.targets[rows], return_counts=True)
    fewest = int(counts.min())
    if fewest < k:
        raise InputError(
            f'{data.name} has {fewest} row{"s" * (fewest > 1)} of the class "{data.classes[classes[counts.argmin()]]}" for '
            f"{k:,} folds: give fewer folds, or leave the class out"
        )


def _forward(data: Data, rows: np.ndarray, time: np.ndarray, k: int) -> list[Fold]:
    order = np.argsort(time, kind="stable")
    size = len(rows) // (k + 1)
    places = cuts(time[order], [len(rows) - (k - fold) * size for fold in range(k)])
    if places is None:
        what = "moments" if data.groups is None else "moments at which a group ends"
        raise InputError(
            f"{data.name} has {len(np.unique(time)):,} different {what}: {k:,} folds need {k + 1:,}; give fewer folds"
        )
    ends = [*places[1:], len(rows)]
    return [
        Fold(rows[np.sort(order[:start])], rows[np.sort(order[start:end])])
        for start, end in zip(places, ends, strict=True)
    ]
