"""The exponentially weighted average: what a noisy series is near, and over how many entries that was averaged.

``v ← βv + (1−β)θ`` begins at 0, so its first values are too small by the factor ``1 − βᵗ``; dividing by it gives an average of
what was seen, from the first entry on (Kingma & Ba 2015, section 3).

>>> ewa([4.0, 2.0, 3.0], 0.5)
array([4.        , 2.66666667, 2.85714286])
>>> window(0.98)                                        # entries it averages over, about
50.0
>>> ewa(losses, beta_of(50))
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from thalweg.errors import InputError


def ewa(
    series: ArrayLike, beta: float, *, corrected: bool = True, steps: ArrayLike | None = None
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The average after each entry of ``series`` ``(n,)``: ``(n,)`` float64.

    ``corrected=False`` leaves out the division by ``1 − βᵗ``. ``steps`` ``(n,)`` say where the entries stand: after a gap of
    k steps β counts k times (once where they do not rise), so that the average spans the same steps however densely they
    were recorded.

    An entry that is NaN or infinite is skipped, as if it were not there: the average stays where it was, and is NaN only as
    long as nothing has been seen. Raises ``InputError`` where β is not at least 0 and below 1.
    """
    values = _row(series, "the series")
    beta = _beta(beta)
    if steps is None:
        gaps = np.ones(len(values))
        gaps = gaps[np.isfinite(values)]
    else:
        places = _row(steps, "steps")
        if len(places) != len(values):
            raise InputError(f"the average of {len(values)} entries was given {len(places)} steps: give one for each")
        places = places[np.isfinite(values)]
        gaps = np.maximum(np.diff(places, prepend=places[:1] - 1), 1.0)
    averaged = np.full(len(values), np.nan)
    seen = np.flatnonzero(np.isfinite(values))
    mean = weight = 0.0
    for index, value, kept in zip(seen.tolist(), values[seen].tolist(), (beta**gaps).tolist(), strict=True):
        # v and its weight 1 − βᵗ at once, as a mean that moves: of equal entries it is exactly that entry.
        weight = kept * weight + (1.0 - kept)
        mean += (1.0 - kept) / weight * (value - mean)
        averaged[index] = mean if corrected else mean * weight
    if len(seen):
        latest = np.maximum.accumulate(np.where(np.isfinite(values), np.arange(len(values)), -1))
        averaged = np.where(latest >= 0, averaged[latest], np.nan)
    return averaged


def window(beta: float) -> float:
    """Entries that an average with ``beta`` spans, about: ``1 / (1 − β)``, after which an entry's weight has fallen to 1/e."""
    return 1.0 / (1.0 - _beta(beta))


def beta_of(window: float) -> float:
    """The β whose average spans ``window`` entries: ``1 − 1/window``. Raises ``InputError`` for a window below 1."""
    if not isinstance(window, int | float | np.number) or not math.isfinite(window) or window < 1:
        raise InputError(f"the window of an average is {window!r} but must be a number of at least 1")
    return 1.0 - 1.0 / float(window)


def _beta(beta: float) -> float:
    if not isinstance(beta, int | float | np.number) or isinstance(beta, bool) or not 0 <= beta < 1:
        raise InputError(f"the beta of an average is {beta!r} but must be a number of at least 0 and below 1")
    return float(beta)


def _row(given: ArrayLike, what: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    try:
        row = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{what} to average must be numbers") from None
    if row.ndim != 1:
        raise InputError(f"{what} to average must be one row of numbers, not of shape {row.shape}")
    return row
