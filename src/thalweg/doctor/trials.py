"""The causal tests: the same start and one thing changed, as many steps altogether as the run itself made.

>>> trials(case)
>>> case.history.last("trial/same/error"), case.history.last("trial/slow/error")
(0.71, 0.06)                                   # a tenth of the rate, and it learns: the rate was the cause

Steps, not seconds, are the measure, so the same run gets the same verdict on any machine.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from thalweg.diagnose.causes.program import odd_settings
from thalweg.diagnose.numbers import Numbers
from thalweg.doctor.case import Case
from thalweg.doctor.examples import flat

FEWEST, SHARE, LONGEST = 40, 8, 500


def wanting(case: Case) -> bool:
    """Whether the run fell short of what the data allow, or nobody knows what they allow."""
    h = case.history
    train, dev = h.last("train/error"), h.last("dev/error")
    reach, held = h.last("reference/train"), h.last("reference/dev")
    if math.isnan(train) or math.isnan(reach) or not math.isfinite(h.last("train/loss")):
        return True
    return train > reach + 0.02 or (dev > held + 0.03 if not math.isnan(dev + held) else False)


def trials(case: Case) -> None:
    """Runs those that the numbers so far call for; each writes ``trial/NAME/loss``, ``/error``, ``/dev_error``."""
    if not case.steps or not case.tape.rates:
        return
    steps = min(max(case.steps // SHARE, min(FEWEST, case.steps)), LONGEST)
    h = case.history
    if not wanting(case):
        return
    case.tried("same", steps=steps)
    case.tried("slow", steps=steps, factor=0.1)
    case.tried("fast", steps=steps, factor=10.0)
    if h.last("trial/slow/loss") < h.last("trial/same/loss") or not math.isfinite(h.last("trial/slow/loss")):
        case.tried("slower", steps=steps, factor=0.01)
    if h.last("trial/fast/loss") < h.last("trial/same/loss"):
        case.tried("faster", steps=steps, factor=100.0)
    if _odd_inputs(h):
        case.tried("standardised", steps=steps, shape=_standardiser(case))
    if _odd_weights(h):
        case.tried("redrawn", steps=steps, change=_redraw)
    if h.last("frozen_share") > 0:
        case.tried("unfrozen", steps=steps, change=_unfreeze)
    if odd_settings(Numbers(h)):
        case.tried("adam", steps=steps, change=_adam, own_rate=True)
    if all(bool(torch.isfinite(v).all()) for v in case.end.values() if v.is_floating_point()):
        longer = min(max(case.steps // 3, min(5 * FEWEST, 3 * case.steps)), 2 * LONGEST)
        case.tried("more", steps=longer, start=case.end, rate=lambda _step, group: case.top_rate(group))
        if _regularised(case):
            case.tried(
                "free", steps=longer, start=case.end, rate=lambda _step, group: case.top_rate(group), change=_free
            )


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
    for module in model.modules():
        if isinstance(module, torch.nn.modules.dropout._DropoutNd):
            module.p = 0.0
    return optimizer
