"""From a race that was run to what its page shows: verdicts, intervals, arrivals, what tuning was worth.

>>> problem = judged(race)
>>> problem.verdicts[0]
'adam was best: steps to accuracy 0.964 153 [136, 170] over 10 seeds. It beat sgd (…).'

Two questions are asked of the fresh seeds, by the same test, each at half the level: who reached the target sooner, and who
ended better. A rule has won that beat all others in one of them, and that nobody beat in the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from thalweg import compare
from thalweg.errors import InputError
from thalweg.experiments.racing.plan import LEVEL
from thalweg.experiments.racing.problem import Curve
from thalweg.experiments.racing.protocol import Entry, Race
from thalweg.report.race import UNKNOWN, Arrival, Interval, Learning, Racer
from thalweg.report.race import Problem as Judged
from thalweg.wording import listed

MOST_POINTS = 100
"""Of a learning curve on the page."""


def judged(race: Race, about: str = "") -> Judged:
    """What came of the race, the best rule first."""
    problem = race.problem
    by_time, by_metric = verdict_on_steps(race), verdict_on_metric(race)
    arrived = by_time if by_time is not None and any(one.hits for one in by_time.standings) else None
    decided, between = won(arrived, by_metric)
    leading = decided or arrived or by_metric
    racers = {name: _racer(race, name, entry, by_metric) for name, entry in race.entries.items()}
    on_steps = [*_at_once(race), *arrived.sentences] if arrived is not None else []
    if arrived is None and by_time is not None:
        between = [f"No rule reached {problem.metric} {race.target:.4g} in {problem.steps:,} steps."]
    said = [*on_steps, *by_metric.sentences] if leading is arrived else [*by_metric.sentences, *on_steps]
    return Judged(
        problem.name,
        problem.metric,
        problem.more,
        about,
        [racers[standing.rule] for standing in leading.standings],
        list(dict.fromkeys([*between, *said])),
        decided.leader if decided is not None else "",
        race.target,
        problem.steps,
        max(problem.steps // problem.passes, 1),
    )


def won(sooner: compare.Verdict | None, better: compare.Verdict) -> tuple[compare.Verdict | None, list[str]]:
    """The verdict, of the two questions, whose leader has won: it beat all others there, and nobody beat it in the other.

    None where nobody has; where the questions speak against each other, with a sentence that says so."""
    asked = (
        (sooner, better, "was soonest at the target", "ended better"),
        (better, sooner, "ended best", "reached the target sooner"),
    )
    for one, other, _, _ in asked:
        if one is not None and not one.tied and not _above(one.leader, other):
            return one, []
    for one, other, how, but in asked:
        if one is not None and not one.tied:
            above = listed(_above(one.leader, other))
            return None, [f"{one.leader} {how}, but {above} {but}: which of the two counts is yours to say."]
    return None, []


def _above(rule: str, verdict: compare.Verdict | None) -> list[str]:
    """Who beats the rule."""
    return [duel.better for duel in verdict.duels if duel.worse == rule and duel.differ] if verdict is not None else []


def _at_once(race: Race) -> list[str]:
    """A sentence where the target asked nothing of anybody."""
    times = [(curve, race.steps_to(curve, race.target)) for one in race.entries.values() for curve in one.confirmed]
    if not all(curve.steps and time == curve.steps[0] for curve, time in times):
        return []
    return ["Every run was at the target at its first measurement, so the steps to it say nothing: set a harder goal."]


def verdict_on_steps(race: Race) -> compare.Verdict | None:
    """Who reached the target sooner; None where there is no target, for nobody who could have set it came to an end."""
    if not math.isfinite(race.target):
        return None
    return compare.judge(
        {name: arrivals(race, entry.confirmed) for name, entry in race.entries.items()},
        what=f"steps to {race.problem.metric} {race.target:.4g}",
        kind="time",
        horizon=race.problem.steps,
        unsettled=_unsettled(race),
        others={name: [arrivals(race, curves) for _, curves in entry.others] for name, entry in race.entries.items()},
        level=LEVEL,
        seed=race.plan.seed,
    )


def verdict_on_metric(race: Race) -> compare.Verdict:
    """Who had the better dev metric in its best measurement."""
    more = race.problem.more
    return compare.judge(
        {name: [curve.best(more=more) for curve in entry.confirmed] for name, entry in race.entries.items()},
        what=f"dev {race.problem.metric}",
        more=more,
        unsettled=_unsettled(race),
        others={
            name: [[curve.best(more=more) for curve in curves] for _, curves in entry.others]
            for name, entry in race.entries.items()
        },
        level=LEVEL,
        seed=race.plan.seed,
    )


def arrivals(race: Race, curves: Sequence[Curve]) -> list[float]:
    """Steps of each run to the target, infinite where it missed."""
    return [race.steps_to(curve, race.target) for curve in curves]


def _unsettled(race: Race) -> dict[str, str]:
    return {name: ", ".join(entry.edges) for name, entry in race.entries.items() if entry.edges}


def _racer(race: Race, name: str, entry: Entry, verdict: compare.Verdict) -> Racer:
    more = race.problem.more
    sign = -1.0 if more else 1.0
    standing = next(standing for standing in verdict.standings if standing.rule == name)
    dev = standing.mean
    tuned = [curve.best(more=more) for _, curve in entry.trials[: entry.explored]]  # those drawn without looking
    try:
        after = [sign * score for score in compare.best_after([sign * value for value in tuned])]
    except InputError:  # every trial diverged
        after = []
    rates = [(rate, curve.best(more=more)) for rate, curve in entry.sweep]
    return Racer(
        name,
        settings=dict(entry.best),
        space=entry.space.to_dict(),
        edges=dict(entry.edges),
        dev=(dev.value, dev.low, dev.high) if standing.hits else UNKNOWN,
        test=_interval([curve.test for curve in entry.confirmed]),
        untuned=_interval([curve.best(more=more) for curve in entry.defaults]),
        learning=_learning(entry.confirmed),
        arrival=_arrival(race, entry),
        after_k=after,
        rates=rates,
        decades=_decades(race, rates),
        trials=len(entry.trials),
        diverged=sum(curve.diverged for _, curve in entry.trials),
        step_seconds=entry.pace,
    )


def _interval(values: Sequence[float]) -> Interval:
    finite = [value for value in values if math.isfinite(value)]
    if not finite or len(finite) < len(values):
        return UNKNOWN
    mean = compare.mean_of(finite)
    return mean.value, mean.low, mean.high


def _arrival(race: Race, entry: Entry) -> Arrival | None:
    if not math.isfinite(race.target):
        return None
    found = compare.kaplan_meier(arrivals(race, entry.confirmed), horizon=race.problem.steps)
    median = found.median
    return Arrival(
        (median.value, median.low, median.high),
        found.hits,
        found.seeds,
        median.value * entry.pace,
        found.steps,
        found.reached,
    )


def _learning(curves: Sequence[Curve]) -> Learning | None:
    steps = max((curve.steps for curve in curves), key=len)
    if not steps:
        return None
    table = np.full((len(curves), len(steps)), np.nan)
    for row, curve in zip(table, curves, strict=True):
        row[: len(curve.dev)] = curve.dev
    kept = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), MOST_POINTS)).round().astype(int))
    table = table[:, kept]
    known = np.isfinite(table).sum(axis=0) * 2 > len(curves)
    low, middle, high = np.full((3, len(kept)), np.nan)
    if known.any():
        low[known], middle[known], high[known] = np.nanquantile(table[:, known], [0.25, 0.5, 0.75], axis=0)
    return Learning([steps[place] for place in kept], middle.tolist(), low.tolist(), high.tolist())


def _decades(race: Race, rates: Sequence[tuple[float, float]]) -> float:
    """The width of the stretch of rates that are about as good as the best: an error a quarter larger, half a decade of a
    logarithm."""
    sign = -1.0 if race.problem.more else 1.0
    finite = [score for _, score in rates if math.isfinite(score)]
    if len(rates) < 2 or not finite:
        return math.nan
    best = min(sign * score for score in finite)
    error = 1.0 + best if race.problem.more else abs(best)
    tolerance = 0.5 if race.problem.metric.startswith("log10") else 0.25 * max(error, 0.0) + 0.005
    found = compare.good_range([rate for rate, _ in rates], [sign * score for _, score in rates], tolerance=tolerance)
    return found.decades
