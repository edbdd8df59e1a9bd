"""Which members are of one architecture: only they can be one program.

>>> groups([mlp(64, 10, hidden=(32,)), mlp(64, 10, hidden=(64,)), mlp(64, 10, hidden=(32,), dropout=0.2)])
[[0, 2], [1]]
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch import nn

from thalweg.population.vmapped import without_rates

PLACE = re.compile(r"^\s*(\(\w+\): )?")


def architecture(module: nn.Module) -> tuple[str, ...]:
    """What a module is built of, in order, and the shapes of what it holds; where dropout stands does not matter."""
    lines = [PLACE.sub("", line) for line in without_rates(module).splitlines()]
    built = [line for line in lines if not line.startswith("Dropout(")]
    held = [*module.parameters(), *module.buffers()]
    return (*built, *(f"{tuple(tensor.shape)} {tensor.dtype} {tensor.device}" for tensor in held))


def groups(modules: Sequence[nn.Module]) -> list[list[int]]:
    """The numbers of the modules, those of one architecture together, in the order in which each first came."""
    found: dict[tuple[str, ...], list[int]] = {}
    for number, module in enumerate(modules):
        found.setdefault(architecture(module), []).append(number)
    return list(found.values())
