"""thalweg: how should this network be trained, and why does it not train?

The public face: names only. Each is imported when first used, so ``import thalweg`` does no work.

>>> import thalweg
>>> run = thalweg.fit(model, (X, y))
>>> optimizer = thalweg.optim.Adam(model.parameters(), lr=1e-3)
>>> print(thalweg.rules.adam)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_ROOMS = frozenset({
    "averages", "cli", "data", "diagnose", "doctor", "engines", "errors", "experiments", "gradcheck", "history", "initializers",
    "models", "monitors", "optim", "population", "report", "rules", "schedules", "search", "surfaces", "testing", "train",
})  # fmt: skip
_NAMES = {
    "check": "thalweg.experiments",
    "cross_validate": "thalweg.experiments",
    "fit": "thalweg.experiments",
    "landscape": "thalweg.experiments",
    "load": "thalweg.experiments",
    "ThalwegClassifier": "thalweg.experiments",
    "ThalwegRegressor": "thalweg.experiments",
    "History": "thalweg.history",
    "InputError": "thalweg.errors",
    "surface": "thalweg.experiments",
    "race": "thalweg.experiments",
    "tune": "thalweg.experiments",
    "watch": "thalweg.doctor",
}

__all__ = [
    "History", "InputError", "ThalwegClassifier", "ThalwegRegressor", "check", "cross_validate", "fit", "landscape",
    "load", "optim", "race", "rules", "surface", "tune", "watch",
]  # fmt: skip

if TYPE_CHECKING:
    from thalweg import optim, rules
    from thalweg.doctor import watch
    from thalweg.errors import InputError
    from thalweg.experiments import (
        ThalwegClassifier,
        ThalwegRegressor,
        check,
        cross_validate,
        fit,
        landscape,
        load,
        race,
        surface,
        tune,
    )
    from thalweg.history import History


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    if name in _ROOMS:
        return import_module(f"thalweg.{name}")
    raise AttributeError(f"module 'thalweg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_NAMES, *_ROOMS, "__version__"])
