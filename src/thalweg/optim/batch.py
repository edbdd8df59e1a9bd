"""A batch: parameters that share a program, a storage and an engine, run by one kernel call for each phase."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import torch

from thalweg.engines import MATRICES, Segments, Storage, engine
from thalweg.optim.row import Row
from thalweg.optim.shards import Shards, local
from thalweg.rules import Program

Tensor = torch.Tensor
_gradient = attrgetter("grad")
_size = Tensor.numel
_type = attrgetter("dtype")
_negated = Tensor.is_neg
_address = Tensor.data_ptr
_without_gaps: dict[str, Callable[[Tensor], bool]] = {
    "contiguous": Tensor.is_contiguous,
    "channels_last": partial(Tensor.is_contiguous, memory_format=torch.channels_last),
}


class Kind(NamedTuple):
    """What parameters of a batch have in common."""

    program: Program
    engine: str
    storage: Storage
    dtype: torch.dtype
    device: torch.device
    shards: Shards | None
    layout: str


class Batch:
    """Parameters run by one kernel."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.program = kind.program
        self.fused = kind.engine != "reference"
        self.dense = _without_gaps[kind.layout or "contiguous"]
        self.parameters: list[Tensor] = []
        self.weights: list[Tensor] = []
        self.states: list[list[Tensor]] = [[] for _ in kind.program.states]
        self.scales: list[list[Tensor] | None] = [[] if name == "8bit" else None for name in kind.storage.states]
        self.row_of: list[tuple[Row, int]] = []
        self.numbers: list[int] = []
        self.rows: list[Row] = []

    def finish(self) -> None:
        """All parameters are in: makes the table and the kernel."""
        program, first = self.program, 0
        for row in self.rows:
            row.finish(program, first)
            first += row.width
        fine = program.grain != "group"
        at = [row.first + (sum(row.units[:member]) if fine else 0) for row, member in self.row_of]
        units = [row.units[member] if fine else 1 for row, member in self.row_of]
        wide = torch.float64 if self.kind.storage.wide == "float64" else torch.float32
        self.scratch = [
            [torch.empty_like(weight, dtype=wide, memory_format=torch.contiguous_format) for weight in self.weights]
            for _ in program.scratch
        ]
        self.segments = Segments(
            self.weights, [*self.states, *self.scratch], at, scales=[*self.scales, *(None for _ in self.scratch)],
            units=units, numbers=self.numbers,
        )  # fmt: skip
        self.kernel = engine(self.kind.engine).compile(program, self.kind.storage)
        rolls = self.kind.storage.rolls
        self.scalars = [np.zeros((first, len(phase.passed) + rolls)) for phase in program.phases]
        for row in self.rows:
            row.aim(self.scalars)
        self.special = self.kind.shards is not None or any(parameter.is_complex() for parameter in self.parameters)
        self.addresses = list(map(_address, self.weights if self.special else self.parameters))
        self.sizes = list(map(_size, self.weights))
        self.types = [self.kind.dtype] * len(self.weights)
        self.kept = [tensor for column in (*self.states, *self.scales) for tensor in column or ()]
        self.kept += [row.tensor for row in self.rows]
        self.kept_at = list(map(_address, self.kept))

    def point(self) -> bool:
        """Hands this step's gradients to the table; False where weights or gradients no longer fit it."""
        gradients: list[Any] = list(map(_gradient, self.parameters))
        weights: list[Tensor] = self.parameters
        try:
            if self.special:
                with torch.no_grad():
                    gradients, weights = list(map(local, gradients)), list(map(local, weights))
            if self.fused and not all(map(self.dense, gradients)):
                return False
            where = list(map(_address, gradients))
        except (TypeError, AttributeError, RuntimeError, NotImplementedError):  # None, or a layout without an address
            return False
        if list(map(_address, weights)) != self.addresses or weights[0].dtype != self.kind.dtype:
            return False
        if list(map(_address, self.kept)) != self.kept_at:
            return False  # a state was moved: to shared memory, or by ``state.data = …``
        if list(map(_size, gradients)) != self.sizes:
            return False
        if self.fused and (list(map(_type, gradients)) != self.types or any(map(_negated, gradients))):
            return False
        if list(map(_size, weights)) != self.sizes or (
            self.fused and not all(map(self.dense, weights))  # a slice or a transposed view lies where it lay
        ):
            return False
        self.segments.point(gradients, where)
        return True

    def run(self, phase: int) -> np.ndarray | None:
        """Carries out a phase; gives its sums, over what all processes hold, for each row of scalars."""
        numbers = [row.fill(phase) for row in self.rows]
        found = self.kernel.run(phase, self.segments, self.scalars[phase])
        matrices = self.program.phases[phase].matrices
        if matrices:
            self._transform(phase, numbers)
        if found is not None and self.kind.shards is not None:
            self.kind.shards.add(found)
        return found

    def _transform(self, phase: int, numbers: list[list[list[float]]]) -> None:
        of_row = {id(row): values for row, values in zip(self.rows, numbers, strict=True)}
        for index, (row, member) in enumerate(self.row_of):
            values = of_row[id(row)][member]
            for matrix in self.program.phases[phase].matrices:
                slot = self.scratch[self.program.scratch.index(matrix.slot)]
                MATRICES[matrix.function](slot[index], *values[: len(matrix.arguments)])
                values = values[len(matrix.arguments) :]
