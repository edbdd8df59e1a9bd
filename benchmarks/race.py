"""Is a race honest, and who wins the bundled suite? Writes ``benchmarks/results/race.md``.

    python benchmarks/race.py --honesty          # a rule against itself, a hundred times; momentum against descent in a ravine
    python benchmarks/race.py --suite            # eight rules on eight problems; goes on where it was stopped

The honest outcome of Adam against Adam is that nobody wins: each name draws its own tuning seeds, initial weights and order of
mini-batches, so whatever difference there is came by luck, that of tuning included.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from thalweg.experiments.racing.folder import Log
from thalweg.experiments.racing.functions import noisy_quadratic, ravine
from thalweg.experiments.racing.judging import judged, verdict_on_metric, verdict_on_steps
from thalweg.experiments.racing.networks import data_problem
from thalweg.experiments.racing.plan import RacePlan, entrants_of
from thalweg.experiments.racing.problem import Problem
from thalweg.experiments.racing.protocol import run_race
from thalweg.experiments.spec import Spec

RESULTS = Path(__file__).parent / "results"
APART = 2_000
"""Between the seeds of two races: no seed is used twice."""


def honesty(problem: Problem, rules: list[str], races: int, trials: int) -> dict[str, object]:
    """How many of the races found a difference, in steps to the target or in the metric, and how many named a winner."""
    began, either, winners, other = time.monotonic(), 0, [], 0
    for number in range(races):
        plan = RacePlan(entrants_of(rules), trials=trials, seeds=10, seed=1 + APART * number, sweep=())
        race = run_race(problem, plan, Log(None))
        verdicts = [verdict for verdict in (verdict_on_steps(race), verdict_on_metric(race)) if verdict is not None]
        either += any(duel.differ for verdict in verdicts for duel in verdict.duels)
        winners.append(judged(race).winner)
        first, second = race.entries.values()
        other += first.best != second.best
    named = {name: winners.count(name) for name in sorted(set(winners)) if name}
    return {
        "problem": problem.name, "rules": " against ".join(rules), "races": races, "trials": trials, "difference": either,
        "winners": named, "other settings": other, "seconds": round(time.monotonic() - began),
    }  # fmt: skip


def measure_honesty(races: int) -> None:
    """All of it, kept line by line."""
    spec = Spec(data="digits", hidden=[16], dropout=[0.0], epochs=8, batch_size=32, clip_norm=None)
    lines = []
    for problem, rules, count, trials in (
        (ravine(), ["sgd", "momentum"], max(races // 5, 1), 32),
        (noisy_quadratic(steps=200), ["adam", "adam"], races, 8),
        (data_problem(spec), ["adam", "adam"], races, 8),
    ):
        lines.append(honesty(problem, rules, count, trials))
        (RESULTS / "race-honesty.json").write_text(json.dumps(lines, indent=1) + "\n")
        print(lines[-1], flush=True)
    write()


def measure_suite(trials: int) -> None:
    """The bundled suite with eight rules."""
    from thalweg.experiments.racing.named import race_named
    from thalweg.experiments.watcher import Silent

    settings = {"runs": "runs", "name": "benchmark-suite"}
    folder, result = race_named(None, settings, suite="small", trials=trials, watcher=Silent())
    (RESULTS / "race-suite.json").write_text(json.dumps(_short(result), indent=1, ensure_ascii=False) + "\n")
    print(folder.page)
    write()


def _short(result: dict) -> dict:
    kept = ("rule", "settings", "edges", "dev", "test", "untuned", "arrival", "decades", "step_seconds")
    for problem in result["problems"]:
        problem["racers"] = [{name: racer[name] for name in kept} for racer in problem["racers"]]
        for racer in problem["racers"]:
            if racer["arrival"] is not None:
                racer["arrival"] = {name: racer["arrival"][name] for name in ("median", "hits", "seeds", "seconds")}
    return result


def write() -> None:
    """The results as a text."""
    text = ["# Races", ""]
    honest, suite = RESULTS / "race-honesty.json", RESULTS / "race-suite.json"
    if honest.exists():
        text += [
            "## A rule against itself",
            "",
            "Each name draws its own tuning seeds, initial weights and order of mini-batches. A difference is one in steps to",
            "the target or in the metric; 10 fresh seeds.",
            "",
            "| problem | rules | trials | races | found a difference | winners | tuned to other settings |",
            "|---|---|---|---|---|---|---|",
        ]
        for line in json.loads(honest.read_text()):
            named = ", ".join(f"{name} {count}" for name, count in line["winners"].items()) or "none"
            text.append(
                f"| {line['problem']} | {line['rules']} | {line['trials']} | {line['races']} | {line['difference']} | {named} "
                f"| {line['other settings']} |"
            )
        text.append("")
    if suite.exists():
        text += _suite(json.loads(suite.read_text()))
    (RESULTS / "race.md").write_text("\n".join(text).rstrip() + "\n")


def _suite(result: dict) -> list[str]:
    problems = result["problems"]
    rules = list(result["scores"]) or result["rules"]
    text = [
        "## The small suite",
        "",
        f"{len(problems)} problems, {result['trials']} trials of each rule, {result['seeds']} fresh seeds, "
        f"{result['seconds'] / 60:.0f} minutes. A rule's place on each problem; bold where it beat all "
        "others. The score is AlgoPerf's.",
        "",
        "| rule | " + " | ".join(problem["name"] for problem in problems) + " | score |",
        "|---|" + "---|" * (len(problems) + 1),
    ]
    for rule in rules:
        places = []
        for problem in problems:
            place = [racer["rule"] for racer in problem["racers"]].index(rule) + 1
            places.append(f"**{place}**" if problem["winner"] == rule else str(place))
        text.append(f"| {rule} | {' | '.join(places)} | {result['scores'].get(rule, float('nan')):.2f} |")
    text.append("")
    for problem in problems:
        leading = [
            said for said in problem["verdicts"] if " over " in said
        ]  # of steps to the target, of the best metric
        text += [f"**{problem['name']}** ({problem['metric']})", "", *(f"- {said}" for said in leading), ""]
    return text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--honesty", action="store_true")
    parser.add_argument("--suite", action="store_true")
    parser.add_argument("--races", type=int, default=100)
    parser.add_argument("--trials", type=int, default=8)
    told = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    if told.honesty:
        measure_honesty(told.races)
    if told.suite:
        measure_suite(told.trials)
    if not (told.honesty or told.suite):
        write()
