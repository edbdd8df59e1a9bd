"""Fills a model's layers by a scheme, or each by the one that fits it.

>>> for parameter, scheme, std in initialize(model, generator=generator): ...
>>> initialize(model, scheme="xavier", generator=generator)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.initializers.lsuv import scale_to_unit_variance
from thalweg.initializers.places import NORMS, RECTIFIERS, TRANSPOSED, WEIGHTED, Place, places
from thalweg.initializers.schemes import SCHEMES, Scheme, fans, gain, with_number

SMALL = 0.1
"""The output layer's share of Xavier: first predictions near 0, so the first loss is that of knowing nothing (log C)."""
NOT_KNOWN = "he (what follows is not known)"
ZERO = "zero (ends a residual branch)"
NUMBERED = re.compile(r"(normal|constant)\(([^()]+)\)")


class Initialised(NamedTuple):
    """What was done to one parameter: its name, the scheme in words, the standard deviation aimed at."""

    parameter: str
    scheme: str
    std: float


@torch.no_grad()
def initialize(
    model: nn.Module, *, scheme: str = "auto", generator: torch.Generator, batch: Tensor | None = None
) -> list[Initialised]:
    """Fills every linear, convolutional and embedding layer of ``model`` in place; all else stays as it is.

    ``scheme`` is ``auto``, a name in ``SCHEMES``, ``lsuv``, ``normal(STD)`` or ``constant(VALUE)``. A scheme by name
    takes no account of activations; biases are 0 in all. ``auto`` sets to 0 what a residual branch ends in, so that
    each block begins as its shortcut: the scale of a norm (Goyal et al. 2017, section 5.1), or the layer itself where
    no norm stands (Zhang et al. 2019, Fixup): the variance of a sum of L branches would else grow with L. ``lsuv``
    measures on ``batch``, inputs as the model takes them. Embeddings are normal with standard deviation 1, and 0 at
    their padding index. Draws from ``generator`` alone, on its device: the same numbers wherever the model is.

    Returns what was done to each weight, in the model's order. Raises ``InputError`` for an unknown scheme, for layers that
    have no size yet and for ``lsuv`` without a batch.
    """
    if scheme == "lsuv" and batch is None:
        raise InputError("lsuv scales each layer by the outputs it gives for a batch: give initialize one")
    fixed = None if scheme == "auto" else _scheme("orthogonal" if scheme == "lsuv" else scheme)
    found = places(model) if fixed is None else {}
    done: list[Initialised] = []
    seen: set[int] = set()
    for name, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False))
        weight = own.get("weight")
        if isinstance(weight, nn.parameter.UninitializedParameter):
            raise InputError(f"layer {name or 'of the model'} has no size yet: run one batch through the model first")
        if weight is None or id(weight) in seen:
            continue
        place = found.get(name)
        if isinstance(module, nn.Embedding):
            words, std = "normal", 1.0
            _write(weight, with_number("normal", std), std, generator)
            if module.padding_idx is not None:
                weight[module.padding_idx].zero_()
        elif isinstance(module, (*WEIGHTED, *NORMS)) and place is not None and place.ends_branch:
            words, std = ZERO, 0.0
            weight.zero_()
        elif isinstance(module, WEIGHTED):
            chosen, factor, words = (fixed, 1.0, fixed.name) if fixed else _fitting(place)
            std = chosen.std(*fans(weight, transposed=isinstance(module, TRANSPOSED))) * factor
            _write(weight, chosen, std, generator)
        else:
            continue
        seen.add(id(weight))
        done.append(Initialised(f"{name}.weight" if name else "weight", words, std))
        if "bias" in own:
            own["bias"].zero_()
    if scheme == "lsuv" and batch is not None:
        scaled = scale_to_unit_variance(model, batch)
        done = [
            one._replace(scheme="lsuv", std=scaled[name]) if (name := one.parameter) in scaled else one for one in done
        ]
    return done


def not_known(done: Iterable[Initialised]) -> str:
    """The layers of which ``auto`` does not know what follows, in a sentence; empty where there are none."""
    names = [
        one.parameter.removesuffix("weight").removesuffix(".") or "itself" for one in done if one.scheme == NOT_KNOWN
    ]
    if not names:
        return ""
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return (
        f"what follows layer{'s' if len(names) > 1 else ''} {listed} is not known, because the model's code cannot be traced: "
        f"initialised as if before a ReLU (he); name a scheme to have another"
    )


def _fitting(place: Place | None) -> tuple[Scheme, float, str]:
    """The scheme for a place, a factor on its standard deviation, and both in words."""
    if place is None or not place.known:
        return SCHEMES["he"], 1.0, NOT_KNOWN
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
    raise InputError(f'there is no initialisation "{text}": choose auto, {names}, lsuv, normal(0.01) or constant(0.5)')
