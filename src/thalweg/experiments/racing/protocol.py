"""The order of events: tune, look beyond the edges, choose among finalists, confirm on fresh seeds, and what goes with it.

>>> race = run_race(problem, RacePlan(entrants), Log(None))
>>> race.entries["adam"].best, [curve.best(more=True) for curve in race.entries["adam"].confirmed]

Every entrant has the same number of runs at each stage, at the same places of its own space, on the same seeds. The seeds
that chose the settings are never those that judge them, and the test part is looked at with the chosen settings alone.
The score that chooses is the best dev metric, or where the user gave a target, the steps to it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from thalweg import compare
from thalweg.compare.spaces import Side
from thalweg.experiments.racing.folder import Log
from thalweg.experiments.racing.plan import BASELINES, FRESH, ROUNDS, Entrant, RacePlan
from thalweg.experiments.racing.problem import Candidate, Curve, Problem
from thalweg.search import Point, Range, Space
from thalweg.search.dimensions import Dimension

TOGETHER = 32
"""Candidates that train as one population at most: what a kill may cost."""
CONSECUTIVE = 2
"""Measurements at the target that count as having reached it."""
Score = tuple[float, float]
"""Of a run, lower is better: steps to the user's target (0 without one), then the dev metric."""


class Stopped(Exception):
    """The user stopped the race; every job that ended is kept."""


@dataclass
class Entry:
    """What an entrant did. ``trials`` are its settings and their runs on the first tuning seed, in the order tried."""

    entrant: Entrant
    space: Space
    trials: list[tuple[Point, Curve]] = field(default_factory=list)
    explored: int = 0
    """How many of the trials were spread over the space; the others were drawn around the best of those before."""
    best: Point = field(default_factory=dict)
    edges: dict[str, Side] = field(default_factory=dict)
    """The hyperparameters whose best value lies at an end of the range, after it was extended."""
    finals: list[tuple[Point, list[Curve]]] = field(default_factory=list)
    """The finalists on all tuning seeds."""
    confirmed: list[Curve] = field(default_factory=list)
    """The best on fresh seeds."""
    others: list[tuple[Point, list[Curve]]] = field(default_factory=list)
    """The other finalists on the same seeds: whoever beats this rule must beat these too."""
    defaults: list[Curve] = field(default_factory=list)
    sweep: list[tuple[float, Curve]] = field(default_factory=list)
    """Rates around the best, ascending, the best among them, on the first tuning seed."""
    pace: float = math.nan
    """Seconds of an update."""


@dataclass
class Race:
    """A race that was run: its problem, its plan, every entrant's entry by name, the target and who set it."""

    problem: Problem
    plan: RacePlan
    entries: dict[str, Entry]
    extended: bool = False
    target: float = math.nan
    setter: str = ""
    """The baseline that set the target; empty where the user did."""

    def score(self, curve: Curve) -> Score:
        """What chooses among settings."""
        steps = self.steps_to(curve, self.plan.goal) if self.plan.goal is not None else 0.0
        best = curve.best(more=self.problem.more)
        return steps, -best if self.problem.more else best

    def steps_to(self, curve: Curve, target: float) -> float:
        """Updates until the dev metric was at the target in two measurements in a row; infinite for never."""
        sign = -1.0 if self.problem.more else 1.0
        if not curve.dev:
            return math.inf
        told = compare.Curve(curve.steps, [sign * value if math.isfinite(value) else math.inf for value in curve.dev])
        return compare.time_to(told, sign * target, consecutive=min(CONSECUTIVE, self.problem.passes))


Tell = Callable[[str, int, int], bool]
"""Told of a stage, of the passes made since it was told last, and of those that the log had; True asks to stop."""


