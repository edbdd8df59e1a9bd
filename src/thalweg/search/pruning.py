"""Who leaves a population: judged on the curves of all members at one pass, together.

>>> halving = Halving(reduction=3, first=1)                # after passes 1, 3, 9, 27 a third stays
>>> halving.leaving(3, {0: [0.9, 0.5, 0.4], 1: [0.8, 0.3, 0.2], 2: [0.9, 0.8, 0.7]})
{0, 2}
>>> train_population(members, epochs=81, on_epoch=lambda epoch, going: halving.leaving(epoch, curves(going)))

Pruners made for trials that come one after another fail here: they compare with trials that have ended, and of members in
step none has, or with those that came to a rung before, which is an accident of their order. Curves are scores after each
pass, lower is better, and count by the best so far, for that is the pass whose weights are kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from thalweg.errors import InputError

Curve = Sequence[float]


class Pruner(Protocol):
    """Says who leaves."""

    def leaving(self, step: int, going: Mapping[int, Curve], others: Sequence[Curve] = ()) -> set[int]:
        """The members that leave after pass ``step``, by number. ``going`` are the curves ``(step,)`` of all that train,
        ``others`` those of members that have left and of earlier trials, of any length.
        """
        ...


@dataclass(frozen=True)
class Halving:
    """Synchronous successive halving (Jamieson & Talwalkar 2016): after passes ``first``, ``first·reduction``,
    ``first·reduction²``, … the best of every ``reduction`` stay, one at least.

    Raises ``InputError`` for a reduction below 2 or a first pass below 1.
    """

    reduction: int = 3
    first: int = 1

    def __post_init__(self) -> None:
        if self.reduction < 2 or self.first < 1:
            raise InputError("halving reduces by 2 or more, and first after pass 1 or later")

    def rungs(self, epochs: int) -> list[int]:
        """The passes after which members leave in a run of so many."""
        rungs, rung = [], self.first
        while rung < epochs:
            rungs.append(rung)
            rung *= self.reduction
        return rungs

    def leaving(self, step: int, going: Mapping[int, Curve], others: Sequence[Curve] = ()) -> set[int]:
        if step not in self.rungs(step + 1):
            return set()
        order = sorted(going, key=lambda number: best(going[number]))
        return set(order[max(1, math.ceil(len(order) / self.reduction)) :])


@dataclass(frozen=True)
class Median:
    """A member leaves when its best score is worse than the median of all trials' best by that pass (Golovin et al. 2017).

    Those that have left count with the best they came to, so that half leave, and not half of the rest after each pass.
    Nobody leaves before pass ``warmup``, nor while there are fewer than ``least`` curves. Raises ``InputError``.
    """

    warmup: int = 5
    least: int = 4

    def __post_init__(self) -> None:
        if self.warmup < 1 or self.least < 2:
            raise InputError("median pruning begins after pass 1 or later, with at least 2 curves")

    def leaving(self, step: int, going: Mapping[int, Curve], others: Sequence[Curve] = ()) -> set[int]:
        if step < self.warmup or len(going) + len(others) < self.least:
            return set()
        here = {number: best(curve) for number, curve in going.items()}
        everyone = sorted([*here.values(), *(best(curve[:step]) for curve in others)])
        middle = everyone[(len(everyone) - 1) // 2]
        return {number for number, score in here.items() if score > middle} if min(here.values()) <= middle else set()


def best(curve: Curve) -> float:
    """The lowest finite score of a curve; infinite where there is none."""
    return min((score for score in curve if math.isfinite(score)), default=math.inf)
