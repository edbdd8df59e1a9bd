"""A race from its settings to its folder: what ``thalweg race`` and ``thalweg.race`` share.

>>> folder, judged = start_race([data_problem(Spec(data="digits"))], plan, runs="runs", name=None, stem="digits")
>>> judged[0].winner
'adam'
"""

from __future__ import annotations

import math
import re
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from thalweg import compare
from thalweg.errors import InputError
from thalweg.experiments.racing.folder import Log, RaceFolder
from thalweg.experiments.racing.functions import FLOOR
from thalweg.experiments.racing.judging import judged
from thalweg.experiments.racing.networks import NetworkProblem
from thalweg.experiments.racing.pacing import Ahead, Pacer
from thalweg.experiments.racing.plan import RacePlan
from thalweg.experiments.racing.problem import Problem
from thalweg.experiments.racing.protocol import Race, Stopped, run_race
from thalweg.experiments.stopping import interruptible
from thalweg.experiments.watcher import Watcher
from thalweg.report.race import Problem as Judged
from thalweg.wording import counted

SHARES = ("accuracy", "balanced_accuracy", "f1", "auc")
"""Metrics from 0 to 1."""


class RaceStopped(Exception):
    """The user stopped the race; every job that ended is kept, and it can go on."""

    def __init__(self, folder: RaceFolder) -> None:
        super().__init__(f"stopped; the same command with --name {folder.name} goes on")
        self.folder = folder


def start_race(
    problems: Sequence[Problem],
    plan: RacePlan,
    *,
    watcher: Watcher,
    runs: str = "runs",
    name: str | None = None,
    stem: str = "race",
    follow: Callable[[Ahead], None] = lambda ahead: None,
) -> tuple[RaceFolder, dict[str, Any], list[Race]]:
    """Makes or goes on with the race of this name. Returns its folder, the content of ``result.json`` and the races.

    Raises ``InputError`` for what cannot be raced, or where the race of this name is another one, ``RaceStopped`` when the
    user stops it.
    """
    for one in problems:
        check_goal(plan.goal, one)
    folder = RaceFolder.of(runs, name, stem)
    with folder.alone():
        _settle(folder, problems, plan)
        alone = [one.steps * one.pace(plan.entrants[0].candidate({}, plan.seed)) for one in problems]
        for sentence in stated(problems, plan, alone):
            watcher.note(sentence)
        a_pass = [seconds / one.passes for seconds, one in zip(alone, problems, strict=True)]
        with interruptible() as interrupted:
            pacer = Pacer(problems, a_pass, runs=plan.runs(more=0), interrupted=interrupted, follow=follow)
            races, seconds = [], 0.0
            try:
                for one in problems:
                    log = Log(folder.log(one.name))
                    races.append(run_race(one, plan, log, pacer.of(one)))
                    seconds += log.seconds
            except Stopped:
                raise RaceStopped(folder) from None
        outcomes = [judged(race) for race in races]
        board = scoreboard(outcomes)
        result = _result(plan, races, outcomes, board, seconds)
        folder.write_json(folder.result, result)
        _write_best(folder, races)
        _write_page(folder, plan, result, outcomes, board)
    return folder, result, races


def check_goal(goal: float | None, problem: Problem) -> None:
    """Raises ``InputError`` for a target that no run of the problem can miss, or none can reach."""
    metric = problem.metric
    if goal is None:
        return
    if metric in SHARES and not 0 < goal <= 1:
        raise InputError(f"goal is {goal:g}: {metric} is a share, above 0 and at most 1, as in 0.97")
    if metric == "r2" and goal > 1:
        raise InputError(f"goal is {goal:g}: r2 is at most 1, as in 0.8")
    if metric.startswith("log10") and goal < math.log10(FLOOR):
        raise InputError(f"goal is {goal:g}: {metric} ends at {math.log10(FLOOR):g}, where a race stops looking")
    if goal < 0 and (
        metric == "rmse" or (metric == "loss" and isinstance(problem, NetworkProblem) and problem.repeatable)
    ):
        raise InputError(f"goal is {goal:g}: {metric} is never below 0, as in 0.1")


def stated(problems: Sequence[Problem], plan: RacePlan, alone: Sequence[float]) -> list[str]:
    """What the race is going to cost, before it starts, and what it can't show; ``alone`` are the seconds of a run on each."""
    runs = plan.runs(more=0)
    each = runs // len(plan.entrants)
    passes = sum(runs * one.passes for one in problems)
    over = f" on each of {len(problems)} problems" if len(problems) > 1 else ""
    said = [
        f"{', '.join(plan.names())}: {counted(each, 'run')} each{over} ({plan.trials} trials, {plan.finals} finalists on "
        f"{counted(plan.repeats, 'further seed')} and {plan.fresh} fresh ones, the rule as it comes on these too, "
        f"{counted(len(plan.sweep), 'rate')} around the best), {counted(passes, 'pass', 'passes')} in all.",
        f"One run after another would take about {_duration(runs * sum(alone))}; "
        "runs of a rule train together where that is faster.",
    ]
    if plan.fresh < plan.enough:
        said.append(
            f"With {plan.fresh} seeds no difference between {len(plan.entrants)} rules can be shown, however large: "
            f"--seeds {plan.enough} is the least."
        )
    coarse = [one.name for one in problems if one.passes < 10]
    if coarse:
        said.append(
            f"{', '.join(coarse)}: the dev part is looked at once a pass, so steps to the target are coarse with few passes."
        )
    return said


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )


