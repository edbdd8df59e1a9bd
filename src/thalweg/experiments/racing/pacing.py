"""How far a race is and how long the rest will take, told pass by pass.

>>> pacer = Pacer([digits, characters], [0.002, 0.3], runs=74, interrupted=interrupted, follow=show)
>>> run_race(digits, plan, log, pacer.of(digits))                  # show(Ahead("digits", "adam: tuning", 40, 2960, 41.0)) …

A pass over one problem may cost a hundred times that over another: what is left is counted in the seconds that a pass takes
alone, and these in how much faster or slower the race has gone so far.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from thalweg.experiments.racing.problem import Problem

ENOUGH = 0.01
"""Of the work that is left must be done before its time is told: the first pass compiles and imports."""


@dataclass(frozen=True)
class Ahead:
    """How far a race is: passes made and to make (``total`` falls short where spaces are extended), seconds left, NaN where
    that cannot be told yet."""

    problem: str
    stage: str
    done: int
    total: int
    left: float


class Pacer:
    """Counts the passes of ``runs`` on each problem, one of ``seconds[k]`` on problem k, says to ``follow`` how long the rest
    will take, and passes on that the user wants to stop (``interrupted``)."""

    def __init__(
        self,
        problems: Sequence[Problem],
        seconds: Sequence[float],
        *,
        runs: int,
        interrupted: Callable[[], bool],
        follow: Callable[[Ahead], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.problems, self.seconds = list(problems), list(seconds)
        self.passes = [runs * one.passes for one in problems]
        self.interrupted, self.follow, self.clock = interrupted, follow, clock
        self.began, self.trained = clock(), 0.0

    def of(self, problem: Problem) -> Callable[[str, int, int], bool]:
        """What ``run_race`` tells of this problem: a stage, passes made, passes that were known; True asks to stop."""
        at = next(at for at, one in enumerate(self.problems) if one is problem)
        before, later = sum(self.passes[:at]), list(zip(self.passes, self.seconds, strict=True))[at + 1 :]
        done = 0

        def ahead(stage: str, made: int, known: int) -> bool:
            nonlocal done
            done = min(done + made + known, self.passes[at])
            self.trained += made * self.seconds[at]
            rest = (self.passes[at] - done) * self.seconds[at] + sum(count * each for count, each in later)
            told = self.trained > 0 and self.trained >= ENOUGH * rest
            left = (self.clock() - self.began) / self.trained * rest if told else math.nan
            self.follow(Ahead(problem.name, stage, before + done, sum(self.passes), left))
            return self.interrupted()

        return ahead