def run_race(problem: Problem, plan: RacePlan, log: Log, ahead: Tell = lambda stage, made, known: False) -> Race:
    """Runs the race, or what is missing of it. Raises ``Stopped`` where ``ahead`` asks to stop."""
    race = Race(problem, plan, {one.name: Entry(one, one.space) for one in plan.entrants})
    for entry in race.entries.values():
        points = compare.points_of(entry.space, plan.wide, plan.seed)
        entry.trials = list(zip(points, _train(race, entry, "tuning", points, log, ahead), strict=True))
    _extend(race, log, ahead)
    for entry in race.entries.values():
        entry.explored = len(entry.trials)
        for reach in ROUNDS if plan.near else ():
            around = near(entry.space, _ranked(race, entry)[0], reach)
            points = compare.points_of(around, plan.near, plan.seed)
            curves = _train(race, entry, "tuning, nearer", points, log, ahead)
            entry.trials += zip(points, curves, strict=True)
    for entry in race.entries.values():
        _choose(race, entry, log, ahead)
    for entry in race.entries.values():
        fresh = [plan.seed + FRESH + number for number in range(plan.fresh)]
        entry.confirmed = _seeds(race, entry, "confirming", entry.best, fresh, log, ahead, test=True)
        for point, _ in entry.finals:
            if point is not entry.best:
                curves = _seeds(race, entry, "finalists again", point, fresh, log, ahead, test=False)
                entry.others.append((point, curves))
        entry.defaults = _seeds(race, entry, "as it comes", {}, fresh, log, ahead, test=False)
        _sweep(race, entry, log, ahead)
        pace = log.pace(entry.entrant)
        if pace is None:
            pace = problem.pace(entry.entrant.candidate(entry.best, plan.seed))
            log.add_pace(entry.entrant, pace)
        entry.pace = pace
    _set_target(race)
    return race


def _extend(race: Race, log: Log, ahead: Tell) -> None:
    """Where anybody's best setting is at the edge of its range, all get the same number of further trials, once.

    Those at an edge spend them beyond it, the others on the next points of their own space."""
    plan = race.plan
    edges = {name: _edges(race, entry, _ranked(race, entry)[0]) for name, entry in race.entries.items()}
    if not any(edges.values()):
        return
    race.extended = True
    for name, entry in race.entries.items():
        if edges[name]:
            points = compare.points_of(compare.beyond(entry.space, edges[name]), plan.more, plan.seed, first=plan.wide)
            entry.space = compare.extended(entry.space, edges[name])
        else:
            points = compare.points_of(entry.space, plan.more, plan.seed, first=plan.wide)
        entry.trials += zip(points, _train(race, entry, "beyond the edge", points, log, ahead), strict=True)


def near(space: Space, point: Point, reach: float) -> Space:
    """The part of a space within ``reach`` of a point on each scale; choices stay as they are."""
    places = space.places(point)
    parts: dict[str, Dimension] = dict(space.dimensions)
    for name in space.searched:
        whole = parts[name]
        if isinstance(whole, Range) and not whole.whole and name in places:
            low, high = (min(max(places[name] + side * reach, 0.0), 1.0) for side in (-1, 1))
            first, last = float(whole.at(low)), float(whole.at(high))
            if first < last:
                parts[name] = Range(first, last, whole.scale)
    return Space(parts, space.when)


def _edges(race: Race, entry: Entry, values: Point) -> dict[str, Side]:
    return compare.is_at_edge(values, entry.space, near=max(1 / (2 * race.plan.wide), 0.05))


def _ranked(race: Race, entry: Entry) -> list[Point]:
    """The settings tried, the best first."""
    return [point for point, _ in sorted(entry.trials, key=lambda trial: race.score(trial[1]))]


def _choose(race: Race, entry: Entry, log: Log, ahead: Tell) -> None:
    """The best of many trials owes its score to merit and to luck: the finalists show theirs on further tuning seeds."""
    plan = race.plan
    first = {id(point): curve for point, curve in entry.trials}
    finalists = _ranked(race, entry)[: plan.finalists]
    seeds = [plan.seed + 1 + number for number in range(plan.repeats)]
    candidates = [entry.entrant.candidate(point, seed) for point in finalists for seed in seeds]
    curves = iter(_run(race, entry, "finalists", candidates, log, ahead))
    entry.finals = [(point, [first[id(point)], *(next(curves) for _ in seeds)]) for point in finalists]
    entry.best = min(entry.finals, key=lambda final: _mean(race, final[1]))[0]
    entry.edges = _edges(race, entry, entry.best)


