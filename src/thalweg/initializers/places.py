"""Where each layer stands: the activation that follows it, and whether it is the last one.

Found in the graph that ``torch.fx`` traces. Where a module cannot be traced (its code branches on values), the order of layers
counts if it is made of ``Sequential`` alone; otherwise nothing is known, and that is said.

>>> places(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1)))
{"0": Place(Tanh(), last=False), "3": Place(None, last=True)}
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

WEIGHTED = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
)  # fmt: skip
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
RECTIFIERS = (
    nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ReLU6, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus,
    nn.Hardswish,
)  # fmt: skip
"""Activations that let one side pass and hold the other back: they call for He."""
SQUASHERS = (nn.Tanh, nn.Sigmoid, nn.Hardtanh, nn.Hardsigmoid, nn.Softsign)
"""Activations with two rails: they call for Xavier."""
ACTIVATIONS = RECTIFIERS + SQUASHERS

FUNCTIONS: dict[Any, nn.Module] = {
    torch.relu: nn.ReLU(), torch.tanh: nn.Tanh(), torch.sigmoid: nn.Sigmoid(),
    F.relu: nn.ReLU(), F.leaky_relu: nn.LeakyReLU(), F.relu6: nn.ReLU6(), F.elu: nn.ELU(), F.selu: nn.SELU(),
    F.gelu: nn.GELU(), F.silu: nn.SiLU(), F.mish: nn.Mish(), F.softplus: nn.Softplus(), F.hardswish: nn.Hardswish(),
    F.tanh: nn.Tanh(), F.sigmoid: nn.Sigmoid(), F.softsign: nn.Softsign(),
    "relu": nn.ReLU(), "relu_": nn.ReLU(), "tanh": nn.Tanh(), "tanh_": nn.Tanh(), "sigmoid": nn.Sigmoid(),
}  # fmt: skip
"""Activations written as functions, and as methods of a tensor."""


@dataclass(frozen=True)
class Place:
    """What follows a layer: an activation or none, the output or more layers. ``known`` is False for a guess."""

    activation: nn.Module | None
    last: bool
    known: bool = True


def places(model: nn.Module) -> dict[str, Place]:
    """The place of each linear and convolutional layer, by the name of the module."""
    with torch.random.fork_rng(devices=[]):  # tracing runs the user's forward, which may draw
        try:
            return _from_graph(model)
        except Exception:  # the user's code on symbols may fail in any way
            return _from_order(model)


def _from_graph(model: nn.Module) -> dict[str, Place]:
    from torch import fx

    if isinstance(model, WEIGHTED):
        return {"": Place(None, last=True)}
    modules = dict(model.named_modules())
    found = {}
    for node in fx.symbolic_trace(model).graph.nodes:
        if node.op == "call_module" and isinstance(modules[node.target], WEIGHTED):
            activation, last = _follow(node.users, modules)
            found[node.target] = Place(activation, last)
    return found


def _follow(users: Iterable[Any], modules: dict[str, nn.Module]) -> tuple[nn.Module | None, bool]:
    """The first activation before another layer, and whether no layer comes after at all."""
    activation: nn.Module | None = None
    last = True
    ahead, seen = [(user, True) for user in users], set()
    while ahead:
        node, direct = ahead.pop(0)
        if (node, direct) in seen:
            continue
        seen.add((node, direct))
        module = modules[node.target] if node.op == "call_module" else None
        acts: nn.Module | None = module if isinstance(module, ACTIVATIONS) else None
        if node.op in ("call_function", "call_method"):
            acts = FUNCTIONS.get(node.target)
        if isinstance(module, WEIGHTED):
            last = direct = False
        elif acts is not None:
            if direct and activation is None:
                activation = acts
            direct = False
        ahead += [(user, direct) for user in node.users]
    return activation, last


def _from_order(model: nn.Module) -> dict[str, Place]:
    leaves = [(name, module) for name, module in model.named_modules() if not list(module.children())]
    ordered = all(isinstance(module, nn.Sequential) for module in model.modules() if list(module.children()))
    layers = [index for index, (_, module) in enumerate(leaves) if isinstance(module, WEIGHTED)]
    found = {}
    for index, after in zip(layers, [*layers[1:], len(leaves)], strict=True):
        name = leaves[index][0]
        if ordered:
            between = [module for _, module in leaves[index + 1 : after] if isinstance(module, ACTIVATIONS)]
            found[name] = Place(between[0] if between else None, last=after == len(leaves))
        else:
            found[name] = Place(nn.ReLU(), last=False, known=False)
    return found
