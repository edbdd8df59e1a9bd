"""What is kept for a parameter: made at its first step, brought by a checkpoint, held as its group says.

The keys are PyTorch's, and so is what they mean (moments before bias correction), so checkpoints cross over. A state in 8 bits
has its scales beside it, as ``NAME_scale``.
"""

from __future__ import annotations

from typing import Any

import torch

from thalweg.engines import Storage, blocks, decoded, encoded, format_of
from thalweg.errors import InputError
from thalweg.optim.shards import is_sharded, local
from thalweg.rules import Program

Tensor = torch.Tensor
WEIGHTS = {"ema_weight": "ema", "swa_weight": "swa", "ax": "lambd"}
"""States that are averages of the weights, kept as exact as the arithmetic, and the group's key that asks for them."""
STORED = {"float32": "float32", "bfloat16": "bfloat16~", "8bit": "8bit"}
"""What a group's ``state_dtype`` asks for. Asked for, narrow states round at random; PyTorch's own do not."""


def storage_of(program: Program, weight: Tensor, settings: dict[str, Any], *, complex_weight: bool = False) -> Storage:
    """How a parameter and its states are held."""
    own = format_of(weight)
    if complex_weight and settings.get("state_dtype") not in (None, own):
        raise InputError("state_dtype is for real parameters; leave it out for the group of the complex ones")
    wide = "float64" if own == "float64" else "float32"
    asked = settings.get("state_dtype")
    starts = dict(program.starts)
    states = tuple(
        wide if name in WEIGHTS or starts.get(name) == "w" else STORED[asked] if asked is not None else own
        for name in program.states
    )
    rounded = own + "~" if settings.get("stochastic_rounding") and own == "bfloat16" else own
    return Storage(rounded, states)


def initialise(
    state: dict[str, Any],
    program: Program,
    storage: Storage,
    parameter: Tensor,
    numbers: dict[str, float],
    *,
    counted: bool,
) -> None:
    """PyTorch's state for a parameter; what a checkpoint brought stays, in the storage that is asked for now.

    ``counted`` says whether ``step`` is in checkpoints; where it is not, a state says that steps were made.
    """
    begun = any(state.get(name) is not None for name in program.states)
    if "step" not in state or not (begun or counted):
        state["step"] = torch.tensor(float(begun), device="cpu")
    for name, _ in program.hosts:
        if name not in state:
            state[name] = torch.tensor(program.start(name, numbers), device="cpu")
    for name, kept in zip(program.states, storage.states, strict=True):
        dtype = torch.int8 if kept == "8bit" else getattr(torch, kept.removesuffix("~"))
        found = state.get(name)
        if found is None:
            found = _begun(parameter, program.start(name, numbers), torch.float32 if kept == "8bit" else dtype)
        if found.dtype != dtype or (kept == "8bit" and f"{name}_scale" not in state):
            found = _held(found, name, kept, dtype, state)
        if found.stride() != parameter.stride() and found.numel() > 1 and not is_sharded(found):
            found = torch.empty_like(parameter, dtype=found.dtype, requires_grad=False).copy_(
                found
            )  # one walk for both
        state[name] = found
        if kept == "8bit":
            _check_scale(name, state[f"{name}_scale"], found)


def _begun(parameter: Tensor, start: float | None, dtype: torch.dtype) -> Tensor:
    layout = torch.contiguous_format if parameter.is_contiguous() else torch.preserve_format
    kind = parameter.dtype if parameter.is_complex() else dtype
    if start is None:
        return parameter.detach().clone(memory_format=layout).to(kind)
    if not start:
        return torch.zeros_like(parameter, dtype=kind, memory_format=layout, requires_grad=False)
    value = complex(start, start) if parameter.is_complex() else start
    return torch.full_like(parameter, value, dtype=kind, memory_format=layout, requires_grad=False)


def _held(found: Tensor, name: str, kept: str, dtype: torch.dtype, state: dict[str, Any]) -> Tensor:
    """The same numbers in another storage."""
    scale = state.pop(f"{name}_scale", None)
    if scale is not None:
        found = decoded(found.to(torch.int8), scale.float())
    if found.is_complex():
        return found
    if kept != "8bit":
        return found.to(dtype)
    if is_sharded(found):
        raise InputError('state_dtype = "8bit" does not work for parameters sharded over processes: use "bfloat16"')
    codes, scales = encoded(found.float().contiguous(), key=0)
    state[f"{name}_scale"] = scales
    return codes


def _check_scale(name: str, scale: Tensor, codes: Tensor) -> None:
    if scale.dtype != torch.float32 or scale.shape != (blocks(codes.numel()),) or not scale.is_contiguous():
        raise InputError(
            f"{name}_scale has the shape {tuple(scale.shape)}, but {codes.numel()} codes need {blocks(codes.numel())} float32 "
            f"scales: is the checkpoint damaged?"
        )


def check_shape(owner: str, number: int, parameter: Tensor, word: str, tensor: Tensor) -> None:
    """Raises ``InputError`` where a gradient or state does not have its parameter's shape."""
    if tensor.shape != parameter.shape:
        raise InputError(
            f"{owner}: a parameter of group {number} has the shape {tuple(parameter.shape)}, its "
            f"{word} {tuple(tensor.shape)}: was it replaced? Forget its state: del optimizer.state[parameter]"
        )


__all__ = ["blocks", "check_shape", "initialise", "local", "storage_of"]
