"""All parameters of an optimizer as one table: made once, used until something about the parameters changes.

Parameters that share a program, a type and an engine form a *batch*, run by one kernel call. Within it, those that share a group
and have made the same number of steps share a *row* of scalars. A step only looks whether all is as it was, collects the
addresses of the gradients, computes a row of scalars and calls the kernel: on a small net the look costs more than the
arithmetic, so it is as short as it can be.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg.engines import Segments, choose, engine
from thalweg.errors import InputError
from thalweg.rules import Program, lowered

if TYPE_CHECKING:
    from thalweg.optim.optimizer import Form, Optimizer

Tensor = torch.Tensor


class Row:
    """One row of scalars: parameters of one group at the same step."""

    def __init__(self, group: int, steps: int, hosts: tuple[float, ...], counters: list[np.ndarray]) -> None:
        self.group = group
        self.steps = steps
        self.hosts = hosts
        self.counters = counters
        """Views into the parameters' own ``step`` (and host) tensors, so that they are right at any time."""


class Batch:
    """Parameters run by one kernel call."""

    def __init__(self, program: Program, engine_name: str, dtype: torch.dtype) -> None:
        self.program = program
        self.engine_name = engine_name
        self.dtype = dtype
        self.parameters: list[Tensor] = []
        self.weights: list[Tensor] = []
        self.states: list[list[Tensor]] = [[] for _ in program.states]
        self.row_of: list[int] = []
        self.rows: list[Row] = []

    def finish(self) -> None:
        """All parameters are in: makes the table and the kernel."""
        self.segments = Segments(self.weights, self.states, self.row_of)
        self.kernel = engine(self.engine_name).compile(self.program, self.dtype)
        self.scalars = np.empty((len(self.rows), len(self.program.scalars)))
        self.plain = all(weight is parameter for weight, parameter in zip(self.weights, self.parameters, strict=True))


