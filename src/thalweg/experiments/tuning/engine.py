"""Who trains the jobs of a study: this process, or workers that live as long as the study.

>>> Here(laboratory).run(next_job, tell, stop)

An engine asks for the next job whenever it has nothing to do, and tells what happens; it has never heard of a sampler.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import torch

from thalweg.experiments.assemble import assemble, check_module
from thalweg.experiments.build import build_device
from thalweg.experiments.experiment import Experiment
from thalweg.experiments.own_module import called
from thalweg.experiments.parts import Prepared, prepare
from thalweg.experiments.spec import Spec
from thalweg.experiments.threads import threads
from thalweg.experiments.tuning.trainer import Job, Prune, Tell, nobody, train_job
from thalweg.experiments.watcher import Silent
from thalweg.train.objectives import BinaryCrossEntropy, CrossEntropy, MeanSquaredError, Objective
from thalweg.train.weighted import Weighted

if TYPE_CHECKING:
    from thalweg.data import Data

OF_THE_UPDATE: dict[str, Any] = {
    "lr": None, "weight_decay": None, "options": {}, "schedule": "cosine", "warmup": 0.0, "clip_norm": None,
}  # fmt: skip
"""Settings that say nothing of how a net begins: candidates that differ in them alone start from the same weights."""
Own = torch.nn.Module | Callable[..., torch.nn.Module] | None
"""The user's module, or the function that makes it."""
NextJob = Callable[[], Job | None]
"""The next job; None where there is none for now."""


@dataclass(frozen=True)
class Laboratory:
    """What a candidate becomes an experiment with: the prepared data, where they are, how candidates are pruned."""

    prepared: Prepared
    device: torch.device
    prune: Prune = nobody
    model: Own = None
    portable: bool = True
    """Whether workers can have the same: a module defined in a script exists in that script alone."""
    also: tuple[str, ...] = ()
    """Metrics that are measured beside those of the task."""

    def build(self, specs: Sequence[Spec]) -> list[Experiment]:
        """Candidates of one architecture ready to train. What begins alike is initialised once."""
        experiments: list[Experiment] = []
        alike: dict[str, Experiment] = {}
        for spec in specs:
            key = spec.model_copy(update=OF_THE_UPDATE).model_dump_json()
            if key not in alike:
                made = assemble(spec, self.prepared, watcher=Silent(), device=self.device, model=self._own(spec))
                alike[key] = replace(made, objective=_with_metrics(made.objective, self.also))
                experiments.append(alike[key])
                continue
            first = alike[key]
            own = {name: getattr(spec, name) for name in OF_THE_UPDATE if getattr(spec, name) is not None}
            chosen = first.spec.model_copy(update={"clip_norm": spec.clip_norm} | own)
            experiments.append(replace(first, spec=chosen, model=copy.deepcopy(first.model)))
        return experiments

    def _own(self, spec: Spec) -> torch.nn.Module | None:
        """The user's module: a copy of the one that is there, or a new one from their function under the seed of the run."""
        if self.model is None or isinstance(self.model, torch.nn.Module):
            return copy.deepcopy(self.model)
        preprocessor = self.prepared.preprocessor
        assert preprocessor is not None
        torch.manual_seed(spec.seed)
        where = getattr(self.model, "__name__", "the function")
        made = called(self.model, where, preprocessor.input_shape, preprocessor.n_outputs, spec.model_options)
        check_module(made, None)
        return made

    def train(self, job: Job, tell: Tell, stop: Callable[[], bool]) -> None:
        """Trains the candidates of a job."""
        train_job(job, self.build(job.specs), tell, prune=self.prune, stop=stop)


@dataclass(frozen=True)
class Materials:
    """What another process needs to make the same laboratory: the settings, and the data where they are nowhere to be read."""

    spec: Spec
    data: Data | None = None
    model: Own = None
    also: tuple[str, ...] = ()

    def laboratory(self, prune: Prune) -> Laboratory:
        """The same data, prepared the same way, on the same device."""
        from thalweg.experiments.reading import read

        device = build_device(self.spec.device)
        data = read(self.spec) if self.data is None else self.data
        return Laboratory(prepare(data, self.spec, device=device), device, prune, self.model, also=self.also)


def _with_metrics(objective: Objective, names: Sequence[str]) -> Objective:
    """The same, measuring more."""
    inner = objective.objective if isinstance(objective, Weighted) else objective
    assert isinstance(inner, CrossEntropy | BinaryCrossEntropy | MeanSquaredError)
    own = ("r2", "rmse") if isinstance(inner, MeanSquaredError) else ("accuracy",)
    more = tuple(name for name in names if name not in ("loss", *own, *inner.also))
    inner = replace(inner, also=(*inner.also, *more))
    return Weighted(inner) if isinstance(objective, Weighted) else inner


class Engine(Protocol):
    """Trains jobs."""

    def run(self, next_job: NextJob, tell: Tell, stop: Callable[[], bool]) -> None:
        """Trains until there is no next job and none is under way, or ``stop`` says so."""
        ...


@dataclass(frozen=True)
class Here:
    """One job after another in this process, on all its cores where it is one program."""

    laboratory: Laboratory
    threads: int = 1

    def run(self, next_job: NextJob, tell: Tell, stop: Callable[[], bool]) -> None:
        with threads(self.threads):
            while not stop() and (job := next_job()) is not None:
                self.laboratory.train(job, tell, stop)
