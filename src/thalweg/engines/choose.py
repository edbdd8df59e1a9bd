"""Which engine runs a tensor: by its device, its type and its layout."""

from __future__ import annotations

import os
from importlib.util import find_spec

import torch

from thalweg.engines.engine import Engine
from thalweg.engines.reference import Reference

_ENGINES: dict[str, Engine] = {}
FUSED_TYPES = (torch.float32, torch.float64, torch.bfloat16)


def engine(name: str) -> Engine:
    """The engine called ``cpu``, ``gpu`` or ``reference``; made once."""
    if name not in _ENGINES:
        _ENGINES[name] = _made(name)
    return _ENGINES[name]


def _made(name: str) -> Engine:
    if name == "cpu":
        from thalweg.engines.cpu import Cpu

        return Cpu()
    if name == "gpu":
        from thalweg.engines.gpu import Gpu

        return Gpu()
    return Reference()


def layout(tensor: torch.Tensor) -> str:
    """In which order elements lie without gaps: ``contiguous``, ``channels_last`` (images), or none of them."""
    if tensor.is_contiguous():
        return "contiguous"
    if tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last):
        return "channels_last"
    return ""


def choose(weight: torch.Tensor, gradient: torch.Tensor) -> str:
    """``cpu`` or ``gpu`` for what the fused kernels run there, ``reference`` for everything else."""
    fused = (
        weight.dtype in FUSED_TYPES
        and gradient.dtype == weight.dtype
        and type(weight.data) is torch.Tensor
        and layout(weight) == layout(gradient) != ""
        and not gradient.is_neg()
    )
    if not fused:
        return "reference"
    if weight.device.type == "cuda":
        return "gpu" if find_spec("triton") is not None else "reference"
    return "cpu" if weight.device.type == "cpu" else "reference"


def can_run(name: str, chosen: str) -> bool:
    """Whether the engine ``name`` can run what ``choose`` gave to ``chosen``.

    Triton's interpreter reads memory as a GPU would.
    """
    interpreted = chosen == "cpu" and os.environ.get("TRITON_INTERPRET") == "1"
    return name in ("auto", "reference", chosen) or (name == "gpu" and interpreted)
