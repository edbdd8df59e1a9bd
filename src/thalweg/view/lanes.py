"""A race while it is run: how far each rule is on each problem, from the lines that are kept of its runs.

>>> lanes = Lanes(Path("runs/digits-race-1"))
>>> lanes.read()
[Lane(problem='digits', rule='sgd', metric='accuracy', stages={'tuning': 8, 'fresh seeds': 2}, curve=(0.45, 0.81, …)), …]
>>> lanes.total                                                   # runs of the whole race, if no range has to be widened
148
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from pathlib import Path
from typing import Any

from thalweg.report.underway import Lane
from thalweg.view.tail import Tail

LOW = {"loss", "rmse", "mae"}
"""Metrics of which less is better."""


class Lanes:
    """Follows one race from outside."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.about: dict[str, Any] = {}
        self._tails: dict[str, Tail] = {}
        self._runs: dict[str, list[tuple[str, str, float]]] = {}

    @property
    def total(self) -> int:
        """Runs that the race was planned to have."""
        plan = self.about["race"]
        fresh, trials = int(plan["seeds"]), int(plan["trials"])
        finalists = min(int(plan.get("finalists", 1)), trials)
        each = trials + finalists * (int(plan.get("repeats", 0)) + fresh) + fresh + len(plan.get("sweep", ()))
        return each * len(self.about["entrants"]) * len(self.about["problems"])

    def read(self) -> list[Lane]:
        """A lane for each problem and rule. Raises what ``Reader.entry`` turns into a sentence where files are broken."""
        self.about = tomllib.loads((self.path / "race.toml").read_text(encoding="utf-8"))
        found = []
        for problem, facts in self.about["problems"].items():
            metric = str(facts["metric"])
            runs = self._followed(problem, less=metric in LOW)
            for rule in self.about["entrants"]:
                stages: dict[str, int] = {}
                curve: list[float] = []
                for one, stage, score in runs:
                    if one == rule:
                        stages[stage] = stages.get(stage, 0) + 1
                        better = min if metric in LOW else max
                        curve.append(better(score, curve[-1]) if curve and math.isfinite(curve[-1]) else score)
                found.append(Lane(problem, rule, metric, stages, tuple(curve)))
        return found

    def _followed(self, problem: str, *, less: bool) -> list[tuple[str, str, float]]:
        path = self.path / "runs" / (re.sub(r"[^\w.-]+", "-", problem) + ".jsonl")
        if not path.is_file():
            return []
        lines, anew = self._tails.setdefault(problem, Tail(path)).lines()
        if anew:
            self._runs[problem] = []
        for record in map(json.loads, lines):
            if "curve" in record:
                scores = [float(value) for value in record["curve"]["dev"] if value is not None]
                best = (min if less else max)(scores, default=math.nan)
                self._runs[problem].append((str(record["entrant"]), str(record["stage"]), best))
        return self._runs[problem]
