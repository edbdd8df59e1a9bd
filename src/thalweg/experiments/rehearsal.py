"""An experiment to be tried on copies: its loss on plain targets, its optimizer on a copy's parameters, its work in numbers.

>>> rehearsal = Rehearsal.of(experiment, prepared)
>>> work = Work.of(rehearsal)
>>> work.steps(rows=32, most=300)                                  # as many as the bound allows
300
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from thalweg.doctor.examples import Examples
from thalweg.doctor.tape import first_float
from thalweg.doctor.task import Task
from thalweg.doctor.twin import Loss, quietly
from thalweg.experiments.build import build_objective
from thalweg.experiments.experiment import Experiment
from thalweg.experiments.parts import Prepared
from thalweg.train import Hook, Weighted

MOST_ROWS, MOST_NUMBERS = 2000, 4_000_000
"""Rows looked at, and numbers in them."""
BUDGET, ACCELERATED = 1e11, 100
"""Floating-point operations for each part of the check, some 5 seconds of a core; the factor of an accelerator."""
UPDATE = 100
"""Operations that fit into the time in which an optimizer moves one weight."""


@dataclass
class Rehearsal(Experiment):
    """An experiment whose optimizer may be built on any copy of the model, the user's own optimizer too."""

    prepared: Prepared | None = None
    plain: Loss = torch.nn.functional.mse_loss
    """The loss of outputs and targets without weights, smoothing or class weights."""
    own_loss: bool = False

    @classmethod
    def of(cls, experiment: Experiment, prepared: Prepared, *, own_loss: bool) -> Rehearsal:
        given = {field.name: getattr(experiment, field.name) for field in fields(experiment)}
        if own_loss:
            plain: Loss = experiment.objective
        else:
            objective = build_objective(experiment.spec.replace(label_smoothing=0.0, class_weights=None), prepared)
            plain = objective.objective.__call__ if isinstance(objective, Weighted) else objective  # type: ignore[operator]
        return cls(**given, prepared=prepared, plain=plain, own_loss=own_loss)

    @property
    def own_rate(self) -> float | None:
        """The rate of the user's own optimizer."""
        return None if self.optimizer is None else float(self.optimizer.param_groups[0]["lr"])

    def build_optimizer(
        self, model: torch.nn.Module, *, lr: float, measured: bool = False
    ) -> tuple[torch.optim.Optimizer, tuple[Hook, ...]]:
        own = self.optimizer
        if own is None:
            return super().build_optimizer(model, lr=lr, measured=measured)
        others: dict[int, Any] = {id(p): q for p, q in zip(self.model.parameters(), model.parameters(), strict=True)}
        copied = copy.deepcopy(own, others)
        for group in copied.param_groups:
            group["lr"] = lr
        return copied, ()

    def unregularised(self, model: torch.nn.Module, lr: float) -> torch.optim.Optimizer:
        """An optimizer without weight decay, to learn a few rows by heart."""
        spec = self.spec
        self.spec = spec.replace(weight_decay=0.0 if spec.weight_decay else spec.weight_decay, l1=None, l2=None)
        try:
            optimizer, _ = self.build_optimizer(model, lr=lr)
        finally:
            self.spec = spec
        for group in optimizer.param_groups:
            if group.get("weight_decay"):
                group["weight_decay"] = 0.0
        return optimizer

    def task(self, outputs: torch.Tensor, targets: torch.Tensor) -> Task:
        """What is asked for. The one output of two classes is a logit here, also where it happens to lie between 0 and 1."""
        found = Task.of(outputs, targets)
        two = self.prepared is not None and self.prepared.task == "binary" and not self.own_loss
        return replace(found, cut=0.0) if two and found.kind == "binary" else found

    def examples(self, most: int) -> Examples:
        """At most so many training rows, with plain targets."""
        inputs, targets = self.parts.train
        whole = Examples(inputs, self.truth(targets))
        wide = max(math.prod(inputs.shape[1:]), 1)
        inputs, targets = whole.take(whole.sample(max(min(most, MOST_NUMBERS // wide), 2), seed=self.spec.seed))
        if targets.is_floating_point() and self.prepared is not None and self.prepared.task == "multiclass":
            targets = targets.long() if targets.ndim == 1 else targets
        return Examples(inputs, targets)


@dataclass(frozen=True)
class Work:
    """``each``: floating-point operations of a forward pass for one row; ``weights``: their number; ``budget``: operations
    for each part of the check."""

    each: float
    weights: int
    budget: float

    @classmethod
    def of(cls, rehearsal: Rehearsal) -> Work:
        model = copy.deepcopy(rehearsal.model).eval()
        inputs, _ = rehearsal.examples(2).take(torch.arange(2))
        counted = [0.0]

        def count(module: torch.nn.Module, _inputs: Any, output: Any) -> None:
            out = first_float(output)
            if out is None:
                return
            for p in module.parameters(recurse=False):
                if p.ndim >= 2:  # a convolution's weights work at every place of an image
                    counted[0] += 2.0 * p.numel() * max(out.numel() / (len(out) * p.shape[0]), 1.0)

        for module in model.modules():
            module.register_forward_hook(count)
        with quietly(0), torch.no_grad():
            model(inputs)
        weights = sum(p.numel() for p in model.parameters())
        budget = BUDGET * (1 if inputs.device.type == "cpu" else ACCELERATED)
        return cls(max(counted[0], 2.0 * weights, 1.0), weights, budget)

    def rows(self, most: int, *, passes: float = 3.0) -> int:
        """Rows that so many forward passes may have, at least 4."""
        return int(min(most, max(4, self.budget / (passes * self.each))))

    def steps(self, *, rows: int, most: int) -> int:
        """Steps (forward, backward and the update, which is bound by memory) that so many rows allow."""
        return int(min(most, self.budget / (3 * self.each * rows + UPDATE * self.weights)))

    def losses(self, *, rows: int) -> int:
        """Forward passes that so many rows allow."""
        return int(self.budget / (self.each * rows + 2 * self.weights))
