"""Candidates to results: the members of one job train together where they can, one by one where they can't.

>>> train_job(Job((0, 1), (first, second)), prepared, device, tell)

What happens is told as it happens: ``Passed`` after each pass of each candidate, ``Ended`` as soon as one has ended. Whoever
listens keeps it; a job that dies loses nothing that was told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch

from thalweg.errors import Diverged
from thalweg.experiments.build import build_schedule
from thalweg.experiments.experiment import INTERRUPTED, Experiment, conduct
from thalweg.experiments.spec import Spec
from thalweg.experiments.together import member, together
from thalweg.experiments.watcher import Silent
from thalweg.history import History
from thalweg.train import Hook, State

FINISHED, PRUNED, DIVERGED, FAILED = "finished", "pruned", "diverged", "failed"
Curve = tuple[float, ...]
"""The scores of a candidate after each of its passes, lower is better."""
ABOVE = frozenset({"accuracy", "balanced_accuracy", "f1", "auc", "r2"})
"""Metrics of which more is better, at most 1: the score is what is missing to 1."""


@dataclass(frozen=True)
class Job:
    """Candidates of one architecture and one batch size, with the curves of those that went before."""

    numbers: tuple[int, ...]
    specs: tuple[Spec, ...]
    earlier: tuple[Curve, ...] = ()
    bar: float = math.inf
    """The best score so far: the weights of a candidate that is worse are not kept."""


@dataclass(frozen=True)
class Passed:
    """A candidate has been through the data once more."""

    number: int
    epoch: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class Ended:
    """A candidate has ended. ``score`` is finite, or NaN where nothing could be measured."""

    number: int
    status: str
    score: float
    epochs: int
    best_epoch: int
    metrics: dict[str, float]
    why: str = ""
    spec: Spec | None = None
    """With what was left open and then chosen."""
    weights: bytes = b""
    """The best weights as a safetensors file; empty where they are not better than what is known."""


@dataclass(frozen=True)
class Lost:
    """Whoever trained these candidates is gone: they can be asked again."""

    numbers: tuple[int, ...]


Event = Passed | Ended | Lost
Tell = Callable[[Event], None]
Prune = Callable[[int, Mapping[int, Curve], Sequence[Curve]], Sequence[int]]
"""After a pass: its number, the curves of those that go on, the curves of those before; the numbers of those to end."""


def nobody(epoch: int, going: Mapping[int, Curve], earlier: Sequence[Curve]) -> Sequence[int]:
    """Prunes nothing."""
    return ()


def score_of(metrics: Mapping[str, float], watch: str) -> float:
    """What the search makes small: the error for metrics of which more is better."""
    return 1.0 - metrics[watch] if watch in ABOVE else metrics[watch]


def packed(weights: Mapping[str, torch.Tensor]) -> bytes:
    """Weights as the content of a safetensors file."""
    from safetensors.torch import save

    return save(
        {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()},
        metadata={"format": "pt"},
    )


def train_job(
    job: Job,
    experiments: Sequence[Experiment],
    tell: Tell,
    *,
    prune: Prune = nobody,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Trains the candidates of a job and tells what happens; once ``stop`` says so, those that go on have no end."""
    if all(map(together, experiments)):
        _train_population(job, experiments, tell, prune, stop)
        return
    for number, experiment in zip(job.numbers, experiments, strict=True):
        if stop():
            return
        _train_alone(replace(job, numbers=(number,)), experiment, tell, prune, stop)


