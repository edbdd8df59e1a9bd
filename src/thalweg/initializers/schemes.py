"""The schemes by name: from a weight's shape to its standard deviation, and the filling of it.

>>> SCHEMES["he"].std(weight)                        # (256, 784): √(2/784)
0.0505
>>> gain(nn.ReLU())                                  # √2: what a ReLU takes away
1.414
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

Fill = Callable[[Tensor, float, torch.Generator], object]


def fans(weight: Tensor, *, transposed: bool = False) -> tuple[int, int]:
    """``(n_in, n_out)`` of a weight ``(out, in, …)``, transposed ``(in, out, …)``; a convolution's kernel counts in both."""
    field = math.prod(weight.shape[2:])
    out, n_in = (weight.shape[1], weight.shape[0]) if transposed else (weight.shape[0], weight.shape[1])
    return n_in * field, out * field


def gain(activation: nn.Module | None) -> float:
    """How much larger weights must be for the activation that follows: ``1/√E[φ(z)²]``, z standard normal.

    √2 for ReLU (He et al. 2015, equation 10, by the same argument). For tanh 5/3, PyTorch's ``calculate_gain``, a little above
    that formula; 1 for a sigmoid, whose mean of ½ no gain removes, and for nothing. GELU and SiLU pass a larger share of a
    larger signal, so they keep it through some ten layers; deeper nets of them need a norm.
    """
    if activation is None or isinstance(activation, nn.Sigmoid | nn.Hardsigmoid):
        return 1.0
    if isinstance(activation, nn.Tanh):
        return 5 / 3
    z = torch.linspace(-8, 8, 16001, dtype=torch.float64)
    density = torch.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    slopes = next(activation.parameters(), None)  # of PReLU alone: taken at its first value
    with torch.no_grad():
        value = torch.where(z > 0, z, z * float(slopes.flatten()[0])) if slopes is not None else activation(z)
    return 1.0 / math.sqrt(float(torch.trapezoid(density * value**2, z)))


def _normal(weight: Tensor, std: float, generator: torch.Generator) -> None:
    weight.normal_(0.0, std, generator=generator)


def _orthogonal(weight: Tensor, std: float, generator: torch.Generator) -> None:
    longer = max(weight.shape[0], weight[0].numel())
    nn.init.orthogonal_(weight, std * math.sqrt(longer), generator=generator)


def _fill(weight: Tensor, std: float, generator: torch.Generator, *, value: float) -> None:
    weight.fill_(value)


@dataclass(frozen=True)
class Scheme:
    """``std(n_in, n_out)`` of the weights, and how a tensor is filled with them."""

    name: str
    std: Callable[[int, int], float]
    fill: Fill = _normal


SCHEMES: dict[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        Scheme("xavier", lambda n_in, n_out: math.sqrt(2 / (n_in + n_out))),
        Scheme("xavier_in", lambda n_in, n_out: math.sqrt(1 / n_in)),
        Scheme("glorot", lambda n_in, n_out: math.sqrt(2 / (n_in + n_out))),
        Scheme("lecun", lambda n_in, n_out: math.sqrt(1 / n_in)),
        Scheme("he", lambda n_in, n_out: math.sqrt(2 / n_in)),
        Scheme("orthogonal", lambda n_in, n_out: math.sqrt(1 / max(n_in, n_out)), _orthogonal),
        Scheme("zeros", lambda n_in, n_out: 0.0, partial(_fill, value=0.0)),
    )
}
"""Schemes without a number (``glorot`` is ``xavier``, ``lecun`` is ``xavier_in``); ``normal(STD)`` and
``constant(VALUE)`` are made by ``with_number``."""


def with_number(name: str, number: float) -> Scheme:
    """``normal``: standard deviation ``number``; ``constant``: every weight is ``number``."""
    if name == "normal":
        return Scheme(f"normal({number:g})", lambda n_in, n_out: number)
    return Scheme(f"constant({number:g})", lambda n_in, n_out: 0.0, partial(_fill, value=number))
