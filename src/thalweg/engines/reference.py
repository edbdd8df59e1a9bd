"""The living definition: a program carried out by torch, one operation at a time, one tensor at a time.

Never optimised. It runs on every device, layout and type PyTorch knows; types narrower than float32 are computed in float32 and
rounded once, when a result is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from thalweg.engines import storage as held
from thalweg.engines.segments import Segments
from thalweg.engines.storage import Storage
from thalweg.rules import Program
from thalweg.rules.program import summed_lines

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

    def __init__(self, program: Program, storage: Storage) -> None:
        self.program = program
        self.storage = storage
        self.slots = (*program.states, *program.scratch)
        self.formats = dict(zip(("w", *program.states), (storage.weight, *storage.states), strict=True))
        self.summed = [summed_lines(phase) for phase in program.phases]
        self.lines = [
            [(name, compile(text, f"<{program.name}: {name}>", "eval")) for name, text in phase.lines]
            for phase in program.phases
        ]

    @torch.no_grad()
    def run(self, phase: int, segments: Segments, scalars: np.ndarray) -> np.ndarray | None:
        plan = self.program.phases[phase]
        found = np.zeros((segments.count, len(plan.sums)))
        for index in range(len(segments.weights)):
            for row, values in self._pieces(phase, index, segments, scalars):
                for column, reduction in enumerate(plan.sums):
                    found[row, column] += _total(values[reduction.line], values["w"])
                for name, line in plan.results:
                    self._store(name, values[line], values, index, segments, scalars, row)
        return found if plan.sums else None

    def _pieces(
        self, phase: int, index: int, segments: Segments, scalars: np.ndarray
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """For each row of a tensor, all values of the phase's lines there, and the places where results go."""
        units = segments.units[index]
        wide = torch.float64 if self.storage.wide == "float64" else torch.float32
        stored = {"w": segments.weights[index]} | {
            name: column[index] for name, column in zip(self.slots, segments.slots, strict=True)
        }
        values = {name: self._loaded(name, tensor, index, segments).to(wide) for name, tensor in stored.items()}
        values["g"] = segments.gradients[index].to(wide)
        for unit in range(units):
            row = segments.rows[index] + unit
            here: dict[str, Any] = dict(zip(self.program.phases[phase].passed, scalars[row].tolist(), strict=False))
            here |= {name: value if units == 1 else value[unit] for name, value in values.items()}
            here |= {f"at_{name}": tensor if units == 1 else tensor[unit] for name, tensor in stored.items()}
            for name, code in self.lines[phase]:
                wide_here = {key: _double(value) for key, value in here.items()} if name in self.summed[phase] else here
                here[name] = eval(code, FUNCTIONS, wide_here)
            yield row, here

    def _loaded(self, name: str, tensor: torch.Tensor, index: int, segments: Segments) -> torch.Tensor:
        if self.formats.get(name) != "8bit":
            return tensor
        scales = segments.scales[self.slots.index(name)]
        assert scales is not None
        return held.decoded(tensor, scales[index])

    def _store(
        self,
        name: str,
        value: torch.Tensor,
        values: dict[str, Any],
        index: int,
        segments: Segments,
        scalars: np.ndarray,
        row: int,
    ) -> None:
        place, kept = values[f"at_{name}"], self.formats.get(name, "")
        if kept not in ("8bit", "bfloat16~"):
            place.copy_(value)
            return
        slot = 0 if name == "w" else 1 + self.slots.index(name)
        key = held.key_of(int(scalars[row, -1]), int(segments.addresses[2, index]), slot)
        value = value.expand(place.shape).float().contiguous()
        if kept == "bfloat16~":
            first = (row - segments.rows[index]) * place.numel()
            place.copy_(held.narrowed(value, key, first))
            return
        scales = segments.scales[self.slots.index(name)]
        assert scales is not None
        codes, fresh = held.encoded(value, key)
        place.copy_(codes)
        scales[index].copy_(fresh)


def _double(value: Any) -> Any:
    return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


def _total(value: Operand, like: torch.Tensor) -> float:
    return float(torch.as_tensor(value, dtype=torch.float64).expand(like.shape).sum())


class Reference:
    """``Engine`` that runs everything everywhere, slowly."""

    def compile(self, program: Program, storage: Storage) -> ReferenceKernel:
        return ReferenceKernel(program, storage)
