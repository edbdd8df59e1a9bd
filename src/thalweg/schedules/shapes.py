"""The shapes a schedule can have: each a formula of the step.

A class where the shape has a formula of its own, a function where it is composed of others. Lower-case names, because they are
the words of the text form.

>>> cosine(10_000, end=0.01)(5_000)
0.505
>>> wsd(1000)
warmup(50) >> constant(steps=750) >> linear(200)
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from thalweg.errors import InputError
from thalweg.schedules.reactive import plateau, until
from thalweg.schedules.running import Running, RunningEvery
from thalweg.schedules.schedule import UNENDING, Joined, Schedule


@dataclass(frozen=True, repr=False)
class every(Schedule):
    """Another schedule, moved on by one each ``steps`` updates: ``every(steps_per_epoch, …)`` counts passes."""

    steps: int
    schedule: Schedule

    def __call__(self, step: int) -> float:
        return self.schedule(step // self.steps)

    def length(self) -> int | None:
        inner = self.schedule.length()
        return None if inner is None else inner * self.steps

    def extent(self) -> int:
        return self.steps * self.schedule.extent()

    def may_be_followed(self) -> bool:
        return self.schedule.may_be_followed()

    def watches(self) -> tuple[str, ...]:
        return self.schedule.watches()

    def settled(self) -> Schedule:
        return every(self.steps, self.schedule.settled())

    def begin(self) -> Running:
        return RunningEvery(self.steps, self.schedule.begin())


LONGEST_EXTENT = 10**9


def fall_to_a_tenth(steps: float) -> int:
    """The extent of a shape that falls to a tenth in so many steps."""
    return math.ceil(min(max(steps, 1.0), LONGEST_EXTENT))


@dataclass(frozen=True, repr=False)
class constant(Schedule):
    """The same value always, or for ``steps`` updates where something follows."""

    value: float = 1.0
    steps: int | None = None

    def __call__(self, step: int) -> float:
        return self.value

    def length(self) -> int | None:
        return self.steps


@dataclass(frozen=True, repr=False)
class inverse_time(Schedule):
    """``1 / (1 + decay · t)``; by passes ``every(steps_per_epoch, inverse_time(decay))``, α₀ / (1 + decay · epoch)."""

    decay: float

    def check(self) -> str:
        return "" if self.decay >= 0 else f"decay is {self.decay!r} but must be at least 0"

    def __call__(self, step: int) -> float:
        return 1.0 / (1.0 + self.decay * step)

    def extent(self) -> int:
        return fall_to_a_tenth(9.0 / self.decay if self.decay else UNENDING)


@dataclass(frozen=True, repr=False)
class exponential(Schedule):
    """``baseᵗ``; by passes ``every(steps_per_epoch, exponential(base))``."""

    base: float

    def check(self) -> str:
        return "" if 0 < self.base <= 1 else f"base is {self.base!r} but must be above 0 and at most 1"

    def __call__(self, step: int) -> float:
        return float(self.base**step)

    def extent(self) -> int:
        return fall_to_a_tenth(math.log(0.1) / math.log(self.base) if self.base < 1 else UNENDING)


@dataclass(frozen=True, repr=False)
class inverse_root(Schedule):
    """``k / √t``, t counted from 1 (the first update gets k); within ``every``, ``k / √epoch``."""

    k: float = 1.0

    def __call__(self, step: int) -> float:
        return self.k / math.sqrt(step + 1)


@dataclass(frozen=True, repr=False)
class staircase(Schedule):
    """Piecewise constant: ``values[0]`` before step ``steps[0]``, then ``values[1]``, and so on."""

    steps: tuple[int, ...]
    values: tuple[float, ...]

    def check(self) -> str:
        if len(self.values) != len(self.steps) + 1:
            return f"{len(self.steps)} steps need {len(self.steps) + 1} values, one before each and one after the last"
        if list(self.steps) != sorted(set(self.steps)):
            return f"steps are {self.steps!r} but must rise"
        return ""

    def __call__(self, step: int) -> float:
        return self.values[bisect_right(self.steps, step)]

    def length(self) -> int | None:
        return self.steps[-1] if self.steps else None

    def extent(self) -> int:
        return self.steps[-1] + max(self.steps[-1] // 4, 1) if self.steps else UNENDING


@dataclass(frozen=True, repr=False)
class warmup(Schedule):
    """Gradual warm-up: ``t / n`` with t counted from 1, so update ``steps`` is the first with the full value."""

    steps: int

    def __call__(self, step: int) -> float:
        return min(1.0, (step + 1) / self.steps)

    def length(self) -> int | None:
        return self.steps


@dataclass(frozen=True, repr=False)
class warmup_constant(Schedule):
    """Constant warm-up: ``value`` for ``steps`` updates, then 1 (He et al. 2015, section 4.2: 0.1 for ResNet-110)."""

    steps: int
    value: float = 0.1

    def __call__(self, step: int) -> float:
        return self.value if step < self.steps else 1.0

    def length(self) -> int | None:
        return self.steps


@dataclass(frozen=True, repr=False)
class linear(Schedule):
    """A straight line from ``start`` at step 0 to ``end`` at step ``steps``."""

    steps: int
    start: float = 1.0
    end: float = 0.0

    def __call__(self, step: int) -> float:
        return self.start + (self.end - self.start) * min(1.0, step / self.steps)

    def length(self) -> int | None:
        return self.steps


@dataclass(frozen=True, repr=False)
class cosine(Schedule):
    """Half a wave from ``start`` to ``end``: ``½ (1 + cos π t/n)`` (Loshchilov & Hutter 2017, equation 5, one cycle)."""

    steps: int
    start: float = 1.0
    end: float = 0.0

    def __call__(self, step: int) -> float:
        wave = 0.5 * (1.0 + math.cos(math.pi * min(1.0, step / self.steps)))
        return self.end + (self.start - self.end) * wave

    def length(self) -> int | None:
        return self.steps


@dataclass(frozen=True, repr=False)
class polynomial(Schedule):
    """``(1 − t/n)^power`` from 1 to ``end``."""

    steps: int
    power: float = 2.0
    end: float = 0.0

    def check(self) -> str:
        return "" if self.power > 0 else f"power is {self.power!r} but must be above 0"

    def __call__(self, step: int) -> float:
        return self.end + (1.0 - self.end) * (1.0 - min(1.0, step / self.steps)) ** self.power

    def length(self) -> int | None:
        return self.steps


@dataclass(frozen=True, repr=False)
class sine(Schedule):
    """A quarter of a wave from 1 to ``end``: ``1 − sin(½π t/n)``; it falls fastest at once and levels off at the end."""

    steps: int
    end: float = 0.0

    def __call__(self, step: int) -> float:
        return self.end + (1.0 - self.end) * (1.0 - math.sin(0.5 * math.pi * min(1.0, step / self.steps)))

    def length(self) -> int | None:
        return self.steps


@dataclass(frozen=True, repr=False)
class root(Schedule):
    """``1 − √(t/n)`` from 1 to ``end``: the steepest start of all (Hägele et al. 2024, for the last part of ``wsd``)."""

    steps: int
    end: float = 0.0

    def __call__(self, step: int) -> float:
        return self.end + (1.0 - self.end) * (1.0 - math.sqrt(min(1.0, step / self.steps)))

    def length(self) -> int | None:
        return self.steps


@dataclass(frozen=True, repr=False)
class restarts(Schedule):
    """Cosine with warm restarts: from 1 to ``end`` in ``steps``, then at 1 again, each cycle ``growth`` times as long.

    ``½ (1 + cos π T_cur/T_i)`` with ``T_i = steps · growthⁱ`` (SGDR, Loshchilov & Hutter 2017, equation 5). Cycle i begins at
    ``steps · (growthⁱ − 1) / (growth − 1)``, so i is a logarithm of the step.
    """

    steps: int
    growth: float = 1.0
    end: float = 0.0

    def check(self) -> str:
        return "" if 1 <= self.growth <= 100 else f"growth is {self.growth!r} but must be at least 1 and at most 100"

    def __call__(self, step: int) -> float:
        cycle = self._cycle(step)
        passed = (step - self._begin(cycle)) / (self.steps * self.growth**cycle)
        return self.end + (1.0 - self.end) * 0.5 * (1.0 + math.cos(math.pi * min(max(passed, 0.0), 1.0)))

    def _begin(self, cycle: int) -> float:
        if self.growth == 1:
            return float(self.steps * cycle)
        return self.steps * ((self.growth**cycle - 1) / (self.growth - 1))

    def _cycle(self, step: int) -> int:
        if self.growth == 1:
            return step // self.steps
        cycle = int(math.log1p(step / self.steps * (self.growth - 1)) / math.log1p(self.growth - 1))
        # The logarithm is off by one where it falls on a restart: there the value would be the end, not the start.
        while cycle and self._begin(cycle) > step:
            cycle -= 1
        while self._begin(cycle + 1) <= step:
            cycle += 1
        return cycle

    def extent(self) -> int:
        return max(math.ceil(min(self._begin(3), LONGEST_EXTENT)) - 1, 1)  # before the next restart


def one_cycle(steps: int, rise: float = 0.3, start: float = 0.04, end: float = 4e-6) -> Schedule:
    """Up from ``start`` to 1 in the first share ``rise`` of the steps, down to ``end`` in the rest (Smith & Topin 2018).

    Both halves are cosines, as in PyTorch's ``OneCycleLR``, whose defaults these are; ``end`` is reached by the last update.
    """
    total, share = constant(1.0, steps).steps, constant(rise).value
    if total is None or total < 3 or not 0 < share < 1:
        raise InputError(f"one_cycle: steps {steps!r} must be at least 3 and rise {rise!r} between 0 and 1")
    up = min(max(round(share * total) - 1, 1), total - 2)
    return cosine(up, start, 1.0) >> cosine(total - 1 - up, 1.0, end)


FALLS: dict[str, Callable[[int, float], Schedule]] = {
    "linear": lambda steps, end: linear(steps, 1.0, end),
    "cosine": lambda steps, end: cosine(steps, 1.0, end),
    "root": root,
}
"""How ``wsd`` can fall at its end."""


def wsd(steps: int, rise: float = 0.05, fall: float = 0.2, end: float = 0.0, fall_shape: str = "linear") -> Schedule:
    """Warm-up, stable, decay (Hu et al. 2024): ``rise`` and ``fall`` are shares of ``steps``.

    The decay is a line, or what ``fall_shape`` says: "cosine", or "root" for ``1 − √t``, which Hägele et al. (2024) prefer.
    """
    if constant(rise).value < 0 or constant(fall).value < 0 or rise + fall > 1:
        raise InputError(
            f"wsd: rise {rise!r} and fall {fall!r} are shares of the steps: at least 0, together at most 1"
        )
    if fall_shape not in FALLS:
        raise InputError(f"wsd: fall_shape is {fall_shape!r} but must be one of {', '.join(FALLS)}")
    total = constant(1.0, steps).steps or 1
    up, down = round(rise * total), round(fall * total)
    parts: list[Schedule] = []
    if up:
        parts.append(warmup(up))
    if total > up + down:
        parts.append(constant(1.0, total - up - down))
    if down:
        parts.append(FALLS[fall_shape](down, end))
    return parts[0] if len(parts) == 1 else Joined(tuple(parts))


SHAPES: dict[str, Callable[..., Schedule]] = {
    shape.__name__: shape
    for shape in (
        constant, inverse_time, exponential, inverse_root, staircase, warmup, warmup_constant, linear, cosine, polynomial, sine,
        root, restarts, one_cycle, wsd, every, plateau, until,
    )
}  # fmt: skip
"""Every name of the text form."""
