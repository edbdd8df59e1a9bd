"""The storage of a population: each parameter and buffer of K modules as one tensor ``(K, …)``, of which the modules hold rows.

The modules stay whole: ``modules[k]`` is the user's own, its parameters are the same objects as before, and whoever reads or
writes them (an optimizer, ``state_dict``) reads or writes row k.

>>> stacks = Stacks(modules)
>>> stacks.parameters[0].shape, modules[3].weight.shape
(torch.Size([8, 32, 64]), torch.Size([32, 64]))
>>> stacks.keep([0, 3])                             # the others leave with tensors of their own
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


def _buffers(module: nn.Module) -> Iterable[tuple[nn.Module, str]]:
    """Owner and name of each buffer."""
    return ((owner, name) for owner in module.modules() for name, found in owner._buffers.items() if found is not None)


def differ(modules: Sequence[nn.Module]) -> str:
    """Why the tensors of these modules do not stack, in a sentence; empty where they do."""
    first = [*modules[0].parameters(), *modules[0].buffers()]
    for number, module in enumerate(modules):
        tensors = [*module.parameters(), *module.buffers()]
        alike = len(tensors) == len(first) and all(
            (a.shape, a.dtype, a.device, a.requires_grad) == (b.shape, b.dtype, b.device, b.requires_grad)
            for a, b in zip(tensors, first, strict=True)
        )
        if not alike:
            return f"member {number} has parameters of other shapes, types or devices than member 0"
    return ""


class Stacks:
    """Stacked tensors of modules of one architecture; their rows are the modules' own parameters, gradients and buffers.

    ``parameters``, ``gradients`` and ``buffers`` are in the order of ``modules[0]``; parameters are leaves for autograd.
    """

    @torch.no_grad()
    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.modules = list(modules)
        columns = zip(*(module.parameters() for module in self.modules), strict=True)
        self.parameters = [torch.stack([p.detach() for p in column]) for column in columns]
        columns = zip(*(module.buffers() for module in self.modules), strict=True)
        self.buffers = [torch.stack(list(column)) for column in columns]
        self._bind()

    def _bind(self) -> None:
        """Makes row k the tensors of module k."""
        trained = [p.requires_grad for p in self.modules[0].parameters()]
        self.gradients = [
            torch.zeros_like(stack) if wanted else None for stack, wanted in zip(self.parameters, trained, strict=True)
        ]
        for k, module in enumerate(self.modules):
            for parameter, stack, gradient in zip(module.parameters(), self.parameters, self.gradients, strict=True):
                parameter.data = stack.detach()[k]
                parameter.grad = None if gradient is None else gradient[k]
            for (owner, name), stack in zip(_buffers(module), self.buffers, strict=True):
                owner._buffers[name] = stack[k]
        for stack, wanted in zip(self.parameters, trained, strict=True):
            stack.requires_grad_(wanted)

    def of(self, module: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The stacked parameters and buffers of a part of ``modules[0]``, by the part's own names."""
        stacks = {id(p): stack for p, stack in zip(self.modules[0].parameters(), self.parameters, strict=True)}
        places = {
            (id(owner), name): stack
            for (owner, name), stack in zip(_buffers(self.modules[0]), self.buffers, strict=True)
        }
        prefixes = {id(part): f"{name}." if name else "" for name, part in module.named_modules()}
        buffers = {prefixes[id(owner)] + name: places[id(owner), name] for owner, name in _buffers(module)}
        return {name: stacks[id(p)] for name, p in module.named_parameters()}, buffers

    @torch.no_grad()
    def release(self, places: Iterable[int]) -> None:
        """Gives these modules tensors of their own."""
        for k in places:
            module = self.modules[k]
            for parameter in module.parameters():
                parameter.data = parameter.detach().clone()
                parameter.grad = None
            for owner, name in _buffers(module):
                owner._buffers[name] = owner._buffers[name].clone()  # type: ignore[union-attr]

    @torch.no_grad()
    def keep(self, places: Sequence[int]) -> None:
        """Compaction: these members alone, in stacks that hold no more than them."""
        kept = set(places)
        self.release(k for k in range(len(self.modules)) if k not in kept)
        index = torch.tensor(list(places))
        self.modules = [self.modules[k] for k in places]
        self.parameters = [stack.detach().index_select(0, index.to(stack.device)) for stack in self.parameters]
        self.buffers = [stack.index_select(0, index.to(stack.device)) for stack in self.buffers]
        self._bind()


@dataclass
class Stacking:
    """What forms share: the stacked tensors, the mode, a generator of dropout for each member."""

    stacks: Stacks
    generators: list[torch.Generator]
    training: bool = True
    still: bool = False
    """Whether dropout drops nothing, though all else trains: so two programs can be compared."""
    seed: int = 0
    draws: int = 0

    @property
    def members(self) -> int:
        return len(self.stacks.modules)

    def tensor(self, module: nn.Module, name: str) -> Tensor | None:
        """A layer's stacked parameter or buffer; None where the layer has none."""
        parameters, buffers = self.stacks.of(module)
        return parameters.get(name, buffers.get(name))
