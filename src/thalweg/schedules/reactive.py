"""Schedules that react to what the run measured: less when it no longer improves, more once it has come far enough.

>>> rate = 0.1 * (warmup(500) >> plateau(0.5, patience=3))
>>> rate.watches()
('dev/loss',)

Called with a step they give what they would if nothing were ever measured; ``begin()`` gives the form that hears of it.
They are told once a pass. The text names a measurement in quotes:

>>> parse("until('train/accuracy', 0.8, constant(0.1)) >> constant()")         # He et al. 2015, section 4.2: ResNet-110
until('train/accuracy', 0.8, constant(value=0.1)) >> constant()
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from thalweg.errors import InputError
from thalweg.schedules.running import Running
from thalweg.schedules.schedule import Count, Schedule

HIGHER_IS_BETTER = {"accuracy", "balanced_accuracy", "f1", "auc", "r2"}
MODES = ("min", "max")


def rises(metric: str, mode: str | None) -> bool:
    """Whether more of ``metric`` is better: as ``mode`` says, else by its name."""
    return mode == "max" if mode is not None else metric.rpartition("/")[2] in HIGHER_IS_BETTER


def heard(metric: str, measured: Mapping[str, float], schedule: Schedule) -> float:
    """The measurement that a schedule waits for."""
    if metric not in measured:
        raise InputError(
            f'schedule {type(schedule).__name__}: the run does not measure "{metric}": '
            f"choose among {', '.join(measured) or 'nothing'}"
        )
    return float(measured[metric])


@dataclass(frozen=True, repr=False)
class plateau(Schedule):
    """1, times ``factor`` whenever more than ``patience`` measurements of ``metric`` in a row brought no improvement.

    It improves where it falls below ``(1 − threshold) · best`` (``mode="max"``: rises above ``(1 + threshold) · best``); R²
    and accuracy are better when higher, all else when lower, unless ``mode`` says so. After a reduction ``cooldown``
    measurements count for nothing. Never below ``lowest``. The decisions are those of PyTorch's ``ReduceLROnPlateau``.
    """

    factor: float = 0.1
    patience: Count = 10
    threshold: float = 1e-4
    cooldown: Count = 0
    lowest: float = 0.0
    metric: str = "dev/loss"
    mode: str | None = None

    def check(self) -> str:
        if not 0 < self.factor < 1:
            return f"factor is {self.factor!r} but must be above 0 and below 1"
        if self.threshold < 0:
            return f"threshold is {self.threshold!r} but must be at least 0"
        if not 0 <= self.lowest <= 1:
            return f"lowest is {self.lowest!r} but must be a share of the initial value, from 0 to 1"
        return wrong_mode(self.mode)

    def __call__(self, step: int) -> float:
        return 1.0

    def watches(self) -> tuple[str, ...]:
        return (self.metric,)

    def begin(self) -> Running:
        return RunningPlateau(self)


class RunningPlateau(Running):
    """Counts measurements without improvement."""

    def __init__(self, schedule: plateau) -> None:
        self.schedule = schedule
        self.rises = rises(schedule.metric, schedule.mode)
        self.value = 1.0
        self.best = -math.inf if self.rises else math.inf
        self.bad = 0
        self.cooling = 0

    def __call__(self, step: int) -> float:
        return self.value

    def end(self) -> int | None:
        return None

    def observe(self, step: int, measured: Mapping[str, float]) -> None:
        made = self.schedule
        now = heard(made.metric, measured, made)
        wanted = self.best * (1.0 + made.threshold if self.rises else 1.0 - made.threshold)
        if now > wanted if self.rises else now < wanted:  # NaN is no improvement
            self.best, self.bad = now, 0
        else:
            self.bad += 1
        if self.cooling:
            self.cooling, self.bad = self.cooling - 1, 0
        if self.bad > made.patience:
            self.value = max(self.value * made.factor, made.lowest)
            self.cooling, self.bad = made.cooldown, 0

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value, "best": self.best, "bad": self.bad, "cooling": self.cooling}

    def load_state_dict(self, saved: dict[str, Any], /) -> None:
        self.value, self.best = float(saved["value"]), float(saved["best"])
        self.bad, self.cooling = int(saved["bad"]), int(saved["cooling"])


@dataclass(frozen=True, repr=False)
class until(Schedule):
    """Another schedule until ``metric`` has reached ``bound``; then what follows it begins.

    R² and accuracy reach it from below, all else from above, unless ``mode`` says so: "max" from below, "min" from above.
    """

    metric: str
    bound: float
    schedule: Schedule
    mode: str | None = None

    def check(self) -> str:
        return wrong_mode(self.mode)

    def __call__(self, step: int) -> float:
        return self.schedule(step)

    def extent(self) -> int:
        return self.schedule.extent()

    def may_be_followed(self) -> bool:
        return True

    def watches(self) -> tuple[str, ...]:
        return (self.metric, *self.schedule.watches())

    def begin(self) -> Running:
        return RunningUntil(self)


class RunningUntil(Running):
    """Waits for a bound."""

    def __init__(self, schedule: until) -> None:
        self.schedule = schedule
        self.inner = schedule.schedule.begin()
        self.reached: int | None = None

    def __call__(self, step: int) -> float:
        return self.inner(step)

    def end(self) -> int | None:
        return self.reached

    def observe(self, step: int, measured: Mapping[str, float]) -> None:
        self.inner.observe(step, measured)
        now, bound = heard(self.schedule.metric, measured, self.schedule), self.schedule.bound
        upwards = rises(self.schedule.metric, self.schedule.mode)
        if self.reached is None and (now >= bound if upwards else now <= bound):
            self.reached = step

    def state_dict(self) -> dict[str, Any]:
        return {"reached": self.reached, "inner": self.inner.state_dict()}

    def load_state_dict(self, saved: dict[str, Any], /) -> None:
        self.reached = None if saved["reached"] is None else int(saved["reached"])
        self.inner.load_state_dict(saved["inner"])


def wrong_mode(mode: str | None) -> str:
    """What is wrong with a mode, or nothing."""
    return "" if mode is None or mode in MODES else f"mode is {mode!r} but must be 'min' or 'max'"