class Plan:
    """The batches of an optimizer as it stands."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.forms: list[Form] = []
        self.idle: list[Tensor] = []
        self.sizes: list[int] = []
        self.batches: list[Batch] = []
        found: dict[tuple, Batch] = {}
        known: dict[tuple, int] = {}
        for number, group in enumerate(optimizer.param_groups):
            form = optimizer.form(group)
            self.forms.append(form)
            self.sizes.append(len(group["params"]))
            program: Program | None = None
            for parameter in group["params"]:
                if parameter.grad is None:
                    self.idle.append(parameter)
                    continue
                program = program or lowered(*form)
                self._add(number, group, program, parameter, found, known)
        self.batches = list(found.values())
        for batch in self.batches:
            batch.finish()
        self.clips = any("clip_norm" in form.modifiers for form in self.forms)

    def _add(
        self,
        number: int,
        group: dict[str, Any],
        program: Program,
        parameter: Tensor,
        found: dict[tuple, Batch],
        known: dict[tuple, int],
    ) -> None:
        optimizer = self.optimizer
        gradient = parameter.grad
        assert gradient is not None
        if gradient.layout != torch.strided:
            raise InputError(
                f"{type(optimizer).__name__}: parameter group {number} has a sparse gradient (shape {tuple(parameter.shape)}): "
                f"use sparse=False in the embedding, or torch.optim.SparseAdam"
            )
        state = optimizer.state[parameter]
        self._initialise(state, group, program, parameter)
        weight, operand = _real(parameter), _real(gradient)
        name = choose(weight, operand) if optimizer.engine == "auto" else optimizer.engine
        states = [_real(state[key]) for key in program.states]
        if name == "cpu" and not all(tensor.is_contiguous() and tensor.dtype == weight.dtype for tensor in states):
            name = "reference"
        batch = found.setdefault((program.digest, name, weight.dtype, weight.device), Batch(program, name, weight.dtype))
        hosts = tuple(float(state[key]) for key, *_ in program.hosts)
        steps = int(state["step"])
        key = (id(batch), number, steps, hosts)
        if key not in known:
            known[key] = len(batch.rows)
            batch.rows.append(Row(number, steps, hosts, []))
        row = known[key]
        batch.rows[row].counters.append(_counters(state, program))
        batch.parameters.append(parameter)
        batch.weights.append(weight)
        for column, tensor in zip(batch.states, states, strict=True):
            column.append(tensor)
        batch.row_of.append(row)

    def _initialise(self, state: dict[str, Any], group: dict[str, Any], program: Program, parameter: Tensor) -> None:
        """PyTorch's state for a parameter; what a checkpoint brought stays."""
        if "step" not in state:
            begun = any(state.get(name) is not None for name in program.states)
            state["step"] = torch.tensor(1.0 if begun else 0.0)  # PyTorch's SGD keeps no count: a buffer says it has begun
        elif not isinstance(state["step"], Tensor):
            state["step"] = torch.tensor(float(state["step"]))
        for name, start, _ in program.hosts:
            if name not in state:
                state[name] = torch.tensor(float(start))
        for name in program.states:
            if state.get(name) is None:
                start = group[self.optimizer.start[name]] if name in self.optimizer.start else 0.0
                layout = torch.contiguous_format if parameter.is_contiguous() else torch.preserve_format
                state[name] = torch.full_like(parameter, start, memory_format=layout, requires_grad=False)

    def fits(self) -> bool:
        """Whether nothing has changed that the plan was made for (gradients apart)."""
        optimizer = self.optimizer
        groups = optimizer.param_groups
        if len(groups) != len(self.forms):
            return False
        for group, form, size in zip(groups, self.forms, self.sizes, strict=True):
            if len(group["params"]) != size or optimizer.form(group) != form:
                return False
        return all(parameter.grad is None for parameter in self.idle)

    def run(self) -> None:
        """One step of all batches. The plan is made anew where a gradient is missing or lies otherwise than before."""
        for batch in self.batches:
            if not self._point(batch):
                self.optimizer._plan = fresh = Plan(self.optimizer)
                fresh.run()
                return
        norm = math.nan
        if self.clips:
            norm = math.sqrt(sum(batch.kernel.squared_norm(batch.segments) for batch in self.batches))
            self.optimizer.gradient_norm = norm
        groups = self.optimizer.param_groups
        for batch in self.batches:
            program = batch.program
            for index, row in enumerate(batch.rows):
                row.steps += 1
                values = self.optimizer.arguments(groups[row.group], program.arguments)
                values.append(row.steps)
                if row.hosts:
                    row.hosts = program.advance(*values, *row.hosts, *([norm] if program.reductions else ()))
                    values += row.hosts
                if program.reductions:
                    values.append(norm)
                batch.scalars[index] = program.evaluate(*values)
                for counter in row.counters:
                    counter[0] = row.steps
                    if row.hosts:
                        counter[1:] = row.hosts
            batch.kernel.update(batch.segments, batch.scalars)

    def _point(self, batch: Batch) -> bool:
        """Hands this step's gradients to the table; False where they no longer fit it."""
        weights, gradients, where = [], [], []
        if batch.plain:
            for parameter in batch.parameters:
                gradient = parameter.grad
                if gradient is None or not gradient.is_contiguous():
                    if gradient is None or batch.engine_name == "cpu":
                        return False
                gradients.append(gradient)
                weights.append(parameter.data_ptr())
                where.append(gradient.data_ptr())
            if batch.engine_name == "cpu" and batch.parameters[0].dtype != batch.dtype:
                return False
        else:  # complex parameters: views of the same memory
            for weight, parameter in zip(batch.weights, batch.parameters, strict=True):
                if parameter.grad is None or parameter.data_ptr() != weight.data_ptr():
                    return False
                gradient = _real(parameter.grad)
                if batch.engine_name == "cpu" and not gradient.is_contiguous():
                    return False
                gradients.append(gradient)
                weights.append(weight.data_ptr())
                where.append(gradient.data_ptr())
        batch.segments.point(gradients, weights + where)
        return True


def _real(tensor: Tensor) -> Tensor:
    """A complex tensor as pairs of real numbers, as PyTorch's optimizers treat it."""
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def _counters(state: dict[str, Any], program: Program) -> np.ndarray:
    """Moves ``step`` and the hosts' numbers of a parameter into one small array and leaves views of it in their places."""
    names = ["step", *(name for name, *_ in program.hosts)]
    kept = torch.tensor([float(state[name]) for name in names], dtype=torch.get_default_dtype())
    for index, name in enumerate(names):
        state[name] = kept[index]
    return kept.numpy()
