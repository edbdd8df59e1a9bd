"""The study itself: asks for points, has them trained, remembers; goes on where it was stopped.

>>> outcome = Study(folder, spec, space, laboratory, trials=64).run(watcher, stop)

One process asks and tells; who trains is the engine's business.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from thalweg.experiments.spec import Spec
from thalweg.experiments.tuning.candidate import candidate
from thalweg.experiments.tuning.engine import Engine, Laboratory
from thalweg.experiments.tuning.folder import StudyFolder, Trials
from thalweg.experiments.tuning.trainer import Curve, Ended, Event, Job, Passed, key_of, score_of
from thalweg.search import Random, Space
from thalweg.search.samplers import Asked
from thalweg.search.space import Point


@dataclass
class Study:
    """A search over ``space`` in its folder."""

    folder: StudyFolder
    spec: Spec
    space: Space
    laboratory: Laboratory
    engine: Engine
    trials: int
    members: int
    watch: str
    onlooker: Callable[[Event, Study], None] = lambda event, study: None
    results: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kept = Trials(self.folder)
        self.results = self.kept.read()
        self.sampler = Random(self.space, self.spec.seed)
        self.values: dict[int, Point] = {}
        self.curves: dict[int, list[float]] = {}
        self.jobs: deque[Job] = deque()
        self.asked = self.before = len(self.results)
        self.began, self.passes = time.monotonic(), 0
        self.best = min((r for r in self.results if r["status"] == "finished"), key=lambda r: r["score"], default=None)

    def progress(self) -> float:
        """The share of this session's work that is done, 0 to 1, were no candidate to end early."""
        return self.passes / max((self.trials - self.before) * self.spec.epochs, 1)

    def run(self, stop: Callable[[], bool]) -> None:
        """Tries points until there are as many trials as wanted, or ``stop`` says so."""
        try:
            self.engine.run(self.next_job, self.tell, stop)
        finally:
            self.kept.close()

    def next_job(self) -> Job | None:
        """The next candidates of one architecture."""
        if not self.jobs:
            self.jobs.extend(self._grouped(self._ask(min(self.members, self.trials - self.asked))))
        if not self.jobs:
            return None
        job = self.jobs.popleft()
        for number, spec in zip(job.numbers, job.specs, strict=True):
            self.kept.begin(number, self.values[number], spec)
            self.curves[number] = []
        return job

    def _ask(self, count: int) -> list[int]:
        running = [Asked(k, {}) for k in range(self.asked)]
        numbers = []
        for point in self.sampler.suggest([], running, count):
            self.values[self.asked] = point
            numbers.append(self.asked)
            self.asked += 1
        return numbers

    def _grouped(self, numbers: Sequence[int]) -> list[Job]:
        groups: dict[tuple, list[tuple[int, Spec]]] = {}
        for number in numbers:
            spec = candidate(self.spec, self.values[number]).replace(threads=self.spec.threads or 1)
            groups.setdefault(key_of(self.laboratory.build(spec)), []).append((number, spec))
        bar = math.inf if self.best is None else self.best["score"]
        return [
            Job(tuple(number for number, _ in group), tuple(spec for _, spec in group), self._earlier(), bar)
            for group in groups.values()
        ]

    def _earlier(self) -> tuple[Curve, ...]:
        return tuple(tuple(curve) for curve in self.curves.values() if curve)

    def tell(self, event: Event) -> None:
        """Keeps what happened to a candidate."""
        if isinstance(event, Passed):
            self.kept.passed(event)
            self.passes += 1
            self.curves[event.number].append(score_of(event.metrics, self.watch))
        else:
            self._ended(event)
        self.onlooker(event, self)

    def _ended(self, event: Ended) -> None:
        record = self.kept.ended(event, self.values[event.number])
        self.results.append(record)
        self.passes += self.spec.epochs - event.epochs
        if event.status == "finished" and (self.best is None or event.score < self.best["score"]):
            before, self.best = self.best, record
            if before is not None:
                self.folder.trial(before["number"]).model.unlink(missing_ok=True)
