"""What a person does to a run while it goes, as files: commands that wait, their answers, and the record of what was done.

::

    runs/digits-1/
      steer/0001.json             a command, put there whole by ``thalweg steer``
      steer/0001.answer.json      what the run said to it
      interventions.jsonl         what was done, one JSON object a line: step, epoch, what, from, to, when
      steered.toml                the settings with that record: ``thalweg train`` on it does the same at the same steps

>>> validated(Spec.read("runs/digits-1/spec.toml"), {"lr": 0.01, "momentum": 0.8})
>>> send(folder, Command(settings={"lr": 0.01}))
'lr 0.001 → 0.01 from step 412 on'
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from thalweg.errors import InputError
from thalweg.experiments.build import build_optimizer
from thalweg.experiments.folder import Folder
from thalweg.experiments.spec import Spec
from thalweg.files import replacing

SETTINGS = ("lr", "epochs", "patience", "weight_decay", "clip_norm", "dropout")
"""Settings of a ``Spec`` that a run can change while it goes; numbers among the rule's own options come to them."""
ACTS = ("set", "back", "pause", "resume", "stop")


@dataclass(frozen=True)
class Command:
    """What ``thalweg steer`` asks for at once, done in this order: back to a pass, new settings, pause or resume, stop."""

    back_to: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    pause: bool = False
    resume: bool = False
    stop: bool = False
    number: int = 0

    def acts(self) -> list[tuple[str, str, Any]]:
        """The single acts, as (act, what, to)."""
        acts: list[tuple[str, str, Any]] = [("back", "epoch", self.back_to)] if self.back_to is not None else []
        acts += [("set", name, value) for name, value in self.settings.items()]
        return acts + [(act, "", None) for act in ("pause", "resume", "stop") if getattr(self, act)]


@dataclass(frozen=True)
class Intervention:
    """One act and where in the run it was done: after ``step`` updates and ``epoch`` whole passes."""

    act: str
    step: int
    epoch: int
    what: str = ""
    before: Any = None
    to: Any = None
    when: str = ""
    command: int = 0
    """The number of the command it came from; 0 where it was repeated from a record."""

    def sentence(self) -> str:
        """What was done, in words."""
        if self.act == "set":
            return f"{self.what} {worded(self.before)} → {worded(self.to)} from step {self.step + 1:,} on"
        if self.act == "back":
            return f"back to the end of epoch {self.to}, from step {self.step:,}"
        return {"pause": "paused", "resume": "going on", "stop": "ended"}[self.act] + f" after step {self.step:,}"


def worded(value: Any) -> str:
    """A value as one would type it."""
    if isinstance(value, list | tuple):
        return ",".join(map(worded, value))
    return "none" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def settable(spec: Spec) -> dict[str, Any]:
    """What can be changed in a run of ``spec`` while it goes, and what it is at the start."""
    optimizer = build_optimizer(spec, [torch.nn.Parameter(torch.zeros(1))], lr=spec.lr or 1.0)
    group = optimizer.param_groups[0]
    numbers = {
        name: value
        for name, value in group.items()
        if name not in (*SETTINGS, "params", "initial_lr") and _is_numbers(value)
    }
    decay = group.get("weight_decay") if spec.weight_decay is None else spec.weight_decay
    found = {name: getattr(spec, name) for name in SETTINGS} | {"weight_decay": decay}
    if decay is None:
        del found["weight_decay"]
    return found | numbers


def _is_numbers(value: Any) -> bool:
    each = value if isinstance(value, tuple) else (value,)
    return all(isinstance(one, int | float) and not isinstance(one, bool) for one in each)


def validated(spec: Spec, settings: Mapping[str, Any]) -> Spec:
    """The spec with these settings, held to what ``Spec`` and the rule allow.

    Raises ``InputError`` for a value that makes no sense and for what cannot be changed in a run that goes.
    """
    known = settable(spec)
    for name in settings:
        if name not in known:
            there = (
                "cannot be changed while the run goes" if name in Spec.model_fields else "is nothing that can be set"
            )
            raise InputError(f'"{name}" {there}: {", ".join(known)} can')
    own = {name: value for name, value in settings.items() if name in SETTINGS}
    options = {name: value for name, value in settings.items() if name not in SETTINGS}
    for name, value in own.items():
        if value is None and name != "clip_norm":
            raise InputError(f'"{name}" cannot be none: give a number')
    changed = spec.replace(**own, options=spec.options | options)
    build_optimizer(changed, [torch.nn.Parameter(torch.zeros(1))], lr=changed.lr or 1.0)
    return changed


