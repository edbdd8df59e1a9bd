"""Parameter groups, and rows: parameters of one group at the same step, which share the numbers their kernel works with.

A row computes those numbers phase by phase, from the group's hyperparameters, the step, its own host numbers, the tensors'
shapes and the sums taken so far. Where they differ from tensor to tensor (``LAMB``) or from unit to unit (adaptive
clipping), all are computed at once as arrays.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg.optim.checks import check
from thalweg.rules import Program

if TYPE_CHECKING:
    from thalweg.optim.optimizer import Form, Optimizer

Tensor = torch.Tensor
Numbers = float | np.ndarray
SHRINKING = ("weight_decay", "l1")
"""What a bare parameter, a bias or a norm's, is spared where its group says so."""

TORCHS = {"step", "mu_product", "eta", "mu"}
"""Numbers of PyTorch's states, which holds them in its default type. Sums over all steps, which are ours, need float64."""


FIXED = (int, float, str, bool, type(None))
"""What cannot change in place. All else (a tensor, an array, a list) has to be read in each step."""


def _parts(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


class Group:
    """A parameter group as it was when the plan was made, and the numbers in it."""

    def __init__(self, optimizer: Optimizer, settings: dict[str, Any], form: Form) -> None:
        self.optimizer = optimizer
        self.settings = settings
        self.form = form
        self.parameters = settings["params"]
        self.keys = set(settings)
        self.read = itemgetter(*(name for name in settings if name not in ("params", "param_names", "schedules")))
        self.program: Program | None = None
        """None while no parameter of the group has a gradient."""
        self.arguments: list[float] = []
        self.bare_arguments: list[float] = []
        self.seen: tuple[Any, ...] = ()
        self.mutable = False

    def fits(self) -> bool:
        """Takes in changed numbers; False where what changed asks for another kernel or another table."""
        if self.settings["params"] is not self.parameters or self.settings.keys() != self.keys:
            return False
        now = self.read(self.settings)
        if self.mutable or now != self.seen:
            if self.optimizer.form(self.settings) != self.form:
                return False
            self.seen = now
            check(self.settings, self.optimizer.defaults, type(self.optimizer))
            self.mutable = any(not isinstance(part, FIXED) for value in now for part in _parts(value))
            if self.program is not None:
                names = self.program.arguments
                self.arguments = self.optimizer.arguments(self.settings, names)
                self.bare_arguments = [
                    0.0 if name in SHRINKING else value for name, value in zip(names, self.arguments, strict=True)
                ]
        return True


class Row:
    """Parameters of one group at the same step.

    ``counts`` is float32 ``(parameters, 1 + hosts)``; the parameters' own ``step`` (and host) tensors are views of it, so that
    they are right at any time for one assignment a step.
    """

    def __init__(self, group: Group, steps: int, *, bare: bool) -> None:
        self.group = group
        self.steps = steps
        self.bare = bare
        self.members: list[dict[str, Any]] = []
        self.hosts: tuple[Numbers, ...] = ()
        self.units: list[int] = []
        self.shapes: list[tuple[float, ...]] = []
        self.sums: list[Numbers] = []
        self.first = 0

    def finish(self, program: Program, first: int) -> None:
        """All members are in: their counts become views of one array. The row begins at ``first`` of the scalars."""
        self.program = program
        self.fine = program.grain != "group"
        self.first = first
        self.width = sum(self.units) if self.fine else 1
        names = ("step", *(name for name, _ in program.hosts))
        wide = torch.get_default_dtype() == torch.float64 or not set(names) <= TORCHS
        dtype = torch.float64 if wide else torch.float32
        stored = [[self.steps, *(float(member[name]) for name in names[1:])] for member in self.members]
        with torch.inference_mode(False):  # an inference tensor has no version
            counts = torch.tensor(stored, dtype=dtype, device="cpu")
        for member, values in zip(self.members, counts, strict=True):
            for name, value in zip(names, values, strict=True):
                member[name] = value
        self.tensor = counts  # who writes through torch leaves a version on it
        self.counts = counts.numpy()
        self.shape_numbers = [np.repeat(column, self.units) for column in zip(*self.shapes, strict=True)]
        self.starts = [0, *np.cumsum(self.units)[:-1].tolist()] if self.fine else [0] * len(self.members)
        """Where each member's rows begin."""
        self._take_hosts()

    def _take_hosts(self) -> None:
        """As stored, so that a resumed run is the same to the bit."""
        if self.program.hosts:
            if self.fine:
                self.hosts = tuple(np.repeat(self.counts[:, 1:].astype(np.float64), self.units, axis=0).T)
            else:
                self.hosts = tuple(self.counts[0].tolist()[1:])

    def aim(self, scalars: list[np.ndarray]) -> None:
        """Where the row's numbers go: its part of each phase's scalars; what is left of a line there is the step's number."""
        widths = [len(phase.passed) for phase in self.program.phases]
        mine = [into[self.first : self.first + self.width] for into in scalars]
        self.places = [
            into[:, :width] if self.fine else into[0, :width] for into, width in zip(mine, widths, strict=True)
        ]
        self.counters = [into[:, width] for into, width in zip(mine, widths, strict=True) if into.shape[1] > width]
        self.last = len(widths) - 1

    def begin(self) -> None:
        """Counts a step."""
        self.steps += 1
        self.sums = []
        for counter in self.counters:
            counter.fill(self.steps)

    def take_back(self) -> None:
        """Uncounts a step that was not made."""
        self.steps = int(self.counts[0, 0])

    def fill(self, phase: int) -> list[list[float]]:
        """Computes a phase's scalars; the last phase moves the hosts on. Gives, for each member, the numbers its matrix
        functions take."""
        program, place = self.program, self.places[phase]
        arguments = self.group.bare_arguments if self.bare else self.group.arguments
        width = place.shape[-1]
        values: tuple[Any, ...]
        if self.fine:
            values = program.evaluate_rows[phase](*arguments, self.steps, *self.hosts, *self.shape_numbers, *self.sums)
            for column in range(width):
                place[:, column] = values[column]
        else:
            values = program.evaluate[phase](*arguments, self.steps, *self.hosts, *self.sums)
            place[:] = values if len(values) == width else values[:width]
        if phase == self.last:
            self._store(values[width:])
            return []
        rest = values[width:]
        return [[float(np.broadcast_to(value, self.width)[at]) for value in rest] for at in self.starts] if rest else []

    def _store(self, hosts: tuple[Numbers, ...]) -> None:
        if not hosts:
            self.counts.fill(self.steps)
            return
        if self.fine:
            self.counts[:, 0] = self.steps
            for column, value in enumerate(hosts, 1):
                self.counts[:, column] = np.broadcast_to(value, self.width)[self.starts]
        else:
            self.counts[:] = (self.steps, *hosts)
        self._take_hosts()

    def per_tensor(self, found: np.ndarray) -> np.ndarray:
        """A sum of this row's units → the same over each tensor, for each of its units."""
        return np.repeat(np.add.reduceat(found, self.starts), self.units)
