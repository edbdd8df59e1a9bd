"""Is the gradient the steps were made with the derivative of the loss? In float64, on a copy, with one step's own batch.

>>> gradient(case)
>>> case.history.under("gradcheck")                     # the check's ratio by parameter: above 1e-3 is wrong
{'0.weight': …, '0.bias': …}
"""

from __future__ import annotations

import copy
import math
import statistics
from typing import NamedTuple

import torch

from thalweg.doctor.case import Case
from thalweg.doctor.examples import fingerprint
from thalweg.doctor.tape import Sample
from thalweg.doctor.twin import quietly
from thalweg.errors import InputError
from thalweg.gradcheck import GradientCheck, check

DOUBLE, TOUCH = 2, 10
"""What float64 costs over float32; operations a weight to move it, draw where to, and put it back."""


class Plan(NamedTuple):
    """How thoroughly the check is made: rows, random directions and entries a parameter, at the start or at both ends."""

    rows: int
    directions: int
    entries: int
    states: int


PLANS = (Plan(16, 2, 1, 2), Plan(16, 2, 1, 1), Plan(8, 1, 0, 1))


def _cost(case: Case, plan: Plan) -> float:
    parameters = list(case.twin.model.parameters())
    passes = 2 * (plan.directions + plan.entries) * len(parameters) * plan.states
    moved = 2 * (plan.directions + plan.entries) * plan.states * TOUCH * sum(p.numel() for p in parameters)
    return DOUBLE * (case.budget.forward(passes * plan.rows, passes) + moved)


def gradient(case: Case) -> None:
    """Writes ``gradcheck/PARAMETER`` (autograd against differences), ``taken/…`` (what the step was given against autograd)."""
    _accumulated(case)
    _against_differences(case)
    for sample in case.tape.samples[:4] + case.tape.samples[4:][-2:]:
        _against_autograd(case, sample)


def _against_differences(case: Case) -> None:
    states = (case.tape.snapshots[0], case.end)
    plan = next((p for p in PLANS if _cost(case, p) < 0.1 * case.budget.total), PLANS[-1])
    case.budget.spend(_cost(case, plan))
    inputs, targets = case.train.take(case.train.sample(plan.rows, seed=3))
    if not isinstance(inputs, torch.Tensor):
        return
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    targets = targets.double() if targets.is_floating_point() else targets

    def checked(model: torch.nn.Module) -> GradientCheck:
        return check(lambda: case.loss(model(inputs), targets), model, directions=plan.directions, entries=plan.entries)

    for state in states[: plan.states]:
        if not all(bool(torch.isfinite(v).all()) for v in state.values() if v.is_floating_point()):
            continue
        model = case.twin.at(state).double().requires_grad_(True)
        with quietly(0):
            try:
                found = checked(model)
            except (InputError, RuntimeError):  # not every model can be asked in float64
                return
        largest = max(max(abs(part.worst.given), abs(part.worst.measured)) for part in found.parameters)
        least = max(1e-8 * max(1.0, abs(found.loss)), 1e-3 * largest)
        case.write({
            f"gradcheck/{part.parameter}": part.ratio if part.defined and not part.ok and part.worst.error > least else 0.0
            for part in found.parameters
        })  # fmt: skip


def _accumulated(case: Case) -> None:
    """``loop/passes``: backward passes a step; ``loop/added``: what the step's gradient is over the mean of theirs (1:
    averaged; as many as there are passes: added)."""
    passes = case.passes
    case.write({"loop/passes": float(passes)})
    if passes < 2:
        return
    found = []
    for batch in case.tape.batches:
        state = case.tape.snapshots.get(batch.step - 1)
        rows = case.train.recognise(batch.keys)
        if state is None or batch.pull is None or len(rows) == 0 or bool((rows < 0).any()):
            continue
        inputs, targets = case.train.take(rows)
        with quietly(0):
            out = case.twin.at(state, training=True)(inputs)
            if isinstance(out, torch.Tensor) and out.shape == batch.pull.shape:
                (own,) = torch.autograd.grad(case.loss(out, targets), out)
                found.append(passes * _ratio(batch.pull, own))
    if found:
        case.write({"loop/added": statistics.median(found)})


def _against_autograd(case: Case, sample: Sample) -> None:
    if sample.pull is None or not sample.gradient:
        return
    model = case.twin.at(sample.state, training=sample.training)
    rows = case.train.recognise(_keys(sample))
    if len(rows) == 0 or bool((rows < 0).any()):
        return
    targets = case.train.targets[rows]
    with quietly(0):
        torch.set_rng_state(sample.random)
        out = model(*copy.deepcopy(sample.inputs))
        if not isinstance(out, torch.Tensor):
            return
        value = case.loss(out, targets)
        named = {n: p for n, p in model.named_parameters() if p.requires_grad and n in sample.gradient}
        if not named or not bool(torch.isfinite(value)):
            return
        own = torch.autograd.grad(value, [out, *named.values()], allow_unused=True, retain_graph=True)
        pulled = dict(
            zip(named, torch.autograd.grad(out, list(named.values()), sample.pull, allow_unused=True), strict=True)
        )
    numbers = {"taken/pull": _cosine(own[0], sample.pull), "taken/pull_ratio": _ratio(sample.pull, own[0])}
    given, expected, weight = [], [], []
    for name, p in named.items():
        through = pulled[name]
        if through is None:
            continue
        given.append(sample.gradient[name].double().flatten())
        expected.append(through.double().flatten())
        weight.append(p.detach().double().flatten())
        if p.ndim >= 2:
            numbers[f"taken/parameter/{name}"] = _cosine(sample.gradient[name], through)
            numbers[f"taken/ratio/{name}"] = _ratio(sample.gradient[name], through)
    if given:
        g, e, w = torch.cat(given), torch.cat(expected), torch.cat(weight)
        basis = torch.stack([e, w, w.sign()], 1)
        scale = basis.norm(dim=0).clamp(min=1e-30)
        solved = torch.linalg.lstsq(basis / scale, g[:, None], driver="gelsd").solution[:, 0] / scale
        left = g - basis @ solved
        numbers |= {"taken/cosine": _cosine(g, e), "taken/left": float(left.norm() / g.norm().clamp(min=1e-30))}
        numbers |= {
            "taken/scale": float(solved[0]),
            "taken/decay": float(solved[1]),
            "taken/decay_sign": float(solved[2]),
        }
    case.write({k: v for k, v in numbers.items() if math.isfinite(v)}, step=sample.step)


def _keys(sample: Sample) -> torch.Tensor:
    return fingerprint(sample.inputs)


def _cosine(a: torch.Tensor | None, b: torch.Tensor | None) -> float:
    if a is None or b is None:
        return math.nan
    a, b = a.double().flatten(), b.double().flatten()
    size = float(a.norm() * b.norm())
    return float(a @ b) / size if size > 0 else math.nan


def _ratio(a: torch.Tensor | None, b: torch.Tensor | None) -> float:
    return (
        float(a.double().norm() / b.double().norm().clamp(min=1e-30)) if a is not None and b is not None else math.nan
    )
