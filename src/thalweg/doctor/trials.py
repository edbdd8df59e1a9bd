"""The causal tests: the same start and one thing changed, as many steps altogether as the run itself made.

>>> trials(case)
>>> case.history.last("trial/same/error"), case.history.last("trial/slow/error")
(0.71, 0.06)                                   # a tenth of the rate, and it learns: the rate was the cause

Steps, not seconds, are the measure, so the same run gets the same verdict on any machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from thalweg.diagnose.causes.program import odd_settings
from thalweg.diagnose.numbers import Numbers
from thalweg.doctor.case import Case
from thalweg.doctor.examples import Examples, flat

FEWEST, SHARE, LONGEST = 40, 8, 500
LEAST = 5
"""Steps below which a trial tells nothing."""
FEW_ROWS, FEW_STEPS = 16, 100
UNSURE = 0.1
EXTRA = ("slower", "faster")
"""Tried only where enough is left for more steps."""


def wanting(case: Case) -> bool:
    """Whether the run fell short of what the data allow, or nobody knows what they allow: kernel ridge regression that itself
    leaves much of the way from guessing to certainty may only be the wrong tool for rows like these."""
    h = case.history
    train, dev = h.last("train/error"), h.last("dev/error")
    reach, held = h.last("reference/train"), h.last("reference/dev")
    if math.isnan(train) or math.isnan(reach) or not math.isfinite(h.last("train/loss")):
        return True
    unsure = reach > UNSURE * h.last("chance") and train > UNSURE * h.last("chance")
    return unsure or train > reach + 0.02 or (dev > held + 0.03 if not math.isnan(dev + held) else False)


def trials(case: Case) -> None:
    """Runs those that the numbers so far call for; each writes ``trial/NAME/loss``, ``/error``, ``/dev_error``."""
    if not case.steps or not case.tape.rates:
        return
    if not wanting(case):
        return
    per_step, room = case.budget.steps(1), case.budget.left
    steps = min(max(case.steps // SHARE, min(FEWEST, case.steps)), LONGEST, max(int(0.15 * room / per_step), 1))
    if steps < min(LEAST, case.steps):
        return
    case.tried("same", steps=steps)
    case.tried("slow", steps=steps, factor=0.1)
    case.tried("fast", steps=steps, factor=10.0)
    sound = all(bool(torch.isfinite(v).all()) for v in case.end.values() if v.is_floating_point())
    longer = min(max(case.steps // 3, min(5 * FEWEST, 3 * case.steps)), 2 * LONGEST)
    kept = longer * per_step * (1 + _regularised(case)) if sound else 0.0
    for name, change in _changes(case):
        if case.budget.fits(steps * per_step + (0.3 * kept if name in EXTRA else 0.0)):
            change(name, steps)
    _one_batch(case)
    if sound:
        longer = min(longer, int(case.budget.left / per_step / (1 + _regularised(case))))
    if sound and longer >= min(LEAST, case.steps):
        case.tried("more", steps=longer, start=case.end, rate=lambda _step, group: case.top_rate(group))
        if _regularised(case):
            case.tried(
                "free", steps=longer, start=case.end, rate=lambda _step, group: case.top_rate(group), change=_free
            )


def _one_batch(case: Case) -> None:
    """``trial/one_batch/error``: what is left of 16 rows after ``FEW_STEPS`` steps of Adam on nothing else."""
    if not Numbers(case.history).underfits or not case.budget.fits(3 * case.budget.steps(FEW_STEPS, FEW_ROWS)):
        return
    case.budget.spend(case.budget.steps(FEW_STEPS, FEW_ROWS))
    pair = case.train.take(case.train.sample(FEW_ROWS, seed=10))

    def alone(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        return _adam(_free_of_drops(model), optimizer)

    few = Examples(*pair)
    found = case.twin.train(
        few,
        case.loss,
        lambda model: case.judge_on(model, pair),
        steps=FEW_STEPS,
        batch=len(few),
        rate=None,
        change=alone,
    )
    case.write({"trial/one_batch/loss": found.loss, "trial/one_batch/error": found.error})


def _free_of_drops(model: torch.nn.Module) -> torch.nn.Module:
    for module in model.modules():
        if isinstance(module, torch.nn.modules.dropout._DropoutNd):
            module.p = 0.0
    return model


def _changes(case: Case) -> list[tuple[str, Callable[[str, int], object]]]:
    """What the numbers so far call for, most telling first."""
    h = case.history
    found: list[tuple[str, Callable[[str, int], object]]] = []
    if _odd_inputs(h):
        found.append(("standardised", lambda name, n: case.tried(name, steps=n, shape=_standardiser(case))))
    if _odd_weights(h):
        found.append(("redrawn", lambda name, n: case.tried(name, steps=n, change=_redraw)))
    if h.last("frozen_share") > 0:
        found.append(("unfrozen", lambda name, n: case.tried(name, steps=n, change=_unfreeze)))
    if odd_settings(Numbers(h)):
        found.append(("adam", lambda name, n: case.tried(name, steps=n, change=_adam, own_rate=True)))
    if h.last("trial/slow/loss") < h.last("trial/same/loss") or not math.isfinite(h.last("trial/slow/loss")):
        found.append(("slower", lambda name, n: case.tried(name, steps=n, factor=0.01)))
    if h.last("trial/fast/loss") < h.last("trial/same/loss"):
        found.append(("faster", lambda name, n: case.tried(name, steps=n, factor=100.0)))
    return found


def _regularised(case: Case) -> bool:
    drops = any(isinstance(m, torch.nn.modules.dropout._DropoutNd) and m.p > 0 for m in case.twin.model.modules())
    return drops or any(group.get("weight_decay", 0.0) > 0 for group in case.twin.optimizer.param_groups)


def _odd_inputs(h: Any) -> bool:
    return (
        h.last("input/scales") > 20
        or h.last("input/largest") > 30
        or h.last("input/shift") > 3
        or h.last("input/spread") < 0.02
    )


def _odd_weights(h: Any) -> bool:
    for name, column in h.under("weights").items():
        value = float(column.values[0])
        if name.endswith("/scale") and (value > 5 or value < 0.2):
            return True
        if (name.endswith("/unlike") and value < 1e-6) or (name.endswith("/largest") and value > 1.5):
            return True
    return False


def _standardiser(case: Case) -> Any:
    rows = case.train.sample(2000, seed=4)
    features = case.train.features(rows)
    assert features is not None
    mean, scale = features.mean(0), features.std(0, correction=0)
    scale = torch.where(scale > 1e-9 * (1 + mean.abs()), scale, torch.ones_like(scale))

    def shape(inputs: Any) -> Any:
        own = flat(inputs)
        if own is None or not isinstance(inputs, torch.Tensor):
            return inputs
        return ((own - mean) / scale).clamp(-10, 10).to(inputs.dtype).reshape(inputs.shape)

    return shape


def _redraw(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Weights as PyTorch's layers draw them, from the spread their width asks for; biases zero."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim >= 2:
                p.normal_(0, 1 / math.sqrt(p[0].numel()))
            elif "bias" in name:
                p.zero_()
    return optimizer


def _adam(model: torch.nn.Module, _optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    return torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-3)


def _unfreeze(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for p in model.parameters():
        p.requires_grad_(True)
    missing = [p for p in model.parameters() if id(p) not in held]
    if missing:
        group = {k: v for k, v in optimizer.param_groups[0].items() if k != "params"}
        optimizer.add_param_group({"params": missing} | group)
    return optimizer


def _free(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Without decay and dropout."""
    for group in optimizer.param_groups:
        if "weight_decay" in group:
            group["weight_decay"] = 0.0
    _free_of_drops(model)
    return optimizer
