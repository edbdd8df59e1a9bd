"""Tensors as an engine sees them, and a host that carries a program's phases out over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from thalweg.engines import MATRICES, Segments, Storage, encoded, engine, format_of
from thalweg.engines.storage import FORMATS
from thalweg.rules import Program

BIT_TYPES = {
    torch.float32: torch.int32,
    torch.float64: torch.int64,
    torch.bfloat16: torch.int16,
    torch.int8: torch.int8,
}


class Table:
    """Weights, gradients and states in some storage; the same for the same arguments."""

    def __init__(
        self,
        program: Program,
        storage: Storage,
        shapes: Sequence[tuple[int, ...]],
        *,
        rows: Sequence[int] | None = None,
        seed: int = 2,
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        wide = torch.float64 if storage.wide == "float64" else torch.float32

        def normal() -> list[torch.Tensor]:
            return [torch.randn(shape, generator=generator, dtype=wide) for shape in shapes]

        self.program, self.storage = program, storage
        self.weights = [tensor.to(FORMATS[storage.weight]) for tensor in normal()]
        self.gradients = [tensor.to(FORMATS[storage.weight]) for tensor in normal()]
        self.states, self.scales = [], []
        for name in storage.states:
            values = [tensor.abs() for tensor in normal()]
            pairs = [encoded(value.float(), 7) for value in values] if name == "8bit" else []
            self.states.append(
                [codes for codes, _ in pairs] if pairs else [value.to(FORMATS[name]) for value in values]
            )
            self.scales.append([scale for _, scale in pairs] if pairs else None)
        self.scratch = [[torch.zeros(shape, dtype=wide) for shape in shapes] for _ in program.scratch]
        self.units = [max(shape[0], 1) if program.grain == "unit" and len(shape) > 1 else 1 for shape in shapes]
        if rows is None:  # a row for each tensor or unit where they differ, one for all where they do not
            rows = np.cumsum([0, *self.units])[:-1].tolist() if program.grain != "group" else [0] * len(shapes)
        self.rows = list(rows)
        self.segments = Segments(
            self.weights, [*self.states, *self.scratch], self.rows,
            scales=[*self.scales, *(None for _ in program.scratch)], units=self.units,
            numbers=[11 * index for index in range(len(shapes))],
        )  # fmt: skip
        self.point()

    def point(self) -> None:
        self.segments.point(self.gradients, [gradient.data_ptr() for gradient in self.gradients])

    def step(
        self, name: str, numbers: Mapping[str, float], step: int, hosts: Mapping[str, float] | None = None
    ) -> None:
        """One step of all phases by the engine called so, each row with the same numbers."""
        program, count = self.program, self.segments.count
        kernel = engine(name).compile(program, self.storage)
        inputs = [
            *(numbers[word] for word in program.arguments),
            step,
            *((hosts or {}).get(word, 2.0) for word, _ in program.hosts),
        ]
        inputs += [self._shapes(word) for word in program.shapes]
        for number, phase in enumerate(program.phases):
            values = program.evaluate_rows[number](*inputs)
            scalars = np.zeros((count, len(phase.passed) + self.storage.rolls))
            for column in range(len(phase.passed)):
                scalars[:, column] = values[column]
            if self.storage.rolls:
                scalars[:, -1] = step
            found = kernel.run(number, self.segments, scalars)
            assert (found is None) == (not phase.sums)
            for column, taken in enumerate(phase.sums):
                assert found is not None and found.shape == (count, len(phase.sums)) and found.dtype == np.float64
                inputs.append(self._scoped(taken.scope, found[:, column]))
            arguments = values[len(phase.passed) :]
            for matrix in phase.matrices:
                own, arguments = arguments[: len(matrix.arguments)], arguments[len(matrix.arguments) :]
                for row, tensor in zip(self.rows, self.scratch[program.scratch.index(matrix.slot)], strict=True):
                    MATRICES[matrix.function](tensor, *(float(np.broadcast_to(value, count)[row]) for value in own))

    def _scoped(self, scope: str, found: np.ndarray) -> np.ndarray | float:
        if scope == "unit":
            return found
        if scope == "tensor":
            parts = [found[row : row + units] for row, units in zip(self.rows, self.units, strict=True)]
            return np.concatenate([np.full(len(part), part.sum()) for part in parts])
        return float(found.sum())

    def _shapes(self, word: str) -> np.ndarray:
        first = [weight.shape[0] if weight.ndim else 1 for weight in self.weights]
        rest = [weight.numel() / max(rows, 1) for weight, rows in zip(self.weights, first, strict=True)]
        return np.repeat(first if word == "n_rows" else rest, self.units).astype(np.float64)

    def tensors(self) -> list[torch.Tensor]:
        """All that a step changes."""
        kept = [column for column in (*self.states, *self.scales) if column is not None]
        return [*self.weights, *(tensor for column in kept for tensor in column)]


def storage(program: Program, weight: str | torch.dtype = "float32", states: str | None = None) -> Storage:
    """Weights in one format, all states in one, the arithmetic's own where none is named."""
    word = weight if isinstance(weight, str) else format_of(torch.empty(0, dtype=weight))
    wide = Storage(word, ()).wide
    return Storage(word, (states or wide,) * len(program.states))


def same_bits(one: torch.Tensor, two: torch.Tensor) -> bool:
    """Whether all numbers are the same to the bit; any NaN is as good as another."""
    if one.dtype.is_floating_point:
        nan = one.isnan()
        if not torch.equal(nan, two.isnan()):
            return False
        one, two = one.masked_fill(nan, 0), two.masked_fill(nan, 0)
    return torch.equal(one.view(BIT_TYPES[one.dtype]), two.view(BIT_TYPES[two.dtype]))
