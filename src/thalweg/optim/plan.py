"""All parameters of an optimizer as one table: made once, used until something about the parameters changes.

Parameters that share a program, a storage and an engine form a *batch*, run by one kernel call for each phase. Within it,
those that share a group and have made the same number of steps share a *row* of scalars. A step only looks whether all is as it
was, collects the addresses of the gradients, computes the rows and calls the kernel: on a small net the look costs more
than the arithmetic, so it is as short as it can be.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from itertools import chain
from operator import attrgetter, is_
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg.engines import can_run, choose, format_of, layout
from thalweg.errors import InputError
from thalweg.optim.batch import Batch, Kind
from thalweg.optim.row import Group, Row
from thalweg.optim.shards import Shards, is_sharded, local
from thalweg.optim.states import WEIGHTS, check_shape, initialise, storage_of
from thalweg.rules import Program

if TYPE_CHECKING:
    from thalweg.optim.optimizer import Optimizer

Tensor = torch.Tensor
_version = attrgetter("_version")


class Plan:
    """The batches of an optimizer as it stands."""

    @torch.no_grad()
    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.idle: list[Tensor] = []
        self.missing: set[str] = set()
        self.groups: list[Group] = []
        found: dict[Kind, Batch] = {}
        rows: dict[tuple[Any, ...], Row] = {}
        number = 0
        for settings in optimizer.param_groups:
            group = Group(optimizer, settings, optimizer.form(settings))
            self.groups.append(group)
            for parameter in settings["params"]:
                number += 1
                if parameter.grad is None:
                    self.idle.append(parameter)
                    continue
                if group.program is None:
                    group.program = optimizer.program(group.form)
                    group.fits()
                self._add(number - 1, group, parameter, found, rows)
            group.fits()
        if self.missing:
            warnings.warn(
                f"{type(optimizer).__name__}: the checkpoint has no {', '.join(sorted(self.missing))}: begun anew, at step "
                f"counts that say otherwise; was it written by another optimizer?",
                stacklevel=4,
            )
        optimizer.loaded = False
        self.batches = list(found.values())
        for batch in self.batches:
            batch.finish()
        self.plain = [batch for batch in self.batches if len(batch.program.phases) == 1]
        self.phased = [batch for batch in self.batches if len(batch.program.phases) > 1]
        self.phases = max((len(batch.program.phases) for batch in self.phased), default=0)
        self.state = optimizer.state
        self.rows = [row for batch in self.batches for row in batch.rows]
        self.counts = [row.tensor for row in self.rows]
        # Views, not copies: what the user puts in, takes out or replaces shows in them.
        self.live: list[Iterable[Any]] = [group.parameters for group in self.groups]
        self.live += [self.state.values(), *(member.values() for row in self.rows for member in row.members)]
        self.seen = list(chain.from_iterable(self.live))

    def _add(
        self, number: int, group: Group, parameter: Tensor, found: dict[Kind, Batch], rows: dict[tuple[Any, ...], Row]
    ) -> None:
        optimizer, program, gradient = self.optimizer, group.program, parameter.grad
        owner, place = type(optimizer).__name__, len(self.groups) - 1
        assert gradient is not None and program is not None
        if gradient.layout != torch.strided:
            raise InputError(
                f"{owner}: parameter group {place} has a sparse gradient (shape {tuple(parameter.shape)}): "
                f"use sparse=False in the embedding, or torch.optim.SparseAdam"
            )
        check_shape(owner, place, parameter, "gradient", gradient)
        state = optimizer.state[parameter]
        if optimizer.loaded and float(state.get("step", 0)) > 0:
            self.missing |= {word for word in program.states if word not in state and word not in WEIGHTS}
        for word in program.states:
            if isinstance(state.get(word), Tensor):
                check_shape(owner, place, parameter, word, state[word])
        weight = local(parameter)
        storage = storage_of(program, weight, group.settings, complex_weight=parameter.is_complex())
        numbers = dict(zip(program.arguments, group.arguments, strict=True))
        initialise(state, program, storage, parameter, numbers, counted=optimizer.counts(group.settings))
        states = [local(state[word]) for word in program.states]
        name = self._engine(place, parameter, weight, local(gradient), states)
        way = layout(weight) if name != "reference" else ""
        if way == "channels_last" and (
            "8bit" in storage.states or program.scratch
        ):  # blocks and matrices count in rows
            name, way = "reference", ""
        shards = Shards(parameter) if is_sharded(parameter) else None
        self._check_reach(owner, place, parameter, program, storage.states, shards)
        kind = Kind(program, name, storage, weight.dtype, weight.device, shards, way)
        if kind not in found:
            found[kind] = Batch(kind)
        batch = found[kind]
        bare = group.settings.get("decay", "all") == "matrices" and parameter.ndim <= 1
        steps = int(state["step"])
        key: tuple[Any, ...] = (kind, place, steps, bare)
        if program.grain == "group":
            key += tuple(float(state[host]) for host, _ in program.hosts)
        if key not in rows:
            rows[key] = Row(group, steps, bare=bare)
            batch.rows.append(rows[key])
        row = rows[key]
        batch.row_of.append((row, len(row.members)))
        batch.numbers.append(number)
        row.members.append(state)
        row.units.append(max(weight.shape[0], 1) if program.grain == "unit" and parameter.ndim > 1 else 1)
        rank = parameter.shape[0] if parameter.ndim else 1
        sizes = {"n_rows": float(rank), "n_columns": parameter.numel() / max(rank, 1)}
        row.shapes.append(tuple(sizes[shape] for shape in program.shapes))
        batch.parameters.append(parameter)
        batch.weights.append(weight)
        for column, tensor in zip(batch.states, states, strict=True):
            column.append(tensor)
        for scales, word in zip(batch.scales, program.states, strict=True):
            if scales is not None:
                scales.append(state[f"{word}_scale"])

    def _engine(self, place: int, parameter: Tensor, weight: Tensor, gradient: Tensor, states: list[Tensor]) -> str:
        optimizer = self.optimizer
        name = choose(weight, gradient)
        if not all(layout(tensor) == layout(weight) for tensor in states):
            name = "reference"
        if not can_run(optimizer.engine, name):
            raise InputError(
                f"{type(optimizer).__name__}: a parameter of shape {tuple(parameter.shape)} in group {place} is "
                f"{format_of(weight)}, {'' if weight.is_contiguous() else 'not contiguous, '}on {weight.device}, so the "
                f"{optimizer.engine} engine cannot run it; choose engine='auto'"
            )
        return name if optimizer.engine == "auto" else optimizer.engine

    @staticmethod
    def _check_reach(
        owner: str, place: int, parameter: Tensor, program: Program, stored: tuple[str, ...], shards: Shards | None
    ) -> None:
        """Refuses what a program cannot do to a parameter: its matrix functions and sums by unit need it whole."""
        shape = tuple(parameter.shape)
        if program.scratch and (shards is not None or parameter.ndim < 1 or parameter.is_complex()):
            what = "sharded over processes" if shards is not None else f"of shape {shape}"
            raise InputError(
                f"{owner}: a parameter of group {place} is {what}, and {program.name} works on whole real matrices: "
                f"give it to another optimizer"
            )
        if program.grain == "unit" and (shards is not None or "8bit" in stored):
            why = 'states in 8 bits (state_dtype = "8bit")' if shards is None else "parameters sharded over processes"
            raise InputError(
                f"{owner}: clip_adaptive measures each output unit, which {why} do not allow; use clip_norm"
            )

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
        try:
            norm = self._phases()
        except BaseException:
            for row in self.rows:
                row.take_back()
            raise
        self.optimizer.gradient_norm = norm
        for batch in self.batches:
            batch.segments.release()
            torch.autograd.graph.increment_version(batch.parameters)

    def _phases(self) -> float:
        """Carries out all phases; gives the gradient's norm where it was measured."""
        norm = math.nan
        for row in self.rows:
            row.begin()
        for batch in self.plain:
            for row in batch.rows:
                row.fill(0)
            batch.kernel.run(0, batch.segments, batch.scalars[0])
        for phase in range(self.phases):
            taken: list[tuple[Batch, np.ndarray]] = []
            for batch in self.phased:
                if phase < len(batch.program.phases):
                    found = batch.run(phase)
                    if found is not None:
                        taken.append((batch, found))
            if taken:
                norm = self._share(phase, taken, norm)
        return norm

    def _share(self, phase: int, taken: list[tuple[Batch, np.ndarray]], norm: float) -> float:
        """Gives every row its sums, over the scope it asked for. Returns the gradient's norm where that is among them."""
        totals: dict[tuple[str, int], float] = {}
        for batch, found in taken:
            for row in batch.rows:
                for column, reduction in enumerate(batch.program.phases[phase].sums):
                    if reduction.scope in ("all", "group"):
                        key = (reduction.meaning, id(row.group) if reduction.scope == "group" else 0)
                        here = float(found[row.first : row.first + row.width, column].sum())
                        totals[key] = totals.get(key, 0.0) + here
        for batch, found in taken:
            for row in batch.rows:
                for column, reduction in enumerate(batch.program.phases[phase].sums):
                    mine = found[row.first : row.first + row.width, column]
                    if reduction.scope == "unit":
                        row.sums.append(mine)
                    elif reduction.scope == "tensor":
                        row.sums.append(row.per_tensor(mine))
                    else:
                        key = (reduction.meaning, id(row.group) if reduction.scope == "group" else 0)
                        row.sums.append(totals[key])
        square = totals.get(("g**2", 0))
        return norm if square is None or not math.isnan(norm) else math.sqrt(square)
