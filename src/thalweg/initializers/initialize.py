"""Fills a model's layers by a scheme, or each by the one that fits it.

>>> for parameter, scheme, std in initialize(model, generator=generator): ...
>>> initialize(model, scheme="xavier", generator=generator)
"""

from __future__ import annotations

import re
from typing import NamedTuple

import torch
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.initializers.places import RECTIFIERS, TRANSPOSED, WEIGHTED, Place, places
from thalweg.initializers.schemes import SCHEMES, Scheme, fans, gain, with_number

SMALL = 0.1
"""The output layer's share of Xavier: first predictions near 0, so the first loss is that of knowing nothing (log C)."""
NUMBERED = re.compile(r"(normal|constant)\(([^()]+)\)")


class Initialised(NamedTuple):
    """What was done to one parameter: its name, the scheme in words, the standard deviation aimed at."""

    parameter: str
    scheme: str
    std: float


@torch.no_grad()
def initialize(model: nn.Module, *, scheme: str = "auto", generator: torch.Generator) -> list[Initialised]:
    """Fills every linear, convolutional and embedding layer of ``model`` in place; all else stays as it is.

    ``scheme`` is ``auto``, a name in ``SCHEMES``, ``normal(STD)`` or ``constant(VALUE)``. A scheme by name takes no account of
    activations; biases are 0 in all. Embeddings are normal with standard deviation 1, and 0 at their padding index. Draws
    from ``generator`` alone, on its device: the same numbers wherever the model is.

    Returns what was done to each weight, in the model's order. Raises ``InputError`` for an unknown scheme and for layers
    that have no size yet.
    """
    fixed = None if scheme == "auto" else _scheme(scheme)
    found = places(model) if fixed is None else {}
    done: list[Initialised] = []
    seen: set[int] = set()
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        own = dict(module.named_parameters(recurse=False))
        if isinstance(own.get("weight"), nn.parameter.UninitializedParameter):
            raise InputError(f"layer {name or 'of the model'} has no size yet: run one batch through the model first")
        if not isinstance(module, (*WEIGHTED, nn.Embedding)) or "weight" not in own or id(own["weight"]) in seen:
            continue
        weight = own["weight"]
        seen.add(id(weight))
        if isinstance(module, nn.Embedding):
            chosen, std, words = with_number("normal", 1.0), 1.0, "normal"
        else:
            n_in, n_out = fans(weight, transposed=isinstance(module, TRANSPOSED))
            chosen, factor, words = (fixed, 1.0, fixed.name) if fixed else _fitting(found.get(name))
            std = chosen.std(n_in, n_out) * factor
        _write(weight, chosen, std, generator)
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            weight[module.padding_idx].zero_()
        done.append(Initialised(f"{prefix}weight", words, std))
        if "bias" in own:
            own["bias"].zero_()
    return done


def _fitting(place: Place | None) -> tuple[Scheme, float, str]:
    """The scheme for a place, a factor on its standard deviation, and both in words."""
    if place is None or not place.known:
        return SCHEMES["he"], 1.0, "he (what follows is not known)"
    if isinstance(place.activation, RECTIFIERS):
        return SCHEMES["he"], gain(place.activation) / gain(nn.ReLU()), "he"
    if place.activation is None and place.last:
        return SCHEMES["xavier"], SMALL, "a tenth of xavier"
    return SCHEMES["xavier"], gain(place.activation), "xavier"


def _write(weight: Tensor, scheme: Scheme, std: float, generator: torch.Generator) -> None:
    drawn = torch.empty(weight.shape, dtype=weight.dtype, device=generator.device)
    scheme.fill(drawn, std, generator)
    weight.copy_(drawn)


def _scheme(text: str) -> Scheme:
    numbered = NUMBERED.fullmatch(text)
    if numbered:
        try:
            return with_number(numbered[1], float(numbered[2]))
        except ValueError:
            pass
    elif text in SCHEMES:
        return SCHEMES[text]
    names = ", ".join(SCHEMES)
    raise InputError(f'there is no initialisation "{text}": choose auto, {names}, normal(0.01) or constant(0.5)')
