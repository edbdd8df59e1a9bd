"""The updates of all members: as one native call where every optimizer allows it, else one after another.

>>> updating = Updating(seats)
>>> updating.begin(steps)                       # of the pass to come, for each member
>>> updating.update(live)                       # gradients are in p.grad; members that are not live stay as they are
>>> updating.end()
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from thalweg.engines.native import job_of
from thalweg.optim import Optimizer
from thalweg.population.compiled import native
from thalweg.population.members import Seat
from thalweg.population.updates import STEP, Update, why

MANY = 1 << 18
"""Weights of all members together from which threads pay."""


class Updating:
    """Updates of the members ``seats``, from the gradients that lie where ``p.grad`` is now."""

    def __init__(self, seats: Sequence[Seat]) -> None:
        self.seats = list(seats)
        self.native = all(not why(seat.optimizer) and _plain(seat) for seat in seats)
        if self.native:
            self._collect()

    def _collect(self) -> None:
        self.updates = []
        for seat in self.seats:
            assert isinstance(seat.optimizer, Optimizer)
            update = Update(
                seat.optimizer, {id(p): 0 for group in seat.optimizer.param_groups for p in group["params"]}
            )
            update.batch.segments.addresses[1] = [p.grad.data_ptr() for p in update.batch.parameters]  # type: ignore[union-attr]
            self.updates.append(update)
        self.kernel = native("updates")
        self.lines = np.array([[u.address, u.job.ctypes.data] for u in self.updates], dtype=np.int64)
        self.counter = np.zeros(1, dtype=np.int64)
        elements = sum(u.batch.segments.elements for u in self.updates)
        self.threads = torch.get_num_threads() if elements > MANY else 1

    def begin(self, steps: Sequence[int]) -> None:
        """Takes in the hyperparameters of the pass to come, in which member k will make at most ``steps[k]`` updates."""
        self.made = [0] * len(self.seats)
        if self.native:
            for update, seat, count in zip(self.updates, self.seats, steps, strict=True):
                update.prepare(count, seat.rates(count))

    def update(self, live: np.ndarray) -> None:
        """One update of each member that is live, ``(K,)`` of booleans."""
        going = np.flatnonzero(live).tolist()
        if not self.native:
            for k in going:
                self.seats[k].update()
                self.made[k] += 1
            return
        for k in going:
            self.updates[k].job[STEP] = self.made[k]
            self.made[k] += 1
        lines = self.lines if len(going) == len(self.seats) else self.lines[going]
        self.counter[0] = 0
        job = job_of(len(lines), self.counter.ctypes.data, lines.ctypes.data)
        self.kernel(job.ctypes.data, min(self.threads, max(len(going), 1)))

    def end(self) -> None:
        """The pass is over: the optimizers' states say how many updates were made."""
        if self.native:
            for update, seat, count in zip(self.updates, self.seats, self.made, strict=True):
                update.made(count)
                seat.steps += count
                torch.autograd.graph.increment_version(update.batch.parameters)


def _plain(seat: Seat) -> bool:
    """Whether the kernels can read the parameters, and each has a gradient."""
    parameters = [p for group in seat.optimizer.param_groups for p in group["params"]]
    return all(
        p.is_cpu and p.is_contiguous() and p.dtype in (torch.float32, torch.float64) and p.grad is not None
        for p in parameters
    )
