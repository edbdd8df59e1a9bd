"""What the same seeds say about two rules: tests and intervals for pairs, as few as ten.

>>> a, b = [0.130, 0.128, 0.133, 0.129, 0.131, 0.127], [0.141, 0.139, 0.137, 0.142, 0.138, 0.140]
>>> sign_flip(a, b), wilcoxon(a, b)                         # six pairs that all say the same: 2 / 2⁶
(0.03125, 0.03125)
>>> better(a, b)
Estimate(value=1.0, low=1.0, high=1.0)

Lower is better. Differences are within pairs, since runs of one seed share their start and the order of their rows: what
they have in common cancels. A run that missed, its number infinite, is told by ``better`` as worse than any other and as
equal to one that missed too; the means want finite numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from thalweg.errors import InputError

Numbers = Sequence[float] | np.ndarray

EXACT = 16
"""Pairs up to which all sign patterns are counted; beyond, ``DRAWS`` of them are drawn."""
DRAWS = 20_000
RESAMPLES = 4_000
_BLOCK = 1 << 14


@dataclass(frozen=True)
class Estimate:
    """A value with the interval it is known to."""

    value: float
    low: float
    high: float


def sign_flip(a: Numbers, b: Numbers, *, seed: int = 0) -> float:
    """Two-sided p of the mean difference: were the rules the same, each difference might as well have had the other sign
    (Fisher's randomisation test). Exact up to 16 pairs, by 20,000 drawn patterns beyond, the observed one counted in.

    The least p of n pairs is 2/2ⁿ: five never reach 0.05. Raises ``InputError`` for unequal lengths or infinite numbers.
    """
    differences = _differences(a, b)
    size = np.abs(differences)
    if not size.any():
        return 1.0
    # Sums of the same numbers in another order differ by rounding: what is equal to within it counts as equal.
    bound = abs(differences.sum()) - 1e-12 * size.sum()
    n = len(differences)
    if n > EXACT:
        signs = np.random.default_rng([seed, n, 1]).integers(0, 2, (DRAWS, n), dtype=np.int8) * 2.0 - 1.0
        return float((1 + np.count_nonzero(np.abs(signs @ size) >= bound)) / (DRAWS + 1))
    # A pattern and its opposite give the same size: the first sign stays.
    patterns = np.arange(1 << (n - 1))[:, None] >> np.arange(n - 1)[None, :] & 1
    sums = size[0] + (1.0 - 2.0 * patterns) @ size[1:]
    return float(np.count_nonzero(np.abs(sums) >= bound) / len(sums))


def sign_test(a: Numbers, b: Numbers) -> float:
    """Two-sided p of how often each was better, ties left out: binomial with one half."""
    differences = _compared(a, b)
    wins, n = int(np.count_nonzero(differences < 0)), int(np.count_nonzero(differences))
    tail = sum(math.comb(n, k) for k in range(min(wins, n - wins) + 1)) / 2**n
    return min(1.0, 2 * tail)


def wilcoxon(a: Numbers, b: Numbers, *, seed: int = 0) -> float:
    """Two-sided p of Wilcoxon's signed ranks, zeros left out, ties given their mean rank; over sign patterns as above."""
    differences = _differences(a, b)
    differences = differences[differences != 0]
    if not len(differences):
        return 1.0
    size = np.abs(differences)
    below = (size[:, None] > size[None, :]).sum(axis=1)
    ranks = below + ((size[:, None] == size[None, :]).sum(axis=1) + 1) / 2
    signed = ranks * np.sign(differences)
    return sign_flip(signed, np.zeros(len(signed)), seed=seed)


def mean_difference(a: Numbers, b: Numbers, *, level: float = 0.95, seed: int = 0) -> Estimate:
    """The mean of a − b with its BCa bootstrap interval (Efron 1987): bias-corrected, accelerated, over pairs."""
    return mean_of(_differences(a, b), level=level, seed=seed)


def mean_of(values: Numbers, *, level: float = 0.95, seed: int = 0) -> Estimate:
    """A mean with its BCa interval; NaN ends for one value alone. Raises ``InputError`` for none, or infinite ones."""
    sample = np.asarray(values, dtype=float)
    if not len(sample) or not np.isfinite(sample).all():
        raise InputError("a mean is taken of finite numbers, at least one: put what a miss costs where one is infinite")
    mean = float(sample.mean())
    if np.ptp(sample) == 0:
        return Estimate(mean, mean, mean) if len(sample) > 1 else Estimate(mean, math.nan, math.nan)
    means = sample[_resampled(len(sample), seed)].mean(axis=1)
    share = (np.count_nonzero(means < mean) + np.count_nonzero(means == mean) / 2) / len(means)
    normal = NormalDist()
    bias = normal.inv_cdf(min(max(share, 1 / len(means)), 1 - 1 / len(means)))
    left_out = (sample.sum() - sample) / (len(sample) - 1)
    off = left_out.mean() - left_out
    spread = (off**2).sum() ** 1.5  # 0 where differences are of the size of rounding
    acceleration = float((off**3).sum() / (6 * spread)) if spread > 0 else 0.0

    def end(probability: float) -> float:
        z = bias + normal.inv_cdf(probability)
        return float(np.quantile(means, normal.cdf(bias + z / (1 - acceleration * z))))

    return Estimate(mean, end((1 - level) / 2), end((1 + level) / 2))


def better(a: Numbers, b: Numbers, *, level: float = 0.95, seed: int = 0) -> Estimate:
    """How probably a run of a is better than the run of b with the same seed, ties counted half, and its percentile
    bootstrap interval over pairs (Bouthillier et al. 2021)."""
    differences = _compared(a, b)
    wins = (differences < 0) + (differences == 0) / 2
    shares = wins[_resampled(len(wins), seed)].mean(axis=1)
    low, high = np.quantile(shares, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(wins.mean()), float(low), float(high))


def holm(ps: Sequence[float]) -> list[float]:
    """p values as they stand after so many tests at once (Holm 1979): the k-th least times (m − k + 1), never falling."""
    adjusted = [0.0] * len(ps)
    least = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda index: ps[index])):
        least = max(least, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = least
    return adjusted


def _resampled(n: int, seed: int) -> np.ndarray:
    """``(RESAMPLES, n)`` row numbers, drawn with replacement."""
    return np.random.default_rng([seed, n, 2]).integers(0, n, (RESAMPLES, n))


def _compared(a: Numbers, b: Numbers) -> np.ndarray:
    """Below 0 where a is better, 0 at a tie; two that missed are equal."""
    one, other = _paired(a, b)
    return np.sign(np.where(one == other, 0.0, np.where(one < other, -1.0, 1.0)))


def _differences(a: Numbers, b: Numbers) -> np.ndarray:
    one, other = _paired(a, b)
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise InputError("differences are taken of finite numbers: put what a miss costs where one is infinite")
    return one - other


def _paired(a: Numbers, b: Numbers) -> tuple[np.ndarray, np.ndarray]:
    one, other = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if one.shape != other.shape or one.ndim != 1 or not len(one):
        raise InputError(f"pairs have a number of each rule for each seed, not {one.shape} and {other.shape}")
    if np.isnan(one).any() or np.isnan(other).any():
        raise InputError("a result is NaN: give what diverged as infinite")
    return one, other
