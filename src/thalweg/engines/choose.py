"""Which engine runs a tensor: by its device, its type and its layout."""

from __future__ import annotations

import torch

from thalweg.engines.engine import Engine
from thalweg.engines.reference import Reference

_ENGINES: dict[str, Engine] = {}


def engine(name: str) -> Engine:
    """The engine called ``cpu`` or ``reference``; made once."""
    if name not in _ENGINES:
        if name == "cpu":
            from thalweg.engines.cpu import Cpu

            _ENGINES[name] = Cpu()
        else:
            _ENGINES[name] = Reference()
    return _ENGINES[name]


def choose(weight: torch.Tensor, gradient: torch.Tensor) -> str:
    """``cpu`` for what the fused kernels run, ``reference`` for everything else."""
    fused = (
        weight.device.type == "cpu"
        and weight.dtype in (torch.float32, torch.float64, torch.bfloat16)
        and gradient.dtype == weight.dtype
        and type(weight.data) is torch.Tensor
        and weight.is_contiguous()
        and gradient.is_contiguous()
    )
    return "cpu" if fused else "reference"
