"""Initialisation that fits what follows each layer, so that signals neither vanish nor explode.

For a layer with ``n_in`` inputs and ``n_out`` outputs, weights have mean 0 and variance

* ``xavier``: ``2/(n_in + n_out)`` (Glorot & Bengio 2010), ``xavier_in``: ``1/n_in``: for tanh, sigmoid or nothing after it
* ``he``: ``2/n_in`` (He et al. 2015): for ReLU and its relatives, which halve the variance
* ``orthogonal``: orthonormal rows or columns (Saxe et al. 2014), times the gain of what follows

and biases are 0. ``auto`` looks at what follows each layer. ``zero`` and ``constant`` exist to show why they fail: all units of
a layer stay the same.

>>> initialize(model, generator=torch.Generator().manual_seed(0))
[("0.weight", "he", 0.176…), ("2.weight", "xavier", 0.31…)]
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from thalweg.errors import InputError

RECTIFIERS = (nn.ReLU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.ELU, nn.ReLU6, nn.Mish, nn.PReLU, nn.Softplus)
SQUASHERS = (nn.Tanh, nn.Sigmoid, nn.Hardtanh, nn.Softsign, nn.Softmax, nn.LogSoftmax)
TRANSPARENT = (nn.Dropout, nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm, nn.Flatten, nn.Identity, nn.MaxPool2d)
WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Initialised(NamedTuple):
    """What was done to one parameter: its name, the scheme, the standard deviation aimed at."""

    parameter: str
    scheme: str
    std: float


def fans(weight: torch.Tensor) -> tuple[int, int]:
    """``(n_in, n_out)`` of a weight ``(out, in, …)``; a convolution's kernel counts in both."""
    field = math.prod(weight.shape[2:])
    return weight.shape[1] * field, weight.shape[0] * field


Fill = Callable[[torch.Tensor, float, torch.Generator], float]


def _normal(variance: Callable[[int, int], float]) -> Fill:
    def fill(weight: torch.Tensor, gain: float, generator: torch.Generator) -> float:
        std = math.sqrt(variance(*fans(weight)))
        weight.normal_(0.0, std, generator=generator)
        return std

    return fill


def _orthogonal(weight: torch.Tensor, gain: float, generator: torch.Generator) -> float:
    nn.init.orthogonal_(weight, gain, generator=generator)
    return gain / math.sqrt(max(weight.shape[0], weight[0].numel()))


def _constant(value: float) -> Fill:
    def fill(weight: torch.Tensor, gain: float, generator: torch.Generator) -> float:
        weight.fill_(value)
        return 0.0

    return fill


SCHEMES: dict[str, Fill] = {
    "xavier": _normal(lambda n_in, n_out: 2.0 / (n_in + n_out)),
    "xavier_in": _normal(lambda n_in, n_out: 1.0 / n_in),
    "he": _normal(lambda n_in, n_out: 2.0 / n_in),
    "orthogonal": _orthogonal,
    "zero": _constant(0.0),
    "constant": _constant(0.1),
}


@torch.no_grad()
def initialize(model: nn.Module, *, scheme: str = "auto", generator: torch.Generator) -> list[Initialised]:
    """Initialises every linear and convolutional layer of ``model`` in place; embeddings become normal, norms stay.

    Draws from ``generator`` alone. Returns what was done, in the model's order. Raises ``InputError`` for an unknown scheme.
    """
    if scheme != "auto" and scheme not in SCHEMES:
        raise InputError(f'there is no initialisation "{scheme}": choose auto, {", ".join(SCHEMES)}')
    done = []
    followers = following(model)
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        if isinstance(module, nn.Embedding):
            module.weight.normal_(0.0, 1.0, generator=generator)
            if module.padding_idx is not None:
                module.weight[module.padding_idx].zero_()
            done.append(Initialised(f"{prefix}weight", "normal", 1.0))
        if not isinstance(module, WEIGHTED):
            continue
        follower = followers.get(name)
        fits = "he" if isinstance(follower, RECTIFIERS) else "xavier"
        chosen = fits if scheme == "auto" else scheme
        gain = math.sqrt(2.0) if isinstance(follower, RECTIFIERS) else 1.0
        std = SCHEMES[chosen](module.weight, gain, generator)
        done.append(Initialised(f"{prefix}weight", chosen, std))
        if module.bias is not None:
            module.bias.zero_()
    return done


def following(model: nn.Module) -> dict[str, nn.Module | None]:
    """For each weighted layer the activation that follows it: from the traced graph, or the order of a Sequential.

    Layers after which no activation is found map to None (the output layer does).
    """
    try:
        return _from_graph(model)
    except Exception:  # tracing runs the user's code with symbols, which may fail in any way
        return _from_order(model)


def _from_graph(model: nn.Module) -> dict[str, nn.Module | None]:
    from torch import fx

    graph = fx.symbolic_trace(model).graph
    modules = dict(model.named_modules())
    functions: dict[object, nn.Module] = {
        torch.relu: nn.ReLU(), nn.functional.relu: nn.ReLU(), nn.functional.leaky_relu: nn.LeakyReLU(),
        nn.functional.gelu: nn.GELU(), nn.functional.silu: nn.SiLU(), nn.functional.elu: nn.ELU(),
        torch.tanh: nn.Tanh(), torch.sigmoid: nn.Sigmoid(), nn.functional.tanh: nn.Tanh(), nn.functional.sigmoid: nn.Sigmoid(),
        "relu": nn.ReLU(), "relu_": nn.ReLU(), "tanh": nn.Tanh(), "sigmoid": nn.Sigmoid(),
    }  # fmt: skip
    found: dict[str, nn.Module | None] = {}
    for node in graph.nodes:
        if node.op == "call_module" and isinstance(modules[node.target], WEIGHTED):
            found[node.target] = _activation_after(node, modules, functions)
    return found


def _activation_after(node: object, modules: dict[str, nn.Module], functions: dict[object, nn.Module]) -> nn.Module | None:
    for user in node.users:  # type: ignore[attr-defined]
        if user.op == "call_module":
            module = modules[user.target]
            if isinstance(module, RECTIFIERS + SQUASHERS):
                return module
            if isinstance(module, TRANSPARENT):
                return _activation_after(user, modules, functions)
        elif user.target in functions:
            return functions[user.target]
    return None


def _from_order(model: nn.Module) -> dict[str, nn.Module | None]:
    found: dict[str, nn.Module | None] = {}
    last: str | None = None
    for name, module in model.named_modules():
        if isinstance(module, WEIGHTED):
            found[name], last = None, name
        elif isinstance(module, RECTIFIERS + SQUASHERS) and last is not None:
            found[last], last = module, None
    return found
