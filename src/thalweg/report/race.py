"""The page of a race: the verdict first, then the curves it was read from, then how fair the race was.

>>> adam = Racer("adam", {"lr": 0.002}, dev=(0.131, 0.128, 0.134), trials=8)
>>> problem = Problem("digits", "loss", racers=[adam, sgd], verdicts=["adam was best …"], winner="adam")
>>> report = RaceReport(name="digits-race-1", problems=[problem])
>>> write("runs/digits-race-1/page.html", race_page(report))

One problem or a suite of them, with one table over all. Numbers are as they were measured, ``more`` says whether more is
better; an interval is a mean with both ends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Interval = tuple[float, float, float]
"""A value, and the ends of its interval."""
UNKNOWN: Interval = (math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Learning:
    """The confirmed runs of a rule together: at each of ``steps`` the ``middle`` (median) over seeds and the quantiles
    around it (``low``, ``high``: a quarter and three quarters), NaN where fewer than that many runs were finite."""

    steps: Sequence[int]
    middle: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


@dataclass(frozen=True)
class Arrival:
    """How a rule reached the target: ``median`` steps (infinite where half or fewer did) with its interval, ``hits`` of
    ``seeds``, ``seconds`` at the median. ``steps`` and ``reached`` are the Kaplan–Meier curve: the share of runs that had
    arrived after so many steps."""

    median: Interval = UNKNOWN
    hits: int = 0
    seeds: int = 0
    seconds: float = math.nan
    steps: Sequence[float] = ()
    reached: Sequence[float] = ()


@dataclass(frozen=True)
class Racer:
    """One rule on one problem.

    ``settings`` are its tuned values, ``edges`` those at an end of their range (name → "low" or "high"). ``dev`` and ``test``
    are means over the fresh seeds, ``untuned`` that of the rule's default settings. ``after_k[k − 1]`` is the expected best
    dev score of k random trials. ``rates`` are (rate, dev score) of a sweep of the rate alone, and ``decades`` the width of its
    good part. ``trials`` counts tuning trials, ``diverged`` those that diverged, ``step_seconds`` is the time of a step.
    """

    rule: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    space: Mapping[str, Any] = field(default_factory=dict)
    edges: Mapping[str, str] = field(default_factory=dict)
    dev: Interval = UNKNOWN
    test: Interval = UNKNOWN
    untuned: Interval = UNKNOWN
    learning: Learning | None = None
    arrival: Arrival | None = None
    after_k: Sequence[float] = ()
    rates: Sequence[tuple[float, float]] = ()
    decades: float = math.nan
    trials: int = 0
    diverged: int = 0
    step_seconds: float = math.nan


@dataclass(frozen=True)
class Problem:
    """One problem: its ``racers``, the best first, and the ``verdicts``, sentences, the most important first.

    ``metric`` is the name of the dev score that was raced for, ``target`` what was to be reached (NaN: none), ``winner`` the
    rule that beat all others (empty: none did), ``steps`` the updates that every run had.
    """

    name: str
    metric: str = "loss"
    more: bool = False
    about: str = ""
    racers: Sequence[Racer] = ()
    verdicts: Sequence[str] = ()
    winner: str = ""
    target: float = math.nan
    steps: int = 0


@dataclass(frozen=True)
class Profile:
    """A rule over several problems: ``shares`` of them that it solved within ``ratios`` times the time of the fastest, and the
    ``score``, the mean share up to a ratio of 4 (AlgoPerf)."""

    rule: str
    ratios: Sequence[float]
    shares: Sequence[float]
    score: float


@dataclass(frozen=True)
class RaceReport:
    """A race as its page shows it.

    ``findings`` are sentences over all problems (none for a single one). ``profiles`` want four problems; ``profile_note``
    says why there are none. ``budget`` and ``protocol`` are facts (name → value): what was spent, and how it was made fair.
    ``notes`` say what is to be kept in mind.
    """

    name: str
    problems: Sequence[Problem] = ()
    findings: Sequence[str] = ()
    profiles: Sequence[Profile] = ()
    profile_note: str = ""
    created: str = ""
    status: str = "finished"
    budget: Mapping[str, Any] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    commands: Sequence[str] = ()
    seconds: float = math.nan
    version: str = ""
