"""All parameters of an optimizer as one table: made once, used until something about the parameters changes.

Parameters that share a program, a type and an engine form a *batch*, run by one kernel call. Within it, those that share a
group and have made the same number of steps share a *row* of scalars. A step only looks whether all is as it was, collects the
addresses of the gradients, computes the rows and calls the kernel: on a small net the look costs more than the arithmetic,
so it is as short as it can be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import chain
from operator import attrgetter, is_, itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg.engines import Segments, choose, engine
from thalweg.errors import InputError
from thalweg.rules import Program

if TYPE_CHECKING:
    from thalweg.optim.optimizer import Form, Optimizer

Tensor = torch.Tensor
_gradient = attrgetter("grad")
_shape = attrgetter("shape")
_version = attrgetter("_version")
_address = Tensor.data_ptr
_contiguous = Tensor.is_contiguous


class Group:
    """A parameter group as it was when the plan was made, and the numbers in it."""

    def __init__(self, optimizer: Optimizer, settings: dict[str, Any], form: Form) -> None:
        self.optimizer = optimizer
        self.settings = settings
        self.form = form
        self.parameters = settings["params"]
        self.read = itemgetter(*(name for name in settings if name not in ("params", "param_names")))
        self.program: Program | None = None
        """None while no parameter of the group has a gradient."""
        self.arguments: list[float] = []
        self.seen: tuple[Any, ...] = ()
        self.mutable = False

    def fits(self) -> bool:
        """Takes in changed numbers; False where what changed asks for another kernel or another table."""
        if self.settings["params"] is not self.parameters:
            return False
        now = self.read(self.settings)
        if self.mutable or now != self.seen:
            if self.optimizer.form(self.settings) != self.form:
                return False
            self.seen = now
            self.mutable = any(isinstance(value, (Tensor, list)) for value in now) or any(
                isinstance(part, Tensor) for value in now if isinstance(value, tuple) for part in value
            )  # what can change in place has to be read in each step
            if self.program is not None:
                self.arguments = self.optimizer.arguments(self.settings, self.program.arguments)
        return True


class Row:
    """One row of scalars: parameters of one group at the same step.

    ``counts`` is float32 ``(parameters, 1 + hosts)``; the parameters' own ``step`` (and host) tensors are views of it, so that
    they are right at any time for one assignment a step.
    """

    def __init__(self, group: Group, steps: int, hosts: tuple[float, ...]) -> None:
        self.group = group
        self.steps = steps
        self.hosts = hosts
        self.members: list[dict[str, Any]] = []

    def finish(self, names: tuple[str, ...]) -> None:
        """All members are in: their counts become views of one array."""
        dtype = torch.float64 if torch.get_default_dtype() == torch.float64 else torch.float32  # as PyTorch's own step
        with torch.inference_mode(False):  # an inference tensor has no version
            counts = torch.tensor([[self.steps, *self.hosts]] * len(self.members), dtype=dtype)
        for member, values in zip(self.members, counts, strict=True):
            for name, value in zip(names, values, strict=True):
                member[name] = value
        self.tensor = counts  # who writes through torch leaves a version on it
        self.counts = counts.numpy()

    def advance(self, program: Program, reduced: tuple[float, ...]) -> tuple[float, ...]:
        """Counts a step and gives its scalars."""
        self.steps += 1
        if not self.hosts:
            self.counts.fill(self.steps)
            return program.evaluate(*self.group.arguments, self.steps, *reduced)
        self.counts[:] = (self.steps, *program.advance(*self.group.arguments, self.steps, *self.hosts, *reduced))
        self.hosts = tuple(self.counts[0].tolist()[1:])  # as stored, so that a resumed run is the same to the bit
        return program.evaluate(*self.group.arguments, self.steps, *self.hosts, *reduced)


class Batch:
    """Parameters run by one kernel call."""

    def __init__(self, program: Program, engine_name: str, dtype: torch.dtype) -> None:
        self.program = program
        self.fused = engine_name != "reference"
        self.engine_name = engine_name
        self.dtype = dtype
        self.parameters: list[Tensor] = []
        self.weights: list[Tensor] = []
        self.states: list[list[Tensor]] = [[] for _ in program.states]
        self.row_of: list[int] = []
        self.rows: list[Row] = []

    def finish(self) -> None:
        """All parameters are in: makes the table and the kernel."""
        names = ("step", *(name for name, *_ in self.program.hosts))
        for row in self.rows:
            row.finish(names)
        self.segments = Segments(self.weights, self.states, self.row_of)
        self.kernel = engine(self.engine_name).compile(self.program, self.dtype)
        self.scalars = np.empty((len(self.rows), len(self.program.scalars)))
        self.complex = any(parameter.is_complex() for parameter in self.parameters)
        self.addresses = list(map(_address, self.parameters))
        self.shapes = list(map(_shape, self.parameters))

    def point(self) -> bool:
        """Hands this step's gradients to the table; False where weights or gradients no longer fit it."""
        gradients = list(map(_gradient, self.parameters))
        if self.complex:
            with torch.no_grad():
                gradients = list(map(_real, gradients))
        try:
            if self.fused and not all(map(_contiguous, gradients)):
                return False
            where = list(map(_address, gradients))
        except (TypeError, RuntimeError, NotImplementedError):  # None, or a layout without an address
            return False
        if list(map(_address, self.parameters)) != self.addresses or self.weights[0].dtype != self.dtype:
            return False
        if list(map(_shape, self.parameters)) != self.shapes or (
            self.fused and not all(map(_contiguous, self.parameters))  # a slice or a transposed view lies where it lay
        ):
            return False
        self.segments.point(gradients, where)
        return True


