"""What several entries train: scikit-learn's digits, divided anew for each seed, and a net that starts where the seed says.

>>> parts = digits(seed=0)
>>> model = net(0, hidden=(32,))
>>> losses = descend(model, optim.SGD(model.parameters(), lr=0.1), parts, epochs=10, batch_size=64, seed=0)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch

from thalweg.data import Preprocessor, TensorBatches, load, split
from thalweg.initializers import initialize
from thalweg.models import Backprop, mlp
from thalweg.train import OBJECTIVES, Hook, State, train


class Parts(NamedTuple):
    """Training and dev rows, standardised with the training part's scales."""

    x: torch.Tensor
    y: torch.Tensor
    dev_x: torch.Tensor
    dev_y: torch.Tensor


loaded = cache(load)


@cache
def digits(seed: int, name: str = "digits", rows: int | None = None) -> Parts:
    """The data set of that name, divided by this seed; at most ``rows`` training rows."""
    data = loaded(name)
    parts = split(data, seed=seed)
    chosen = parts.train[:rows]
    prepared = Preprocessor.fit(data, chosen)
    return Parts(
        *(
            torch.from_numpy(one)
            for at in (chosen, parts.dev[:rows])
            for one in (prepared.inputs(data.inputs[at]), prepared.targets(data.targets[at]))
        )
    )


def net(seed: int, *, n_in: int = 64, hidden: Sequence[int] = (32,), activation: str = "relu") -> torch.nn.Sequential:
    """A fully connected net for ten classes, initialised to fit its activations."""
    model = mlp(n_in, 10, hidden=hidden, activation=activation)
    initialize(model, generator=torch.Generator().manual_seed(seed))
    return model


class Losses(Hook):
    """The loss at each step, before it is made."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_step(self, state: State) -> None:
        self.seen.append(float(state.loss))


class DevErrors(Hook):
    """The share of dev rows judged wrongly, after each pass."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.seen: list[float] = []

    def on_epoch(self, state: State) -> None:
        self.seen.append(1 - accuracy(state.model, self.parts.dev_x, self.parts.dev_y))
        state.model.train()


def descend(
    model: torch.nn.Sequential, optimizer: torch.optim.Optimizer, parts: Parts, *, epochs: int, batch_size: int, seed: int,
    hooks: Sequence[Hook] = (),
) -> np.ndarray:  # fmt: skip
    """Trains; the cost of the mini-batch at each step."""
    batches = TensorBatches(parts.x, parts.y, batch_size=batch_size, seed=seed)
    losses = Losses()
    gradients = Backprop(model, OBJECTIVES["multiclass"])
    train(model, optimizer, gradients, batches, epochs=epochs, hooks=(*hooks, losses))
    return np.array(losses.seen)


@torch.no_grad()
def loss(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """The mean cross-entropy."""
    model.eval()
    return float(OBJECTIVES["multiclass"](model(x), y))


@torch.no_grad()
def accuracy(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """The share of rows judged rightly."""
    model.eval()
    return float((model(x).argmax(1) == y).double().mean())
