"""The living definition: a program carried out by torch, one operation at a time, one tensor at a time.

Never optimised. It runs on every device, layout and type PyTorch knows; types narrower than float32 are computed in float32 and
rounded once, when a result is stored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from thalweg.engines.segments import Segments
from thalweg.rules import Program

Operand = torch.Tensor | float


DOUBLE = torch.zeros((), dtype=torch.float64)


def _single(function: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Operand], torch.Tensor]:
    """A torch function of one tensor that takes numbers too."""
    return lambda x: function(x if isinstance(x, torch.Tensor) else torch.tensor(x, dtype=torch.float64))


def _pair(function: Callable[..., torch.Tensor]) -> Callable[[Operand, Operand], torch.Tensor]:
    """A binary torch function that takes numbers too."""

    def apply(a: Operand, b: Operand) -> torch.Tensor:
        like = next((x for x in (a, b) if isinstance(x, torch.Tensor)), DOUBLE)
        first, second = (torch.as_tensor(x, dtype=like.dtype, device=like.device) for x in (a, b))
        return function(first, second)

    return apply


def _where(condition: Any, a: Operand, b: Operand) -> Operand:
    if not isinstance(condition, torch.Tensor):
        return a if condition else b
    like = next((x for x in (a, b) if isinstance(x, torch.Tensor)), DOUBLE)
    first, second = (torch.as_tensor(x, dtype=like.dtype, device=condition.device) for x in (a, b))
    return torch.where(condition, first, second)


def _sign(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x.isnan(), x, torch.sign(x))  # torch's own sign of NaN is 0, which would hide it


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sqrt": _single(torch.sqrt),
    "square": _single(torch.square),
    "absolute": _single(torch.abs),
    "sign": _single(_sign),
    "exp": _single(torch.exp),
    "log": _single(torch.log),
    "tanh": _single(torch.tanh),
    "maximum": _pair(torch.maximum),
    "minimum": _pair(torch.minimum),
    "where": _where,
    "power": _pair(torch.pow),
}


class ReferenceKernel:
    """``Kernel`` of the reference engine."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.lines = [(name, compile(text, f"<{program.name}: {name}>", "eval")) for name, text in program.lines]

    @torch.no_grad()
    def update(self, segments: Segments, scalars: np.ndarray) -> None:
        names = [name for name, _ in self.program.scalars]
        for index, weight in enumerate(segments.weights):
            wide = torch.float32 if weight.dtype in (torch.bfloat16, torch.float16) else weight.dtype
            stored = {"w": weight} | {
                name: column[index] for name, column in zip(self.program.states, segments.states, strict=True)
            }
            values: dict[str, Any] = dict(zip(names, scalars[segments.rows[index]].tolist(), strict=True))
            values |= {name: tensor.to(wide) for name, tensor in stored.items()}
            values["g"] = segments.gradients[index].to(wide)
            for name, code in self.lines:
                values[name] = eval(code, FUNCTIONS, values)
            for name, line in self.program.results:
                stored[name].copy_(values[line])

    def squared_norm(self, segments: Segments) -> float:
        return sum(float(gradient.double().square().sum()) for gradient in segments.gradients)


class Reference:
    """``Engine`` that runs everything everywhere, slowly."""

    def compile(self, program: Program, dtype: torch.dtype) -> ReferenceKernel:
        return ReferenceKernel(program)
