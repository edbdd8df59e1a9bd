"""What lies in one folder of the runs folder, as a row of the list; what is broken is said in the row.

>>> Reader(Path("runs/digits-1")).entry()
Entry(name='digits-1', kind='run', state='finished', data='digits', rule='adamw', metric='accuracy', best=0.972, …)

A reader stays with its folder and reads a file again only where its time or size has changed. It reads alone what a row says,
with the standard library: neither torch nor the checks of a ``Spec`` are needed to list three hundred runs.
"""

from __future__ import annotations

import json
import math
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from stat import S_ISREG
from typing import Any

from thalweg.errors import InputError
from thalweg.experiments.folder import Folder
from thalweg.report.index import Entry
from thalweg.view.curve import Curve
from thalweg.view.lanes import LOW, Lanes

KINDS = {"spec.toml": "run", "study.toml": "study", "race.toml": "race"}
"""What a folder is, by the file that describes it."""
QUIET = {"run": 20.0, "study": 120.0, "race": 20.0}
"""Seconds after the last change in which what is not finished counts as running without being asked."""
ASK_AGAIN = 10.0
Stamp = tuple[int, int] | None


def stamp(path: Path) -> Stamp:
    """Time and size of a file; None where there is none, or something that is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size) if S_ISREG(found.st_mode) else None


class Reader:
    """Follows one run, study or page from outside."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kind = next((kind for name, kind in KINDS.items() if (path / name).is_file()), "page")
        self._read: dict[Path, tuple[Stamp, dict[str, Any]]] = {}
        self._curve = Curve(path / "history.jsonl")
        self.lanes = Lanes(path)
        self._trials: dict[str, dict[str, Any]] = {}
        self._asked: tuple[float, bool] = (-math.inf, False)

    def stamps(self) -> tuple[object, ...]:
        """Changes whenever the page would: times and sizes of the files it is made of, and whether the run is going."""
        names = (
            *KINDS,
            "result.json",
            "history.jsonl",
            "rate.json",
            "findings.json",
            "interventions.jsonl",
            "page.html",
        )
        entry = self.entry()
        return (*(stamp(self.path / name) for name in names), entry.done, entry.state)

    def entry(self) -> Entry:
        """The row. What cannot be read gives a row that says so, and never an exception."""
        try:
            return {"run": self._run, "study": self._study, "race": self._race}.get(self.kind, self._page)()
        except InputError as error:
            said = str(error)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            said = f"{self.path.name} cannot be read ({type(error).__name__}: {error}); its files may be half written"
        return Entry(self.path.name, self.kind, state="damaged", said=said)

    # ---- kinds ---------------------------------------------------------------------------------------------------
    def _run(self) -> Entry:
        spec, result = self._toml("spec.toml"), self._result()
        state, said = self._state(result, "resume")
        folds = spec.get("folds")
        if stamp(self._curve.path) is not None:
            self._curve.refresh()
        metric = _metric(spec, self._curve.metrics, result)
        curve = self._curve.values(metric)
        best = (min if metric in LOW else max)((v for v in curve if math.isfinite(v)), default=math.nan)
        if folds:
            metric = _metric(spec, tuple(_part(result, "held_out")), result)
            best = float(_part(result, "held_out").get(metric, math.nan))
        return Entry(
            name=self.path.name,
            kind="cross-validation" if folds else "run",
            data=_name_of_data(spec),
            rule=str(spec.get("rule", "")),
            state=state,
            said=said,
            metric=metric,
            best=best,
            curve=curve,
            unit="folds" if folds else "epochs",
            done=len(list(self.path.glob("fold-*/result.json"))) if folds else self._curve.passes,
            total=int(folds or spec.get("epochs", 0)),
            seconds=float(result.get("seconds", self._curve.seconds)),
            when=self._when(result, "spec.toml"),
        )

    def _study(self) -> Entry:
        about, result = self._toml("study.toml"), self._result()
        state, said = self._state(result, "tune --name")
        metric = str(about.get("watch", "accuracy"))
        ended = sorted(self._ended().values(), key=lambda record: float(record.get("ended", 0.0)))
        scores = [float(score) for record in ended if (score := _dev(record, metric)) is not None]
        better = min if metric in LOW else max
        so_far: list[float] = []
        for score in scores:
            so_far.append(better(score, so_far[-1]) if so_far else score)
        return Entry(
            name=self.path.name,
            kind="study",
            data=_name_of_data(about),
            rule=str(about.get("rule", "")),
            state=state,
            said=said,
            metric=metric,
            best=so_far[-1] if so_far else math.nan,
            curve=tuple(so_far),
            unit="trials",
            done=len(ended),
            total=max(int(about.get("search", {}).get("trials", 0)), len(ended)),
            seconds=float(result.get("seconds", sum(float(record.get("seconds", 0.0)) for record in ended))),
            when=self._when(result, "study.toml"),
        )

    def _race(self) -> Entry:
        result, lanes = self._result(), self.lanes.read()
        state, said = self._state(result, "race --name")
        done = sum(lane.runs for lane in lanes)
        alone = len(self.lanes.about["problems"]) == 1
        curves = [lane.curve[-1] for lane in lanes if lane.curve] if alone else []
        better = min if lanes and lanes[0].metric in LOW else max
        return Entry(
            name=self.path.name,
            kind="race",
            data=_some(self.lanes.about["problems"]),
            rule=_some(self.lanes.about["entrants"]),
            state=state,
            said=said,
            metric=lanes[0].metric if lanes else "",
            best=better((value for value in curves if math.isfinite(value)), default=math.nan),
            unit="runs",
            done=done,
            total=done if state == "finished" else max(self.lanes.total, done),
            seconds=float(result.get("seconds", math.nan)),
            when=self._when(result, "race.toml"),
        )

    def _page(self) -> Entry:
        """A page of something that the list has no words for."""
        if stamp(self.path / "page.html") is None:
            raise InputError(
                f"{self.path.name} has no spec.toml and no page.html: it is no run, or only the rest of one"
            )
        result = self._result()
        return Entry(
            name=self.path.name, kind="page", state=str(result.get("status", "")), when=self._when(result, "page.html")
        )

    # ---- pieces --------------------------------------------------------------------------------------------------
    def _state(self, result: Mapping[str, Any], command: str) -> tuple[str, str]:
        """One word and, where there is more to say, a sentence."""
        status, _, why = str(result.get("status", "running")).partition(": ")
        again = f"go on with: thalweg {command} {self.path.name}"
        if status == "running" and not self._going():
            last = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self._newest()))
            return "silent", f"no sign of life since {last}; if it was killed, {again}"
        if status.startswith("stopped"):
            return "stopped", again
        return status.partition(" ")[0], why

    def _going(self) -> bool:
        """Whether somebody works on it: its files change, or a process holds it."""
        if time.time() - self._newest() < QUIET.get(self.kind, 0.0):
            return True
        asked, held = self._asked
        if time.monotonic() - asked > ASK_AGAIN:
            held = Folder(self.path).held  # asked seldom, and only of what has been quiet for long
            self._asked = (time.monotonic(), held)
        return held

    def _newest(self) -> float:
        paths = [self.path / name for name in (*KINDS, "history.jsonl", "result.json", "study.log")]
        paths += (self.path / "runs").glob("*.jsonl") if self.kind == "race" else ()
        return max((found[0] / 1e9 for path in paths if (found := stamp(path)) is not None), default=0.0)

    def _when(self, result: Mapping[str, Any], made: str) -> str:
        if created := result.get("created"):
            return str(created)
        found = stamp(self.path / made)
        return "" if found is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found[0] / 1e9))

    def _ended(self) -> dict[str, dict[str, Any]]:
        """The results of a study's trials, each read once."""
        if self.kind != "study" or not (self.path / "trials").is_dir():
            return {}
        for trial in sorted((self.path / "trials").iterdir()):
            if trial.name not in self._trials and (trial / "result.json").is_file():
                self._trials[trial.name] = json.loads((trial / "result.json").read_text(encoding="utf-8"))
        return self._trials

    def _result(self) -> dict[str, Any]:
        path = self.path / "result.json"
        return self._once(path, lambda: _object(json.loads(path.read_text(encoding="utf-8")))) if stamp(path) else {}

    def _toml(self, name: str) -> dict[str, Any]:
        path = self.path / name
        return self._once(path, lambda: tomllib.loads(path.read_text(encoding="utf-8")))

    def _once(self, path: Path, read: Any) -> dict[str, Any]:
        now = stamp(path)
        if path not in self._read or self._read[path][0] != now:
            try:
                self._read[path] = now, read()
            except (ValueError, TypeError) as error:
                raise InputError(f"{path.name} is damaged: {error}") from None
        return self._read[path][1]


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("it holds no object")
    return value


def _metric(spec: Mapping[str, Any], known: tuple[str, ...], result: Mapping[str, Any]) -> str:
    """What a run is judged by: what it watches, where that is a metric; else what counts for its task."""
    usual = ("r2", "loss") if result.get("task") == "regression" else ("accuracy", "r2", "loss")
    return next((name for name in (str(spec.get("watch")), *usual) if name in known), "")


def _part(result: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    return result.get("metrics", {}).get(part, {})


def _dev(record: Mapping[str, Any], metric: str) -> float | None:
    return record["metrics"]["dev"].get(metric) if record.get("status") in ("finished", "pruned") else None


def _name_of_data(spec: Mapping[str, Any]) -> str:
    return Path(str(spec.get("data", ""))).name


def _some(names: Mapping[str, Any]) -> str:
    """The first names of a list, and how many more there are."""
    known = list(names)
    return ", ".join(known[:3]) + (f" and {len(known) - 3} more" if len(known) > 3 else "")
