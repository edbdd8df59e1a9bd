"""The three parts of the data as the network sees them: scaled, encoded, on the device.

Everything that is learned from data before training (means, categories, the size of the targets) is learned from the
training part alone. The test part is kept apart and looked at once, at the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from thalweg.errors import InputError
from thalweg.train import Batches, Repeated

if TYPE_CHECKING:
    from thalweg.data import Data, Preprocessor

Pair = tuple[torch.Tensor, torch.Tensor]
SMALLEST_SAMPLE, LARGEST_SAMPLE = 256, 10_000


@dataclass(frozen=True)
class Parts:
    """Inputs ``(n, …)`` and targets ``(n,)`` of each part; ``test`` is None where the split has none."""

    train: Pair
    dev: Pair
    test: Pair | None
    sample: Pair
    """Training examples, at most as many as matter, on which training metrics are measured after each pass."""

    def sizes(self) -> dict[str, int]:
        return {
            "train": len(self.train[1]),
            "dev": len(self.dev[1]),
            "test": 0 if self.test is None else len(self.test[1]),
        }


def prepare(
    data: Data, *, fractions: list[float] | None, seed: int, device: torch.device
) -> tuple[Parts, Preprocessor]:
    """Splits, fits the preprocessing on the training part, and moves all to the device."""
    from thalweg.data import Preprocessor, split

    rows = split(data, seed=seed, fractions=None if fractions is None else (fractions[0], fractions[1], fractions[2]))
    preprocessor = Preprocessor.fit(data, rows.train)
    parts: list[Pair | None] = []
    for part in (rows.train, rows.dev, rows.test):
        if len(part) == 0:
            parts.append(None)
            continue
        inputs = torch.from_numpy(preprocessor.inputs(data.inputs[part]))
        targets = torch.from_numpy(preprocessor.targets(data.targets[part]))
        parts.append((inputs.to(device), targets.to(device)))
    train, dev, test = parts
    if train is None or dev is None:
        raise InputError(f"{data.name} is too small: its training and dev parts need at least one row each")
    return Parts(train, dev, test, _sample(train, len(dev[1]), seed)), preprocessor


def _sample(train: Pair, size: int, seed: int) -> Pair:
    size = min(len(train[1]), max(size, SMALLEST_SAMPLE), LARGEST_SAMPLE)
    if size == len(train[1]):
        return train
    rows = torch.randperm(len(train[1]), generator=torch.Generator().manual_seed(seed))[:size].to(train[1].device)
    return train[0][rows], train[1][rows]


def from_loaders(train: Iterable, dev: Iterable | Pair, *, seed: int, device: torch.device) -> tuple[Parts, Batches]:
    """Parts and batches where the user brings loaders: nothing is scaled or split, the batches are the loader's."""
    batches = Repeated(train, seed=seed, device=device)
    sample = _gather(batches.epoch(0), LARGEST_SAMPLE)
    held_out = (
        (dev[0].to(device), dev[1].to(device))
        if isinstance(dev, tuple)
        else _gather(Repeated(dev, device=device).epoch(0))
    )
    return Parts(sample, held_out, None, sample), batches


def _gather(batches: Iterable[Pair], limit: int | None = None) -> Pair:
    inputs, targets, count = [], [], 0
    for x, y in batches:
        inputs.append(x)
        targets.append(y)
        count += len(y)
        if limit is not None and count >= limit:
            break
    if not inputs:
        raise InputError("a loader gave no batch at all: the data is empty")
    return torch.cat(inputs), torch.cat(targets)
