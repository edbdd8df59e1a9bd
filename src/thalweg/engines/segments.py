"""The table of tensors that a kernel walks.

A tensor is a *segment*: weight, gradient and states of equal length, and the *row* of scalars (the group) it belongs to. A
fast engine sees the segments cut into chunks, one line of int64 a chunk::

    length | row | address of w | address of g | address of each state …

so that one call serves all tensors and all groups, and threads share the work evenly. Only the addresses of gradients (and of
weights that were moved) change from step to step; they are refreshed where they did.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

CHUNK = 1 << 16
"""Elements in a chunk: 64 thousand, so that a chunk of every operand stays in a core's cache."""
LENGTH, ROW, WEIGHT, GRADIENT, STATES = range(5)


class Segments:
    """Weights, gradients and states of one type on one device, and the row of each.

    ``states[k][i]`` is state ``k`` of tensor ``i``. ``table`` is int64 ``(chunks, 4 + len(states))``.
    """

    def __init__(self, weights: Sequence[torch.Tensor], states: Sequence[Sequence[torch.Tensor]], rows: Sequence[int]) -> None:
        self.weights = list(weights)
        self.states = [list(column) for column in states]
        self.rows = list(rows)
        self.gradients: list[torch.Tensor] = []
        self.elements = sum(weight.numel() for weight in weights)
        self._addresses: list[int] = []
        self._owner = np.zeros(0, dtype=np.int64)
        self._offset = np.zeros(0, dtype=np.int64)
        self.table = np.zeros((0, STATES + len(self.states)), dtype=np.int64)

    def point(self, gradients: list[torch.Tensor], addresses: list[int]) -> None:
        """Takes this step's gradients; ``addresses`` holds those of all weights, then of all gradients."""
        self.gradients = gradients
        if addresses == self._addresses:
            return
        if not self._addresses:
            self._cut()
        self._addresses = addresses
        count = len(self.weights)
        found = np.array(addresses, dtype=np.int64)
        self.table[:, WEIGHT] = found[:count][self._owner] + self._offset
        self.table[:, GRADIENT] = found[count:][self._owner] + self._offset

    def _cut(self) -> None:
        lines, owner, offsets = [], [], []
        for index, weight in enumerate(self.weights):
            size = weight.element_size()
            for start in range(0, weight.numel(), CHUNK):
                states = [column[index].data_ptr() + start * size for column in self.states]
                lines.append([min(CHUNK, weight.numel() - start), self.rows[index], 0, 0, *states])
                owner.append(index)
                offsets.append(start * size)
        self.table = np.array(lines, dtype=np.int64).reshape(len(lines), STATES + len(self.states))
        self._owner = np.array(owner, dtype=np.int64)
        self._offset = np.array(offsets, dtype=np.int64)
