"""Parameters that several processes hold together (FSDP2's ``DTensor``): each works on its own part, sums go over all.

A DTensor is known by its two methods, so that nothing of ``torch.distributed`` is imported where nothing is distributed.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch

Tensor = torch.Tensor


def is_sharded(tensor: Tensor) -> bool:
    """Whether a tensor is a DTensor."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def local(tensor: Tensor) -> Tensor:
    """This process's part of a tensor; a complex one as pairs of real numbers, as PyTorch's optimizers treat it."""
    if is_sharded(tensor):
        tensor = tensor._local_tensor  # type: ignore[attr-defined]
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


class Shards:
    """Which processes hold the parts of a batch's parameters: equal for equal meshes and placements."""

    def __init__(self, parameter: Any) -> None:
        self.mesh = parameter.device_mesh
        self.placements = tuple(parameter.placements)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shards) and (self.mesh, self.placements) == (other.mesh, other.placements)

    def __hash__(self) -> int:
        return hash((self.mesh, self.placements))

    def add(self, found: np.ndarray) -> None:
        """Adds up sums, in place, over all processes that hold a part."""
        import torch.distributed as distributed

        numbers = torch.from_numpy(found)
        on_device = numbers.to(self.mesh.device_type)
        for dimension, placement in enumerate(self.placements):
            if placement.is_shard():
                distributed.all_reduce(on_device, group=self.mesh.get_group(dimension))
        numbers.copy_(on_device)
