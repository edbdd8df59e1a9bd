"""A member of a population: a module, what trains it, and on what; and what came of it.

Everything in which members may differ stands here: rate, decay and rule in the optimizer, schedule, loss (label smoothing),
dropout (in the module), rows, order of batches. What they share is the architecture, the size of a mini-batch and the number of
passes.

>>> Member(mlp(64, 10), lambda p: thalweg.optim.AdamW(p, lr=1e-3), CrossEntropy(), Part(x, y), order=3)
>>> [Member(module(k), rule, loss, Part(x, y, train[k]), Part(x, y, dev[k])) for k in range(5)]       # five folds
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.data.batches import TensorBatches
from thalweg.errors import InputError
from thalweg.optim import Optimizer
from thalweg.train import Objective


@dataclass(frozen=True)
class Part:
    """Rows of inputs ``(n, …)`` and targets ``(n, …)``; ``rows`` is int64 ``(r,)``, None for all of them."""

    inputs: Tensor
    targets: Tensor
    rows: Tensor | None = None

    def numbers(self) -> Tensor:
        """The numbers of the rows, int64 ``(r,)``."""
        return torch.arange(len(self.inputs), device=self.inputs.device) if self.rows is None else self.rows

    def __len__(self) -> int:
        return len(self.inputs) if self.rows is None else len(self.rows)


@dataclass(frozen=True)
class Member:
    """One candidate. ``module`` is built and initialised already, and is trained in place.

    ``optimizer`` makes the optimizer of the module's parameters: any of ``torch.optim``, thalweg's are fastest. ``schedule``
    gives the learning rate for the number of updates made; parameter groups keep their proportions. ``order`` is the seed of
    the order of mini-batches, the same that ``TensorBatches`` takes; members with one order and the same rows see the same
    batches. ``seed`` is that of dropout.
    """

    module: nn.Module
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
    objective: Objective
    train: Part
    dev: Part | None = None
    schedule: Callable[[int], float] | None = None
    order: int = 0
    seed: int = 0


@dataclass
class Outcome:
    """What came of a member. ``dev`` has the metrics of each pass, ``losses`` the mean training loss of each.

    ``weights`` is the ``state_dict`` of the best pass where there was a dev part (empty where no pass could be measured), else
    of the last one; ``stopped`` says why the member left early. ``diverged`` is the update whose loss was not finite, counted
    from 1; 0 for none.
    """

    weights: dict[str, Tensor] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    dev: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    steps: int = 0
    diverged: int = 0
    stopped: str = ""


class Seat:
    """A member while it trains: its optimizer, and how many updates it has made."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.module = member.module
        self.optimizer = member.optimizer(member.module.parameters())
        self.steps = 0
        self.averages: Optimizer | Literal[False] | None = None
        """The optimizer where it keeps averages of the weights; None before anybody has looked."""
        groups = self.optimizer.param_groups
        first = float(groups[0]["lr"])
        self.proportions = [float(group["lr"]) / first if first else 1.0 for group in groups]
        self._numbers = member.train.numbers().cpu()

    def rates(self, steps: int) -> np.ndarray | None:
        """The learning rates of the next updates, ``(steps, groups)``; None without a schedule."""
        schedule = self.member.schedule
        if schedule is None:
            return None
        values = np.array([schedule(step) for step in range(self.steps, self.steps + steps)])
        return values[:, None] * np.array(self.proportions)

    def update(self) -> None:
        """One update by the optimizer, from the gradients in ``p.grad``."""
        if self.member.schedule is not None:
            value = self.member.schedule(self.steps)
            for group, proportion in zip(self.optimizer.param_groups, self.proportions, strict=True):
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(value * proportion)
                else:
                    group["lr"] = value * proportion
        self.optimizer.step()
        self.steps += 1

    def order(self, epoch: int) -> Tensor:
        """The rows of a pass in the order of ``TensorBatches(…, seed=order)``."""
        numbers = self._numbers
        whole = TensorBatches(numbers, numbers, batch_size=len(numbers), seed=self.member.order)
        return next(iter(whole.epoch(epoch)))[0]

    def same_batches(self, other: Seat) -> bool:
        """Whether both see the same mini-batches."""
        mine, others = self.member.train, other.member.train
        return (
            self.member.order == other.member.order
            and mine.inputs is others.inputs
            and mine.targets is others.targets
            and (self._numbers is other._numbers or torch.equal(self._numbers, other._numbers))
        )


def orders_of(seats: Sequence[Seat], epoch: int) -> list[Tensor]:
    """Each member's rows of a pass in order: the same tensor for members that see the same mini-batches."""
    found: list[tuple[Seat, Tensor]] = []
    orders = []
    for seat in seats:
        order = next((order for other, order in found if seat.same_batches(other)), None)
        if order is None:
            order = seat.order(epoch)
            found.append((seat, order))
        orders.append(order)
    return orders


def check(members: Sequence[Member], batch_size: int) -> None:
    """Raises ``InputError`` for a population that nobody could train."""
    if not members:
        raise InputError("the population has no members: give at least one")
    if batch_size < 1:
        raise InputError(f"the batch size is {batch_size}: it must be 1 or more")
    if len({id(member.module) for member in members}) < len(members):
        raise InputError("two members of the population share a module: build one for each")
    for number, member in enumerate(members):
        part = member.train
        if len(part.inputs) != len(part.targets):
            raise InputError(
                f"member {number} has {len(part.inputs):,} inputs and {len(part.targets):,} targets: give one target for each"
            )
        for rows, name in ((part, "training"), (member.dev, "dev")):
            _check_part(rows, f"the {name} part of member {number}")


def _check_part(part: Part | None, where: str) -> None:
    """Native code reads the rows that it is told to: they must be there."""
    if part is None:
        return
    if not len(part):
        raise InputError(f"{where} is empty: give it at least one row")
    if part.rows is None:
        return
    if part.rows.dtype != torch.int64 or part.rows.ndim != 1:
        raise InputError(f"{where} has rows of type {part.rows.dtype}, {part.rows.ndim} dimensions: give int64 (r,)")
    low, high = int(part.rows.min()), int(part.rows.max())
    if low < 0 or high >= len(part.inputs):
        raise InputError(
            f"{where} has row {low if low < 0 else high}: its inputs have the rows 0 … {len(part.inputs) - 1}"
        )
