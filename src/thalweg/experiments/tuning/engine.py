"""Who trains the jobs of a study: this process, or workers that live as long as the study.

>>> Here(laboratory).run(next_job, tell, stop)

An engine asks for the next job whenever it has nothing to do, and tells what happens; it has never heard of a sampler.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from thalweg.experiments.experiment import Experiment
from thalweg.experiments.parts import Prepared
from thalweg.experiments.spec import Spec
from thalweg.experiments.tuning.trainer import Job, Prune, Tell, built, nobody, train_job

NextJob = Callable[[], Job | None]
"""The next job; None where there is none for now."""


@dataclass(frozen=True)
class Laboratory:
    """What a candidate becomes an experiment with: the prepared data, where they are, how candidates are pruned."""

    prepared: Prepared
    device: torch.device
    prune: Prune = nobody
    model: torch.nn.Module | None = None

    def build(self, spec: Spec) -> Experiment:
        """A candidate ready to train."""
        import copy

        return built(spec, self.prepared, self.device, None if self.model is None else copy.deepcopy(self.model))

    def train(self, job: Job, tell: Tell, stop: Callable[[], bool]) -> None:
        """Trains the candidates of a job."""
        train_job(job, [self.build(spec) for spec in job.specs], tell, prune=self.prune, stop=stop)


class Engine(Protocol):
    """Trains jobs."""

    def run(self, next_job: NextJob, tell: Tell, stop: Callable[[], bool]) -> None:
        """Trains until there is no next job and none is under way, or ``stop`` says so."""
        ...


@dataclass(frozen=True)
class Here:
    """One job after another in this process, on all its cores where it is one program."""

    laboratory: Laboratory

    def run(self, next_job: NextJob, tell: Tell, stop: Callable[[], bool]) -> None:
        while not stop() and (job := next_job()) is not None:
            self.laboratory.train(job, tell, stop)
