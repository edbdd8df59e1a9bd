"""A run as a race sees it, a score at each evaluation, and when it reached the target.

>>> curve = Curve(steps=(10, 20, 30, 40), scores=(0.5, 0.2, 0.3, 0.1))
>>> time_to(curve, 0.3), curve.best, curve.final
(20.0, 0.1, 0.1)
>>> time_to(curve, 0.15)                                                    # seen once, not confirmed
inf
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from thalweg.errors import InputError

Unit = Literal["steps", "seconds", "gradients"]


@dataclass(frozen=True)
class Curve:
    """What a run scored (lower is better; not finite where it had diverged) at the evaluations after ``steps`` updates, the
    first at step 0 where it was asked; ``seconds`` of training and ``gradients`` evaluated until then, where known.

    Raises ``InputError`` where lengths differ or steps do not rise.
    """

    steps: Sequence[int]
    scores: Sequence[float]
    seconds: Sequence[float] = ()
    gradients: Sequence[int] = ()

    def __post_init__(self) -> None:
        if not len(self.steps) == len(self.scores) > 0:
            raise InputError(f"a curve has a score for each step, not {len(self.scores)} for {len(self.steps)}")
        for name in ("seconds", "gradients"):
            column = getattr(self, name)
            if len(column) not in (0, len(self.steps)):
                raise InputError(f"a curve has {name} for each step or none, not {len(column)} for {len(self.steps)}")
        if any(after <= before for before, after in zip(self.steps, self.steps[1:], strict=False)):
            raise InputError("the steps of a curve must rise from each evaluation to the next")

    @property
    def best(self) -> float:
        """The lowest score; infinite where none is finite."""
        return min((score for score in self.scores if math.isfinite(score)), default=math.inf)

    @property
    def final(self) -> float:
        """The last score; infinite where it is not finite."""
        return self.scores[-1] if math.isfinite(self.scores[-1]) else math.inf

    @property
    def diverged(self) -> bool:
        """Whether it ended with a score that is not finite."""
        return not math.isfinite(self.scores[-1])

    def along(self, unit: Unit) -> Sequence[float]:
        """What had been spent at each evaluation. Raises ``InputError`` where the curve does not know."""
        column: Sequence[float] = {"steps": self.steps, "seconds": self.seconds, "gradients": self.gradients}[unit]
        if not column:
            raise InputError(f"this curve has no {unit}: record them, or compare by steps")
        return column


def time_to(curve: Curve, target: float, *, consecutive: int = 2, unit: Unit = "steps") -> float:
    """When the score first was at or below the target and stayed there for ``consecutive`` evaluations; infinite: never.

    One lucky evaluation is no arrival: noise would reward the rule that is evaluated most. Raises ``InputError`` for fewer
    than one evaluation.
    """
    if consecutive < 1:
        raise InputError("to reach a target takes at least 1 evaluation: give consecutive=1 or more")
    spent = curve.along(unit)
    streak = 0
    for index, score in enumerate(curve.scores):
        streak = streak + 1 if score <= target else 0
        if streak == consecutive:
            return float(spent[index - consecutive + 1])
    return math.inf
