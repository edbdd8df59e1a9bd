"""What is given in many entries: the rows of a bundled table, divided by a seed; a net with weights from a seed.

>>> train, dev, _ = rows("digits", seed=0)                     # scaled by the training rows
>>> Member(initialised(mlp(64, 10), "he", seed=0), partial(SGD, lr=0.1), CLASSES, train, dev)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from thalweg.data import Preprocessor, load, split
from thalweg.initializers import initialize
from thalweg.models import mlp
from thalweg.population import Member, Part, train_population
from thalweg.search import Point
from thalweg.train import OBJECTIVES

CLASSES, AMOUNTS = OBJECTIVES["multiclass"], OBJECTIVES["regression"]


def rows(
    name: str, *, seed: int, scale: str = "standard", fractions: tuple[float, float, float] | None = None
) -> list[Part]:
    """The training, the dev and the test part."""
    data = load(name)
    divided = split(data, seed=seed, fractions=fractions)
    prepared = Preprocessor.fit(data, divided.train, scale=scale)
    inputs, targets = torch.from_numpy(prepared.inputs(data.inputs)), torch.from_numpy(prepared.targets(data.targets))
    return [Part(inputs, targets, torch.from_numpy(part)) for part in divided]


def initialised(model: nn.Sequential, scheme: str, *, seed: int, batch: torch.Tensor | None = None) -> nn.Sequential:
    """The model, its weights drawn by the scheme."""
    initialize(model, scheme=scheme, generator=torch.Generator().manual_seed(seed), batch=batch)
    return model


def gradient_norms(model: nn.Module, part: Part, *, limit: float = math.inf) -> np.ndarray:
    """The norm of the gradient in each layer's weights, first to last, after clipping their common norm at ``limit``."""
    inputs, targets = part.inputs[part.numbers()], part.targets[part.numbers()]
    nn.functional.cross_entropy(model.train()(inputs), targets).backward()
    nn.utils.clip_grad_norm_(model.parameters(), limit)
    return np.array([float(one.grad.norm()) for one in model.parameters() if one.ndim > 1 and one.grad is not None])


def scores(
    points: Sequence[Point],
    make: Callable[[Point], Callable],
    *,
    seed: int,
    epochs: int,
    hidden: tuple[int, ...] = (32,),
) -> np.ndarray:
    """The lowest dev loss of a small net on digits under each point of a search, all trained together; infinite where
    the loss was no number within the first pass. ``make(point)(parameters)`` is an optimizer."""
    train, dev, _ = rows("digits", seed=seed)
    members = [
        Member(initialised(mlp(64, 10, hidden=hidden), "auto", seed=seed), make(point), CLASSES, train, dev, order=seed)
        for point in points
    ]
    outcomes = train_population(members, batch_size=32, epochs=epochs).outcomes
    return np.array([min((measured["loss"] for measured in one.dev), default=math.inf) for one in outcomes])
