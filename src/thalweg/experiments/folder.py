"""The folder of a run: what lies where, and which runs there are.

::

    runs/digits-1/
      spec.toml            all settings, also those thalweg chose: the run repeats from it
      history.jsonl        every number recorded, growing as the run goes
      checkpoint.pt        all that is needed to go on
      rate.json            how the learning rate was chosen
      model.safetensors    the best weights
      preprocessing.json   what was learned from the training part: means, categories …
      result.json          status, metrics, choices
      page.html            the report
      steer/               commands to a run that goes, and its answers
      interventions.jsonl  what was done to it by hand, and at which step; steered.toml repeats the run with it
      passes/              checkpoints of a few passes to go back to, while the run goes
      abandoned-1.jsonl    the history of a way that was left by going back

Files are replaced whole or grow by lines, so a killed run leaves nothing half written.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thalweg.errors import InputError
from thalweg.files import replacing

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Folder:
    """Paths of one run."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def spec(self) -> Path:
        return self.path / "spec.toml"

    @property
    def history(self) -> Path:
        return self.path / "history.jsonl"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.pt"

    @property
    def rate(self) -> Path:
        return self.path / "rate.json"

    @property
    def model(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def preprocessing(self) -> Path:
        return self.path / "preprocessing.json"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    @property
    def page(self) -> Path:
        return self.path / "page.html"

    @classmethod
    def create(cls, runs: str | Path, name: str | None, stem: str) -> Folder:
        """A new folder, never one that exists: ``stem-1``, ``stem-2`` … or the ``name`` given."""
        runs = Path(runs)
        try:
            runs.mkdir(parents=True, exist_ok=True)
            if name is not None:
                try:
                    (runs / name).mkdir()
                except FileExistsError:
                    raise InputError(f"the run {runs / name} exists already: choose another --name") from None
                return cls(runs / name)
            stem = re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "run"
            number = 1 + max((_number(path.name, stem) for path in runs.glob(f"{stem}-*")), default=0)
            while True:
                try:
                    (runs / f"{stem}-{number}").mkdir()
                    return cls(runs / f"{stem}-{number}")
                except FileExistsError:  # another process took this number
                    number += 1
        except OSError as error:
            raise InputError(f"the folder {runs} cannot be written to: {error.strerror}") from None

    @classmethod
    def open(cls, path: str | Path, runs: str | Path = "runs") -> Folder:
        """The folder of an existing run, by its path or by its name under ``runs``; of a study, its winner."""
        for candidate in (Path(path), Path(runs) / path):
            if (candidate / "spec.toml").is_file():
                return cls(candidate)
            if (candidate / "study.toml").is_file():
                if not (candidate / "best" / "spec.toml").is_file():
                    raise InputError(
                        f"the study {candidate} has no winner yet: let it finish, with thalweg tune --name"
                    )
                return cls(candidate / "best")
            if (candidate / "race.toml").is_file():
                raise InputError(
                    f"{candidate} is a race, not a run: its page is {candidate / 'page.html'}, the same command with --name "
                    f"{candidate.name} makes it anew, and {candidate / 'best'} has each rule's settings for thalweg train"
                )
        known = [folder.name for folder in cls.all(runs) if not (folder.path / "race.toml").is_file()]
        hint = f"; the runs in {runs} are {', '.join(known[-5:])}" if known else ""
        raise InputError(f"{path} is not a run (it has no spec.toml){hint}")

    @classmethod
    def all(cls, runs: str | Path) -> list[Folder]:
        """All runs, studies and races under ``runs``, oldest first."""
        specs = [path for name in ("spec", "study", "race") for path in Path(runs).glob(f"*/{name}.toml")]
        return [cls(path.parent) for path in sorted(specs, key=lambda path: (path.stat().st_ctime_ns, path))]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Holds the run for this process; the lock goes with the process, however it ends.

        Raises ``InputError`` where another one trains it now: both would write into one history.
        """
        if fcntl is None:
            yield
            return
        lock = os.open(self.path, os.O_RDONLY)  # the folder itself: its files are replaced, and a lock with them
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"the run {self.path} is being trained by another process: wait for it") from None
            except OSError:  # a file system without locks
                pass
            yield
        finally:
            os.close(lock)

    @property
    def held(self) -> bool:
        """Whether a process works on it. To ask is to hold it for a moment."""
        try:
            with self.alone():
                return False
        except InputError:
            return True

    def write(self, path: Path, text: str) -> None:
        """Replaces a file of the run atomically."""
        with replacing(path) as beside:
            beside.write_text(text, encoding="utf-8")

    def write_json(self, path: Path, value: Mapping[str, Any]) -> None:
        self.write(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")

    def read_json(self, path: Path) -> dict[str, Any]:
        """The content of a JSON file of the run; ``InputError`` where it is not there or damaged."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise ValueError("it holds no object")
            return found
        except FileNotFoundError:
            raise InputError(f"the run {self.path} has no {path.name}: it did not get that far") from None
        except ValueError as error:
            raise InputError(f"{path} is damaged: {error}") from None


def _number(name: str, stem: str) -> int:
    match = re.fullmatch(re.escape(stem) + r"-(\d+)", name)
    return int(match[1]) if match else 0
