"""Batches of anything that can be looped over again: a ``DataLoader``, a list of batches.

>>> batches = Repeated(DataLoader(dataset, batch_size=64, shuffle=True))

The order of a ``DataLoader`` that shuffles comes from a random generator. ``Repeated`` seeds torch's global generator from
(seed, epoch) while an iteration starts, and puts it back: so a pass has the same order whenever it is asked for, which
is what makes a resumed run equal to one that was never stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import torch

from thalweg.errors import InputError


def epoch_seed(seed: int, epoch: int) -> int:
    """One number for the order of one pass: depends on (seed, epoch) and nothing else."""
    return (seed * 0x9E3779B97F4A7C15 + epoch * 0xBF58476D1CE4E5B9 + 1) % (1 << 63)


class Repeated:
    """``Batches`` from an iterable that starts anew each time ``iter`` is called on it."""

    def __init__(self, iterable: Iterable, *, seed: int = 0, device: torch.device | str | None = None) -> None:
        if iter(iterable) is iterable:
            raise InputError(
                "the data is an iterator, which can be read only once: give a DataLoader, a list of (inputs, targets) "
                "batches, or a pair of arrays"
            )
        self.iterable = iterable
        self.seed = seed
        self.device = device

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(epoch_seed(self.seed, number))
            batches = iter(self.iterable)
            first = next(batches, None)  # DataLoader draws its order when the first batch is asked for
        if first is None:
            return
        for index, batch in enumerate(_chain(first, batches)):
            if index < start:
                continue
            try:
                inputs, targets = batch
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"batch {index} of the data is no pair (inputs, targets) but {type(batch).__name__}"
                ) from error
            yield (inputs, targets) if self.device is None else (inputs.to(self.device), targets.to(self.device))

    def __len__(self) -> int:
        try:
            return len(self.iterable)  # type: ignore[arg-type]
        except TypeError:
            return sum(1 for _ in islice(iter(self.iterable), None))


def _chain(first: object, rest: Iterator) -> Iterator:
    yield first
    yield from rest