class Mailbox:
    """The commands of a run's folder. A command is a file that appears whole; its answer is another beside it."""

    def __init__(self, folder: Folder) -> None:
        self.path = folder.path / "steer"
        self.seen: set[int] = set()

    def put(self, command: Command) -> int:
        """Leaves a command, under a number nobody else has; returns the number."""
        self.path.mkdir(exist_ok=True)
        temporary = self.path / f".{os.getpid()}"
        temporary.write_text(json.dumps({k: v for k, v in asdict(command).items() if k != "number"}), encoding="utf-8")
        number = max(self._numbers(), default=0)
        try:
            while True:
                number += 1
                try:
                    os.link(temporary, self.path / f"{number:04d}.json")
                    return number
                except FileExistsError:  # another one steers too
                    continue
        finally:
            temporary.unlink(missing_ok=True)

    def new(self) -> list[Command]:
        """The commands that have come since; one that is no command is answered so."""
        found = []
        for number in sorted(set(self._numbers()) - self.seen):
            self.seen.add(number)
            if self._answer(number).exists():
                continue
            try:
                said = json.loads((self.path / f"{number:04d}.json").read_text(encoding="utf-8"))
                found.append(Command(**said, number=number))
            except (ValueError, TypeError) as error:
                self.answer(number, error=f"steer/{number:04d}.json is no command: {error}")
        return found

    def answer(self, number: int, *, said: str = "", error: str = "") -> None:
        """Says what became of a command."""
        if number:
            with replacing(self._answer(number)) as beside:
                beside.write_text(json.dumps({"said": said, "error": error}, ensure_ascii=False), encoding="utf-8")

    def answered(self, number: int) -> dict[str, str] | None:
        """What the run said to a command; None while it has said nothing."""
        try:
            return json.loads(self._answer(number).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def _answer(self, number: int) -> Path:
        return self.path / f"{number:04d}.answer.json"

    def _numbers(self) -> list[int]:
        try:
            names = os.listdir(self.path)
        except FileNotFoundError:
            return []
        return [int(name[:-5]) for name in names if re.fullmatch(r"\d{4,}\.json", name)]


def check_steerable(folder: Folder) -> Spec:
    """The settings of a run that can be steered. Raises ``InputError`` for one that has finished, or does not go."""
    spec = Spec.read(folder.spec)
    if _ended(folder):
        raise InputError(f"the run {folder.path} has finished: it cannot be steered; see {folder.page}")
    if spec.folds is not None:
        raise InputError(f"{folder.path} is a cross-validation, whose folds are not steered: steer a single run")
    try:
        with folder.alone():
            pass
    except InputError:
        return spec
    raise InputError(f"nobody trains the run {folder.path} now: go on with it first, by thalweg resume {folder.path}")


def _ended(folder: Folder) -> bool:
    return folder.result.exists() and folder.read_json(folder.result)["status"] == "finished"


def send(folder: Folder, command: Command, *, patience: float = 20.0) -> str | None:
    """Gives a command to a run that goes and waits for its answer; None where it has not answered in ``patience`` seconds.

    Raises ``InputError`` at once for what cannot be, and with the run's own sentence where it refuses.
    """
    spec = check_steerable(folder)
    validated(spec, command.settings)
    if not command.acts():
        raise InputError("say what to do: --set lr=0.01, --pause, --resume, --back-to EPOCH or --stop")
    mailbox = Mailbox(folder)
    number = mailbox.put(command)
    until = time.monotonic() + patience
    while True:
        over = time.monotonic() >= until or _ended(folder)
        answer = mailbox.answered(number)
        if answer is not None:
            if answer["error"]:
                raise InputError(answer["error"])
            return answer["said"]
        if over:
            break
        time.sleep(0.05)
    check_steerable(folder)  # it may have ended in the meantime
    return None


def read_record(path: Path) -> list[Intervention]:
    """The interventions of a record; a line half written by a killed run is none. ``InputError`` for what is no record."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; give the interventions.jsonl of a run") from None
    found = []
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), 1):
        try:
            said = json.loads(line)
            one = Intervention(**{**said, "step": int(said["step"]), "epoch": int(said["epoch"])})
            if one.act not in ACTS:
                raise ValueError(f'there is no act "{one.act}"')
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path}, line {number} is no intervention: {error}") from None
        found.append(one)
    return found


def append_record(path: Path, one: Intervention) -> None:
    """Puts an intervention on disk before it has an effect: a run that is killed then does it again at the same step."""
    with path.open("a+b") as file:
        end = file.seek(0, 2)
        file.seek(0)
        whole = file.read().rfind(b"\n") + 1
        if whole != end:
            file.truncate(whole)
        file.write((json.dumps(asdict(one), ensure_ascii=False) + "\n").encode())
        file.flush()
        os.fsync(file.fileno())
