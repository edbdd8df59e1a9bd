"""How rules did over several problems: on which share of them each was nearly the fastest.

>>> times = {"adam": {"a": 100, "b": 200, "c": 150, "d": 400}, "sgd": {"a": 200, "b": 100, "c": math.inf, "d": 400}}
>>> board = profiles(times)
>>> board.profiles[0].rule, round(board.profiles[0].score, 3), board.profiles[1].at(2.0)
('adam', 0.917, 0.75)
>>> profiles({"adam": {"a": 100}, "sgd": {"a": 200}}).note
'A performance profile wants at least 4 problems, and there is 1.'

ρ(τ) is the share of problems that a rule solved within τ times the time of the fastest (Dolan & Moré 2002), and AlgoPerf's
score the mean of ρ from τ = 1 to ``R_MAX`` = 4: ``B = 1/(R_MAX − 1) ∫ ρ dτ`` (Dahl et al. 2023). What took longer missed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from thalweg.errors import InputError

R_MAX = 4.0
FEWEST = 4


@dataclass(frozen=True)
class RuleProfile:
    """A rule's ``ratios`` to the fastest, problem by problem in ascending order, infinite where it missed; its ``score``."""

    rule: str
    ratios: tuple[float, ...]
    score: float

    def at(self, tau: float) -> float:
        """ρ(τ)."""
        return sum(ratio <= tau for ratio in self.ratios) / len(self.ratios)

    @property
    def steps(self) -> tuple[tuple[float, float], ...]:
        """The corners of ρ from 1 to ``R_MAX``, each (τ, share from there on): what a chart draws."""
        corners = sorted({1.0, *(ratio for ratio in self.ratios if ratio <= R_MAX), R_MAX})
        return tuple((tau, self.at(tau)) for tau in corners)


@dataclass(frozen=True)
class Profiles:
    """A profile of each rule, the best score first; none where there are too few problems, and ``note`` says so."""

    profiles: tuple[RuleProfile, ...]
    note: str = ""


def profiles(times: Mapping[str, Mapping[str, float]]) -> Profiles:
    """``times[rule][problem]`` is what the rule took to the target, in whatever unit, infinite where it missed.

    A problem that nobody solved counts for all as missed. Raises ``InputError`` where rules have other problems, or a time
    is not above zero.
    """
    problems = list(next(iter(times.values()), {}))
    for rule, row in times.items():
        if set(row) != set(problems):
            raise InputError(f"{rule}: its problems are {', '.join(row)}, and the others' {', '.join(problems)}")
        for problem, time in row.items():
            if not time > 0:
                raise InputError(f"{rule} on {problem}: a time to the target is above 0, not {time:g}")
    if len(problems) < FEWEST:
        there = "there is 1" if len(problems) == 1 else f"there are {len(problems)}"
        return Profiles((), f"A performance profile wants at least {FEWEST} problems, and {there}.")
    fastest = {problem: min(row[problem] for row in times.values()) for problem in problems}
    made = []
    for rule, row in times.items():
        ratios = sorted(_ratio(row[problem], fastest[problem]) for problem in problems)
        score = sum(max(R_MAX - ratio, 0.0) for ratio in ratios) / (len(problems) * (R_MAX - 1))
        made.append(RuleProfile(rule, tuple(ratios), score))
    return Profiles(tuple(sorted(made, key=lambda one: -one.score)))


def _ratio(time: float, fastest: float) -> float:
    return time / fastest if math.isfinite(time) and time <= R_MAX * fastest else math.inf