def _settle(folder: RaceFolder, problems: Sequence[Problem], plan: RacePlan) -> None:
    """Writes what the race is, or raises ``InputError`` where the folder holds another one."""
    import tomli_w

    now: dict[str, Any] = {
        "race": {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(plan).items()
            if value is not None and name != "entrants"
        }
    }
    now["race"]["seeds"] = plan.fresh
    networks = [one for one in problems if isinstance(one, NetworkProblem)]
    now["problems"] = {one.name: {"metric": one.metric, "steps": one.steps, "passes": one.passes} for one in problems}
    now["settings"] = {one.name: tomllib.loads(one.spec.replace(name=None, runs="runs").to_toml()) for one in networks}
    now["data"] = {one.name: one.data for one in networks}
    now["model"] = {one.name: one.net for one in networks}
    now["entrants"] = {one.name: asdict(one) | {"space": one.space.to_dict()} for one in plan.entrants}
    if folder.race.exists():
        try:
            before = tomllib.loads(folder.race.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{folder.race} is damaged ({error}): give another --name") from None
        other = next((name for name in now if before.get(name, now[name]) != now[name]), None)
        if other is not None:
            where = _where(now[other], before[other])
            raise InputError(
                f"the race {folder.path} was made with other {other} ({where}): give another --name, or its own"
            )
        return
    folder.write(folder.race, tomli_w.dumps(now))


def _where(now: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """The path of the first name that two tables do not have in common."""
    name = min(name for name in {*now, *before} if now.get(name) != before.get(name))
    one, two = now.get(name), before.get(name)
    return f"{name}, {_where(one, two)}" if isinstance(one, Mapping) and isinstance(two, Mapping) else name


def _result(
    plan: RacePlan, races: Sequence[Race], problems: Sequence[Judged], board: compare.Profiles, seconds: float
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "status": "finished",
        "created": time.strftime("%Y-%m-%d %H:%M:%S"),
        "rules": list(plan.names()),
        "trials": plan.trials,
        "seeds": plan.fresh,
        "extended": [race.problem.name for race in races if race.extended],
        "problems": [_plain(asdict(one)) for one in problems],
        "scores": {one.rule: one.score for one in board.profiles},
        "score_note": board.note,
        "seconds": round(seconds, 3),
    }
    return found


def scoreboard(problems: Sequence[Judged]) -> compare.Profiles:
    """The rules over all problems by their median steps to the target (AlgoPerf's score)."""
    times: dict[str, dict[str, float]] = {}
    for problem in problems:
        for racer in problem.racers:
            reached = racer.arrival.median[0] if racer.arrival is not None else math.inf
            times.setdefault(racer.rule, {})[problem.name] = reached
    return compare.profiles(times)


def _plain(value: Any) -> Any:
    """As JSON has it: no number that is not finite."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_best(folder: RaceFolder, races: Sequence[Race]) -> None:
    """The settings with which each rule raced, ready for ``thalweg train``."""
    for race in races:
        problem = race.problem
        if not isinstance(problem, NetworkProblem) or not problem.repeatable:
            continue
        folder.best.mkdir(exist_ok=True)
        for name, entry in race.entries.items():
            spec = problem.spec_of(entry.entrant.candidate(entry.best, race.plan.seed)).replace(threads=None)
            stem = name if len(races) == 1 else f"{problem.name}-{name}"
            stem = re.sub(r"[^\w.()-]+", "-", stem)
            folder.write(folder.best / f"{stem}.toml", spec.to_toml())


def _write_page(
    folder: RaceFolder, plan: RacePlan, result: Mapping[str, Any], problems: Sequence[Judged], board: compare.Profiles
) -> None:
    import thalweg
    from thalweg import report
    from thalweg.report.race import Profile, RaceReport, race_page

    profiles = [
        Profile(one.rule, [tau for tau, _ in one.steps], [share for _, share in one.steps], one.score)
        for one in board.profiles
    ]
    edges = "once, by a decade, with as many further trials for every rule" if result["extended"] else "not needed"
    page = RaceReport(
        name=folder.name,
        problems=problems,
        findings=findings(board, len(problems)),
        profiles=profiles,
        profile_note=board.note,
        created=result["created"],
        budget={
            "trials of each rule": f"{plan.trials}, {plan.wide} of them all over its space",
            "finalists, on further tuning seeds": f"{plan.finals} on {plan.repeats}",
            "fresh seeds": plan.fresh,
            "runs of each rule and problem": plan.runs(more=0) // len(plan.entrants),
        },
        protocol={
            "points": "a scrambled Sobol sequence, the same places of each rule's own space, then around its best",
            "pairs": "runs of one seed begin alike and see the same mini-batches",
            "ranges extended": edges,
            "target": "given"
            if plan.goal is not None
            else f"what the best tuned baseline holds, {plan.relax:.0%} given away",
            "winner": "who beat all others by the steps or by the dev metric, and whom nobody beat in the other",
            "test part": "looked at with the chosen settings alone",
        },
        commands=[f"thalweg train {path}" for path in sorted(folder.best.glob("*.toml"))][:8],
        seconds=result["seconds"],
        version=thalweg.__version__,
    )
    report.write(folder.page, race_page(page))


def findings(board: compare.Profiles, problems: int) -> list[str]:
    """What can be said over all problems; nothing where they are too few."""
    if not board.profiles:
        return []
    first = board.profiles[0]
    shown = ", ".join(f"{one.rule} {one.score:.2f}" for one in board.profiles)
    return [
        f"Over {problems} problems {first.rule} has the best score, {first.score:.2f}: {first.at(1.0):.0%} of them it solved "
        f"first, {first.at(2.0):.0%} within twice the time of the fastest.",
        f"Scores (mean share of problems solved within 1 to 4 times the fastest): {shown}.",
    ]


__all__ = ["Judged", "RaceStopped", "scoreboard", "start_race", "stated"]
