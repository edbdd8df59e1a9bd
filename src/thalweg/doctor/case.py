"""Everything the probes may look at, in one place: what was seen, the copies, the data, the loss, the task.

>>> case.steps, case.batch, case.task.kind
(640, 32, 'classes')
>>> case.judge(model)                           # loss and error on a fixed sample of the training rows
(0.31, 0.08)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median_low
from typing import Any

import torch

from thalweg.doctor.budget import Budget
from thalweg.doctor.examples import Examples
from thalweg.doctor.reference import MOST, Reference, wrong
from thalweg.doctor.tape import State, Tape
from thalweg.doctor.task import Task
from thalweg.doctor.twin import Loss, Tried, Twin, outputs, quietly
from thalweg.history import History

JUDGED, LEAST = 1000, 100
"""Rows a model is judged by, and the fewest."""


@dataclass
class Case:
    """``end``: the weights the run ended with. ``dev`` and ``train_dev`` may be missing."""

    history: History
    tape: Tape
    twin: Twin
    end: State
    loss: Loss
    train: Examples
    dev: Examples | None
    train_dev: Examples | None
    task: Task
    reference: Reference | None = None

    def __post_init__(self) -> None:
        few = self.train.sample(16)
        with quietly(0):
            probe = self.twin.at(None, training=True)
            self.budget = Budget.of(
                probe, self.train.take(few)[0], rows=len(few), batch=self.batch * self.passes, steps=self.steps
            )
        self.judged = min(JUDGED, max(2 * LEAST, self.budget.rows(0.02)))
        self._judged = self.sample(self.train)

    def sample(self, part: Examples, most: int = JUDGED) -> tuple[Any, torch.Tensor]:
        """The rows of a part a model is judged by: fewer where the model is costly."""
        return part.take(part.sample(min(most, self.judged)))

    @property
    def steps(self) -> int:
        return self.tape.steps

    @property
    def batch(self) -> int:
        return min(median_low(self.tape.sizes), len(self.train)) if self.tape.sizes else 32

    @property
    def passes(self) -> int:
        """Backward passes that a step adds up: more than one where gradients are accumulated over several mini-batches."""
        heard = self.tape.forwards["training"] + self.tape.forwards["eval"]
        passes = round(heard / self.steps) if self.steps else 1
        if passes < 2 or isinstance(self.twin.optimizer, torch.optim.LBFGS):
            return 1
        first = [batch.keys for batch in self.tape.batches if batch.step == 1]
        same = any(a.shape == b.shape and torch.equal(a, b) for a, b in pairwise(first))
        return 1 if same or len(first) < 2 else passes

    def rate(self, step: int, group: int = 0) -> float:
        """The learning rate the run used at a step (from 1) in a parameter group; its last one beyond the end."""
        found = 0.0
        for since, rates in self.tape.rates:
            if since > step and found:
                break
            found = rates[min(group, len(rates) - 1)]
        return found

    def top_rate(self, group: int = 0) -> float:
        return max((rates[min(group, len(rates) - 1)] for _, rates in self.tape.rates), default=0.0)

    def write(self, numbers: dict[str, float], *, step: int | None = None) -> None:
        self.history.record(self.steps if step is None else step, numbers)

    def judge(self, model: torch.nn.Module) -> tuple[float, float]:
        return self.judge_on(model, self._judged)

    def judge_on(self, model: torch.nn.Module, pair: tuple[Any, torch.Tensor]) -> tuple[float, float]:
        """Loss and error of a model, as it stands, on some rows."""
        inputs, targets = pair
        out = outputs(model, inputs)
        with torch.no_grad():
            return float(self.loss(out, targets)), self.task.error(out, targets)

    def tried(
        self,
        name: str,
        *,
        steps: int,
        factor: float = 1.0,
        rate: Callable[[int, int], float] | None = None,
        start: State | None = None,
        change: Callable[[torch.nn.Module, torch.optim.Optimizer], torch.optim.Optimizer] | None = None,
        shape: Callable[[Any], Any] | None = None,
        own_rate: bool = False,
    ) -> Tried:
        """One trial, its outcome written under ``trial/NAME``."""

        def scaled(step: int, group: int) -> float:
            return factor * (rate or self.rate)(step, group)

        parts = 1 + (self.dev is not None)
        self.budget.spend(
            self.budget.steps(steps, self.batch * self.passes) + self.budget.forward(parts * self.judged, parts)
        )
        inputs, targets = self._judged

        def judge(model: torch.nn.Module) -> tuple[float, float]:
            return self.judge_on(model, (shape(inputs) if shape else inputs, targets))

        found = self.twin.train(
            self.train,
            self.loss,
            judge,
            steps=steps,
            batch=self.batch * self.passes,
            times=max(self.history.last("loop/added", 1.0), 1e-12),
            rate=None if own_rate else scaled,
            start=start,
            change=change,
            shape=shape,
        )
        self.write({f"trial/{name}/loss": found.loss, f"trial/{name}/error": found.error, f"trial/{name}/steps": steps})
        if self.dev is not None:
            dev = self.sample(self.dev)
            with quietly(0):
                _, error = self.judge_on(found.model, (shape(dev[0]) if shape else dev[0], dev[1]))
            self.write({f"trial/{name}/dev_error": error})
        return found


def reference(case: Case) -> None:
    """What the data allow: left-out error of the training rows and error of the dev rows by kernel ridge regression."""
    index = case.train.sample(MOST)
    features = case.train.features(index)
    if features is None or not (case.task.is_classes or case.task.kind in ("numbers", "labels")):
        return
    targets = case.task.labels(case.train.targets[index])
    if not bool(torch.isfinite(features).all()) or not bool(torch.isfinite(targets.double()).all()):
        return
    if targets.numel() == features.numel() and bool(torch.equal(targets.double().reshape(features.shape), features)):
        return  # inputs are to be given back: what a narrow middle loses is no lack
    classes = int(case.task.labels(case.train.targets).max()) + 1 if case.task.is_classes else 0

    def error(answers: torch.Tensor, wanted: torch.Tensor) -> float:
        if case.task.kind != "labels":
            return wrong(answers, wanted, classes)
        middle = (1 + case.task.low) / 2
        return float(((answers > middle) != (wanted.reshape(answers.shape) > middle)).double().mean())

    found = case.reference = Reference.fit(features, targets, classes=classes)
    numbers = {"reference/train": error(found.left_out, targets)}
    if classes:
        numbers["reference/clear_disagreement"] = found.clear_disagreement()
    elif case.task.kind == "numbers":
        numbers["reference/far_off"] = found.far_off()
    for name, part in (("dev", case.dev), ("train_dev", case.train_dev)):
        if part is not None:
            rows = part.sample(JUDGED)
            own = part.features(rows)
            labels = case.task.labels(part.targets[rows])
            if own is not None and own.shape[1] == features.shape[1] and bool(torch.isfinite(own).all()):
                wanted = labels.clamp(max=classes - 1) if classes else labels
                numbers[f"reference/{name}"] = error(found.answers(own), wanted)
    case.write(numbers)


def progress(case: Case) -> None:
    """Loss and error of training and dev rows at kept moments and at the end: at fewer, on fewer rows, if that costs much."""
    parts = [("train", case.train), ("dev", case.dev), ("train_dev", case.train_dev)]
    given = [(name, part) for name, part in parts if part is not None]
    moments = sorted(case.tape.snapshots)
    while len(moments) > 3 and case.budget.rows(0.1, len(moments) * len(given)) < LEAST * len(moments) * len(given):
        moments = [*moments[:-1:2], moments[-1]]
    each = max(LEAST, case.budget.rows(0.1, len(moments) * len(given)) // max(len(moments) * len(given), 1))
    for step, state in [*((m, case.tape.snapshots[m]) for m in moments), (case.steps, case.end)]:
        model = case.twin.at(state)
        for name, part in given:
            pair = case.sample(part, JUDGED if state is case.end else each)
            loss, error = case.judge_on(model, pair)
            case.write({f"{name}/loss": loss, f"{name}/error": error}, step=step)
            case.budget.spend(case.budget.forward(len(pair[1]), 1))
    numbers = {"n/train": float(len(case.train)), "n/batch": float(case.batch), "n/steps": float(case.steps)}
    numbers["chance"] = case.task.chance(case.train.targets)
    numbers |= {f"n/{name}": float(len(part)) for name, part in given}
    numbers[f"task/{case.task.kind}"] = 1.0
    case.write(numbers)
