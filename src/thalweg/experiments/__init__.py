"""The switchboard: where names become objects and rooms that are strangers to each other meet.

``fit`` trains any ``nn.Module`` on anything that holds data, ``cross_validate`` one for each fold; ``start`` and ``resume``
do the same from a ``Spec`` in a run folder, which is what the command line calls; ``load`` opens a finished run to predict
with it.

>>> fitted = thalweg.fit(model, (X, y), epochs=20)
>>> outcome = start(Spec(data="digits"), Silent())
>>> thalweg.load("runs/digits-1").predict(frame)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_NAMES = {
    "Spec": "spec",
    "Folder": "folder",
    "Silent": "watcher",
    "Watcher": "watcher",
    "check": "checking",
    "cross_validate": "folds",
    "diagnose_run": "diagnosing",
    "fit": "fitting",
    "improve_run": "improving",
    "landscape": "landscaping",
    "load": "predict",
    "ThalwegClassifier": "estimators",
    "ThalwegRegressor": "estimators",
    "race": "racing",
    "start": "run",
    "resume": "run",
    "surface": "surveying",
    "tune": "tuning",
}

if TYPE_CHECKING:
    from thalweg.experiments.checking import check
    from thalweg.experiments.diagnosing import diagnose_run
    from thalweg.experiments.estimators import ThalwegClassifier, ThalwegRegressor
    from thalweg.experiments.fitting import fit
    from thalweg.experiments.folder import Folder
    from thalweg.experiments.folds import cross_validate
    from thalweg.experiments.improving import improve_run
    from thalweg.experiments.landscaping import landscape
    from thalweg.experiments.predict import load
    from thalweg.experiments.racing import race
    from thalweg.experiments.run import resume, start
    from thalweg.experiments.spec import Spec
    from thalweg.experiments.surveying import surface
    from thalweg.experiments.tuning import tune
    from thalweg.experiments.watcher import Silent, Watcher

__all__ = [
    "Folder",
    "Silent",
    "Spec",
    "ThalwegClassifier",
    "ThalwegRegressor",
    "Watcher",
    "check",
    "cross_validate",
    "diagnose_run",
    "fit",
    "improve_run",
    "landscape",
    "load",
    "race",
    "resume",
    "start",
    "surface",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(f"thalweg.experiments.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'thalweg.experiments' has no attribute {name!r}")
