"""The study itself: asks for points, has them trained, remembers; goes on where it was stopped.

>>> with open_store(…) as store:
...     Study(folder, spec, store, sampler, trials=64, …).run(engine, stop)

One process asks and tells, whoever trains. What ends is in the trial's folder first and then in the store, and the store is
told a batch at a time: a process that is killed loses no trial that ended; what the store has not heard of is in the folder.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from thalweg.experiments.spec import Spec
from thalweg.experiments.tuning.candidate import candidate, group_of
from thalweg.experiments.tuning.engine import Engine
from thalweg.experiments.tuning.folder import StudyFolder, Trials
from thalweg.experiments.tuning.objectives import COSTS, best_of, values_of
from thalweg.experiments.tuning.trainer import (
    FAILED,
    FINISHED,
    PRUNED,
    Ended,
    Event,
    Job,
    Lost,
    Passed,
    score_of,
)
from thalweg.search.samplers import Sampler
from thalweg.search.space import Point
from thalweg.search.store import Store, Told

PATIENCE = 1.0
"""Seconds after which what has happened is written to the store."""
MOST_LOSSES = 2
"""How often a trial may take its worker with it."""


@dataclass
class Study:
    """A search in its folder. ``batch`` is how many points are asked at a time, ``members`` how many candidates make a job."""

    folder: StudyFolder
    spec: Spec
    store: Store
    sampler: Sampler
    trials: int
    batch: int
    members: int
    watch: str
    rungs: frozenset[int] = frozenset()
    """Passes after which the store hears of a candidate that goes on."""
    onlooker: Callable[[Event, Study], None] = lambda event, study: None
    costs: Callable[[Spec], Mapping[str, float]] = lambda spec: {}
    """What a candidate costs whatever it learns: its size, its time."""
    results: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kept = Trials(self.folder)
        self.results = self.kept.read()
        self.before = len(self.results)
        self.began, self.passes, self.told_at = time.monotonic(), 0, time.monotonic()
        self.values: dict[int, Point] = {}
        self.cost_of: dict[int, Mapping[str, float]] = {}
        self.curves: dict[int, list[float]] = {}
        self.losses: dict[int, int] = {}
        self.jobs: deque[Job] = deque()
        self._told: list[Told] = []
        self._reported: dict[int, dict[int, float]] = {}

    @property
    def best(self) -> dict[str, Any] | None:
        """The result of the best trial that was trained to its end."""
        return best_of(self.results, self.store.objectives)

    def progress(self) -> float:
        """The share of this session's work that is done, 0 to 1, were no candidate to end early."""
        return self.passes / max((self.trials - self.before) * self.spec.epochs, 1)

    def run(self, engine: Engine, stop: Callable[[], bool]) -> None:
        """Tries points until there are as many trials as wanted, or ``stop`` says so; waits for trials of other processes."""
        try:
            while True:
                engine.run(self.next_job, self.tell, stop)
                self.flush()
                if stop() or not self.store.running():
                    return
                time.sleep(0.5)
        finally:
            self.flush()
            self.kept.close()

    def gather(self) -> None:
        """Takes in the trials that other processes have trained meanwhile, on this machine or another."""
        known = {record["number"]: record for record in self.kept.read()}
        told = self.store.told()
        for one in self.store.finished():
            if one.number not in known:
                status = PRUNED if one.pruned_at is not None else FINISHED if one.succeeded else FAILED
                scores = {
                    name: -score if direction == "maximize" else score
                    for (name, direction), score in zip(self.store.objectives.items(), one.scores, strict=True)
                }
                score = score_of(scores, self.watch) if one.succeeded else None
                dev = {name: value for name, value in scores.items() if name not in COSTS}
                more = told.get(one.number, {})
                known[one.number] = {
                    "number": one.number, "values": one.values, "status": status, "score": score,
                    "why": more.get("stopped") or "trained on another machine", "best_epoch": 0,
                    "epochs": one.pruned_at or self.spec.epochs,
                    "metrics": {"dev": more.get("dev", dev) if one.succeeded else {}},
                    "costs": {name: scores[name] for name in COSTS if name in scores and one.succeeded},
                    "created": "", "ended": math.nan, "seconds": more.get("seconds", 0.0),
                }  # fmt: skip
        self.results = [known[number] for number in sorted(known)]

    def next_job(self) -> Job | None:
        """The next candidates of one architecture; None where nothing is to be done for now."""
        if not self.jobs:
            self.flush()
            self.jobs.extend(self._grouped(self._ask()))
        if not self.jobs:
            return None
        job = self.jobs.popleft()
        for number, spec in zip(job.numbers, job.specs, strict=True):
            self.kept.begin(number, self.values[number], spec)
            self.curves[number] = []
            self.cost_of[number] = self.costs(spec)
        best = self.best
        earlier = tuple(tuple(curve) for number, curve in self.curves.items() if curve and number not in job.numbers)
        return Job(job.numbers, job.specs, earlier, math.inf if best is None else best["score"])

    def _ask(self) -> list[int]:
        """Numbers of the trials to run. One that ended in its folder before its process could say so is told now."""
        numbers = []
        for ticket in self.store.ask(self.sampler, self.batch, most=self.trials):
            self.values[ticket.number] = ticket.values
            left = self.kept.ended_before(ticket.number, ticket.values)
            if left is None:
                numbers.append(ticket.number)
            else:
                self._remember(left)
        if self._told and not numbers:
            self.flush()
            return self._ask()
        return numbers

    def _grouped(self, numbers: Sequence[int]) -> list[Job]:
        groups: dict[str, list[tuple[int, Spec]]] = {}
        for number in numbers:
            spec = candidate(self.spec, self.values[number]).replace(threads=self.spec.threads or 1)
            groups.setdefault(group_of(spec), []).append((number, spec))
        parts = [
            group[start : start + self.members]
            for group in groups.values()
            for start in range(0, len(group), self.members)
        ]
        parts.sort(key=len, reverse=True)  # a candidate alone is better compared with those that were many
        return [Job(tuple(number for number, _ in part), tuple(spec for _, spec in part)) for part in parts]

    def tell(self, event: Event) -> None:
        """Keeps what happened to a candidate."""
        if isinstance(event, Passed):
            self.passes += 1
            self.kept.passed(event)
            self.curves[event.number].append(score_of(event.metrics, self.watch))
            if event.epoch in self.rungs:
                self._reported.setdefault(event.number, {})[event.epoch] = event.metrics[self.watch]
        elif isinstance(event, Lost):
            self._lost(event)
        else:
            self.passes += self.spec.epochs - event.epochs
            self._ended(event)
        if time.monotonic() - self.told_at > PATIENCE:
            self.flush()
        self.onlooker(event, self)

    def _lost(self, event: Lost) -> None:
        """Trials whose worker is gone are trained again, by another; one that takes a worker down each time has failed."""
        for number in event.numbers:
            self.losses[number] = self.losses.get(number, 0) + 1
            if self.losses[number] > MOST_LOSSES:
                why = f"its worker died {self.losses[number]} times"
                self._ended(Ended(number, FAILED, math.nan, 0, 0, {}, why))
        again = [number for number in event.numbers if self.losses[number] <= MOST_LOSSES]
        self.jobs.extendleft(reversed(self._grouped(again)))

    def _ended(self, event: Ended) -> None:
        self._remember(self.kept.ended(event, self.values[event.number], self.cost_of[event.number]))

    def _remember(self, record: dict[str, Any]) -> None:
        before = self.best
        self.results = [kept for kept in self.results if kept["number"] != record["number"]] + [record]
        number, scores = record["number"], record["metrics"]["dev"]
        if record["status"] in (FINISHED, PRUNED):
            self._reported.setdefault(number, {})[record["epochs"]] = scores[self.watch]
        attrs = {
            "run": str(self.folder.trial(number).path), "seconds": record["seconds"], "stopped": record["why"],
            "dev": scores, **record.get("costs", {}),
        }  # fmt: skip
        end = {FINISHED: "finished", PRUNED: "pruned"}.get(record["status"], "failed")
        values = tuple(values_of(record, list(self.store.objectives)).values()) if end != "failed" else ()
        self._told.append(Told(number, end, values, attrs))  # type: ignore[arg-type]
        worse = before if self.best is record else record  # the weights of one trial are kept, the best one's
        if worse is not None and worse is not self.best:
            self.folder.trial(worse["number"]).model.unlink(missing_ok=True)

    def flush(self) -> None:
        """Writes to the store what has happened since."""
        self.told_at = time.monotonic()
        if self._reported:
            self.store.report(self._reported)
        if self._told:
            self.store.tell(self._told)
        self._told, self._reported = [], {}
        self.store.beat()
