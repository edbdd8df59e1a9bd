"""Networks as problems: the candidates of a rule train as one population, each measured on the dev part after every pass.

>>> problem = data_problem(Spec(data="digits", epochs=30))
>>> problem.run([Candidate("adam", {"lr": 0.01}, seed=k) for k in range(10)])[0].dev[-1]
0.9694

A seed decides the initial weights, the order of mini-batches and dropout; the division of the data is one for the whole race.
What a population does not know (augmentation, bfloat16, data that stream …) trains one by one, as ``thalweg train`` would.
"""

from __future__ import annotations

import copy
import math
import os
import statistics
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from thalweg.data import TensorBatches
from thalweg.errors import Diverged, InputError
from thalweg.experiments.assemble import assemble, check_module
from thalweg.experiments.build import build_device
from thalweg.experiments.experiment import INTERRUPTED, Experiment, conduct
from thalweg.experiments.parts import Prepared, prepare
from thalweg.experiments.racing.crew import can_fork, shared_out
from thalweg.experiments.racing.functions import default_rate
from thalweg.experiments.racing.problem import Candidate, Curve, OnPass, nobody
from thalweg.experiments.reading import read
from thalweg.experiments.spec import Spec
from thalweg.experiments.threads import threads
from thalweg.experiments.together import member, together
from thalweg.experiments.tuning.candidate import candidate as with_values
from thalweg.experiments.tuning.trainer import ABOVE
from thalweg.experiments.watcher import Silent
from thalweg.history import History
from thalweg.train import Hook, State, evaluate, train

if TYPE_CHECKING:
    from thalweg.data import Data, Stream

Build = Callable[[Spec], Experiment]
"""An experiment, its weights drawn from the seed of the spec."""


@dataclass(frozen=True)
class NetworkProblem:
    """A network, data and an objective. ``spec`` has every setting that is not the rule's; ``build`` makes an experiment."""

    name: str
    spec: Spec
    build: Build
    updates: int
    """Of a pass."""
    repeatable: bool = False
    """Whether ``thalweg train`` can make the same from the spec: data and model that have names."""
    data: str = ""
    net: str = ""
    """Fingerprints: a race that goes on does so with the same rows and the same layers."""

    @property
    def metric(self) -> str:
        return str(self.spec.watch)

    @property
    def more(self) -> bool:
        return self.metric in ABOVE

    @property
    def passes(self) -> int:
        return self.spec.epochs

    @property
    def steps(self) -> int:
        return self.spec.epochs * self.updates

    def spec_of(self, one: Candidate) -> Spec:
        """All settings of a candidate: what ``thalweg train`` repeats it from."""
        spec = self.spec.replace(rule=one.rule, seed=one.seed, schedule=one.schedule, warmup=one.warmup)
        spec = with_values(spec, one.values)
        return spec.replace(lr=spec.lr if spec.lr is not None else default_rate(one.rule))

    def run(self, candidates: Sequence[Candidate], on_pass: OnPass = nobody) -> list[Curve] | None:
        cores = len(os.sched_getaffinity(0))
        if self._is_native(candidates[0]):
            with threads(cores):
                return self._train(candidates, on_pass)
        if cores > 1 and len(candidates) > 1 and can_fork() and not torch.cuda.is_available():
            return shared_out(candidates, self._train, on_pass, processes=cores)
        with threads(1):
            return self._train(candidates, on_pass)

    def _is_native(self, one: Candidate) -> bool:
        """Whether candidates of this rule train in native code, which keeps all cores busy by itself."""
        from thalweg.population.compiled import Compiled
        from thalweg.population.members import Seat

        experiment = self.build(self.spec_of(one))
        return together(experiment) and not Compiled.refuses([Seat(member(experiment))])

    def _train(self, candidates: Sequence[Candidate], on_pass: OnPass) -> list[Curve] | None:
        starts: dict[int, Experiment] = {}
        experiments = []
        for one in candidates:
            spec = self.spec_of(one)
            if one.seed not in starts:
                starts[one.seed] = self.build(spec)
            first = starts[one.seed]
            experiments.append(replace(first, spec=spec, model=copy.deepcopy(first.model)))
        tests = [one.test for one in candidates]
        if all(map(together, experiments)):
            return self._population(experiments, tests, on_pass)
        return self._one_by_one(experiments, tests, on_pass)

    def _population(
        self, experiments: Sequence[Experiment], tests: Sequence[bool], on_pass: OnPass
    ) -> list[Curve] | None:
        from thalweg.population import Outcome, Part, train_population

        stopped = False

        def on_epoch(epoch: int, going: Mapping[int, Outcome]) -> Sequence[int]:
            nonlocal stopped
            stopped = stopped or on_pass(len(experiments))
            return list(going) if stopped else ()

        parts = experiments[0].parts
        rows, dev = Part(*parts.train), Part(*parts.dev)  # one for all: gathered and measured in one go
        assert self.spec.batch_size is not None
        trained = train_population(
            [replace(member(one), train=rows, dev=dev) for one in experiments],
            batch_size=self.spec.batch_size,
            epochs=self.spec.epochs,
            watch=self.metric,
            on_epoch=on_epoch,
        )
        if stopped:
            return None
        curves = []
        for experiment, outcome, test in zip(experiments, trained.outcomes, tests, strict=True):
            found = math.nan
            if test and parts.test is not None and outcome.weights:
                experiment.model.load_state_dict(outcome.weights)
                found = evaluate(experiment.model, *parts.test, experiment.objective)[self.metric]
            curves.append(
                self._curve([one[self.metric] for one in outcome.dev], outcome.losses, found, bool(outcome.diverged))
            )
        return curves

    def _one_by_one(
        self, experiments: Sequence[Experiment], tests: Sequence[bool], on_pass: OnPass
    ) -> list[Curve] | None:
        curves = []
        stopped = False

        class Counting(Hook):
            def on_epoch(self, state: State) -> None:
                nonlocal stopped
                stopped = stopped or on_pass(1)

        for experiment, test in zip(experiments, tests, strict=True):
            parts = experiment.parts if test else replace(experiment.parts, test=None)
            history, diverged, found = History(), False, math.nan
            try:
                outcome = conduct(
                    replace(experiment, parts=parts),
                    history=history,
                    watcher=Silent(),
                    interrupted=lambda: stopped,
                    hooks=(Counting(),),
                )
                if outcome.stopped == INTERRUPTED:
                    return None
                found = outcome.metrics.get("test", {}).get(self.metric, math.nan)
            except Diverged:
                diverged = True
            columns = history.under("dev"), history.column("train/loss")
            dev = (
                columns[0][self.metric].values.tolist()[1:] if self.metric in columns[0] else []
            )  # the first is the start
            curves.append(self._curve(dev, columns[1].values.tolist()[1:], found, diverged))
        return curves

    def _curve(self, dev: Sequence[float], losses: Sequence[float], test: float, diverged: bool) -> Curve:
        steps = tuple(self.updates * (1 + place) for place in range(len(dev)))
        return Curve(steps, tuple(dev), tuple(losses[: len(dev)]), test, diverged)

    def pace(self, candidate: Candidate) -> float:
        experiment = self.build(self.spec_of(candidate))
        experiment = replace(experiment, spec=self.spec_of(candidate))
        optimizer, hooks = experiment.build_optimizer(experiment.model, lr=1e-12)
        gradients = experiment.gradients(experiment.model)
        taken, state = [], State(experiment.model, optimizer)
        with threads(self.spec.threads or 1):
            for epoch in range(1, 5):
                began, before = time.perf_counter(), state.step
                state = train(
                    experiment.model, optimizer, gradients, experiment.batches, epochs=epoch, hooks=hooks, state=state
                )
                taken.append((time.perf_counter() - began) / max(state.step - before, 1))
        return statistics.median(taken[1:])


