"""The folder of a study: a light run for each trial, the winner as a whole run, the page.

::

    runs/digits-1/
      study.toml           what was searched, how, on what
      study.log            the trials, for the search and for optuna-dashboard
      times.json           how long each architecture predicts, where time is an objective
      trials/0012/         spec.toml, history.jsonl as it goes, result.json at its end
      best.toml            the winner's settings: thalweg train best.toml
      best/                the winner as a run: thalweg predict works on it
      result.json          what came of the study
      page.html            the report

>>> kept = Trials(folder)
>>> kept.begin(12, {"lr": 0.01}, spec); kept.passed(event); kept.ended(event)

Files are replaced whole or grow by lines, so a study that is killed leaves nothing half written.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thalweg.errors import InputError
from thalweg.experiments.folder import Folder
from thalweg.experiments.spec import Spec
from thalweg.experiments.tuning.trainer import Ended, Passed
from thalweg.files import replacing
from thalweg.history import History
from thalweg.search.dimensions import Value


@dataclass(frozen=True)
class StudyFolder(Folder):
    """Paths of one study. What belongs to a run lies in ``best``."""

    @property
    def study(self) -> Path:
        return self.path / "study.toml"

    @property
    def log(self) -> Path:
        return self.path / "study.log"

    @property
    def trials(self) -> Path:
        return self.path / "trials"

    @property
    def times(self) -> Path:
        return self.path / "times.json"

    @property
    def best(self) -> Path:
        return self.path / "best.toml"

    @property
    def winner(self) -> Folder:
        return Folder(self.path / "best")

    def trial(self, number: int) -> Folder:
        return Folder(self.trials / f"{number:04}")

    @contextmanager
    def turn(self) -> Iterator[None]:
        """What one process of several does at a time; waits for its turn."""
        with ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(self.alone())
                    break
                except InputError:
                    time.sleep(0.1)
            yield

    @classmethod
    def of(cls, runs: str | Path, name: str | None, stem: str) -> StudyFolder:
        """The study of that name, where there is one; else a new one. Raises ``InputError`` where a run has the name."""
        path = Path(runs) / (name or "")
        if name is not None and path.is_dir():
            if not (path / "study.toml").exists() and any(path.iterdir()):  # empty: another process is making it
                what = "a run" if (path / "spec.toml").exists() else "a folder of something else"
                raise InputError(f"{path} is {what}, not a study: choose another --name")
            return cls(path)
        return cls(Folder.create(runs, name, f"{stem}-study").path)

    @classmethod
    def there(cls, path: str | Path, runs: str | Path = "runs") -> StudyFolder | None:
        """The study at a path or of a name under ``runs``; None where there is none."""
        candidates = (Path(path), Path(runs) / path)
        return next((cls(candidate) for candidate in candidates if (candidate / "study.toml").is_file()), None)


class Trials:
    """Writes what happens to the trials of a study into their folders, as it happens."""

    def __init__(self, folder: StudyFolder) -> None:
        self.folder = folder
        self._open: dict[int, tuple[History, float]] = {}
        folder.trials.mkdir(parents=True, exist_ok=True)

    def begin(self, number: int, values: Mapping[str, Value], spec: Spec) -> None:
        """Makes the folder of a trial; what an earlier attempt at it left is dropped."""
        trial = self.folder.trial(number)
        if number in self._open:
            self._open.pop(number)[0].close()
        if trial.path.exists():
            shutil.rmtree(trial.path)
        trial.path.mkdir()
        trial.spec.write_text(spec.to_toml(), encoding="utf-8")
        self._open[number] = (History(trial.history), time.monotonic())

    def passed(self, event: Passed) -> None:
        """Records the numbers of a pass; the step of a trial's history is its pass."""
        history, began = self._open[event.number]
        numbers = {f"dev/{name}": value for name, value in event.metrics.items() if name != "train"}
        numbers |= {"train/loss": event.metrics["train"], "epoch": event.epoch, "seconds": time.monotonic() - began}
        history.record(event.epoch, numbers)
        history.flush()

    def ended(self, event: Ended, values: Mapping[str, Value], costs: Mapping[str, float]) -> dict[str, Any]:
        """Writes the result of a trial, and returns it; its weights lie beside it where it brought some."""
        history, began = self._open.pop(event.number)
        history.close()
        trial = self.folder.trial(event.number)
        if event.weights:
            with replacing(trial.model) as beside:
                beside.write_bytes(event.weights)
        if event.spec is not None:
            trial.write(trial.spec, event.spec.to_toml())
        record = {
            "number": event.number,
            "values": dict(values),
            "status": event.status,
            "score": event.score if math.isfinite(event.score) else None,
            "why": event.why,
            "epochs": event.epochs,
            "best_epoch": event.best_epoch,
            "metrics": {"dev": event.metrics},
            "costs": dict(costs),
            "created": time.strftime("%Y-%m-%d %H:%M:%S"),
            "ended": time.time(),
            "seconds": round(time.monotonic() - began, 3),
        }
        trial.write(trial.result, json.dumps(record, ensure_ascii=False) + "\n")
        return record

    def ended_before(self, number: int, values: Mapping[str, Value]) -> dict[str, Any] | None:
        """The result of a trial whose process was killed after writing it; None where there is none."""
        result = self.folder.trial(number).result
        if not result.exists():
            return None
        record = json.loads(result.read_text(encoding="utf-8"))
        return record if record["values"] == dict(values) else None

    def close(self) -> None:
        """Closes the histories of trials that did not end."""
        for history, _ in self._open.values():
            history.close()
        self._open.clear()

    def read(self) -> list[dict[str, Any]]:
        """The results of all trials that have ended, in order."""
        return [
            json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.folder.trials.glob("*/result.json"))
        ]

    def curves(self, number: int, metric: str) -> list[float]:
        """A metric of the dev part after each pass of a trial."""
        path = self.folder.trial(number).history
        return History.read(path).column(f"dev/{metric}").values.tolist() if path.exists() else []
