"""One run on several processes: each has its share of every mini-batch, and all the same weights, or each a shard of them.

``DataParallel`` is ``Gradients`` for a process of a group (PyTorch's DistributedDataParallel underneath): the gradient is that
of the mean loss over the whole mini-batch, also where the shares are not equal, and so is the loss that it returns. What all
processes must agree on, lest one waits for the others for ever, goes along: whether to stop, whether to write a checkpoint.

>>> with Ranks.of_environment().group() as ranks:                # under torchrun; one process alone is a group of its own
...     gradients = DataParallel(model, loss, ranks)

``shard`` divides the model itself (FSDP2: Zhao et al. 2023; ZeRO stage 3, Rajbhandari et al. 2020): each process holds a part
of every weight, of its gradient and of the optimizer's state, and a block of the net is whole only while it computes.

>>> shard(model, torch.device("cuda:1"))                         # before the optimizer is made from its parameters
>>> gradients = DataParallel(model, loss, ranks, sharded=True)
>>> remember = {"model": Whole(model, model)}                    # in a checkpoint all is whole again

Either way the weights are those of one process with the same mini-batches, up to the rounding of sums in another order. What is
not the same: random draws of modules (dropout), which each process makes for its own rows, and the statistics of batch
normalisation, which each process takes over its own rows, as PyTorch does (SyncBatchNorm is for CUDA only); the running means
that are kept are the first process's.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import distributed

from thalweg.errors import InputError
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

    def gather(self, mine: Any) -> list[Any]:
        """What every process has, by rank, in the first one; none in the others."""
        if self.alone:
            return [mine]
        found = [None] * self.world if self.first else None
        distributed.gather_object(mine, found)
        return found or []


class DataParallel:
    """``Gradients`` of a mini-batch of which this process has a share.

    ``asked`` says whether this process wants to stop; ``stop`` says after each call whether any does. ``due`` says whether it
    is time to write a checkpoint; ``save`` says after each call what the first process finds.
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
        due: Callable[[], bool] = lambda: False,
        mass: Callable[[torch.Tensor], float] = len,
    ) -> None:
        """``unused`` allows parameters that the loss does not depend on; ``sharded`` models average gradients themselves.

        ``mass`` is what the loss, a mean, divides by for some targets: their number, or the sum of their weights.
        """
        self.parameters = list(model.parameters())
        self.model = (
            model if sharded else torch.nn.parallel.DistributedDataParallel(model, find_unused_parameters=unused)
        )
        self.loss, self.ranks, self.autocast, self.asked = loss, ranks, autocast, asked
        self.due, self.mass = due, mass
        self.stop = self.save = False

    def __call__(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        for parameter in self.parameters:
            parameter.grad = None
        with torch.autocast(inputs.device.type, dtype=self.autocast, enabled=self.autocast is not None):
            outputs = self.model(inputs)
            loss = self.loss(outputs, targets) if len(targets) else outputs.sum()  # a share may be empty: zero, no mean
        # Processes' gradients are averaged; made sums over rows, they add up to the sum over the whole mini-batch.
        mass = self.mass(targets)
        (loss * (mass * self.ranks.world)).backward()
        told = [float(loss.detach()) * mass, mass, self.asked(), self.ranks.first and self.due()]
        total = torch.tensor(told, dtype=torch.float64, device=inputs.device)
        distributed.all_reduce(total)
        whole = float(total[1])
        torch._foreach_div_([p.grad for p in self.parameters if p.grad is not None], whole)
        self.stop, self.save = bool(total[2] > 0), bool(total[3] > 0)
        return (total[0] / whole).to(loss.dtype)


class SameBuffers(Hook):
    """Gives all processes the first one's buffers before anything is measured: running means differ with the shares."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.buffers = [buffer for buffer in model.buffers() if buffer.numel()]

    def on_epoch(self, state: State) -> None:
        for buffer in self.buffers:
            distributed.broadcast(buffer, src=0)


def shard(model: torch.nn.Module, device: torch.device) -> None:
    """Divides the parameters of a model, in place, among the processes of the group: ``DTensor``s on ``device``.

    What stands in an ``nn.Sequential`` or ``nn.ModuleList`` is gathered by itself when its turn to compute comes, what is left
    with the whole model. A model that lies on the processor is taken to ``device`` piece by piece. Raises ``InputError`` for a
    parameter without dimensions, which cannot be divided.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    for name, parameter in model.named_parameters():
        if parameter.ndim == 0:
            raise InputError(
                f"the parameter {name} has no dimension to divide: give it the shape (1,), or leave shard out"
            )
    if device.type == "cuda":
        torch.cuda.set_device(device)
    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    uses = Counter(parameter for _, parameter in model.named_parameters(remove_duplicate=False))
    blocks = [block for block in _blocks(model) if all(uses[p] == 1 for p in block.parameters())]
    for block in (*blocks, model):  # whole weights that stay after a pass would miss what changes the shards
        fully_shard(block, mesh=mesh, reshard_after_forward=True)


def _blocks(module: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """The members of the outermost containers that hold parameters and are no containers themselves."""
    containers = (torch.nn.Sequential, torch.nn.ModuleList)
    for child in module.children():
        if isinstance(child, containers) or not isinstance(module, containers):
            yield from _blocks(child)
        elif next(child.parameters(), None) is not None:
            yield child


def is_sharded(tensor: torch.Tensor) -> bool:
    """Whether several processes hold a tensor together; nothing is imported to find out."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def whole(tensor: Any) -> torch.Tensor:
    """The tensor, put together where it is sharded: all processes call this together."""
    return tensor.full_tensor() if is_sharded(tensor) else tensor


def local(tensor: Any) -> torch.Tensor:
    """What this process holds of a tensor."""
    return tensor.to_local() if is_sharded(tensor) else tensor


def everywhere(fact: bool, tensors: Iterable[torch.Tensor]) -> bool:
    """Whether ``fact`` holds in all processes, where they hold ``tensors`` together: all of them call this together."""
    for tensor in filter(is_sharded, tensors):
        told = torch.tensor(float(fact), device=tensor.device)
        distributed.all_reduce(told, op=distributed.ReduceOp.MIN)
        return bool(told)
    return fact


def plain_type(module: torch.nn.Module) -> type:
    """The class of a module as it was before it was sharded."""
    known = sys.modules.get("torch.distributed.fsdp")
    return type(module).__mro__[2] if known is not None and isinstance(module, known.FSDPModule) else type(module)


class _Remembers(Protocol):
    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, saved: dict[str, Any], /) -> Any: ...


class Whole:
    """The state of something with a ``state_dict``, whole, as one process would have it; taken back, it is divided again.

    Tensors are put together one by one, and only the first process keeps them, on the processor. A tensor in a state belongs to
    the parameter whose name or number is the key that leads to it, as in the states of models and optimizers.
    """

    def __init__(self, thing: _Remembers, model: torch.nn.Module) -> None:
        self.thing, self.model = thing, model
        self.first = distributed.get_rank() == 0

    def state_dict(self) -> dict[str, Any]:
        return self._gathered(self.thing.state_dict())

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        parameters: dict[str | int, torch.Tensor] = dict(self.model.named_parameters(remove_duplicate=False))
        if isinstance(self.thing, torch.optim.Optimizer):
            parameters |= enumerate(p for group in self.thing.param_groups for p in group["params"])
        self.thing.load_state_dict(_divided(saved, parameters, None))

    def _gathered(self, state: Any) -> Any:
        if isinstance(state, dict):
            return {key: self._gathered(value) for key, value in state.items()}
        if isinstance(state, list | tuple):
            return type(state)(map(self._gathered, state))
        if not is_sharded(state):
            return state
        found = whole(state)
        return found.cpu() if self.first else None


def _divided(state: Any, parameters: dict[str | int, torch.Tensor], parameter: Any) -> Any:
    """The same state with the shard of each tensor that has the shape of its parameter."""
    if isinstance(state, dict):
        return {key: _divided(value, parameters, parameters.get(key, parameter)) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(_divided(value, parameters, parameter) for value in state)
    if not isinstance(state, torch.Tensor) or parameter is None or state.shape != parameter.shape:
        return state
    from torch.distributed.tensor import distribute_tensor

    found = distribute_tensor(state, parameter.device_mesh, parameter.placements, src_data_rank=None)
    return found.clone()  # else it would keep the whole tensor alive
