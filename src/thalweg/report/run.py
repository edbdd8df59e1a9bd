"""What a page is told of a run beside its history.

>>> RunReport(name="digits-1", task="multiclass", status="finished", metrics={"test": {"accuracy": 0.975}}).metric
'accuracy'
>>> RateReport.from_dict({"rate": 0.003, "band": [1e-4, 0.1], "rates": [1e-5, 1e-4], "losses": [2.3, None], …}).losses
array([2.3, nan])

Everything has a default, so that a run still going, or a loop of one's own, gets a page from what it has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thalweg.errors import InputError


@dataclass(frozen=True)
class Candidate:
    """One confirming run of the rate search: mini-batch ``losses`` ``(steps,)`` and its dev loss at the end."""

    rate: float
    steps: int
    losses: np.ndarray
    score: float


@dataclass(frozen=True)
class RateReport:
    """How a learning rate was found: the range test's curve ``(n,)``, its band, the confirming runs, the sentence of reason."""

    rate: float
    band: tuple[float, float]
    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    candidates: tuple[Candidate, ...] = ()
    reason: str = ""
    steps: int = 0

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> RateReport:
        """From plain lists and numbers, as ``search.RateChoice.to_dict`` gives them; None is a number that was not finite.

        Raises ``InputError`` where a key is missing.
        """
        try:
            low, high = record["band"]
            return cls(
                rate=float(record["rate"]),
                band=(float(low), float(high)),
                rates=_curve(record["rates"]),
                losses=_curve(record["losses"]),
                smoothed=_curve(record.get("smoothed", record["losses"])),
                candidates=tuple(
                    Candidate(float(c["rate"]), int(c["steps"]), _curve(c["losses"]), _number(c["score"]))
                    for c in record.get("candidates", ())
                ),
                reason=str(record.get("reason", "")),
                steps=int(record.get("steps", 0)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"the record of the rate search cannot be read ({error!r}): make the page without it"
            ) from error


def _number(value: float | None) -> float:
    return math.inf if value is None else float(value)


def _curve(values: Sequence[float | None]) -> np.ndarray:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


@dataclass(frozen=True)
class RunReport:
    """A run as its page shows it.

    ``status`` is "finished", "running" or "stopped: why". ``data`` is a profile: any names and values, with the sizes of the
    parts under ``parts``. ``spec`` is the settings as plain data. ``layers`` has one record for each layer: name, type, shape,
    parameters. ``rule`` is the update's formula as text. ``metrics`` by part: ``{"test": {"accuracy": …, "loss": …}}``.
    ``confusion`` holds ``classes`` (C names) and ``matrix`` (C × C counts: a row for each true class); ``predictions`` has for
    each output its ``name`` and ``true`` and ``predicted`` numbers of equal length; ``part`` names the part both are from.
    ``choices`` are (what, value, why) of all that thalweg decided by itself. ``folds`` of a cross-validation have ``held_out``
    rows, ``metrics`` on them, ``lr``, ``best_epoch``, ``epochs`` and ``seconds`` each; ``metrics`` are then their means.
    ``interventions`` by hand, in order, have ``act``, ``step``, ``what``, ``before``, ``to`` and ``when`` each.
    """

    name: str
    created: str = ""
    status: str = "finished"
    task: str = "multiclass"
    data: Mapping[str, Any] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    layers: Sequence[Mapping[str, Any]] = ()
    rule: str = ""
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    best_epoch: int | None = None
    rate: RateReport | None = None
    confusion: Mapping[str, Any] | None = None
    predictions: Sequence[Mapping[str, Any]] = ()
    part: str = "test"
    choices: Sequence[tuple[str, str, str]] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    folds: Sequence[Mapping[str, Any]] = ()
    interventions: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        if self.confusion is not None:
            names, matrix = self.confusion["classes"], np.asarray(self.confusion["matrix"])
            if matrix.shape != (len(names), len(names)):
                raise InputError(
                    f"the confusion matrix is {matrix.shape} for {len(names)} classes: give one row and column for each"
                )

    @property
    def metric(self) -> str:
        """The metric that says how good the model is."""
        return "r2" if self.task == "regression" else "accuracy"

    @property
    def parameters(self) -> int:
        """Parameters of all layers."""
        return sum(int(layer.get("parameters", 0)) for layer in self.layers)
