"""A study that outlives its processes: Optuna's storage, and what ask and tell lack there.

>>> with open_store("postgresql://host/studies", name="digits", space=space) as store:
...     while tickets := store.ask(sampler, 64, most=1000):
...         store.tell([Told(t.number, "finished", (train(t.values),)) for t in tickets])

Four things are ours. *Batches*: one transaction for all that is asked or told at once. *Leases*: each trial names the process
that runs it, and each process shows a sign of life in one attribute of the study; trials of a process that is gone are asked
again, under their own number with their own values, by one process, for asking is done alone. *Once*: a trial is ended by
the first who says so, under a condition on its row. *No hidden state*: samplers draw from (seed, number), so a study goes on
where it was.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from thalweg.errors import InputError
from thalweg.search.dimensions import Choices, Fixed, Range
from thalweg.search.samplers import Asked, Finished, Sampler
from thalweg.search.shelves import Batch, Change, open_shelf
from thalweg.search.space import Point, Space
from thalweg.search.store import Direction, End, Ticket, Told, as_finished, room

WORKER, ATTEMPT, LEASE_OF = "thalweg:worker", "thalweg:attempt", "thalweg:lease:"
SPACE, OBJECTIVES, STOPPED = "thalweg:space", "thalweg:objectives", "stopped"
METRIC_NAMES = "study:metric_names"
"""Where Optuna keeps the names of the objectives; its own setter warns that it is experimental."""
STATES: dict[End, TrialState] = {
    "finished": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
EVERY = 1.0
"""Seconds between writes of what is only reported: a trial that is interrupted is run again from its start anyway."""
ATTEMPTS = 3
"""How often a trial is begun: one that brings its process down each time is not the process's bad luck."""


@dataclass(frozen=True)
class Owner:
    """A process as others can look for it: its machine (this boot of it), its number there, and when it was born."""

    machine: str
    pid: int
    born: str

    @classmethod
    def me(cls) -> Owner:
        boot = Path("/proc/sys/kernel/random/boot_id")
        names = Path("/proc/self/ns/pid")
        parts = [socket.gethostname(), boot.read_text().strip() if boot.exists() else ""]
        parts.append(str(names.stat().st_ino) if names.exists() else "")
        return cls("/".join(parts), os.getpid(), _born(os.getpid()))

    def gone(self) -> bool:
        """Whether the process is known to have ended; only its own machine knows."""
        return self.machine == Owner.me().machine and _born(self.pid) != self.born


