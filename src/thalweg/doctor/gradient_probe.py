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

DOUBLE, TOUCH = 2, 300
"""What float64 costs over float32; operations a weight for a direction: drawn, moved along
and back, compared."""


class Plan(NamedTuple):
    """How thoroughly the check is made: rows, random directions and entries a parameter, at the start or at both ends."""

    rows: int
    directions: int
    entries: int
    states: int


FEW_ROWS, STEP = 8, 1e-6
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
    for number, sample in enumerate(case.tape.samples[:4] + case.tape.samples[4:][-2:]):
        cost = 2 * case.budget.steps(1)
        if number < 2 or cost < 0.02 * case.budget.left:
            case.budget.spend(cost)
            _against_autograd(case, sample)


def _against_differences(case: Case) -> None:
    states = (case.tape.snapshots[0], case.end)
    plan = next((p for p in PLANS if _cost(case, p) < 0.1 * case.budget.total), None)
    if plan is None:
        _along_one_direction(case)
        return
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


def _along_one_direction(case: Case) -> None:
    """All weights of a large model moved at once, along two random directions: the better of two, for one may cross a kink."""
    inputs, targets = case.train.take(case.train.sample(FEW_ROWS, seed=3))
    if not isinstance(inputs, torch.Tensor):
        return
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    targets = targets.double() if targets.is_floating_point() else targets
    model = case.twin.at(case.tape.snapshots[0]).double().requires_grad_(True)
    named = dict(model.named_parameters())
    generator = torch.Generator().manual_seed(0)
    with quietly(0):
        try:
            found = torch.autograd.grad(case.loss(model(inputs), targets), list(named.values()), allow_unused=True)
        except RuntimeError:  # not every model can be asked in float64
            return
        given = {n: g for n, g in zip(named, found, strict=True) if g is not None}
        count = sum(g.numel() for g in given.values())
        size = math.sqrt(sum(float(g.square().sum()) for g in given.values()) / max(count, 1))
        gaps = []
        for _ in range(2):
            ways = {n: torch.randn(g.shape, generator=generator).double() / math.sqrt(count) for n, g in given.items()}
            expected = sum(float((g * ways[n]).sum()) for n, g in given.items())
            ends = []
            for by in (STEP, -2 * STEP):
                with torch.no_grad():
                    for n, way in ways.items():
                        named[n].add_(way, alpha=by)
                    ends.append(float(case.loss(model(inputs), targets)))
            with torch.no_grad():
                for n, way in ways.items():
                    named[n].add_(way, alpha=STEP)
            gaps.append(abs((ends[0] - ends[1]) / (2 * STEP) - expected) / max(size, 1e-30))
    case.budget.spend(DOUBLE * (6 * case.budget.forward(FEW_ROWS) + 2 * TOUCH * sum(p.numel() for p in named.values())))
    if size * math.sqrt(max(count, 1)) > 1e-8 and math.isfinite(min(gaps)):
        case.write({"gradcheck/all weights": min(gaps)})


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
        unit = basis / scale
        solved = torch.linalg.pinv(unit.T @ unit, rtol=1e-12, hermitian=True) @ (unit.T @ g) / scale
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
