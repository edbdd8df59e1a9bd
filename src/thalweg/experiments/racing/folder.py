"""The folder of a race: a line for each run that was trained, whole jobs at a time.

::

    runs/digits-race-1/
      race.toml       the settings, the entrants, the budget
      runs/           each run as it ended, a file for each problem: who, with what, its curve
      best/adam.toml  the settings each rule won with: thalweg train best/adam.toml
      result.json     what came of the race
      page.html       the report

>>> log = Log(folder.log("digits"))
>>> log.curves(entrant, "tune", candidates)               # None where they have not been trained
>>> log.add(entrant, "tune", candidates, curves)

A job is written by one call, whole or not at all: a race that was killed trains its last job again, to the same numbers.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from thalweg.errors import InputError
from thalweg.experiments.folder import Folder
from thalweg.experiments.racing.plan import Entrant
from thalweg.experiments.racing.problem import Candidate, Curve
from thalweg.files import replacing


@dataclass(frozen=True)
class RaceFolder(Folder):
    """Paths of one race."""

    @property
    def race(self) -> Path:
        return self.path / "race.toml"

    def log(self, problem: str) -> Path:
        return self.path / "runs" / (re.sub(r"[^\w.-]+", "-", problem) + ".jsonl")

    @property
    def best(self) -> Path:
        return self.path / "best"

    @classmethod
    def of(cls, runs: str | Path, name: str | None, stem: str) -> RaceFolder:
        """The race of that name, where there is one; else a new one. Raises ``InputError`` where a run has the name, or
        it is no name for a folder."""
        if name is not None and (re.fullmatch(r"[\w.-]+", name) is None or not name.strip(".")):
            raise InputError(f'a race cannot be named "{name}": take letters, digits, "-", "_" and "." alone')
        path = Path(runs) / (name or "")
        if name is not None and path.is_dir():
            if not (path / "race.toml").exists() and any(path.iterdir()):
                raise InputError(f"{path} is no race, but a folder of something else: choose another --name")
            return cls(path)
        return cls(Folder.create(runs, name, f"{stem}-race").path)

    @classmethod
    def there(cls, path: str | Path, runs: str | Path = "runs") -> RaceFolder | None:
        """The race at a path or of a name under ``runs``; None where there is none."""
        candidates = (Path(path), Path(runs) / path)
        return next((cls(candidate) for candidate in candidates if (candidate / "race.toml").is_file()), None)


Key = tuple[str, str, str]


class Log:
    """The runs of one problem that were trained, in memory and on disk (None: in memory alone).

    ``seconds`` is what they took, in all the sittings of a race. Raises ``InputError`` for a file that nobody could have left
    by being killed.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._known: dict[Key, Curve] = {}
        self._paces: dict[str, float] = {}
        self.seconds = 0.0
        self._since = time.monotonic()
        if path is not None and path.exists():
            try:
                self._read(path)
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                raise InputError(
                    f"{path} is damaged ({type(error).__name__}: {error}): delete it, and its runs are trained again"
                ) from None

    def _read(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        whole, _, torn = text.rpartition("\n")
        jobs: dict[str, list[tuple[Key, Curve]]] = {}
        sizes: dict[str, int] = {}
        for line in whole.splitlines():
            record = json.loads(line)
            self.seconds += record.get("seconds", 0.0)
            if "pace" in record:
                self._paces[record["entrant"]] = record["pace"]
                continue
            key = (record["entrant"], record["stage"], _text(record["candidate"]))
            jobs.setdefault(record["job"], []).append((key, Curve.from_dict(record["curve"])))
            sizes[record["job"]] = record["of"]
        kept = {job for job, size in sizes.items() if len(jobs[job]) == size}
        self._known = {key: curve for job in kept for key, curve in jobs[job]}
        if torn or len(kept) < len(jobs):
            lines = [line for line in whole.splitlines() if json.loads(line).get("job") in {None, *kept}]
            with replacing(path, sure=True) as beside:  # a crash here must not cost what was trained
                beside.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def curves(self, entrant: Entrant, stage: str, candidates: Sequence[Candidate]) -> list[Curve] | None:
        """The curves of a job, None where it has to be trained."""
        keys = [(entrant.name, stage, _text(asdict(one))) for one in candidates]
        return [self._known[key] for key in keys] if all(key in self._known for key in keys) else None

    def add(self, entrant: Entrant, stage: str, candidates: Sequence[Candidate], curves: Sequence[Curve]) -> None:
        """Keeps a job."""
        job = f"{entrant.name}/{stage}/{len(self._known)}"
        lines = []
        for one, curve in zip(candidates, curves, strict=True):
            self._known[entrant.name, stage, _text(asdict(one))] = curve
            record = {"job": job, "of": len(candidates), "entrant": entrant.name, "stage": stage}
            lines.append(record | {"candidate": asdict(one), "curve": curve.to_dict()})
        self._append(lines)

    def pace(self, entrant: Entrant) -> float | None:
        """Seconds of an update, None where they have not been measured."""
        return self._paces.get(entrant.name)

    def add_pace(self, entrant: Entrant, seconds: float) -> None:
        """Keeps them."""
        self._paces[entrant.name] = seconds
        self._append([{"entrant": entrant.name, "pace": seconds}])

    def _append(self, records: Sequence[dict[str, Any]]) -> None:
        since, self._since = self._since, time.monotonic()
        self.seconds += self._since - since
        if self.path is None:
            return
        records = [records[0] | {"seconds": round(self._since - since, 3)}, *records[1:]]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    def __len__(self) -> int:
        return len(self._known)


def _text(candidate: dict[str, Any]) -> str:
    return json.dumps(candidate, sort_keys=True)
