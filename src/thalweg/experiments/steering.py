"""A run that can be steered: it looks for commands twice a second, does them between two steps and says what it did.

>>> steering = Steering(folder, spec)
>>> conduct(experiment, …, steering=steering)           # obeys ``thalweg steer RUN --set lr=0.01``

All that happens by hand goes through one list in order. It is on disk before it has an effect, and the checkpoint knows how
much of it is done, so a resumed run does the rest at the same steps; and a run given the list from the start
(``interventions`` in its settings) is the steered run again, to the same bits.

What a setting means is what it means in the spec: ``lr`` is the rate that the schedule is a factor of, ``epochs`` how far the
schedule reaches. Going back to a pass puts back what was set then too.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import torch

from thalweg.errors import InputError
from thalweg.experiments.folder import Folder
from thalweg.experiments.interventions import (
    SETTINGS,
    Command,
    Intervention,
    Mailbox,
    append_record,
    read_record,
    validated,
)
from thalweg.experiments.spec import Spec
from thalweg.experiments.watcher import Silent, Watcher
from thalweg.history import History
from thalweg.train import Best, Hook, Scheduled, State
from thalweg.train.parallel import Ranks
from thalweg.train.passes import Passes

STEERED = "steered"
"""Why the loop is left and entered again: something that it holds has changed."""
EVERY = 0.5
"""Seconds between two looks for commands; a look is the listing of a folder."""


class Steering(Hook):
    """Does what commands and a record say to a run. ``attach`` gives it the parts of the run before training begins.

    Several processes look for commands between passes only; the first one reads them for all.
    """

    def __init__(
        self,
        folder: Folder,
        spec: Spec,
        *,
        watcher: Watcher | None = None,
        interrupted: Callable[[], bool] = lambda: False,
        ranks: Ranks | None = None,
    ) -> None:
        self.folder, self.spec, self.ranks = folder, spec, ranks or Ranks()
        self.watcher, self.interrupted = watcher or Silent(), interrupted
        self.record_path = folder.path / "interventions.jsonl"
        self.mailbox = Mailbox(folder)
        own = read_record(self.record_path) if self.record_path.exists() else []
        repeated = read_record(Path(spec.interventions)) if spec.interventions else []
        self.mailbox.seen = {one.command for one in own}
        self.recorded = own
        """All that stands in the run's own record; the first ``done`` of it have been done."""
        self.script = deque(repeated[sum(one.command == 0 for one in own) :])
        self.done = 0
        self.asked: deque[tuple[int, str, str, Any]] = deque()
        self.said: dict[int, list[str]] = {}
        self.originals: dict[str, Any] = {}
        self.paused = False
        self.back: int | None = None
        self.due = 0.0
        self.busy = True
        """Whether something waits to be done, now or at a later step."""

    @property
    def wanted(self) -> set[int]:
        """The passes that the record goes back to."""
        return {int(one.to) for one in (*self.recorded, *self.script) if one.act == "back"}

    def attach(
        self,
        *,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        best: Best,
        scheduled: Scheduled,
        schedule: Callable[[Spec], Any],
        history: History,
        checkpoints: Passes,
    ) -> None:
        """The parts of the run. ``schedule(spec)`` makes the rate's schedule of changed settings."""
        self.model, self.optimizer, self.best = model, optimizer, best
        self.scheduled, self.schedule = scheduled, schedule
        self.history, self.checkpoints = history, checkpoints
        drops = [one for one in model.modules() if isinstance(one, torch.nn.modules.dropout._DropoutNd)]
        self.drops = drops[1:] if self.spec.input_dropout and drops else drops

    # What the loop tells.

    def begin(self, state: State) -> None:
        """Before the loop, and before it goes on: what the record says of this step, and commands that wait already."""
        self._listen()
        self._work(state)

    def on_step(self, state: State) -> None:
        if monotonic() >= self.due:
            self._listen()
        if self.busy:
            self._work(state)

    def on_epoch(self, state: State) -> None:
        if not self.ranks.alone:
            self._listen()
        self._work(state)

    def goes_on(self, state: State) -> bool:
        """After the loop was left: whether it was for a moment only."""
        return state.stop == STEERED or self.back is not None

    def go_on(self, state: State) -> State:
        """What to go on from: where the loop was left, or the pass gone back to, with its history."""
        if self.back is None:
            state.stop = ""
            return state
        epoch, done = self.back, self.done
        self.history.flush()
        left = self.folder.history.read_bytes()
        state, offset = self.checkpoints.go_back(epoch, self.model, self.optimizer)
        self.done, self.back, state.stop = done, None, ""
        number = sum(one.act == "back" for one in self.recorded[:done])
        (self.folder.path / f"abandoned-{number}.jsonl").write_bytes(left[offset:])
        self.history.rewind(offset)
        self.history.record(state.step, {"steer/back_to": float(epoch)})
        self.checkpoints.save(state)
        return state

    def end(self) -> None:
        """The run is over: what still waits is told so, and no pass can be gone back to."""
        for command in {number for number, *_ in self.asked if number} | {one.number for one in self.mailbox.new()}:
            self._answer(command, error="the run has ended before it came to this")
        self.checkpoints.clear()

    def state_dict(self) -> dict[str, Any]:
        done = self.done - (self.back is not None)  # it is done once the weights are back
        return {"done": done, "settings": {name: self._now(name) for name in self.originals}}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.done = int(saved["done"])
        for name, value in {**self.originals, **saved["settings"]}.items():
            self._apply(name, value)

    # Commands.

    def _listen(self) -> None:
        self.due = monotonic() + EVERY if self.ranks.alone else math.inf
        for command in self.ranks.tell(self.mailbox.new() if self.ranks.first else None):
            self._take(command)

    def _take(self, command: Command) -> None:
        try:
            validated(self.spec, command.settings)
            self._check(command)
        except InputError as error:
            self._answer(command.number, error=str(error))
            return
        self.said[command.number] = []
        self.asked += [(command.number, *act) for act in command.acts()]
        self.busy = True

    def _check(self, command: Command) -> None:
        """What only the run itself knows."""
        if command.back_to is not None:
            if not self.ranks.alone:
                raise InputError("a run of several processes cannot go back: stop it, and resume it in one process")
            self.checkpoints.check(command.back_to)
        dropout = command.settings.get("dropout")
        if dropout is not None:
            given = len(dropout) if isinstance(dropout, list | tuple) else 1
            if not self.drops:
                raise InputError("this network has no dropout to set: start it with --dropout")
            if given not in (1, len(self.drops)):
                raise InputError(
                    f"dropout has {given} probabilities for {len(self.drops)} layers: give one, or one each"
                )

    def _work(self, state: State) -> None:
        """All that is to be done now; waits here while the run is paused."""
        while True:
            while not state.stop and (act := self._next(state)) is not None:
                self._do(state, *act)
            if not self.paused or state.stop or self.ranks.tell(self.interrupted()):
                self.busy = bool(self.asked or self.script or self.done < len(self.recorded) or self.paused)
                return
            time.sleep(0.1)
            self._listen()

    def _next(self, state: State) -> tuple[int, str, str, Any] | None:
        """The next act: what is left to do again of the own record, then of the one repeated, then what is asked."""
        waiting = self.recorded[self.done] if self.done < len(self.recorded) else None
        if waiting is None and self.script:
            waiting = self.script[0]
            if waiting.step <= state.step and waiting.epoch <= state.epoch:
                self.script.popleft()
                return 0, waiting.act, waiting.what, waiting.to
            waiting = None
        if waiting is not None:
            due = waiting.step <= state.step and waiting.epoch <= state.epoch
            return (waiting.command, waiting.act, waiting.what, waiting.to) if due else None
        return self.asked.popleft() if self.asked else None

    def _do(self, state: State, command: int, act: str, what: str, to: Any) -> None:
        again = self.done < len(self.recorded)
        try:
            if what == "epochs" and int(to) < state.epoch + bool(state.position):
                raise InputError(
                    f"epochs = {to}: pass {state.epoch + bool(state.position)} has begun already; give more, or use --stop"
                )
            if act == "back":
                self.checkpoints.check(int(to))
        except InputError as error:
            if again or not command:
                raise
            self._answer(command, error=str(error))
            return
        if not again:
            before = self._now(what) if act == "set" else None
            one = Intervention(
                act, state.step, state.epoch, what, _plain(before), _plain(to),
                time.strftime("%Y-%m-%d %H:%M:%S"), command,
            )  # fmt: skip
            append_record(self.record_path, one)
            self.recorded.append(one)
            self._write_spec()
            if command:
                said = self.said.setdefault(command, [])
                said.append(one.sentence())
                if not any(asked[0] == command for asked in self.asked):
                    self._answer(command, said="; ".join(said))
            if act != "resume":
                self.watcher.note(one.sentence())
        self.done += 1
        live = bool(command) and not again
        if act == "set":
            self._apply(what, to)
            self._record(state, what, to)
            if what in ("epochs", "dropout"):
                state.stop = STEERED
        elif act == "back":
            self.back, state.stop = int(to), STEERED
        elif act == "stop":
            self.history.record(state.step, {"steer/stop": 1.0})
            state.stop = f"ended by hand after step {state.step}"
        elif live:  # a repeated run does not wait
            self.paused = act == "pause"
            self.history.record(state.step, {f"steer/{act}": 1.0})
            if self.paused:
                self.checkpoints.save(state)

    def _answer(self, command: int, *, said: str = "", error: str = "") -> None:
        if self.ranks.first:
            self.mailbox.answer(command, said=said, error=error)

    def _write_spec(self) -> None:
        steered = self.spec_of_run().replace(interventions=str(self.record_path.resolve()))
        self.folder.write(self.folder.path / "steered.toml", steered.to_toml())

    def spec_of_run(self) -> Spec:
        """The settings the run began with."""
        return Spec.read(self.folder.spec)

    def _record(self, state: State, name: str, value: Any) -> None:
        each = value if isinstance(value, list | tuple) else [value]
        names = [f"steer/{name}"] if len(each) == 1 else [f"steer/{name}/{i}" for i in range(1, len(each) + 1)]
        self.history.record(
            state.step, {n: math.inf if one is None else float(one) for n, one in zip(names, each, strict=True)}
        )

    # Settings.

    @property
    def epochs(self) -> int:
        """Passes to be made in all, as things stand."""
        return self.spec.epochs

    def _now(self, name: str) -> Any:
        group = self.optimizer.param_groups[0]
        if name == "dropout":
            return [one.p for one in self.drops]
        if name in SETTINGS and name != "weight_decay":
            return getattr(self.spec, name)
        return _plain(group.get(name))

    def _apply(self, name: str, value: Any) -> None:
        self.originals.setdefault(name, self._now(name))
        if name in SETTINGS and name not in ("dropout", "weight_decay"):
            self.spec = self.spec.replace(**{name: value})
        if name in ("lr", "epochs"):
            self.scheduled.follow(self.schedule(self.spec))
        elif name == "patience":
            self.best.patience = int(value)
        elif name == "dropout":
            each = value if isinstance(value, list | tuple) else [value]
            for drop, p in zip(self.drops, list(each) * len(self.drops) if len(each) == 1 else each, strict=False):
                drop.p = float(p)
        else:
            for group in self.optimizer.param_groups:
                if name == "clip_norm":
                    group[name] = math.inf if value is None else float(value)
                elif name in group:
                    group[name] = tuple(value) if isinstance(group[name], tuple) else value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
