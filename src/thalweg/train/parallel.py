"""One run on several processes: each has its share of every mini-batch, and all have the same weights.

``DataParallel`` is ``Gradients`` for a process of a group (PyTorch's DistributedDataParallel underneath): the gradient is that
of the mean loss over the whole mini-batch, also where the shares are not equal, and so is the loss that it returns. What all
processes must agree on, lest one waits for the others for ever, goes along: whether to stop.

>>> with Ranks.of_environment().group() as ranks:                # under torchrun; one process alone is a group of its own
...     gradients = DataParallel(model, loss, ranks)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed

from thalweg.train.gradients import Loss
from thalweg.train.hooks import Hook, State


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is."""

    rank: int = 0
    world: int = 1
    local: int = 0
    """The number among those of this machine, which says which accelerator is its own."""

    @classmethod
    def of_environment(cls) -> Ranks:
        """What ``torchrun`` tells a process; alone without it."""
        told = [
            int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))
        ]
        return cls(*told)

    @property
    def first(self) -> bool:
        """Whether this process writes what is to be written."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        return self.world == 1

    @contextmanager
    def group(self) -> Iterator[Ranks]:
        """Joins the group for as long as the context lasts."""
        if self.alone or distributed.is_initialized():
            yield self
            return
        distributed.init_process_group()  # gloo for the processor, NCCL for CUDA
        try:
            yield self
        finally:
            distributed.destroy_process_group()

    def meet(self) -> None:
        """Waits until all processes are here."""
        if not self.alone:
            distributed.barrier()

    def tell(self, what: Any) -> Any:
        """What the first process has, for all of them."""
        if self.alone:
            return what
        box = [what]
        distributed.broadcast_object_list(box, src=0)
        return box[0]


class DataParallel:
    """``Gradients`` of a mini-batch of which this process has a share.

    ``asked`` says whether this process wants to stop; ``stop`` says after each call whether any does.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        loss: Loss,
        ranks: Ranks,
        *,
        autocast: torch.dtype | None = None,
        unused: bool = False,
        sharded: bool = False,
        asked: Callable[[], bool] = lambda: False,
    ) -> None:
        """``unused`` allows parameters that the loss does not depend on; ``sharded`` models average gradients themselves."""
        self.parameters = list(model.parameters())
        self.model = (
            model if sharded else torch.nn.parallel.DistributedDataParallel(model, find_unused_parameters=unused)
        )
        self.loss, self.ranks, self.autocast, self.asked = loss, ranks, autocast, asked
        self.stop = False

    def __call__(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        for parameter in self.parameters:
            parameter.grad = None
        with torch.autocast(inputs.device.type, dtype=self.autocast, enabled=self.autocast is not None):
            loss = self.loss(self.model(inputs), targets)
        # Processes' gradients are averaged; made sums over rows, they add up to the sum over the whole mini-batch.
        (loss * (len(targets) * self.ranks.world)).backward()
        told = [float(loss.detach()) * len(targets), len(targets), self.asked()]
        total = torch.tensor(told, dtype=torch.float64, device=inputs.device)
        distributed.all_reduce(total)
        rows = float(total[1])
        torch._foreach_div_([p.grad for p in self.parameters if p.grad is not None], rows)
        self.stop = bool(total[2] > 0)
        return (total[0] / rows).to(loss.dtype)


class SameBuffers(Hook):
    """Gives all processes the first one's buffers before anything is measured: running means differ with the shares."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.buffers = [buffer for buffer in model.buffers() if buffer.numel()]

    def on_epoch(self, state: State) -> None:
        for buffer in self.buffers:
            distributed.broadcast(buffer, src=0)