class Plan:
    """The batches of an optimizer as it stands."""

    @torch.no_grad()
    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.idle: list[Tensor] = []
        self.groups: list[Group] = []
        found: dict[tuple[Any, ...], Batch] = {}
        rows: dict[tuple[Any, ...], int] = {}
        for settings in optimizer.param_groups:
            group = Group(optimizer, settings, optimizer.form(settings))
            self.groups.append(group)
            for parameter in settings["params"]:
                if parameter.grad is None:
                    self.idle.append(parameter)
                    continue
                group.program = group.program or optimizer.program(group.form)
                self._add(len(self.groups) - 1, group, parameter, found, rows)
            group.fits()
        self.batches = list(found.values())
        for batch in self.batches:
            batch.finish()
        self.clips = any("clip_norm" in group.form.modifiers for group in self.groups)
        self.state = optimizer.state
        rows_of_all = [row for batch in self.batches for row in batch.rows]
        self.counts = [row.tensor for row in rows_of_all]
        # Views, not copies: what the user puts in, takes out or replaces shows in them.
        self.live: list[Iterable[Any]] = [group.parameters for group in self.groups]
        self.live += [self.state.values(), *(member.values() for row in rows_of_all for member in row.members)]
        self.seen = list(chain.from_iterable(self.live))

    def _add(
        self,
        number: int,
        group: Group,
        parameter: Tensor,
        found: dict[tuple[Any, ...], Batch],
        rows: dict[tuple[Any, ...], int],
    ) -> None:
        optimizer, program, gradient = self.optimizer, group.program, parameter.grad
        assert gradient is not None and program is not None
        if gradient.layout != torch.strided:
            raise InputError(
                f"{type(optimizer).__name__}: parameter group {number} has a sparse gradient (shape {tuple(parameter.shape)}): "
                f"use sparse=False in the embedding, or torch.optim.SparseAdam"
            )
        state = optimizer.state[parameter]
        self._initialise(state, group, parameter)
        weight = _real(parameter)
        for word, tensor in (("gradient", gradient), *((key, state[key]) for key in program.states)):
            if tensor.shape != parameter.shape:
                raise InputError(
                    f"{type(optimizer).__name__}: a parameter of group {number} has the shape {tuple(parameter.shape)}, its "
                    f"{word} {tuple(tensor.shape)}: was it replaced? Forget its state: del optimizer.state[parameter]"
                )
        states = [_real(state[key]) for key in program.states]
        name = choose(weight, _real(gradient))
        if not all(tensor.is_contiguous() and tensor.dtype == weight.dtype for tensor in states):
            name = "reference"
        if optimizer.engine == "cpu" and name == "reference":
            raise InputError(
                f"{type(optimizer).__name__}: a parameter of shape {tuple(parameter.shape)} in group {number} is not "
                f"contiguous float32 or float64 in memory, so the cpu engine cannot run it; choose engine='auto'"
            )
        name = name if optimizer.engine == "auto" else optimizer.engine
        batch = found.setdefault(
            (program.digest, name, weight.dtype, weight.device), Batch(program, name, weight.dtype)
        )
        steps, hosts = int(state["step"]), tuple(float(state[key]) for key, *_ in program.hosts)
        row = rows.setdefault((id(batch), number, steps, hosts), len(batch.rows))
        if row == len(batch.rows):
            batch.rows.append(Row(group, steps, hosts))
        batch.rows[row].members.append(state)
        batch.parameters.append(parameter)
        batch.weights.append(weight)
        for column, tensor in zip(batch.states, states, strict=True):
            column.append(tensor)
        batch.row_of.append(row)

    def _initialise(self, state: dict[str, Any], group: Group, parameter: Tensor) -> None:
        """PyTorch's state for a parameter; what a checkpoint brought stays."""
        program = group.program
        assert program is not None
        begun = any(state.get(name) is not None for name in program.states)
        if "step" not in state or not (begun or self.optimizer.keeps_step):
            state["step"] = torch.tensor(float(begun))  # PyTorch's SGD keeps no count: a buffer says it has begun
        for name, start, _ in program.hosts:
            if name not in state:
                state[name] = torch.tensor(float(start))
        for name in program.states:
            if state.get(name) is None:
                start = group.settings[self.optimizer.start[name]] if name in self.optimizer.start else 0.0
                layout = torch.contiguous_format if parameter.is_contiguous() else torch.preserve_format
                state[name] = torch.full_like(parameter, start, memory_format=layout, requires_grad=False)

    def fits(self) -> bool:
        """Whether nothing has changed that the plan was made for (gradients apart)."""
        optimizer = self.optimizer
        groups = optimizer.param_groups
        if len(groups) != len(self.groups) or optimizer.state is not self.state:
            return False
        now = list(chain.from_iterable(self.live))
        if len(now) != len(self.seen) or not all(map(is_, now, self.seen)) or any(map(_version, self.counts)):
            return False
        for settings, group in zip(groups, self.groups, strict=True):
            if settings is not group.settings or not group.fits():
                return False
        return not self.idle or all(parameter.grad is None for parameter in self.idle)

    def point(self) -> bool:
        """Hands this step's gradients to all batches; False where the plan has to be made anew."""
        return all(batch.point() for batch in self.batches)

    def run(self) -> None:
        """One step of all batches, whose gradients have been handed over."""
        norm = math.nan
        if self.clips:
            norm = math.sqrt(sum(batch.kernel.squared_norm(batch.segments) for batch in self.batches))
        self.optimizer.gradient_norm = norm
        for batch in self.batches:
            reduced = (norm,) if batch.program.reductions else ()
            for index, row in enumerate(batch.rows):
                batch.scalars[index] = row.advance(batch.program, reduced)
            batch.kernel.update(batch.segments, batch.scalars)
            batch.segments.release()
            torch.autograd.graph.increment_version(batch.parameters)


def _real(tensor: Tensor) -> Tensor:
    """A complex tensor as pairs of real numbers, as PyTorch's optimizers treat it."""
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor
