"""The trials of ``typed``, made by ``thalweg.optim``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch

from optim import typed
from thalweg import optim

engines = pytest.mark.parametrize("engine", ["cpu", "reference"])
Shapes = list[tuple[int, ...]]


def parameters(shapes: Shapes = typed.SHAPES, dtype: torch.dtype = torch.float64) -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.tensor(w, dtype=dtype)) for w in typed.weights(shapes)]


def advance(tensors: list[torch.nn.Parameter], optimizer: torch.optim.Optimizer, steps: Iterable[int]) -> None:
    """Makes the steps with these numbers (from 0)."""
    shapes = typed.SHAPES if len(tensors) == len(typed.SHAPES) else [tuple(tensor.shape) for tensor in tensors]
    for step in steps:
        for tensor, g in zip(tensors, typed.gradients(step, shapes), strict=True):
            tensor.grad = torch.tensor(g, dtype=tensor.dtype)
        optimizer.step()


def arrays(tensors: Iterable[torch.Tensor]) -> list[np.ndarray]:
    return [tensor.detach().clone().numpy() for tensor in tensors]


def ours(
    name: str, options: dict[str, Any], engine: str, look: list[int], shapes: Shapes = typed.SHAPES
) -> dict[int, list[np.ndarray]]:
    """The weights after the steps ``look``."""
    tensors = parameters(shapes)
    optimizer = getattr(optim, name)(tensors, **options, engine=engine)
    found = {}
    for step in range(max(look)):
        advance(tensors, optimizer, [step])
        if step + 1 in look:
            found[step + 1] = arrays(tensors)
    return found
