"""Shuffled mini-batches of rows that do not fit in memory, in an order that (seed, epoch) alone decide.

>>> batches = StreamBatches(spans=spans, read=read, rows=49_000_000, row_bytes=176, batch_size=256, seed=0)
>>> for inputs, targets in batches.epoch(3): ...           # the same batches whenever epoch 3 is asked for
>>> for inputs, targets in batches.epoch(3, start=10): ... # from the eleventh on: read again, and skipped

A thread reads the spans in random order, encodes them and puts their rows into a buffer of 256 MB. When it is full, rows drawn
from all of it leave as the next chunk of batches (4 MB), and those that come after take their places. Every row comes once
in a pass; the last batch holds what is left. The buffer begins as an eighth of its size and grows with each chunk that leaves,
so that the first batches come soon and training overlaps with filling it.

How well this mixes: a row stays for a geometrically distributed number of chunks, 64 on average, so a chunk holds rows of
about ``2 × 64`` spans drawn at random from all files; of ``2 × 8`` at the beginning of a pass. In a file sorted by target,
where every span is of one class, a batch's shares of classes vary as those of 128 independent rows do, or those of the batch
if it is smaller. A file in random order gives batches as random as from memory. Memory: the buffer, five chunks and a span.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, takewhile

import numpy as np
import torch

from thalweg.data.streaming.ahead import ahead
from thalweg.data.streaming.source import SPAN_BYTES, Span
from thalweg.errors import InputError

BUFFER_BYTES = 1 << 28
FIRST = 8
"""The first chunk leaves when this part of the buffer is full (an eighth), so that training does not wait for all of it."""
DEPTH = 2
"""Chunks that wait for the loop."""

Rows = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False, kw_only=True)
class StreamBatches:
    """Mini-batches of training rows. Of ``world`` processes each reads all and yields rows ``rank, rank + world, …`` of
    every mini-batch, as ``TensorBatches`` does: together they see what one process would."""

    spans: Sequence[Span]
    read: Callable[[Span], Rows]
    """The encoded training rows of a span: inputs float32 ``(n, …)``, targets."""
    rows: int
    """Training rows in all."""
    row_bytes: int
    batch_size: int
    seed: int
    device: torch.device | str = "cpu"
    buffer_bytes: int = BUFFER_BYTES
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise InputError(f"the batch size is {self.batch_size}: it must be 1 or more")
        if not 0 <= self.rank < self.world:
            raise InputError(f"the rank is {self.rank} of {self.world} processes: ranks are numbered from 0")
        if self.world > min(self.batch_size, self.rows):
            raise InputError(
                f"{self.world} processes cannot share mini-batches of {min(self.batch_size, self.rows)} rows: "
                f"use fewer processes or a larger batch size"
            )

    @property
    def chunk(self) -> int:
        """Rows that leave the buffer together, a whole number of mini-batches."""
        batch_bytes = max(self.row_bytes * self.batch_size, 1)
        return max(min(SPAN_BYTES, self.buffer_bytes // 4) // batch_bytes, 1) * self.batch_size

    @property
    def capacity(self) -> int:
        """Rows in the buffer."""
        return min(max(self.buffer_bytes // max(self.row_bytes, 1), self.chunk), self.rows)

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Mini-batches of pass ``number``, from the ``start``-th on. Raises ``InputError`` for what cannot be read."""
        if start >= len(self):
            return
        if self.world == 1:
            yield from self._whole(number, start)
            return
        held = None
        for batch in self._whole(number, start):
            if held is not None and len(batch[1]) < self.world:
                held = (torch.cat([held[0], batch[0]]), torch.cat([held[1], batch[1]]))
                break
            if held is not None:
                yield self._own(held)
            held = batch
        if held is not None:
            yield self._own(held)

    def __len__(self) -> int:
        full, rest = divmod(self.rows, self.batch_size)
        return full + (rest >= self.world)

    def global_size(self, index: int) -> int:
        """Rows of the ``index``-th mini-batch of a pass, over all processes."""
        last = len(self) - 1
        return self.batch_size if index < last else self.rows - last * self.batch_size

    def to(self, device: torch.device | str) -> StreamBatches:
        """The same batches on another device."""
        return replace(self, device=device)

    def share(self, rank: int, world: int) -> StreamBatches:
        """What process ``rank`` of ``world`` trains on."""
        return replace(self, rank=rank, world=world)

    def _own(self, batch: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        return batch[0][self.rank :: self.world], batch[1][self.rank :: self.world]

    def _whole(self, number: int, start: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        first, skipped = divmod(start, self.chunk // self.batch_size)
        for chunk in ahead(partial(self._chunks, number, first), depth=DEPTH):
            inputs, targets = (torch.from_numpy(array).to(self.device, non_blocking=True) for array in chunk)
            pairs = zip(inputs.split(self.batch_size), targets.split(self.batch_size), strict=True)
            yield from islice(pairs, skipped, None)
            skipped = 0

    def _chunks(self, number: int, skip: int, stopped: Callable[[], bool]) -> Iterator[Rows]:
        generator = np.random.default_rng([self.seed, number, 0x57E4])
        order = generator.permutation(len(self.spans))
        blocks = (self.read(self.spans[place]) for place in takewhile(lambda _: not stopped(), order))
        chunks = mixed(blocks, capacity=self.capacity, chunk=self.chunk, generator=generator, skip=skip)
        return islice(chunks, skip, None)


def mixed(
    blocks: Iterator[Rows], *, capacity: int, chunk: int, generator: np.random.Generator, skip: int = 0
) -> Iterator[Rows]:
    """All rows of ``blocks`` once, through a buffer of ``capacity`` rows, in chunks of ``chunk`` rows drawn from all of it.

    The first ``skip`` chunks come out empty: drawn as always, so that all that follow are the same, but not copied.
    """
    buffer: list[np.ndarray] = []
    room = min(max(capacity // FIRST, chunk), capacity)
    free = np.arange(room)

    def drawn(places: np.ndarray) -> Rows:
        nonlocal skip
        skip -= 1
        inputs, targets = (np.take(array, places if skip < 0 else places[:0], axis=0) for array in buffer)
        return inputs, targets

    for block in blocks:
        buffer = buffer or [np.empty((capacity, *array.shape[1:]), array.dtype) for array in block]
        row, rows = 0, len(block[0])
        while row < rows:
            if not len(free):
                places = generator.choice(room, min(chunk, room), replace=False)
                yield drawn(places)
                opened = np.arange(room, min(room + -(-chunk // 2), capacity))
                room += len(opened)
                free = np.concatenate([np.sort(places), opened])  # in the order of memory: half the time of the copy
            taken = min(rows - row, len(free))
            for array, new in zip(buffer, block, strict=True):
                array[free[:taken]] = new[row : row + taken]
            row, free = row + taken, free[taken:]
    held = np.ones(room, bool)
    held[free] = False
    left = generator.permutation(np.flatnonzero(held))
    for start in range(0, len(left), chunk):
        yield drawn(left[start : start + chunk])
