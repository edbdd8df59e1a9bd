"""What a drawing of a schedule shows: how far it goes, where its parts join, and a run imagined for one that reacts.

>>> drawn = outline(parse("0.1 * (warmup(500) >> cosine(10000))"))
>>> drawn.steps, [stretch.start for stretch in drawn.stretches]
(10500, [0, 500])
>>> drawn.value(500)
0.1

In the imagined run every bound is reached as soon as the part that waits for it has been shown whole, and nothing ever
stops improving.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from thalweg.errors import InputError
from thalweg.schedules.reactive import until
from thalweg.schedules.schedule import Joined, Scaled, Schedule
from thalweg.schedules.shapes import constant, every, staircase

MOST_STEPS = 10**12


@dataclass(frozen=True)
class Stretch:
    """A part of a schedule and the step it begins at."""

    start: int
    schedule: Schedule


@dataclass(frozen=True)
class Outline:
    """``value(step)`` for steps 0 … ``steps``, the stretches in order, and in a sentence what was imagined, or nothing."""

    value: Callable[[int], float]
    steps: int
    stretches: tuple[Stretch, ...]
    imagined: str

    def key_steps(self) -> list[int]:
        """Where something begins, is half way, or ends."""
        starts = [stretch.start for stretch in self.stretches if stretch.start < self.steps]
        found = {0, self.steps}
        for start, end in zip(starts, [*starts[1:], self.steps], strict=True):
            found |= {start, (start + end) // 2, end - 1 if end < self.steps else end}
        return sorted(found)


def outline(schedule: Schedule, steps: int | None = None) -> Outline:
    """What to show of ``schedule`` in ``steps``; without them, as many as its shape needs."""
    last = schedule.extent() if steps is None else steps
    if not 1 <= last <= MOST_STEPS:
        raise InputError(f"a drawing of {last} steps is not possible: give from 1 to {MOST_STEPS:,}")
    stretches = _stretches(schedule, 1)
    if not schedule.watches():
        return Outline(schedule, last, stretches, "")
    running = schedule.begin()
    reached, improving = [], set(schedule.watches())
    for stretch, following in pairwise(stretches):
        bounds = _bounds(stretch.schedule)
        if bounds:
            running.observe(following.start, dict.fromkeys(schedule.watches(), 0.0) | bounds)
            improving -= set(bounds)
            reached += [f"{metric} reaches {bound:g} at step {following.start:,}" for metric, bound in bounds.items()]
    kept = " and ".join([*reached, *(f"{metric} always improves" for metric in sorted(improving))])
    return Outline(running, last, stretches, f"it reacts to {', '.join(schedule.watches())}; drawn as if {kept}")


def _stretches(schedule: Schedule, pace: int) -> tuple[Stretch, ...]:
    """The parts with their starts; what is multiplied or slowed down is looked into."""
    match schedule:
        case Scaled(factor=factor, schedule=inner):
            return tuple(Stretch(part.start, factor * part.schedule) for part in _stretches(inner, pace))
        case every(steps=steps, schedule=inner):
            return tuple(Stretch(part.start, every(steps, part.schedule)) for part in _stretches(inner, pace * steps))
        case Joined(parts=parts):
            starts = [0]
            for part in parts[:-1]:
                starts.append(starts[-1] + (part.length() or part.extent()))
            inside = [(start, _stretches(part, 1)) for start, part in zip(starts, parts, strict=True)]
            return tuple(
                Stretch(pace * (start + stretch.start), stretch.schedule)
                for start, stretches in inside
                for stretch in stretches
            )
        case staircase(steps=corners, values=values):
            return tuple(
                Stretch(pace * start, constant(value)) for start, value in zip((0, *corners), values, strict=True)
            )
        case _:
            return (Stretch(0, schedule),)


def _bounds(schedule: Schedule) -> dict[str, float]:
    """The measurements a part waits for, with the values it waits for."""
    match schedule:
        case until(metric=metric, bound=bound):
            return {metric: bound}
        case Scaled(schedule=inner) | every(schedule=inner):
            return _bounds(inner)
        case _:
            return {}
