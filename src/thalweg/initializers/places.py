"""Where each layer stands: the activation that follows it, whether it is the last one, whether it ends a residual branch.

Found in the graph that ``torch.fx`` traces. Where a module cannot be traced (its code branches on values), the order of layers
counts if it is made of ``Sequential`` alone; otherwise nothing is known, and that is said.

>>> places(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1)))
{"0": Place(Tanh(), last=False), "3": Place(None, last=True)}
>>> places(model)["block.2"]                             # x + block(x): the branch's last layer, or the norm that ends it
Place(None, last=False, ends_branch=True)
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass, replace
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

NORMS = (
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm,
    nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
)  # fmt: skip
TRANSPARENT = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
"""What may stand between a branch's last layer and the sum: a branch whose last layer is zero is then zero, and still
learns."""
SUMS = (operator.add, operator.iadd, torch.add, "add", "add_")
LONGEST_SHORTCUT = 1
"""Layers in a shortcut: the projection where shapes differ. Two deep ways that are added are no residual block."""


@dataclass(frozen=True)
class Place:
    """What follows a layer: an activation or none, the output or more layers. ``known`` is False for a guess.

    ``ends_branch`` says that it is what a residual branch ends in: a layer, or a norm (norms have a place for this alone).
    """

    activation: nn.Module | None
    last: bool
    known: bool = True
    ends_branch: bool = False


def places(model: nn.Module) -> dict[str, Place]:
    """The place of each linear and convolutional layer, and of each norm that ends a branch, by the name of the module."""
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
    nodes = list(fx.symbolic_trace(model).graph.nodes)
    for node in nodes:
        if node.op == "call_module" and isinstance(modules[node.target], WEIGHTED):
            activation, last = _follow(node.users, modules)
            found[node.target] = Place(activation, last)
    for node in nodes:
        end = _end_of_branch(node, modules) if node.target in SUMS else None
        if end is not None:
            found[end] = replace(found.get(end, Place(None, last=False)), ends_branch=True)
    return found


def _end_of_branch(node: Any, modules: dict[Any, nn.Module]) -> str | None:
    """The layer or norm that the residual branch of a sum ends in; None for a sum that is no residual block."""
    from torch import fx

    sides = [side for side in node.args if isinstance(side, fx.Node)]
    if len(sides) != 2:
        return None
    above = [_ancestors(side) for side in sides]
    shared = above[0] & above[1]

    def layers(own: set[Any]) -> int:
        return sum(each.op == "call_module" and isinstance(modules[each.target], WEIGHTED) for each in own - shared)

    (shortcut, _), (branch, end) = sorted(((layers(own), side) for own, side in zip(above, sides, strict=True)),
                                          key=operator.itemgetter(0))  # fmt: skip
    if not shared or shortcut == branch or shortcut > LONGEST_SHORTCUT:
        return None
    while end.op == "call_module" and isinstance(modules[end.target], TRANSPARENT):
        end = end.all_input_nodes[0]
    closes = end.op == "call_module" and isinstance(modules[end.target], WEIGHTED + NORMS)
    return str(end.target) if closes and end not in shared else None


def _ancestors(node: Any) -> set[Any]:
    found, ahead = {node}, [node]
    while ahead:
        for before in ahead.pop().all_input_nodes:
            if before not in found:
                found.add(before)
                ahead.append(before)
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
