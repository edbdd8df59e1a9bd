"""What the probes may cost: as much as the run itself, or a floor of about two seconds; counted, not timed.

>>> budget = Budget.of(model, inputs, rows=64, batch=32, steps=640)
>>> budget.rows(share=0.15)                     # rows of forward passes that fit into 15 % of what is allowed
27000
>>> budget.spend(budget.steps(80))              # eighty training steps

The unit is one multiplication and addition with its share of a layer's call: a row forward costs ``row``, a training step
three times its rows, five operations a weight for the update, and for each layer what calling it costs. A count of that is
the same on every machine, and so is the verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

CALL = 3e5
"""Calling one layer, in operations: about 30 µs at 1e10 operations a second."""
FLOOR = 2e10
"""What is allowed after the shortest run: about two seconds."""
SHARE = 0.75
"""Of the run's own training steps; the rest is for what costs the same whatever the model."""


@dataclass
class Budget:
    """``row``: operations of one row forward; ``call``: of one forward pass of none. ``left`` is what may still be spent."""

    row: float
    call: float
    update: float
    batch: int
    total: float
    left: float

    @classmethod
    def of(cls, model: torch.nn.Module, inputs: Any, *, rows: int, batch: int, steps: int) -> Budget:
        """From one forward pass of ``rows`` rows of ``inputs`` through a copy that is thrown away."""
        weights = sum(p.numel() for p in model.parameters())
        layers = 1 + sum(not any(True for _ in m.children()) for m in model.modules())
        operations, moments = _operations(model, inputs)
        call = CALL * (layers + moments)
        budget = cls(operations / max(rows, 1), call, 5.0 * weights, batch, 0.0, 0.0)
        budget.total = budget.left = max(FLOOR, SHARE * budget.steps(steps))
        return budget

    def steps(self, count: int, batch: int | None = None) -> float:
        """The cost of so many training steps."""
        return count * (3 * ((batch or self.batch) * self.row + self.call) + self.update)

    def forward(self, rows: int, passes: int = 1) -> float:
        """The cost of so many rows in so many passes."""
        return rows * self.row + passes * self.call

    def rows(self, share: float, passes: int = 1) -> int:
        """Rows that fit into a share of the whole, split into so many passes."""
        return max(int((min(share * self.total, self.left) - passes * self.call) / max(self.row, 1.0)), 0)

    def spend(self, cost: float) -> None:
        self.left -= cost

    def fits(self, cost: float) -> bool:
        return cost <= self.left


def _operations(model: torch.nn.Module, inputs: Any) -> tuple[float, int]:
    """Of one forward pass: two for each weight of each module, at each place it is applied; and the moments that recurrent
    layers go through one after the other."""
    counted: list[float] = []
    moments = [0]

    def count(module: torch.nn.Module, given: tuple, output: Any) -> None:
        own = [p for p in module.parameters(recurse=False) if p.ndim >= 2]
        if not own or isinstance(module, (torch.nn.Embedding, torch.nn.EmbeddingBag)):
            return
        if isinstance(module, torch.nn.modules.conv._ConvNd) and isinstance(output, torch.Tensor):
            places = output.numel() / output.shape[1] / module.groups
        else:
            first = next((x for x in given if isinstance(x, torch.Tensor)), None)
            places = 1.0 if first is None or first.ndim == 0 else first.numel() / max(first.shape[-1], 1)
        if isinstance(module, torch.nn.RNNBase) and isinstance(output, tuple):
            moments.append(output[0].shape[1 if module.batch_first and output[0].ndim == 3 else 0] * module.num_layers)
        counted.append(2 * places * sum(p.numel() for p in own))

    handles = [m.register_forward_hook(count) for m in model.modules()]
    try:
        with torch.no_grad():
            model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return sum(counted), sum(moments)
