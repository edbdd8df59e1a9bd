"""Who ends early: ``search``'s pruners, on all curves of the study that came as far.

>>> rungs = Rungs.of("halving", epochs=27)
>>> rungs.passes
(3, 9)
>>> rungs(3, {0: (0.4, 0.3, 0.2), 1: (0.9, 0.8, 0.7)}, earlier=[(0.5, 0.4, 0.3)])
[1]
>>> rungs.cost(64)                                   # passes of 64 candidates together, 1,728 without
468

A whole population is halved together. Where candidates come a few at a time (workers, several architectures, a sampler that
learns), each rung also counts those that came there before (asynchronous halving, Li et al. 2020).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thalweg.experiments.tuning.trainer import Curve
from thalweg.search import Halving, Median
from thalweg.search.pruning import best

REDUCTION = 3
SHARE = 9
"""The first rung comes after this part of all passes: under a falling rate the first passes say little."""


@dataclass(frozen=True)
class Rungs:
    """``trainer.Prune``: the passes after which candidates may end, and the rule."""

    rule: Halving | Median | None
    epochs: int

    @classmethod
    def of(cls, name: str, *, epochs: int) -> Rungs:
        """By its name: halving, median or none."""
        first = max(1, epochs // SHARE)
        rules: dict[str, Halving | Median | None] = {
            "halving": Halving(REDUCTION, first),
            "median": Median(max(first, 2)),
            "none": None,
        }
        return cls(rules[name], epochs)

    @property
    def passes(self) -> tuple[int, ...]:
        """The passes after which candidates are compared."""
        if isinstance(self.rule, Halving):
            return tuple(self.rule.rungs(self.epochs))
        return () if self.rule is None else tuple(range(self.rule.warmup, self.epochs))

    def cost(self, candidates: int) -> int:
        """The passes that so many candidates take together under halving; else all of them."""
        if not isinstance(self.rule, Halving):
            return candidates * self.epochs
        cost, before, left = 0, 0, candidates
        for rung in (*self.passes, self.epochs):
            cost += left * (rung - before)
            before, left = rung, max(1, math.ceil(left / self.rule.reduction))
        return cost

    def __call__(self, epoch: int, going: Mapping[int, Curve], earlier: Sequence[Curve]) -> Sequence[int]:
        if epoch not in self.passes or self.rule is None:
            return []
        if isinstance(self.rule, Median):
            return sorted(self.rule.leaving(epoch, going, earlier))
        there = [best(curve[:epoch]) for curve in earlier if len(curve) >= epoch]
        if not there:
            return sorted(self.rule.leaving(epoch, going))
        order = sorted([*there, *map(best, going.values())])
        last = order[max(1, math.ceil(len(order) / self.rule.reduction)) - 1]
        return sorted(number for number, curve in going.items() if best(curve) > last)
