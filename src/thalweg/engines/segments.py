"""The table of tensors that a kernel walks.

A tensor is a *segment*: weight, gradient and states of equal length, and the *row* of scalars (the group) it belongs to. A
fast engine sees the segments cut into chunks, one line of int64 a chunk::

    length | row | tensor | offset in bytes | address of each state …

so that one call serves all tensors and all groups, and threads share the work evenly. The addresses of weights and gradients
stand apart, one for each tensor: gradients are new tensors in each step, and writing six numbers is all that costs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

CHUNK = 1 << 16
"""Elements in a chunk: 64 thousand, so that a chunk of every operand stays in a core's cache."""
LENGTH, ROW, TENSOR, OFFSET, STATES = range(5)
WEIGHT, GRADIENT = range(2)


class Segments:
    """Weights, gradients and states of one type on one device, and the row of each.

    ``states[k][i]`` is state ``k`` of tensor ``i``. ``table`` is int64 ``(chunks, 4 + len(states))``, ``addresses`` int64
    ``(2, tensors)``: those of the weights, those of the gradients.
    """

    def __init__(
        self, weights: Sequence[torch.Tensor], states: Sequence[Sequence[torch.Tensor]], rows: Sequence[int]
    ) -> None:
        self.weights = list(weights)
        self.states = [list(column) for column in states]
        self.rows = list(rows)
        self.gradients: list[torch.Tensor] = []
        self.elements = sum(weight.numel() for weight in weights)
        self.addresses = np.zeros((2, len(self.weights)), dtype=np.int64)
        self.addresses[WEIGHT] = [weight.data_ptr() for weight in weights]
        self._last: list[int] = []
        lines = [
            [min(CHUNK, weight.numel() - start), self.rows[index], index, start * weight.element_size()]
            + [column[index].data_ptr() + start * weight.element_size() for column in self.states]
            for index, weight in enumerate(self.weights)
            for start in range(0, weight.numel(), CHUNK)
        ]
        self.table = np.array(lines, dtype=np.int64).reshape(len(lines), STATES + len(self.states))

    def point(self, gradients: list[torch.Tensor], addresses: list[int]) -> None:
        """Takes this step's gradients, which lie at ``addresses``."""
        self.gradients = gradients
        if addresses != self._last:
            self.addresses[GRADIENT] = addresses
            self._last = addresses

    def release(self) -> None:
        """Lets go of the gradients: what ``zero_grad`` frees must be free while the next ones are computed."""
        self.gradients = []