def _born(pid: int) -> str:
    """The clock tick at which a process began, so that a number given anew is not taken for it; empty where it is not there."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        pass
    try:
        os.kill(pid, 0)
    except OSError:
        return ""
    return "there"


class Kept:
    """A store in a file or database; see ``open_store``."""

    def __init__(
        self,
        where: str,
        *,
        name: str,
        space: Space,
        objectives: Mapping[str, Direction],
        attrs: Mapping[str, Any],
        lease: float,
    ) -> None:
        self.space, self.objectives, self.lease, self.name = space, dict(objectives), lease, name
        self.shelf = open_shelf(where)
        self.worker = uuid.uuid4().hex[:12]
        self.owner = Owner.me()
        self.seconds = 0.0
        """What asking, telling and reading have cost so far, samplers included."""
        self._beaten = -1e9
        self._ids: dict[int, int] = {}
        self._unwritten: dict[int, dict[int, float]] = {}
        self._over: dict[int, Finished] = {}
        self._kinds = {name: _distribution(space, name) for name in space.searched}
        try:
            with self.shelf.alone(name):
                study = optuna.create_study(
                    storage=self.shelf.storage,
                    study_name=name,
                    directions=list(self.objectives.values()),
                    load_if_exists=True,
                )
                self.study_id: int = study._study_id
                self._introduce(study, attrs)
        except BaseException:
            self.shelf.close()
            raise

    def _introduce(self, study: optuna.Study, attrs: Mapping[str, Any]) -> None:
        there = study.user_attrs
        if SPACE not in there:
            if study.get_trials(deepcopy=False):
                raise InputError(f'the study "{self.name}" has trials of another program: give another name')
            self.shelf.storage.set_study_system_attr(self.study_id, METRIC_NAMES, list(self.objectives))
            for key, value in {OBJECTIVES: self.objectives, **attrs, SPACE: self.space.to_dict()}.items():
                study.set_user_attr(key, value)
        elif Space.parse(there[SPACE]) != self.space or list(there[SPACE]) != list(self.space):
            raise InputError(
                f'the study "{self.name}" searches another space, or one in another order: give another name, or its own space'
            )
        elif there[OBJECTIVES] != self.objectives:
            raise InputError(
                f'the study "{self.name}" has other objectives ({", ".join(there[OBJECTIVES])}): give another name'
            )

    @property
    def attrs(self) -> dict[str, Any]:
        """What was written with the study when it was made."""
        attributes = self.shelf.storage.get_study_user_attrs(self.study_id)
        return {key: value for key, value in attributes.items() if not key.startswith("thalweg:")}

    def ask(self, sampler: Sampler, n: int, *, most: int | None = None) -> list[Ticket]:
        began = time.perf_counter()
        with self.shelf.alone(self.name):
            trials = self._trials()
            again, gone = self._interrupted(trials, n)
            taken = [
                Ticket(trial.number, self._point(trial), trial.system_attrs.get(ATTEMPT, 1) + 1) for trial in again
            ]
            lost = {trial.number: self._point(trial) for trial in gone}
            finished = [self._finished(trial) for trial in trials if trial.state.is_finished()]
            finished += [
                as_finished(Told(number, "failed"), point, self.objectives, 0) for number, point in lost.items()
            ]
            running = [
                Asked(trial.number, self._point(trial))
                for trial in trials
                if trial.state == TrialState.RUNNING and trial.number not in lost
            ]
            finished.sort(key=lambda trial: trial.number)
            points = sampler.suggest(finished, running, room(n - len(taken), len(trials), most))
            mine = [
                Change(trial._trial_id, system={WORKER: self.worker, ATTEMPT: ticket.attempt})
                for trial, ticket in zip(again, taken, strict=True)
            ]
            ended = [_failed(trial) for trial in gone]
            batch = Batch(self.study_id, self._life(), [self._template(point) for point in points], [*mine, *ended])
            if points or batch.changes:
                new = self.shelf.write(batch).new
                self._ids.update(new)
                taken += [Ticket(number, point) for number, point in zip(sorted(new), points, strict=True)]
        self.seconds += time.perf_counter() - began
        return taken

    def report(self, curves: Mapping[int, Mapping[int, float]]) -> None:
        for number, curve in curves.items():
            self._unwritten.setdefault(number, {}).update(curve)

    def tell(self, results: Sequence[Told]) -> list[int]:
        first: dict[int, Told] = {}
        for told in results:
            first.setdefault(told.number, told.kept)
        return self._write(first)

    def _write(self, results: Mapping[int, Told]) -> list[int]:
        """Writes what was reported and told; the numbers of the trials that this has ended."""
        began = time.perf_counter()
        numbers = {self._id(number): number for number in {**results, **self._unwritten}}
        changes = [self._change(trial_id, number, results.get(number)) for trial_id, number in numbers.items()]
        ended = self.shelf.write(Batch(self.study_id, self._life(), changes=changes)).ended
        self._unwritten.clear()
        self.seconds += time.perf_counter() - began
        return [numbers[trial_id] for trial_id in ended]

    def _change(self, trial_id: int, number: int, told: Told | None) -> Change:
        steps = self._unwritten.get(number, {})
        if told is None:
            return Change(trial_id, steps=steps)
        values = None if told.end == "failed" else told.scores
        return Change(trial_id, steps=steps, user=told.attrs, state=STATES[told.end], values=values)

    def beat(self) -> None:
        quiet = time.monotonic() - self._beaten
        if quiet > self.lease / 4 or (self._unwritten and quiet > EVERY):
            self._write({})

    def finished(self) -> list[Finished]:
        return [self._finished(trial) for trial in self._trials() if trial.state.is_finished()]

    def running(self) -> list[Asked]:
        return [Asked(t.number, self._point(t)) for t in self._trials() if t.state == TrialState.RUNNING]

    def told(self) -> dict[int, dict[str, Any]]:
        return {trial.number: trial.user_attrs for trial in self._trials()}

    def close(self) -> None:
        self._close(given_back=True)

    def _close(self, *, given_back: bool) -> None:
        """What is given back in good order has not been begun: only what brought its process down counts as an attempt."""
        if self._unwritten:
            self._write({})
        mine = [trial for trial in self._trials() if trial.state == TrialState.RUNNING] if given_back else []
        again = [
            Change(trial._trial_id, system={ATTEMPT: trial.system_attrs.get(ATTEMPT, 1) - 1})
            for trial in mine
            if trial.system_attrs.get(WORKER) == self.worker
        ]
        self.shelf.write(Batch(self.study_id, {LEASE_OF + self.worker: None}, changes=again))
        self.shelf.close()

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._close(given_back=kind is None or not issubclass(kind, Exception))  # Ctrl-C is no Exception

    def _life(self) -> dict[str, Any]:
        """The sign of life that goes along with whatever is written."""
        self._beaten = time.monotonic()
        owner = self.owner
        return {LEASE_OF + self.worker: [time.time(), owner.machine, owner.pid, owner.born]}

    def _interrupted(self, trials: Sequence[FrozenTrial], n: int) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
        """Of the trials whose process is gone: at most ``n`` to be run again, and those that were begun too often."""
        open_ = [trial for trial in trials if trial.state == TrialState.RUNNING and WORKER in trial.system_attrs]
        leases = self.shelf.storage.get_study_system_attrs(self.study_id) if open_ else {}
        alive = {trial.system_attrs[WORKER]: False for trial in open_}
        alive = {worker: self._alive(worker, leases.get(LEASE_OF + worker)) for worker in alive}
        orphans = [trial for trial in open_ if not alive[trial.system_attrs[WORKER]]]
        gone = [trial for trial in orphans if trial.system_attrs.get(ATTEMPT, 1) >= ATTEMPTS]
        return [trial for trial in orphans if trial.system_attrs.get(ATTEMPT, 1) < ATTEMPTS][:n], gone

    def _alive(self, worker: str, lease: Sequence[Any] | None) -> bool:
        if worker == self.worker:
            return True
        if lease is None:
            return False
        beat, owner = lease[0], Owner(*lease[1:])
        if owner.machine == self.owner.machine and owner.pid != self.owner.pid:
            return not owner.gone()
        return time.time() - beat < self.lease

    def _trials(self) -> list[FrozenTrial]:
        trials = self.shelf.trials(self.study_id)
        self._ids = {trial.number: trial._trial_id for trial in trials}
        return trials

    def _id(self, number: int) -> int:
        if number not in self._ids:
            self._trials()
        if number not in self._ids:
            raise InputError(f'the study "{self.name}" has no trial {number}: tell those that were asked')
        return self._ids[number]

    def _point(self, trial: FrozenTrial) -> Point:
        fixed = {name: kind.value for name, kind in self.space.dimensions.items() if isinstance(kind, Fixed)}
        return self.space.active({**fixed, **trial.params})

    def _finished(self, trial: FrozenTrial) -> Finished:
        if trial.number not in self._over:
            end = next(end for end, state in STATES.items() if state == trial.state)
            told = Told(trial.number, end, tuple(trial.values or ()))
            self._over[trial.number] = as_finished(told.kept, self._point(trial), self.objectives, trial.last_step or 0)
        return self._over[trial.number]

    def _template(self, point: Point) -> FrozenTrial:
        kinds = {name: kind for name, kind in self._kinds.items() if name in point}
        return optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params={name: point[name] for name in kinds},
            distributions=kinds,
            system_attrs={WORKER: self.worker},
        )


def _failed(trial: FrozenTrial) -> Change:
    sentence = f"its process ended {ATTEMPTS} times without a result"
    return Change(trial._trial_id, user={STOPPED: sentence}, state=TrialState.FAIL)


def _distribution(space: Space, name: str) -> Any:
    """How Optuna's pages show a dimension: whole numbers as such, β itself instead of 1 − β."""
    dimension = space[name]
    if isinstance(dimension, Choices):
        return optuna.distributions.CategoricalDistribution(dimension.values)
    if not isinstance(dimension, Range):
        raise InputError(f"{name}: a study keeps ranges and choices, not {type(dimension).__name__}")
    log = dimension.scale in ("log", "power2")
    if isinstance(dimension.low, int) and isinstance(dimension.high, int):
        return optuna.distributions.IntDistribution(dimension.low, dimension.high, log=log)
    return optuna.distributions.FloatDistribution(dimension.low, dimension.high, log=log)
