"""The learning rate of a run, found by short runs of the run itself.

``search.choose_rate`` decides which short runs to make and what they say; here a short run is made: a copy of the untrained
model, the run's own optimizer, batches and clipping, another rate. Nothing of them stays: the run that follows starts
from the same weights and the same random state as one whose rate was given.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from thalweg.experiments.build import averaged_weights, build_schedule
from thalweg.experiments.experiment import Experiment
from thalweg.experiments.watcher import Watcher
from thalweg.train import State, evaluate
from thalweg.train.hooks import listeners

if TYPE_CHECKING:
    from thalweg.search import RateChoice


class Stopped(Exception):
    """The user stopped the search; there is nothing to keep."""


class ShortRun:
    """One short run of an experiment at one rate: ``search.Trial``."""

    def __init__(self, experiment: Experiment, rate: float, steps: int, order: int, tick: Callable[[], None]) -> None:
        torch.manual_seed(experiment.spec.seed + 1)
        self.experiment = experiment
        self.model = copy.deepcopy(experiment.model).train()
        self.optimizer, regularisers = experiment.build_optimizer(self.model, lr=rate)
        self.state = State(self.model, self.optimizer)
        self.on_gradient, self.on_step = listeners(regularisers, "on_gradient"), listeners(regularisers, "on_step")
        self.gradients = experiment.gradients(self.model)
        # Nothing is measured on the way: a warm-up that waits for a measurement would last for all of the short run.
        self.factor = build_schedule(experiment.spec, steps=steps).settled() if steps else None
        self.rate = rate
        self.step = 0
        self.tick = tick
        self._batches = self._endless(order)

    def _endless(self, order: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        epoch = order
        while True:
            yield from self.experiment.batches.epoch(epoch)
            epoch += 1

    def set_rate(self, rate: float) -> None:
        """The rate of the steps to come; a schedule, where there is one, is its factor."""
        self.rate = rate

    def run(self, steps: int) -> np.ndarray:
        """Makes ``steps`` updates; the mini-batch losses ``(steps,)``. Ends early, with NaN, when the loss is not finite."""
        losses = np.full(steps, np.nan)
        for index in range(steps):
            inputs, targets = next(self._batches)
            loss = float(self.gradients(inputs, targets))
            losses[index] = loss
            if not math.isfinite(loss):
                break
            rate = self.rate * (self.factor(self.step) if self.factor is not None else 1.0)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            for tell in self.on_gradient:
                tell(self.state)
            self.optimizer.step()
            for tell in self.on_step:
                tell(self.state)
            self.step += 1
            self.tick()
        return losses

    def score(self) -> float:
        """Loss on the dev part as the model stands; infinite where it is not finite."""
        with averaged_weights(self.optimizer):
            loss = evaluate(self.model, *self.experiment.parts.dev, self.experiment.objective)["loss"]
        return loss if math.isfinite(loss) else math.inf


def find_rate(experiment: Experiment, watcher: Watcher, interrupted: Callable[[], bool]) -> RateChoice | None:
    """The rate for an experiment and how it was found; None where the user stopped the search."""
    from thalweg.search import choose_rate

    spec = experiment.spec
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if done % 10 == 0:
            watcher.advance(done)
            if interrupted():
                raise Stopped

    def make(rate: float, steps: int = 0, order: int = 0) -> ShortRun:
        return ShortRun(experiment, rate, steps, order, tick)

    try:
        return choose_rate(make, steps_per_epoch=len(experiment.batches), epochs=spec.epochs, rule=spec.rule)
    except Stopped:
        return None
