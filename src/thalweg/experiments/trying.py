"""One trial of a changed spec: a run like any other, kept under the run it belongs to, made once however often it is asked for.

>>> trial = Trials(folder, metric="accuracy", watcher=Silent()).make(spec.replace(lr=0.01, seed=2), "lr-0.01")
>>> trial.score, trial.failed
(0.967, '')

A run that ends in numbers that are none has the score of its best pass before: that is what its spec achieves.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.errors import InputError
from thalweg.experiments.folder import Folder
from thalweg.experiments.run import Interrupted, resume, start
from thalweg.experiments.spec import Spec
from thalweg.experiments.watcher import Silent, Watcher
from thalweg.history import History
from thalweg.train import State
from thalweg.train.metrics import higher_is_better

WORST_R2 = -1.0


@dataclass(frozen=True)
class Trial:
    """``score`` is higher where better, NaN where the spec cannot be tried; ``failed`` says why it ended where it did."""

    folder: Folder
    spec: Spec
    score: float
    failed: str = ""


class Stopped(Exception):
    """The user stopped a trial; what was done is kept."""


class _Passing(Silent):
    """Tells another watcher of passes."""

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher

    def on_epoch(self, state: State) -> None:
        self.watcher.advance(state.epoch)


class Trials:
    """Makes trials under ``base/improve``. ``made`` counts those that were trained now, ``seconds`` what they took."""

    def __init__(self, base: Folder, *, metric: str, watcher: Watcher) -> None:
        self.base, self.metric, self.watcher = base, metric, watcher
        self.made, self.seconds = 0, 0.0

    def make(self, spec: Spec, label: str) -> Trial:
        """Trains ``spec``, or goes on with it, or reads what came of it before. Raises ``Stopped`` on Ctrl-C."""
        runs = self.base.path / "improve"
        name = f"{_slug(label)}-{_digest(spec)}-seed{spec.seed}"
        spec = spec.replace(runs=str(runs), name=name)
        folder, begin = Folder(runs / name), time.monotonic()
        try:
            if not self._is_done(folder):
                self.watcher.stage(f"{label}, seed {spec.seed}", spec.epochs)
                self.made += 1
                if folder.checkpoint.exists():
                    resume(folder.path, _Passing(self.watcher))
                else:
                    shutil.rmtree(folder.path, ignore_errors=True)
                    start(spec, _Passing(self.watcher))
        except Interrupted:
            raise Stopped from None
        except InputError as error:
            if not folder.result.exists():  # found impossible before anything was trained
                return Trial(folder, spec, math.nan, str(error))
            if not self._is_done(folder):  # another process trains it, or it could not go on
                raise
        finally:
            self.seconds += time.monotonic() - begin
        return self.read(folder)

    def _is_done(self, folder: Folder) -> bool:
        status = folder.read_json(folder.result)["status"] if folder.result.exists() else ""
        return status == "finished" or status.startswith("failed")

    def read(self, folder: Folder) -> Trial:
        """What came of a run that has ended."""
        result, spec = folder.read_json(folder.result), Spec.read(folder.spec)
        if result["status"] == "finished":
            return Trial(folder, spec, self._score(result["metrics"]["dev"][self.metric]))
        history = History.read(folder.history) if folder.history.exists() else History()
        scores = [self._score(value) for value in history.column(f"dev/{self.metric}").values if math.isfinite(value)]
        return Trial(folder, spec, max(scores, default=math.nan), result["status"])

    def _score(self, value: float) -> float:
        if self.metric == "r2":  # how far it is below what the mean achieves says nothing, and would drown all else
            return max(value, WORST_R2)
        return value if higher_is_better(self.metric) else -value


def _slug(label: str) -> str:
    return re.sub(r"[^\w.]+", "-", label).strip("-.")[:40]


def _digest(spec: Spec) -> str:
    settings = {
        name: value for name, value in spec.model_dump().items() if name not in ("name", "runs", "seed", "threads")
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:6]


T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Student's t, two-sided 95 %, for 1 to 9 degrees of freedom."""


@dataclass(frozen=True)
class Gain:
    """The mean of paired differences with its 95 % interval (Student 1908); infinite with one pair."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, before: Mapping[int, float], after: Mapping[int, float], *, least: float = 0.0) -> Gain:
        """From scores by seed. ``least`` is the smallest standard error there can be: one row's share of the dev part."""
        differences = np.array([after[seed] - before[seed] for seed in after if seed in before])
        if not len(differences) or not np.isfinite(differences).all():
            return cls(math.nan, math.nan, math.nan)
        mean, n = float(differences.mean()), len(differences)
        if n == 1:
            return cls(mean, -math.inf, math.inf)
        half = T_95[min(n - 2, len(T_95) - 1)] * max(float(differences.std(ddof=1)) / math.sqrt(n), least)
        return cls(mean, mean - half, mean + half)

    @property
    def helps(self) -> bool:
        return self.low > 0

    def to_dict(self) -> dict[str, Any]:
        return {"mean": self.mean, "low": self.low, "high": self.high}
