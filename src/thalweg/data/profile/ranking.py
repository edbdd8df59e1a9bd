"""How well a score tells two groups of rows apart: the area under the ROC curve (AUC) with its confidence interval.

>>> found = auc(scores, positive)                       # (n,) numbers and (n,) booleans
>>> found.value, found.low, found.high                  # 0.5: not at all; 1: without error
(0.81, 0.74, 0.88)
>>> auc(scores, positive, groups=patient)               # rows of a patient are no independent witnesses: a wider interval

The interval is that of DeLong, DeLong and Clarke-Pearson (1988, Biometrics 44:837), by the ranks of Sun and Xu (2014, IEEE
Signal Processing Letters 21:1389); with groups that of Obuchowski (1997, Biometrics 53:567), where a group counts once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np


@dataclass(frozen=True)
class Auc:
    """``value`` is the chance that a positive row scores above another one (ties count half)."""

    value: float
    se: float
    """Standard error; infinite where a side is one row or one group."""
    low: float
    high: float

    @property
    def chance(self) -> float:
        """How often luck alone would tell the two apart so well: the one-sided p of ``value`` against 0.5."""
        if self.se == 0:
            return 0.0 if self.value > 0.5 else 1.0
        return 1 - NormalDist().cdf((self.value - 0.5) / self.se)


def auc(
    scores: np.ndarray,
    positive: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    folds: int | None = None,
    level: float = 0.95,
) -> Auc:
    """The AUC of ``scores`` ``(n,)`` for ``positive`` ``(n,)`` booleans, of which some are true and some are not.

    Scores that came of cross-fitting in ``folds`` vary more than independent ones, as the classifiers share rows they learned
    from: the variance is multiplied as Nadeau and Bengio have it (2003, Machine Learning 52:239), by 9/4 for five folds.
    """
    x, y = scores[positive], scores[~positive]
    ranks = midranks(scores)
    above = (ranks[positive] - midranks(x)) / len(y)  # for each positive row, the share of the others below it
    below = 1 - (ranks[~positive] - midranks(y)) / len(x)
    value = float(above.mean())
    own = np.arange(len(scores)) if groups is None else np.unique(groups, return_inverse=True)[1].ravel()
    se = math.sqrt(max(_variance(above - value, below - value, own[positive], own[~positive]), 0.0))
    if folds is not None:
        se *= math.sqrt(1 + folds / (folds - 1))
    reach = NormalDist().inv_cdf(0.5 + level / 2) * se
    return Auc(value, se, max(value - reach, 0.0), min(value + reach, 1.0))


def midranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, float64; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse.ravel()]


def _variance(above: np.ndarray, below: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
    """Of the AUC, from each row's deviation, summed within groups (Obuchowski's S10, S01 and S11)."""
    groups = max(int(one.max()), int(other.max())) + 1
    of_one, of_other = np.bincount(one, above, groups), np.bincount(other, below, groups)
    n_one, n_other = len(np.unique(one)), len(np.unique(other))
    if min(n_one, n_other) < 2:
        return math.inf
    m, n = len(above), len(below)
    variance = n_one / (n_one - 1) * (of_one @ of_one) / m**2 + n_other / (n_other - 1) * (of_other @ of_other) / n**2
    both = len(np.intersect1d(one, other))
    if both > 1:
        variance += 2 * both / (both - 1) * (of_one @ of_other) / (m * n)
    return float(variance)
