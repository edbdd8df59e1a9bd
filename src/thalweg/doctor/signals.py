"""What every layer puts out and is told back, for some rows, before the first step.

>>> layers = signals(model, loss, inputs, targets)
>>> [(layer.label, layer.sd, layer.gradient) for layer in layers]
[('0 Linear', 0.58, 0.0012), ('1 ReLU', 0.34, 0.0016), …]

Modules without children are looked at, in the order they run, and activations that are plain functions
(``torch.relu(x)`` in ``forward``) too. The model is a copy, in evaluation mode but for batch normalisation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from thalweg.diagnose.checks.signals import Layer
from thalweg.doctor.start_probe import LIMITS
from thalweg.doctor.tape import first_float
from thalweg.doctor.trace import KINDS, units
from thalweg.doctor.twin import Loss, quietly
from thalweg.monitors.activations import RAILS, statistics

BINS = 48
MOST_LAYERS = 60
"""Looked at; of a deeper net the first and the last half of that."""
RECTIFIERS = (torch.nn.ReLU, torch.nn.ReLU6)
NORMS = (torch.nn.modules.batchnorm._BatchNorm, torch.nn.LayerNorm, torch.nn.GroupNorm)


class _Seen:
    """One output on its way: numbers at once, for the next layer may overwrite it."""

    def __init__(self, name: str, kind: str, module: torch.nn.Module | None, output: torch.Tensor) -> None:
        self.name, self.kind = name, kind
        self.weighted = module is not None and not isinstance(module, NORMS) and any(
            p.ndim >= 2 for p in module.parameters(recurse=False)
        )  # fmt: skip
        word = KINDS.get(kind.lower(), "")
        rails = RAILS.get(type(module)) if module is not None else LIMITS.get(word)
        values = output.detach()
        found = statistics(values, rails=rails)
        self.spread = float(units_by_row(values).std(0, correction=0).mean())
        self.mean, self.sd, self.zeros = found["mean"], found["sd"], found["zeros"]
        self.saturated = found.get("saturated", math.nan)
        rectifies = isinstance(module, RECTIFIERS) or (module is None and word == "relu")
        self.dead = float((units(values) <= 0).all(0).double().mean()) if rectifies else math.nan
        self.edges, self.counts = _histogram(values)
        self.gradient: torch.Tensor | None = None
        if output.requires_grad:
            output.register_hook(self._told)

    def _told(self, gradient: torch.Tensor) -> None:
        self.gradient = gradient.detach().clone() if self.gradient is None else self.gradient + gradient.detach()

    def layer(self) -> Layer:
        size_edges, sizes, size = np.array([0.0, 1.0]), np.zeros(1), math.nan
        if self.gradient is not None:
            squared = self.gradient.double().square()
            size = (
                float(len(squared) * squared.sum()) ** 0.5
            )  # the loss is a mean: a row's own gradient is n times its share
            size = size if math.isfinite(size) else math.inf
            logs = 0.5 * torch.log10(squared[squared > 0])
            if logs.numel():
                size_edges, sizes = _histogram(logs)
        return Layer(
            self.name, self.kind, self.weighted, self.mean, self.sd, self.spread, self.zeros, self.dead, self.saturated,
            size, self.edges, self.counts, size_edges, sizes,
        )  # fmt: skip


def signals(model: torch.nn.Module, loss: Loss, inputs: Any, targets: torch.Tensor) -> tuple[Layer, ...]:
    """One forward and one backward pass of ``model`` (a copy of yours); batch normalisation takes the batch's own moments."""
    from torch.overrides import TorchFunctionMode

    seen: list[_Seen] = []
    inside: list[str] = []

    class Functions(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
            output = func(*args, **(kwargs or {}))
            word = KINDS.get(getattr(func, "__name__", ""))
            if word in ("relu", "tanh", "sigmoid") and not leaf[-1:] and isinstance(output, torch.Tensor):
                name = ".".join(part for part in (inside[-1] if inside else "", func.__name__) if part)
                with torch._C.DisableTorchFunctionSubclass():
                    seen.append(_Seen(name, func.__name__, None, output))
            return output

    leaf: list[bool] = []
    handles = []
    leaves = [name for name, module in model.named_modules() if name and not list(module.children())] or [""]
    looked = set(leaves if len(leaves) <= MOST_LAYERS else leaves[: MOST_LAYERS // 2] + leaves[-MOST_LAYERS // 2 :])

    def enter(name: str, is_leaf: bool) -> Callable[..., None]:
        def run(_module: torch.nn.Module, _inputs: Any) -> None:
            inside.append(name)
            if is_leaf:
                leaf.append(True)

        return run

    def left(name: str, is_leaf: bool) -> Callable[..., None]:
        def run(module: torch.nn.Module, _inputs: Any, output: Any) -> None:
            inside.pop()
            if not is_leaf:
                return
            leaf.pop()
            out = first_float(output)
            if out is not None and out.numel() and name in looked:
                seen.append(_Seen(name, type(module).__name__, module, out))

        return run

    for name, module in model.named_modules():
        is_leaf = not list(module.children()) and not _is_dropout(module) and name in leaves
        handles.append(module.register_forward_pre_hook(enter(name, is_leaf)))
        handles.append(module.register_forward_hook(left(name, is_leaf)))
    mode = {module: module.training for module in model.modules()}
    model.eval()
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.train()
    try:
        with quietly(0), Functions():
            for p in model.parameters():
                p.requires_grad_(p.is_floating_point())
            value = loss(model(inputs), targets)
        if torch.isfinite(value) and value.requires_grad:
            value.backward()
    finally:
        for handle in handles:
            handle.remove()
        for module, was in mode.items():
            module.training = was
    return tuple(one.layer() for one in seen)


def units_by_row(output: torch.Tensor) -> torch.Tensor:
    """Outputs as ``(n, everything else)`` in float64."""
    return output.reshape(len(output), -1).double() if output.ndim else output.reshape(1, 1).double()


def _is_dropout(module: torch.nn.Module) -> bool:
    return isinstance(module, (torch.nn.modules.dropout._DropoutNd, torch.nn.Identity, torch.nn.Flatten))


def _histogram(values: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Edges ``(b + 1,)`` and counts ``(b,)`` between the smallest and the largest finite value."""
    flat = values.detach().reshape(-1).double().cpu()
    flat = flat[torch.isfinite(flat)]
    if not flat.numel():
        return np.array([0.0, 1.0]), np.zeros(1)
    counts, edges = np.histogram(flat.numpy(), bins=BINS)
    return edges, counts