def _train_population(
    job: Job, experiments: Sequence[Experiment], tell: Tell, prune: Prune, stop: Callable[[], bool]
) -> None:
    from thalweg.population import Outcome, Part, train_population

    spec = experiments[0].spec
    dev = Part(*experiments[0].parts.dev)  # one for all: measured in one go
    assert spec.batch_size is not None
    watch = spec.watch or "loss"
    seen: dict[int, Outcome] = {}
    pruned: dict[int, str] = {}
    ended: set[int] = set()
    stopped, bar = False, job.bar

    def end(place: int, outcome: Outcome) -> None:
        nonlocal bar
        ended.add(place)
        best = outcome.dev[outcome.best_epoch - 1] if outcome.best_epoch else {}
        score = score_of(best, watch) if best else math.nan
        status = DIVERGED if outcome.diverged else PRUNED if place in pruned else FINISHED
        keep = status == FINISHED and score <= bar
        bar = score if keep else bar
        tell(
            Ended(
                job.numbers[place], status, score, len(outcome.dev), outcome.best_epoch, best, outcome.stopped,
                experiments[place].spec, packed(outcome.weights) if keep else b"",
            )
        )  # fmt: skip

    def on_epoch(epoch: int, going: Mapping[int, Outcome]) -> Sequence[int]:
        nonlocal stopped
        for place, outcome in going.items():
            tell(Passed(job.numbers[place], epoch, outcome.dev[-1] | {"train": outcome.losses[-1]}))
        for place in [place for place in seen if place not in going and place not in ended]:
            end(place, seen[place])
        seen.update(going)
        stopped = stopped or stop()
        if stopped:
            return list(going)
        if epoch == spec.epochs:
            return ()
        curves = {place: tuple(score_of(dev, watch) for dev in outcome.dev) for place, outcome in going.items()}
        leaving = prune(epoch, curves, job.earlier)
        pruned.update(dict.fromkeys(leaving, f"pruned after epoch {epoch}"))
        return leaving

    trained = train_population(
        [replace(member(experiment), dev=dev, schedule=_rates(experiment)) for experiment in experiments],
        batch_size=spec.batch_size,
        epochs=spec.epochs,
        watch=watch,
        patience=spec.patience,
        min_gain=spec.min_gain,
        on_epoch=on_epoch,
    )
    for place, outcome in enumerate(trained.outcomes):
        left = stopped and not outcome.diverged and len(outcome.dev) < spec.epochs and place not in pruned
        if place not in ended and not left:
            end(place, outcome)


def _rates(experiment: Experiment) -> Callable[[int], float]:
    """The rate of each update, from a table that candidates of one schedule share: a thousand members ask for each step."""
    spec, lr = experiment.spec, experiment.spec.lr
    assert lr is not None
    table = _factors(spec.schedule, spec.warmup, spec.epochs * len(experiment.batches))
    return lambda step: lr * table[step]


@lru_cache(maxsize=32)
def _factors(schedule: str, warmup: float, steps: int) -> tuple[float, ...]:
    factor = build_schedule(Spec(data="", schedule=schedule, warmup=warmup), steps=steps)
    return tuple(factor(step) for step in range(steps))


class _Follower(Hook):
    """Tells of each pass of a candidate that trains alone, and ends it where it is pruned."""

    def __init__(self, job: Job, history: History, watch: str, tell: Tell, prune: Prune, last: int) -> None:
        self.job, self.history, self.watch, self.tell, self.prune, self.last = job, history, watch, tell, prune, last
        self.curve: list[float] = []
        self.pruned = False

    def on_epoch(self, state: State) -> None:
        metrics = {name: float(column.values[-1]) for name, column in self.history.under("dev").items()}
        self.tell(Passed(self.job.numbers[0], state.epoch, metrics | {"train": self.history.last("train/loss")}))
        self.curve.append(score_of(metrics, self.watch))
        if state.epoch < self.last and not state.stop:
            self.pruned = bool(self.prune(state.epoch, {0: tuple(self.curve)}, self.job.earlier))
            if self.pruned:
                state.stop = f"pruned after epoch {state.epoch}"


def _train_alone(job: Job, experiment: Experiment, tell: Tell, prune: Prune, stop: Callable[[], bool]) -> None:
    spec, number, history = experiment.spec, job.numbers[0], History()
    watch = spec.watch or "loss"
    follower = _Follower(job, history, watch, tell, prune, spec.epochs)
    try:
        outcome = conduct(experiment, history=history, watcher=Silent(), interrupted=stop, hooks=(follower,))
    except Diverged as error:
        tell(Ended(number, DIVERGED, math.nan, len(follower.curve), 0, {}, str(error), spec))
        return
    if outcome.stopped == INTERRUPTED:
        return
    dev = outcome.metrics["dev"]
    score = score_of(dev, watch)
    weights = packed(experiment.model.state_dict()) if score <= job.bar and not follower.pruned else b""
    status = PRUNED if follower.pruned else FINISHED
    tell(Ended(number, status, score, outcome.state.epoch, outcome.best_epoch, dev, outcome.stopped, spec, weights))


__all__ = ["Curve", "Ended", "Event", "Job", "Lost", "Passed", "Prune", "score_of", "train_job"]
