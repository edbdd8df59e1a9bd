"""How much tuning a rule asks for: its best after k trials, the width of its good range of rates, who wins at budget k.

>>> best_after([0.5, 0.1, 0.3])                          # the mean of one trial, of the better of two, the best of all three
(0.3, 0.1667, 0.1)
>>> good_range([1e-3, 1e-2, 1e-1, 1.0], [0.9, 0.2, 0.25, math.inf], tolerance=0.1).decades
1.14
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.errors import InputError


def best_after(scores: Sequence[float], *, worst: float | None = None) -> tuple[float, ...]:
    """For k = 1 … n the expected best (lowest) of k trials drawn without replacement from these n, by the exact weights
    ``C(n − i, k − 1) / C(n, k)`` of the i-th best (the unbiased form, Tang et al. 2020, of Dodge et al. 2019).

    A trial that diverged counts as ``worst``, the worst finite one where not given. Raises ``InputError`` for none.
    """
    ordered = sorted(_filled(scores, worst))
    n = len(ordered)
    return tuple(
        sum(math.comb(n - i, k - 1) * score for i, score in enumerate(ordered, 1)) / math.comb(n, k)
        for k in range(1, n + 1)
    )


def _filled(scores: Sequence[float], worst: float | None) -> list[float]:
    finite = [score for score in scores if math.isfinite(score)]
    if worst is None:
        if not finite:
            raise InputError("no trial has a finite score: say what one that diverged counts as (worst)")
        worst = max(finite)
    return [score if math.isfinite(score) else worst for score in scores]


@dataclass(frozen=True)
class GoodRange:
    """Rates from ``low`` to ``high`` around the ``best``, all good; ``decades`` is how wide that is; ``open_ends`` says at
    which ends the sweep stopped while still good: there the range is wider than was measured."""

    best: float
    low: float
    high: float
    open_ends: tuple[str, ...] = ()

    @property
    def decades(self) -> float:
        return math.log10(self.high / self.low)


def good_range(rates: Sequence[float], scores: Sequence[float], *, tolerance: float) -> GoodRange:
    """The stretch around the best rate of a sweep in which scores stay within ``tolerance`` of the best.

    Between two rates the score is taken to change evenly on the logarithmic scale; beside a run that diverged the range ends
    at the last good rate. Raises ``InputError`` for fewer than two rates, rates not above zero, no finite score, or a negative
    tolerance.
    """
    if len(rates) != len(scores) or len(rates) < 2 or min(rates) <= 0 or tolerance < 0:
        raise InputError("a sweep has two or more rates above 0, each with its score, and a tolerance of at least 0")
    order = sorted(range(len(rates)), key=lambda index: rates[index])
    logs = [math.log(rates[index]) for index in order]
    values = [scores[index] if math.isfinite(scores[index]) else math.inf for index in order]
    best = min(range(len(values)), key=lambda index: values[index])
    if not math.isfinite(values[best]):
        raise InputError("no rate of the sweep has a finite score: sweep lower ones")
    limit = values[best] + tolerance
    ends, still = [], []
    for way, name in ((-1, "low"), (1, "high")):
        at = best
        while 0 <= at + way < len(values) and values[at + way] <= limit:
            at += way
        outside = at + way
        if not 0 <= outside < len(values):
            still.append(name)
            ends.append(logs[at])
        elif math.isinf(values[outside]):
            ends.append(logs[at])
        else:
            share = (limit - values[at]) / (values[outside] - values[at])
            ends.append(logs[at] + share * (logs[outside] - logs[at]))
    return GoodRange(math.exp(logs[best]), math.exp(ends[0]), math.exp(ends[1]), tuple(still))


def win_probability(trials: Mapping[str, Sequence[float]], k: int) -> dict[str, float]:
    """How probably each rule has the best score where all draw ``k`` of their trials, without replacement (Sivaprasad et al.
    2020); exact, and a tie is shared. Trials that diverged are infinite.

    Raises ``InputError`` where a rule has fewer than k trials.
    """
    for rule, scores in trials.items():
        if not 1 <= k <= len(scores):
            raise InputError(f"{rule}: {k} of {len(scores)} trials can't be drawn: choose k from 1 to {len(scores)}")
    values = sorted({score if math.isfinite(score) else math.inf for scores in trials.values() for score in scores})
    equal, above = {}, {}
    for rule, scores in trials.items():
        beyond = [sum(not score <= value for score in scores) for value in values]
        above[rule] = np.array([math.comb(count, k) / math.comb(len(scores), k) for count in beyond])
        if math.isinf(values[-1]):
            above[rule][-1] = 0.0
        equal[rule] = np.concatenate([[1.0], above[rule][:-1]]) - above[rule]
    return {rule: _shared(rule, equal, above) for rule in trials}


def _shared(rule: str, equal: Mapping[str, np.ndarray], above: Mapping[str, np.ndarray]) -> float:
    """Sums, over the best values this rule may have, the share it takes among those that have the same."""
    ties = [equal[rule]]
    for other in equal:
        if other != rule:
            none = np.zeros_like(equal[other])
            ties = [
                with_it * above[other] + one_less * equal[other]
                for with_it, one_less in zip([*ties, none], [none, *ties], strict=True)
            ]
    return float(sum((weight / (count + 1)).sum() for count, weight in enumerate(ties)))
