"""The table of tensors that a kernel walks.

A tensor is a *segment*: weight, gradient and slots (states, scratch) of equal length, and the *row* of scalars it belongs to;
where a program's scalars differ from unit to unit, each slice along the first dimension has a row of its own. A fast engine
sees the segments cut into chunks, one line of int64 a chunk::

    length | row | tensor | first element | address of each slot … | address of each slot's scales …

so that one call serves all tensors and all groups, and threads share the work evenly. The addresses of weights and gradients
stand apart, one for each tensor: gradients are new tensors in each step, and writing six numbers is all that costs. Beside
them stands the parameter's number, from which its dice are mixed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from thalweg.engines.storage import BLOCK

CHUNK = 1 << 14
"""Elements in a chunk: enough that its line costs nothing, few enough that threads share a net of 100 thousand weights."""
LENGTH, ROW, TENSOR, START, SLOTS = range(5)
WEIGHT, GRADIENT, NUMBER = range(3)

Tensors = Sequence[torch.Tensor]


class Segments:
    """Weights, gradients and slots of one type on one device, and the row of each.

    ``slots[k][i]`` is slot ``k`` of tensor ``i``; ``scales[k]`` holds the scales of a slot kept in 8 bits, else None.
    ``units[i]`` says into how many rows tensor ``i`` is cut, from row ``rows[i]`` on. ``table`` is int64
    ``(chunks, 4 + slots + scaled slots)``, ``addresses`` int64 ``(3, tensors)``: weights, gradients, numbers.
    """

    def __init__(
        self,
        weights: Tensors,
        slots: Sequence[Tensors],
        rows: Sequence[int],
        *,
        scales: Sequence[Tensors | None] = (),
        units: Sequence[int] | None = None,
        numbers: Sequence[int] | None = None,
    ) -> None:
        self.weights = list(weights)
        self.slots = [list(column) for column in slots]
        self.scales = [None if column is None else list(column) for column in scales] or [None] * len(slots)
        self.rows = list(rows)
        self.units = list(units) if units is not None else [1] * len(self.weights)
        self.count = max((row + count for row, count in zip(self.rows, self.units, strict=True)), default=0)
        self.gradients: list[torch.Tensor] = []
        self.elements = sum(weight.numel() for weight in weights)
        self.addresses = np.zeros((3, len(self.weights)), dtype=np.int64)
        self.addresses[WEIGHT] = [weight.data_ptr() for weight in weights]
        self.addresses[NUMBER] = range(len(self.weights)) if numbers is None else numbers
        self._last: list[int] = []
        width = SLOTS + len(self.slots) + sum(column is not None for column in self.scales)
        lines = [line for index in range(len(self.weights)) for line in self._lines(index)]
        self.table = np.array(lines, dtype=np.int64).reshape(len(lines), width)

    def _lines(self, index: int) -> list[list[int]]:
        """The chunks of one tensor."""
        weight, units = self.weights[index], self.units[index]
        elements = weight.numel()
        if units == 1 and 0 < elements <= CHUNK:  # most tensors of most nets
            line = [elements, self.rows[index], index, 0, *(slot[index].data_ptr() for slot in self.slots)]
            return [line + [scale[index].data_ptr() for scale in self.scales if scale is not None]]
        unit = elements // max(units, 1)
        starts = np.arange(0, unit, CHUNK)
        number = np.repeat(np.arange(units), len(starts))
        within = np.tile(starts, units)
        first = number * unit + within
        columns = [np.minimum(CHUNK, unit - within), self.rows[index] + number, np.full_like(first, index), first]
        columns += [slot[index].data_ptr() + first * slot[index].element_size() for slot in self.slots]
        columns += [scale[index].data_ptr() + first // BLOCK * 4 for scale in self.scales if scale is not None]
        lines: list[list[int]] = np.stack(columns, axis=1).tolist()
        return lines

    def point(self, gradients: list[torch.Tensor], addresses: list[int]) -> None:
        """Takes this step's gradients, which lie at ``addresses``."""
        self.gradients = gradients
        if addresses != self._last:
            self.addresses[GRADIENT] = addresses
            self._last = addresses

    def release(self) -> None:
        """Lets go of the gradients: what ``zero_grad`` frees must be free while the next ones are computed."""
        self.gradients = []
