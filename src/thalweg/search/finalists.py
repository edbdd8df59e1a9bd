"""What the best trial is worth: run again on fresh seeds, with the luck of having been chosen taken out.

>>> result = refit([[0.031, 0.035, 0.029], [0.030, 0.041, 0.036]])         # 2 finalists × 3 fresh seeds, errors
>>> result.best, result.mean, result.corrected, result.interval
(0, 0.0317, 0.0317, (0.0241, 0.0393))

The best of many trials owes its score to merit and to luck. Fresh seeds leave the luck of the search behind, but the best of
k finalists is chosen by luck once more. So the choice is made once without each seed, and the finalist chosen is scored on the
seed that had no say (nested selection, as Cawley & Talbot 2010 ask; Tsamardinos et al. 2018 compare remedies): the mean of
these scores is what such a choice brings on a seed not seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.errors import InputError

CONTESTED = 3.0
"""What the variance is multiplied by where the choice hangs on a seed: the nested scores then lean on each other. Simulated
with 2 to 8 finalists, equal or not, and 3 to 10 seeds, an interval of level 0.95 holds in 0.92 to 0.96 of the cases; in 0.88
with eight equal finalists and ten seeds."""


@dataclass(frozen=True)
class Refit:
    """The finalist chosen, and its worth in the measure that was given."""

    best: int
    """Which finalist has the best mean over all seeds."""
    mean: float
    """That mean, which flatters the more finalists there are."""
    corrected: float
    """The mean over seeds of the finalist chosen without that seed."""
    interval: tuple[float, float]
    """Of ``corrected``, with Student's t over the seeds, wider where the choice hangs on a seed."""
    seeds: int
    level: float

    @property
    def sentence(self) -> str:
        low, high = self.interval
        return (
            f"{self.corrected:.4g} on {self.seeds} fresh seeds, {self.level:.0%} interval {low:.4g} to {high:.4g}; the choice "
            f"among the finalists flatters the plain mean, {self.mean:.4g}"
        )


def refit(scores: Sequence[Sequence[float]], *, more_is_better: bool = False, level: float = 0.95) -> Refit:
    """``scores`` are ``(finalists, seeds)``, one column for each seed that no trial of the search has seen.

    Raises ``InputError`` for fewer than 2 seeds, rows of unlike length, or a score that is not finite.
    """
    lengths = {len(row) for row in scores}
    if len(lengths) != 1 or min(lengths) < 2:
        raise InputError("finalists are run again on at least 2 fresh seeds, the same for all of them")
    table = np.array(scores, dtype=np.float64)
    if not np.isfinite(table).all():
        bad = int(np.flatnonzero(~np.isfinite(table).all(axis=1))[0])
        raise InputError(f"finalist {bad} has a score that is not finite: leave it out")
    if not 0 < level < 1:
        raise InputError(f"the level of an interval lies between 0 and 1, not at {level:g}")
    cost = -table if more_is_better else table
    seeds = cost.shape[1]
    without = (cost.sum(axis=1, keepdims=True) - cost) / (seeds - 1)
    chosen = without.argmin(axis=0)
    nested = table[chosen, np.arange(seeds)]
    best = int(cost.mean(axis=1).argmin())
    corrected = float(nested.mean())
    widening = CONTESTED if len(set(chosen.tolist())) > 1 else 1.0
    half = _student(level, seeds - 1) * float(nested.std(ddof=1)) * math.sqrt(widening / seeds)
    return Refit(best, float(table[best].mean()), corrected, (corrected - half, corrected + half), seeds, level)


def _student(level: float, freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + level / 2))
