"""One member after another, as each would train alone: for what can't be one program, and to measure what one program gains.

>>> losses = OneByOne(seats, batch_size=64).train(orders)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from thalweg.models import Backprop
from thalweg.population.members import Seat
from thalweg.train import Autograd, Gradients


class OneByOne:
    """Each member by its own forward and backward pass, explicit where the net allows it."""

    name = "one by one"

    def __init__(self, seats: Sequence[Seat], *, batch_size: int) -> None:
        self.seats = list(seats)
        self.batch_size = batch_size
        self.ways: list[Gradients] = [
            Autograd(seat.module, seat.member.objective)
            if Backprop.refuses(seat.module, seat.member.objective)
            else Backprop(seat.module, seat.member.objective)
            for seat in seats
        ]

    def train(self, orders: Sequence[Tensor]) -> list[np.ndarray]:
        """One pass of each member over its rows in the order given; the loss of each mini-batch, NaN from a break on."""
        return [self._pass(*each) for each in zip(self.seats, self.ways, orders, strict=True)]

    def _pass(self, seat: Seat, gradients: Gradients, order: Tensor) -> np.ndarray:
        seat.module.train()
        part = seat.member.train
        losses = np.full(-(-len(order) // self.batch_size), np.nan)
        with torch.random.fork_rng(devices=[]):  # the modules' dropout draws from torch's own generator
            torch.random.default_generator.manual_seed(((seat.member.seed << 24) + seat.steps) % 2**63)
            for step, rows in enumerate(order.to(part.inputs.device).split(self.batch_size)):
                loss = float(gradients(part.inputs.index_select(0, rows), part.targets.index_select(0, rows)))
                losses[step] = loss
                if not np.isfinite(loss):
                    break
                seat.update()
        return losses

    @torch.no_grad()
    def outputs(self, inputs: Tensor) -> Tensor:
        """Each member's outputs in evaluation mode, for inputs ``(K, n, …)``."""
        for seat in self.seats:
            seat.module.eval()
        return torch.stack([seat.module(mine) for seat, mine in zip(self.seats, inputs, strict=True)])

    def keep(self, places: Sequence[int]) -> None:
        """Goes on with these members alone."""
        self.seats = [self.seats[place] for place in places]
        self.ways = [self.ways[place] for place in places]

    def release(self) -> None:
        """Nothing is shared."""
