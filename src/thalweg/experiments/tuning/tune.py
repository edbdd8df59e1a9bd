"""A study from its settings to its folder: ``thalweg tune`` and ``thalweg.tune``.

>>> folder, result = start_study(Spec(data="digits", epochs=5), Plan(trials=16), Silent())
>>> result["best"]["values"]
{'lr': 0.0041, …}
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thalweg.errors import InputError
from thalweg.experiments.build import build_device
from thalweg.experiments.parts import prepare
from thalweg.experiments.reading import read
from thalweg.experiments.run import _anywhere, _interruptible
from thalweg.experiments.spec import Spec
from thalweg.experiments.tuning.candidate import check_space, default_space
from thalweg.experiments.tuning.engine import Here, Laboratory
from thalweg.experiments.tuning.folder import StudyFolder
from thalweg.experiments.tuning.plan import Plan
from thalweg.experiments.tuning.study import Study
from thalweg.experiments.tuning.trainer import Event
from thalweg.experiments.watcher import Watcher

if TYPE_CHECKING:
    from thalweg.data import Data, Stream


@dataclass(frozen=True)
class Tuned:
    """What came of a search."""

    folder: StudyFolder
    values: dict[str, Any]


class StudyStopped(Exception):
    """The user stopped the study; every trial that ended is kept, and it can go on."""

    def __init__(self, folder: StudyFolder) -> None:
        super().__init__(f"stopped; the same command with --name {folder.name} goes on")
        self.folder = folder


def start_study(
    spec: Spec, plan: Plan, watcher: Watcher, on_event: Callable[[Event, Study], None] = lambda event, study: None
) -> tuple[StudyFolder, dict[str, Any]]:
    """Makes or goes on with the study of ``spec.name`` and searches. Returns its folder and the content of ``result.json``.

    Raises ``InputError`` for what cannot be searched or trained.
    """
    if spec.folds is not None or spec.shard:
        raise InputError("a search trains each candidate once, in one process: leave out folds and shard")
    spec = _anywhere(spec)
    data = read(spec)
    space = plan.space if plan.space is not None else default_space(spec)
    check_space(spec, space)
    folder = StudyFolder.of(spec.runs, spec.name, data.name)
    with folder.alone():
        folder.write(folder.study, spec.to_toml())
        return folder, _search(folder, spec, data, space, plan, watcher, on_event)


def _search(
    folder: StudyFolder,
    spec: Spec,
    data: Data | Stream,
    space: Any,
    plan: Plan,
    watcher: Watcher,
    on_event: Callable[[Event, Study], None],
) -> dict[str, Any]:
    began = time.monotonic()
    device = build_device(spec.device)
    prepared = prepare(data, spec, device=device)
    watch = spec.watch or ("loss" if prepared.task == "regression" else "accuracy")
    laboratory = Laboratory(prepared, device)
    study = Study(folder, spec, space, laboratory, Here(laboratory), plan.trials, plan.members or 64, watch, on_event)
    with _interruptible() as interrupted:
        study.run(interrupted)
        if interrupted():
            raise StudyStopped(folder)
    result = {
        "status": "finished",
        "task": data.task,
        "best": study.best,
        "trials": len(study.results),
        "counts": dict(Counter(record["status"] for record in study.results)),
        "seconds": round(time.monotonic() - began, 3),
    }
    folder.write_json(folder.result, result)
    return result


def tune() -> Tuned:
    """Later."""
    raise NotImplementedError
