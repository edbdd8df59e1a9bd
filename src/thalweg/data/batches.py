"""Mini-batches of tensors in memory: shuffled anew in each pass, the same for the same (seed, pass).

A pass is gathered into its order once and cut into views, where it fits; taking rows batch by batch costs more on small nets than
their arithmetic. The last batch of a pass is smaller and is kept.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

GATHER = 256 * 2**20
"""Bytes of a pass up to which it is gathered at once."""


class TensorBatches:
    """Mini-batches of ``inputs (n, …)`` and ``targets (n,)``; all on one device."""

    def __init__(self, inputs: torch.Tensor, targets: torch.Tensor, *, batch_size: int, seed: int) -> None:
        self.inputs = inputs
        self.targets = targets
        self.batch_size = min(batch_size, len(targets))
        self.seed = seed

    def __len__(self) -> int:
        return -(-len(self.targets) // self.batch_size)

    def order(self, number: int) -> torch.Tensor:
        """The rows of pass ``number`` in their order: a permutation from (seed, number) alone."""
        generator = torch.Generator()
        generator.manual_seed((self.seed * 0x9E3779B97F4A7C15 + number * 0xBF58476D1CE4E5B9 + 1) % (1 << 63))
        return torch.randperm(len(self.targets), generator=generator).to(self.targets.device)

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The mini-batches of pass ``number`` from the ``start``-th on."""
        order = self.order(number)
        if self.inputs.numel() * self.inputs.element_size() <= GATHER:
            inputs, targets = self.inputs.index_select(0, order), self.targets.index_select(0, order)
            pairs = zip(inputs.split(self.batch_size), targets.split(self.batch_size), strict=True)
            for index, pair in enumerate(pairs):
                if index >= start:
                    yield pair
            return
        for at in range(start * self.batch_size, len(order), self.batch_size):
            rows = order[at : at + self.batch_size]
            yield self.inputs.index_select(0, rows), self.targets.index_select(0, rows)


def auto_batch_size(rows: int) -> int:
    """Examples in a mini-batch for a training part of ``rows``: about 20 batches a pass, a power of two from 16 to 512.

    The rule of thumb takes the full batch up to 2,000 rows; measured on small tables, mini-batches reach the same dev loss in a
    fraction of the passes, so they are taken from the start.
    """
    size = 16
    while size < 512 and size * 20 < rows:
        size *= 2
    return min(size, rows)
