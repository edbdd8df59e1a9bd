"""The network before its first step and after its last: weights' scale, gradients by layer, dead units, saturated ones.

>>> layers(case)
>>> case.history.under("dead")["2"].values            # share of units that answer no training row, at the start and the end
array([0.02, 0.91])
"""

from __future__ import annotations

import math
from typing import Any

import torch

from thalweg.doctor.case import Case
from thalweg.doctor.tape import State
from thalweg.doctor.trace import trace, units
from thalweg.doctor.twin import quietly
from thalweg.monitors.activations import RAILS
from thalweg.monitors.curvature import spectrum
from thalweg.monitors.signals import norms
from thalweg.surfaces.curvature import differentiable_twice, hessian_products

LIMITS = {"tanh": RAILS[torch.nn.Tanh], "sigmoid": (0.02, 0.98)}
MOST_ROWS, LEAST_ROWS, GRADIENT_ROWS = 4000, 256, 512
CURVED_ROWS, CURVED_STEPS, CURVED_SIZE = 256, 20, 200_000
"""Rows, directions and weights at most for which the curvature at the end is asked for."""
LISTENING = 2
"""What listening to every operation adds: the pass costs about twice."""


def layers(case: Case) -> None:
    """Writes ``weights/NAME/…`` of the start, and ``dead/…``, ``saturated/…``, ``gradient/NAME`` of start and end."""
    start = case.tape.snapshots[0]
    case.write(weights(case, start), step=0)
    recurrent = any(isinstance(m, (torch.nn.RNNBase, torch.nn.RNNCellBase)) for m in case.twin.model.modules())
    case.write({"recurrent": float(recurrent)})
    for step, state in ((0, start), (case.steps, case.end)):
        if all(bool(torch.isfinite(v).all()) for v in state.values() if v.is_floating_point()):
            case.write(activations(case, state) | gradients(case, state), step=step)
    saddle(case)


def saddle(case: Case) -> None:
    """``end/gradient``: the gradient's norm at the end over that at the start; where hardly anything of it is left and little
    was learned, ``curvature/negative`` and ``curvature/sharpness`` by Lanczos on Hessian-vector products."""
    ends = [
        math.hypot(*(float(column.values[k]) for column in case.history.under("gradient").values())) for k in (0, -1)
    ]
    if not ends[0] > 0 or not math.isfinite(ends[1]):
        return
    case.write({"end/gradient": ends[1] / ends[0]})
    size = sum(p.numel() for p in case.twin.model.parameters())
    inputs, targets = case.train.take(case.train.sample(CURVED_ROWS, seed=9))
    cost = CURVED_STEPS * 5 * case.budget.forward(len(targets), 1)
    stuck = case.history.last("train/error") > 0.8 * case.history.last("chance")
    if ends[1] > 0.05 * ends[0] or not stuck or cost > 0.1 * case.budget.left or size > CURVED_SIZE:
        return
    case.budget.spend(cost)
    model = case.twin.at(case.end, training=False)
    parameters: list[torch.Tensor] = list(model.requires_grad_(True).parameters())
    with quietly(0), differentiable_twice(model):
        product = hessian_products(lambda: case.loss(model(inputs), targets), parameters)
        found = spectrum(product, size, iterations=CURVED_STEPS, starts=1)
    case.write({"curvature/sharpness": found[0], "curvature/negative": found[1]})


def weights(case: Case, state: State) -> dict[str, float]:
    """``scale``: spread over 1/√(3·fan in), PyTorch's own (He √6, Xavier about √3), of recurrent layers 1/√(3·hidden);
    ``unlike``: how far units differ, of zeros their gradients; biases' size."""
    numbers: dict[str, float] = {}
    tables = {
        f"{n}.weight"
        for n, m in case.twin.model.named_modules()
        if isinstance(m, (torch.nn.Embedding, torch.nn.EmbeddingBag))
    }
    hidden = {
        f"{n}.{own}".removeprefix("."): m.hidden_size
        for n, m in case.twin.model.named_modules()
        if isinstance(m, (torch.nn.RNNBase, torch.nn.RNNCellBase))
        for own, _ in m.named_parameters(recurse=False)
    }
    for name, p in case.twin.model.named_parameters():
        value = state[name].double()
        if p.ndim >= 2 and name not in tables and p.shape[0] > 0:
            rows = value.reshape(len(value), -1)
            numbers[f"weights/{name}/scale"] = float(value.square().mean().sqrt()) * math.sqrt(
                3 * hidden.get(name, rows.shape[1])
            )
            if len(rows) > 1 and bool(rows.any()):  # zeros may yet part: their gradients tell
                numbers[f"weights/{name}/unlike"] = _unlike(rows)
            numbers[f"weights/{name}/zero"] = float((rows == 0).all())
        elif p.ndim == 1 and "bias" in name:
            numbers[f"weights/{name}/largest"] = float(value.abs().max())
            numbers[f"weights/{name}/median"] = float(value.median())
    return numbers


