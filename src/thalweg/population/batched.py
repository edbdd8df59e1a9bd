"""The batched way: one forward pass and one backward pass for all members, through stacked forms.

>>> way = Batched(seats, batch_size=64)                     # raises Unstackable where the members can't be one program
>>> way.differs()                                           # the one-step test: does each member do what it does alone?
''
>>> losses = way.train(orders)

On a CPU what it saves is overhead: of Python, of autograd, of small matrix products. A mini-batch whose size differs from
member to member (the last one of folds) goes one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.population.forms import Form, Unstackable, form
from thalweg.population.losses import member_losses
from thalweg.population.members import Seat
from thalweg.population.stacks import Stacking, Stacks, differ
from thalweg.population.updating import Updating
from thalweg.population.vmapped import DROPOUTS

TOLERANCE = 1e-4
"""Largest difference of a gradient in the one-step test, relative to the largest number in it."""
TRIED = 3
"""Members that the one-step test holds against themselves: rows are alike but for their numbers."""


class Batched:
    """All members' mini-batches as one. Raises ``Unstackable``, with a sentence, where that can't be."""

    name = "batched"

    def __init__(self, seats: Sequence[Seat], *, batch_size: int) -> None:
        reason = differ([seat.module for seat in seats])
        if reason:
            raise Unstackable(reason)
        self.seats = list(seats)
        self.batch_size = batch_size
        self.stacks = Stacks([seat.module for seat in seats])
        device = self.stacks.parameters[0].device
        generators = [torch.Generator(device).manual_seed(seat.member.seed) for seat in seats]
        self.stacking = Stacking(self.stacks, generators, seed=(seats[0].member.seed << 24) % 2**62)
        try:
            self._build()
        except Unstackable:
            self.stacks.release(range(len(seats)))
            raise

    def _build(self) -> None:
        self.net: Form = form(self.stacking, self.stacks.modules)
        self.trained = [p for p in self.stacks.parameters if p.requires_grad]
        self.gradients = [gradient for gradient in self.stacks.gradients if gradient is not None]
        self.objectives = [seat.member.objective for seat in self.seats]
        self.updating = Updating(self.seats)

    def _losses(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return member_losses(self.objectives, self.net(inputs), targets)

    def train(self, orders: Sequence[Tensor]) -> list[np.ndarray]:
        """One pass of each member over its rows in the order given; the loss of each mini-batch, NaN from a break on."""
        for seat in self.seats:
            seat.module.train()
        self.stacking.training = True
        steps = [-(-len(order) // self.batch_size) for order in orders]
        losses = np.full((len(self.seats), max(steps)), np.nan)
        self.updating.begin(steps)
        lost = np.zeros(len(self.seats), dtype=bool)
        shared = all(order is orders[0] for order in orders)
        for step in range(max(steps)):
            going = np.array(steps) > step
            rows = [order[step * self.batch_size : (step + 1) * self.batch_size] for order in orders]
            if all(len(mine) == len(rows[0]) for mine in rows):
                inputs, targets = self._batch(rows[:1] if shared else rows)
                found = self._losses(inputs, targets)
                gradients = torch.autograd.grad(found.sum(), self.trained)
                torch._foreach_copy_(self.gradients, gradients)
                losses[:, step] = found.detach().cpu().numpy()
            else:
                for k, mine in enumerate(rows):
                    if going[k] and not lost[k]:
                        losses[k, step] = self._alone(self.seats[k], mine)
            lost |= going & ~np.isfinite(losses[:, step])
            self.updating.update(going & ~lost)
            if lost.all():
                break
        self.updating.end()
        return [mine[:count] for mine, count in zip(losses, steps, strict=True)]

    def _batch(self, rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Inputs and targets ``(K, B, …)``; where the batch is shared, expanded from one."""
        parts = [seat.member.train for seat in self.seats[: len(rows)]]
        places = [mine.to(part.inputs.device) for mine, part in zip(rows, parts, strict=True)]
        if all(part.inputs is parts[0].inputs and part.targets is parts[0].targets for part in parts):
            together = torch.cat(places) if len(places) > 1 else places[0]
            shape = (len(rows), len(rows[0]))
            inputs = parts[0].inputs.index_select(0, together).unflatten(0, shape)
            targets = parts[0].targets.index_select(0, together).unflatten(0, shape)
        else:
            inputs = torch.stack([part.inputs.index_select(0, at) for part, at in zip(parts, places, strict=True)])
            targets = torch.stack([part.targets.index_select(0, at) for part, at in zip(parts, places, strict=True)])
        members = len(self.seats)
        return inputs.expand(members, *inputs.shape[1:]), targets.expand(members, *targets.shape[1:])

    @staticmethod
    def _alone(seat: Seat, rows: Tensor) -> float:
        """One member's own forward and backward pass, into its rows of the stacked gradients."""
        part = seat.member.train
        at = rows.to(part.inputs.device)
        loss = seat.member.objective(seat.module(part.inputs[at]), part.targets[at])
        trained = [p for p in seat.module.parameters() if p.requires_grad]
        with torch.no_grad():
            for parameter, gradient in zip(trained, torch.autograd.grad(loss, trained), strict=True):
                assert parameter.grad is not None
                parameter.grad.copy_(gradient)
        return float(loss.detach())

    @torch.no_grad()
    def outputs(self, inputs: Tensor) -> Tensor:
        """Each member's outputs in evaluation mode: inputs ``(n, …)`` for all, or ``(K, n, …)`` expanded or their own."""
        self.stacking.training = False
        return self.net(inputs)

    def keep(self, places: Sequence[int]) -> None:
        """Compaction: goes on with these members alone."""
        self.stacks.keep(places)
        self.seats = [self.seats[k] for k in places]
        self.stacking.generators = [self.stacking.generators[k] for k in places]
        self._build()

    def release(self) -> None:
        """Gives every module tensors of its own again."""
        self.stacks.release(range(len(self.seats)))

    def differs(self) -> str:
        """The one-step test, in a sentence; empty where each member's gradients are those of its module alone.

        Some constructions (recomputed activations, for one) give wrong gradients without a word when their parameters are
        handed in; others raise. Dropout drops nothing here, and running statistics are put back.
        """
        before = [buffer.clone() for buffer in self.stacks.buffers]
        self.stacking.training, self.stacking.still = True, True
        orders = [seat.order(0)[: self.batch_size] for seat in self.seats]
        shortest = min(map(len, orders))
        try:
            inputs, targets = self._batch([order[:shortest] for order in orders])
            losses = self._losses(inputs, targets)
            found = torch.autograd.grad(losses.sum(), self.trained)
            if losses.shape != (len(self.seats),):
                return f"the loss of {len(self.seats)} members has the shape {tuple(losses.shape)}"
        except Exception as error:  # whatever a user's forward, or vmap in it, can raise
            first = str(error).strip().split("\n")[0][:160]
            return f"PyTorch can't run the members as one program: {first}"
        finally:
            self.stacking.still = False
            after = [buffer.clone() for buffer in self.stacks.buffers]
            for stack, old in zip(self.stacks.buffers, before, strict=True):
                stack.copy_(old)
        tried = sorted({*range(0, len(self.seats), max(1, len(self.seats) // (TRIED - 1))), len(self.seats) - 1})[
            :TRIED
        ]
        for k in tried:
            reason = self._differs(k, inputs[k], targets[k], [g[k] for g in found], [b[k] for b in after])
            if reason:
                return reason
        return ""

    def _differs(self, k: int, x: Tensor, y: Tensor, found: list[Tensor], buffers: list[Tensor]) -> str:
        alone: nn.Module = deepcopy(self.seats[k].module)
        alone.train()
        for part in alone.modules():
            if isinstance(part, DROPOUTS):
                part.eval()
        loss = self.seats[k].member.objective(alone(x), y)
        named = [(name, p) for name, p in alone.named_parameters() if p.requires_grad]
        wanted = torch.autograd.grad(loss, [p for _, p in named])
        names = [name for name, _ in named] + [name for name, _ in alone.named_buffers()]
        pairs = zip(names, [*found, *buffers], [*wanted, *alone.buffers()], strict=True)
        for name, mine, theirs in pairs:
            size = float(theirs.abs().max()) if theirs.numel() else 0.0
            off = float((mine - theirs).abs().max()) if theirs.numel() else 0.0
            if not off <= TOLERANCE * size + 1e-7:
                return (
                    f"as one program, member {k} does not get the gradient of {name} that it gets alone "
                    f"(off by {off:.1e} where the largest is {size:.1e})"
                )
        return ""
