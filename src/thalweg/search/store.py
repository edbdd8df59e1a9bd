"""Where the trials of a study are kept: asked by the dozen, told at rungs, never lost, never twice.

>>> store = open_store("study.db", name="digits", space=space, objectives={"accuracy": "maximize"})
>>> tickets = store.ask(Tpe(space), 64, most=256)                      # interrupted trials first, then new points
>>> store.report({ticket.number: {3: 0.91} for ticket in tickets})     # at a rung, all of them at once
>>> store.tell([Told(ticket.number, "finished", (0.97,), attrs={"run": "runs/7"}) for ticket in tickets])

``open_store`` takes a file of SQLite (``study.db``), a journal (``study.log``, or ``journal:PATH``) or a PostgreSQL URL, and
keeps the study as Optuna does, so ``optuna-dashboard`` and ``optuna.load_study`` open it. ``Memory`` keeps it as long as the
process lives, without Optuna.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from thalweg.errors import InputError
from thalweg.search.brains import with_optuna
from thalweg.search.samplers import Asked, Finished, Sampler
from thalweg.search.space import Point, Space

if TYPE_CHECKING:
    from thalweg.search.kept import Kept

Direction = Literal["minimize", "maximize"]
End = Literal["finished", "pruned", "failed"]
LEASE = 120.0
"""Seconds without a sign of life after which the trials of a process on another machine are given to others."""


@dataclass(frozen=True)
class Ticket:
    """A trial to be run: its number from 0, its point, and which attempt it is; what was given back in good order is none."""

    number: int
    values: Point
    attempt: int = 1


@dataclass(frozen=True)
class Told:
    """How a trial ended.

    ``scores`` has a number for each objective, as it is measured (not turned round where more is better). A trial that is
    ``finished`` with a score that is not finite, as one that diverged, is kept as failed. ``attrs`` are what JSON holds: run
    folder, seconds, why it stopped.
    """

    number: int
    end: End
    scores: tuple[float, ...] = ()
    attrs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kept(self) -> Told:
        """The same, failed where a score is missing or not finite."""
        good = bool(self.scores) and all(math.isfinite(score) for score in self.scores)
        return self if good or self.end == "failed" else Told(self.number, "failed", (), self.attrs)


class Store(Protocol):
    """Keeps the trials of one study."""

    @property
    def space(self) -> Space: ...

    @property
    def objectives(self) -> Mapping[str, Direction]: ...

    def ask(self, sampler: Sampler, n: int, *, most: int | None = None) -> list[Ticket]:
        """At most ``n`` trials to run, and no more than ``most`` in the whole study: interrupted ones with the values they had,
        each given to one caller alone, then new points. None where others' trials must end first, or nothing is left.
        """
        ...

    def report(self, curves: Mapping[int, Mapping[int, float]]) -> None:
        """Measurements of running trials on the way: by trial and step, of the first objective. Cheap: they are written with
        whatever is told, or by ``beat``, at most once a second.
        """
        ...

    def tell(self, results: Sequence[Told]) -> list[int]:
        """Ends trials. Returns the numbers of those that were still open: what another has ended stays as it is."""
        ...

    def beat(self) -> None:
        """A sign of life; call it once a pass, it writes only when it is time."""
        ...

    def finished(self) -> list[Finished]:
        """The trials that are over, by number; scores turned so that lower is better, infinite where one failed."""
        ...

    def running(self) -> list[Asked]:
        """The trials that run or were interrupted, by number."""
        ...

    def told(self) -> Mapping[int, Mapping[str, Any]]:
        """What was told beside the scores of each trial, by its number."""
        ...

    def close(self) -> None:
        """Gives back the trials that still run."""
        ...


@dataclass
class Memory:
    """A store that lives as long as the process."""

    space: Space
    objectives: Mapping[str, Direction] = field(default_factory=lambda: {"score": "minimize"})
    attrs: dict[int, dict[str, Any]] = field(default_factory=dict)
    """What was told beside the scores, by trial."""
    curves: dict[int, dict[int, float]] = field(default_factory=dict)
    """What was reported, by trial and step."""

    def __post_init__(self) -> None:
        check_objectives(self.objectives)
        self._running: dict[int, Point] = {}
        self._finished: dict[int, Finished] = {}

    def ask(self, sampler: Sampler, n: int, *, most: int | None = None) -> list[Ticket]:
        number = len(self._running) + len(self._finished)
        points = sampler.suggest(self.finished(), self.running(), room(n, number, most))
        tickets = [Ticket(number + place, values) for place, values in enumerate(points)]
        self._running.update({ticket.number: ticket.values for ticket in tickets})
        return tickets

    def report(self, curves: Mapping[int, Mapping[int, float]]) -> None:
        for number, curve in curves.items():
            self.curves.setdefault(number, {}).update(curve)

    def tell(self, results: Sequence[Told]) -> list[int]:
        taken = []
        for told in results:
            if told.number in self._running:
                values = self._running.pop(told.number)
                steps = self.curves.get(told.number, {})
                self._finished[told.number] = as_finished(told.kept, values, self.objectives, max(steps, default=0))
                self.attrs[told.number] = dict(told.attrs)
                taken.append(told.number)
        return taken

    def beat(self) -> None:
        pass

    def finished(self) -> list[Finished]:
        return [self._finished[number] for number in sorted(self._finished)]

    def running(self) -> list[Asked]:
        return [Asked(number, self._running[number]) for number in sorted(self._running)]

    def told(self) -> Mapping[int, Mapping[str, Any]]:
        return self.attrs

    def close(self) -> None:
        pass


def as_finished(told: Told, values: Point, objectives: Mapping[str, Direction], step: int) -> Finished:
    """A trial that is over as samplers see it; ``step`` is the last one reported."""
    if told.end == "failed":
        return Finished(told.number, values, (math.inf,) * len(objectives))
    signs = [1 if direction == "minimize" else -1 for direction in objectives.values()]
    scores = tuple(sign * score for sign, score in zip(signs, told.scores, strict=False))
    missing = (math.inf,) * (len(signs) - len(scores))
    return Finished(told.number, values, scores + missing, step if told.end == "pruned" else None)


def room(n: int, there: int, most: int | None) -> int:
    """How many new trials may be asked."""
    return max(n if most is None else min(n, most - there), 0)


def check_objectives(objectives: Mapping[str, Direction]) -> None:
    """Raises ``InputError`` where there is none, or a direction is not known."""
    if not objectives or any(direction not in ("minimize", "maximize") for direction in objectives.values()):
        raise InputError(f'a study has objectives, each "minimize" or "maximize", not {dict(objectives)}')


def open_store(
    where: str,
    *,
    name: str,
    space: Space,
    objectives: Mapping[str, Direction] | None = None,
    attrs: Mapping[str, Any] | None = None,
    lease: float = LEASE,
) -> Kept:
    """Opens a study, or makes it. ``where`` is a file (``.log``: Optuna's journal, else SQLite) or a URL of either database.

    Any number of processes may open the same study, each for itself (a store does not survive a fork). ``attrs`` are written
    with a new study. Trials of a process that ended without a word are given to the next that asks: at once on the same
    machine, after ``lease`` seconds without a sign of life on another.

    Raises ``InputError`` for a place that can't be opened or a study made for another space or other objectives,
    ``MissingDependency`` where Optuna or the database's driver is not installed.
    """
    with_optuna("a study that is kept")
    from thalweg.search.kept import Kept

    given: Mapping[str, Direction] = {"score": "minimize"} if objectives is None else objectives
    check_objectives(given)
    return Kept(where, name=name, space=space, objectives=given, attrs=dict(attrs or {}), lease=lease)