def race_spec(spec: Spec, task: str) -> Spec:
    """The settings in which all rules of a race are alike: nobody stops early, and one thread, so that timings compare."""
    watch = spec.watch or ("loss" if task == "regression" else "accuracy")
    return spec.replace(watch=watch, patience=0, threads=spec.threads or 1, lr=None, options={}, rule="adamw")


def data_problem(
    spec: Spec,
    data: Data | Stream | None = None,
    *,
    model: torch.nn.Module | Callable[[], torch.nn.Module] | None = None,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
) -> NetworkProblem:
    """The problem of training ``spec.model`` (or ``model``) on ``spec.data`` (or ``data``).

    A function that makes a module is called anew for each seed; a module begins each run with the weights that it has.
    Raises ``InputError`` for what cannot be read or trained.
    """
    device = build_device(spec.device)
    loaded = read(spec) if data is None else data
    prepared = prepare(loaded, spec, device=device)
    if spec.folds is not None or spec.shard or spec.interventions or spec.pretrain:
        raise InputError(
            "a race trains each candidate once, from its start: leave out folds, shard, pretrain, interventions"
        )
    if loss is not None:  # what it measures on the dev part is all that is known of it
        spec = spec.replace(watch=spec.watch or "loss")
    spec = race_spec(spec, prepared.task)

    def build(own: Spec) -> Experiment:
        made = model
        if made is not None and not isinstance(made, torch.nn.Module):
            torch.manual_seed(own.seed)
            made = _made(made)
        elif made is not None:
            made = copy.deepcopy(made)
        return assemble(own, _in_order(prepared, own), watcher=Silent(), device=device, model=made, loss=loss)

    first = build(spec.replace(lr=1.0))
    chosen: dict[str, Any] = {"batch_size": first.spec.batch_size, "hidden": first.spec.hidden, "skip": first.spec.skip}
    chosen |= {"dropout": first.spec.dropout}
    settled = spec.replace(**{name: value for name, value in chosen.items() if value is not None})
    return NetworkProblem(
        loaded.name,
        settled,
        build,
        len(first.batches),
        repeatable=data is None and model is None,
        data=loaded.fingerprint,
        net=_layers(first.model),
    )


def _made(make: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    try:
        module = make()
    except Exception as error:
        raise InputError(
            f"the function that makes the model failed: {type(error).__name__}: {' '.join(str(error).split())}"
        ) from error
    check_module(module, None)
    return module


def _layers(model: torch.nn.Module) -> str:
    """The kinds of a network's layers and the shapes of its weights, as eight digits."""
    kinds = [(name, type(layer).__qualname__) for name, layer in model.named_modules()]
    shapes = [(name, tuple(weights.shape)) for name, weights in model.named_parameters()]
    return f"{zlib.crc32(repr((kinds, shapes)).encode()):08x}"


def _in_order(prepared: Prepared, spec: Spec) -> Prepared:
    """The same data, dealt out in the order of this seed."""
    if prepared.preprocessor is None or spec.stream:
        return prepared
    rows = prepared.parts.train

    def batches(size: int, ranks: Any) -> TensorBatches:
        return TensorBatches(*rows, batch_size=size, seed=spec.seed, rank=ranks.rank, world=ranks.world)

    return replace(prepared, batches=batches)


__all__ = ["NetworkProblem", "data_problem"]
