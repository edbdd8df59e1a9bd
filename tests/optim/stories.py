"""Short trainings that are told twice, once by ``torch.optim`` and once by ``thalweg.optim``."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from thalweg import optim

RULES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("Adam", {"lr": 0.01}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.1}),
    ("NAdam", {"lr": 0.01}),  # torch has no fused form of it
]
rules = pytest.mark.parametrize(("name", "options"), RULES, ids=[name for name, _ in RULES])
FLOAT32 = 1e-6


def net(dtype: torch.dtype = torch.float32) -> torch.nn.Sequential:
    torch.manual_seed(5)
    return torch.nn.Sequential(torch.nn.Linear(6, 10), torch.nn.Tanh(), torch.nn.Linear(10, 3)).to(dtype)


def loss_of(model: torch.nn.Module, step: int, part: slice = slice(None)) -> torch.Tensor:
    """The mean loss over ``part`` of the eight samples of a step, in the type of the model."""
    inputs = torch.randn(8, 6, generator=torch.Generator().manual_seed(step))[part]
    dtype = next(model.parameters()).dtype
    return torch.nn.functional.cross_entropy(model(inputs.to(dtype)).double(), (torch.arange(8) % 3)[part])


def weights(model: torch.nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def build(library: Any, name: str, options: dict[str, Any], model: torch.nn.Module) -> torch.optim.Optimizer:
    return getattr(library, name)(model.parameters(), **copy.deepcopy(options))


def learn(model: torch.nn.Module, optimizer: torch.optim.Optimizer, steps: range, part: slice = slice(None)) -> None:
    for step in steps:
        optimizer.zero_grad()
        loss_of(model, step, part).backward()
        optimizer.step()


def assert_close(ours: list[torch.Tensor], theirs: list[torch.Tensor], tolerance: float = FLOAT32) -> None:
    """Equal relative to the largest element of all."""
    size = max(float(their.abs().max()) for their in theirs)
    for mine, their in zip(ours, theirs, strict=True):
        assert mine.dtype == their.dtype and bool(their.isfinite().all())
        assert float((mine.double() - their.double()).abs().max()) <= tolerance * size


def assert_told_alike(story: Callable[[Any], list[torch.Tensor]], tolerance: float = FLOAT32) -> None:
    """``story(library)`` gives the same weights whichever library it is told by."""
    assert_close(story(optim), story(torch.optim), tolerance)