def activations(case: Case, state: State) -> dict[str, float]:
    """Over the training rows: units of a ReLU that are never on, outputs of a sigmoid or tanh at the rails."""
    model = case.twin.at(state)
    most = max(LEAST_ROWS, min(MOST_ROWS, case.budget.rows(0.05) // LISTENING))
    rows = case.train.sample(most)
    case.budget.spend(LISTENING * case.budget.forward(len(rows), 1 + len(rows) // 256))
    on: dict[str, torch.Tensor] = {}
    railed: dict[str, list[float]] = {}
    spread: dict[str, float] = {}
    with quietly(0), torch.no_grad():
        for chunk in rows.split(256):
            seen = trace(model, case.train.take(chunk)[0])
            for number, op in enumerate(seen.hidden):
                name = f"{number}:{op.where}"
                if op.kind == "relu":
                    alive = (units(op.output) > 0).any(0)
                    on[name] = on[name] | alive if name in on else alive
                elif op.kind in LIMITS:
                    low, high = LIMITS[op.kind]
                    railed.setdefault(name, []).append(float(((op.output < low) | (op.output > high)).double().mean()))
                spread.setdefault(name, float(units(op.output).double().std(0, correction=0).mean()))
            numbers = {
                f"kinds/{kind}": float(sum(op.kind == kind for op in seen.hidden))
                for kind in ("relu", "tanh", "sigmoid", "softmax")
            }
            numbers |= {
                "kinds/other": float(sum(op.kind == "other" for op in seen.hidden)),
                "depth": float(seen.linear),
            }
    numbers |= {f"dead/{name}": float((~alive).double().mean()) for name, alive in on.items()}
    numbers |= {f"saturated/{name}": sum(shares) / len(shares) for name, shares in railed.items()}
    return numbers | {f"spread/{name}": value for name, value in spread.items()}


def gradients(case: Case, state: State) -> dict[str, float]:
    """``gradient/NAME``: the norm of the gradient of each weight over the training rows judged; ``size/NAME`` of the weight.
    ``moments/early``: of a recurrent layer's input, the gradient of the first tenth of moments over the largest moment's."""
    model = case.twin.at(state, training=True)
    with quietly(0):
        for p in model.parameters():
            p.requires_grad_(True)
        most = max(case.batch, min(GRADIENT_ROWS, case.budget.rows(0.02) // 3))
        inputs, targets = case.train.take(case.train.sample(most, seed=2))
        case.budget.spend(3 * case.budget.forward(len(targets), 1))
        fed = _fed(model)
        value = case.loss(model(inputs), targets)
        named = {n: p for n, p in model.named_parameters() if p.ndim >= 2}
        found = torch.autograd.grad(value, [*named.values(), *fed], allow_unused=True)
    given = [(n, g, named[n].detach()) for n, g in zip(named, found, strict=False) if g is not None]
    sizes = norms([g for _, g, _ in given]) + norms([w for _, _, w in given])
    numbers = {f"gradient/{n}": size for (n, _, _), size in zip(given, sizes, strict=False)}
    numbers |= {f"weights/{n}/unlike": _unlike(g.flatten(1)) for n, g, w in given if len(w) > 1 and not bool(w.any())}
    if fed and found[-1] is not None:
        by_moment = found[-1].norm(dim=(0, 2))
        early = by_moment[: max(len(by_moment) // 10, 1)].max() / by_moment.max().clamp(min=1e-30)
        numbers["moments/early"] = float(early)
    return numbers | {f"size/{n}": size for (n, _, _), size in zip(given, sizes[len(given) :], strict=True)}


def _fed(model: torch.nn.Module) -> list[torch.Tensor]:
    """What the model's first recurrent layer is given, (rows, moments, columns), with a gradient; filled as the model runs."""
    fed: list[torch.Tensor] = []
    layer = next((m for m in model.modules() if isinstance(m, torch.nn.RNNBase)), None)

    def listen(layer: torch.nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
        rows = given[0]
        if fed or not isinstance(rows, torch.Tensor) or rows.ndim != 3:
            return None
        first = rows if layer.batch_first else rows.transpose(0, 1)
        fed.append(first if first.requires_grad else first.detach().requires_grad_())
        return (fed[0] if layer.batch_first else fed[0].transpose(0, 1), *given[1:])

    if layer is not None:
        layer.register_forward_pre_hook(listen)
    return fed


def _unlike(rows: torch.Tensor) -> float:
    """The largest difference from the first row, over the largest number."""
    return float((rows - rows[:1]).abs().max() / (1e-12 + rows.abs().max()))