def _mean(race: Race, curves: Sequence[Curve]) -> Score:
    """Of several seeds: the median of the times, so that one miss does not decide, then the mean metric."""
    steps, metrics = zip(*(race.score(curve) for curve in curves), strict=True)
    return statistics.median(steps), sum(metrics) / len(metrics)


def _sweep(race: Race, entry: Entry, log: Log, ahead: Tell) -> None:
    """Rates around the best, all else as it was, on the tuning seed of the trials."""
    rate = float(entry.best.get("lr", math.nan))
    if not math.isfinite(rate):
        return
    points = [{**entry.best, "lr": rate * factor} for factor in race.plan.sweep]
    curves = _train(race, entry, "rates around the best", points, log, ahead)
    known = next(curves[0] for point, curves in entry.finals if point == entry.best)
    swept = [(rate, known)] + [(float(point["lr"]), curve) for point, curve in zip(points, curves, strict=True)]
    entry.sweep = sorted(swept, key=lambda one: one[0])


def _set_target(race: Race) -> None:
    """The user's target, or what the best tuned baseline reaches in half of its runs, a little of it given away."""
    plan, sign = race.plan, -1.0 if race.problem.more else 1.0
    if plan.goal is not None:
        race.target = plan.goal
        return
    medians = {
        name: statistics.median(_held(race, curve) for curve in entry.confirmed) for name, entry in race.entries.items()
    }
    setters = [name for name, entry in race.entries.items() if entry.entrant.rule in BASELINES] or list(medians)
    race.setter = min(setters, key=lambda name: medians[name])
    median = medians[race.setter]
    race.target = sign * (median + plan.relax * abs(median)) if math.isfinite(median) else math.nan


def _held(race: Race, curve: Curve) -> float:
    """The best level (lower is better) that a run held for as many measurements as an arrival takes."""
    sign = -1.0 if race.problem.more else 1.0
    scores = [sign * value if math.isfinite(value) else math.inf for value in curve.dev]
    length = min(CONSECUTIVE, race.problem.passes)
    held = [max(scores[start : start + length]) for start in range(len(scores) - length + 1)]
    return min(held, default=math.inf)


def _train(race: Race, entry: Entry, stage: str, points: Sequence[Point], log: Log, ahead: Tell) -> list[Curve]:
    """A run of each point on the first tuning seed."""
    return _run(race, entry, stage, [entry.entrant.candidate(point, race.plan.seed) for point in points], log, ahead)


def _seeds(
    race: Race, entry: Entry, stage: str, point: Point, seeds: Sequence[int], log: Log, ahead: Tell, *, test: bool
) -> list[Curve]:
    candidates = [entry.entrant.candidate(point, seed, test=test) for seed in seeds]
    return _run(race, entry, stage, candidates, log, ahead)


def _run(race: Race, entry: Entry, stage: str, candidates: Sequence[Candidate], log: Log, ahead: Tell) -> list[Curve]:
    """Trains what the log does not have, job by job."""
    found: list[Curve] = []
    for start in range(0, len(candidates), TOGETHER):
        job = candidates[start : start + TOGETHER]
        curves = log.curves(entry.entrant, stage, job)
        told = f"{entry.entrant.name}: {stage}"
        if curves is not None:
            stop = ahead(told, 0, len(job) * race.problem.passes)
        else:
            curves = race.problem.run(job, lambda passes: ahead(told, passes, 0))  # noqa: B023
            stop = curves is None
            if curves is not None:
                log.add(entry.entrant, stage, job, curves)
        if stop or curves is None:
            raise Stopped
        found += curves
    return found
