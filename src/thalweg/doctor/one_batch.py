"""Trying to learn one mini-batch by heart, on copies, at a few rates.

>>> found = one_batch(model, make, loss, (inputs, targets), rates=(1e-2, 1e-3), blank=2.3, …)
>>> found.best.lowest, found.reached(found.best)
(0.02, True)

Dropout is off, for it would keep the loss up; each attempt ends where the loss is as good as none.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from thalweg.diagnose.checks.one_batch import OneBatch, Trial
from thalweg.doctor.examples import Examples, fingerprint
from thalweg.doctor.task import Task
from thalweg.doctor.twin import Loss, quietly

Make = Callable[[torch.nn.Module, float], torch.optim.Optimizer]
STEPS = 300


def one_batch(
    model: torch.nn.Module,
    make: Make,
    loss: Loss,
    batch: tuple[Any, torch.Tensor],
    *,
    train: Examples,
    task: Task,
    rates: Sequence[float],
    given: float | None,
    blank: float,
    steps: int = STEPS,
) -> OneBatch:
    """Tries ``rates`` one after the other until one does it. ``make(copy, rate)`` is the optimizer; ``blank`` the loss of an
    answer without inputs on these rows."""
    inputs, targets = batch
    floor, contradictory = contradictions(Examples(inputs, targets), task)
    _, everywhere = contradictions(train, task)
    found = OneBatch(
        len(targets), blank, floor, (), given, contradictory, everywhere, len(train), STEPS,
        weights=sum(p.numel() for p in model.parameters() if p.requires_grad), outputs=max(task.classes, 1),
    )  # fmt: skip
    trials: list[Trial] = []
    gradient = 0.0
    for rate in rates:
        trial, seen = _attempt(model, make, loss, inputs, targets, rate, steps, found.goal)
        trials.append(trial)
        gradient = max(gradient, seen)
        if trial.lowest <= found.goal:
            break
    unfrozen = None
    if trials[-1].lowest > found.goal and any(not p.requires_grad for p in model.parameters() if p.is_floating_point()):
        free = copy.deepcopy(model)
        for p in free.parameters():
            p.requires_grad_(p.is_floating_point())
        best = min(trials, key=lambda trial: trial.lowest).rate
        unfrozen, _ = _attempt(free, make, loss, inputs, targets, best, steps, found.goal)
    return replace(found, trials=tuple(trials), unfrozen=unfrozen, gradient=gradient)


def _attempt(
    model: torch.nn.Module,
    make: Make,
    loss: Loss,
    inputs: Any,
    targets: torch.Tensor,
    rate: float,
    steps: int,
    goal: float,
) -> tuple[Trial, float]:
    """The losses at one rate, and the largest gradient of the first step."""
    with quietly(0):
        own = copy.deepcopy(model).train()
        for module in own.modules():
            if isinstance(module, torch.nn.modules.dropout._DropoutNd):
                module.p = 0.0
        optimizer = make(own, rate)
        losses: list[float] = []
        seen = 0.0
        for step in range(steps + 1):
            optimizer.zero_grad()
            value = loss(own(inputs), targets)
            losses.append(float(value.detach()))
            if losses[-1] <= goal or not math.isfinite(losses[-1]) or step == steps or not value.requires_grad:
                break
            value.backward()
            if step == 0:
                seen = max((float(p.grad.abs().max()) for p in own.parameters() if p.grad is not None), default=0.0)
            optimizer.step()
    return Trial(rate, np.array(losses)), seen


def contradictions(rows: Examples, task: Task) -> tuple[float, int]:
    """The least loss (cross-entropy, squared error) that rows with equal inputs and unequal targets leave; their number."""
    keys = fingerprint(rows.inputs)
    if not len(keys) or not (task.is_classes or task.kind == "numbers"):
        return 0.0, 0
    _, group = torch.unique(keys, return_inverse=True)
    counts = torch.bincount(group)
    if bool((counts == 1).all()):
        return 0.0, 0
    n = len(keys)
    if task.is_classes:
        labels = task.labels(rows.targets).clamp(min=0).cpu()
        pairs, each = torch.unique(group * (int(labels.max()) + 1) + labels, return_counts=True)
        of = counts[pairs // (int(labels.max()) + 1)].double()
        floor = -float((each * torch.log(each / of)).sum()) / n
        mixed = torch.bincount(pairs // (int(labels.max()) + 1), minlength=len(counts)) > 1
        return max(floor, 0.0), int(counts[mixed].sum())
    values = rows.targets.double().reshape(n, -1).cpu()
    sums = torch.zeros(len(counts), values.shape[1], dtype=torch.float64).index_add_(0, group, values)
    rest = values - (sums / counts[:, None])[group]
    mixed = torch.zeros(len(counts), dtype=torch.float64).index_add_(0, group, rest.square().sum(1)) > 1e-12
    return float(rest.square().mean()), int(counts[mixed].sum())
