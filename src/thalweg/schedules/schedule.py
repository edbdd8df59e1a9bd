"""What a schedule is, and the two ways to combine them: ``>>`` runs one after another, ``*`` scales.

Subclasses are frozen dataclasses. Their fields are converted and checked here, by their annotation, so that a shape is its
formula and nothing else; the text of a schedule is made from the same fields.

>>> (warmup(10) >> cosine(90)).length()
100
>>> 0.1 * (warmup(10) >> cosine(90))
0.1 * (warmup(10) >> cosine(90))
"""

from __future__ import annotations

import math
import operator
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Any

from thalweg.errors import InputError
from thalweg.schedules.running import Fixed, Running, RunningJoined, RunningScaled

Count = int
"""A whole number from 0, as the annotation of a field; ``int`` is one from 1."""
LONGEST_WORD = 100
UNENDING = 100
"""Steps to draw of a schedule that has neither an end nor a speed of its own."""


def _whole(value: Any) -> int:
    number = operator.index(value)
    if number < 1 or isinstance(value, bool):
        raise ValueError("a whole number of at least 1")
    return number


def _count(value: Any) -> int:
    number = operator.index(value)
    if number < 0 or isinstance(value, bool):
        raise ValueError("a whole number of at least 0")
    return number


def _word(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= LONGEST_WORD:
        raise ValueError("a word in quotes")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool | str) or not math.isfinite(float(value)):
        raise ValueError("a finite number")
    return float(value)


def _schedule(value: Any) -> Schedule:
    if not isinstance(value, Schedule):
        raise TypeError
    return value


_KINDS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "int": (_whole, "a whole number of at least 1"),
    "int | None": (lambda value: None if value is None else _whole(value), "a whole number of at least 1"),
    "Count": (_count, "a whole number of at least 0"),
    "str": (_word, "a word in quotes"),
    "str | None": (lambda value: None if value is None else _word(value), "a word in quotes"),
    "float": (_number, "a finite number"),
    "tuple[int, ...]": (lambda value: tuple(map(_whole, value)), "whole numbers of at least 1, as in (1000, 5000)"),
    "tuple[float, ...]": (lambda value: tuple(map(_number, value)), "finite numbers, as in (1.0, 0.1, 0.01)"),
    "Schedule": (_schedule, "a schedule"),
}


class Schedule:
    """Step → value. Subclasses are frozen dataclasses; their fields are the arguments of the text form."""

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            convert, wanted = _KINDS[str(field.type)]
            value = getattr(self, field.name)
            try:
                object.__setattr__(self, field.name, convert(value))
            except (TypeError, ValueError, OverflowError):
                raise InputError(
                    f"schedule {type(self).__name__}: {field.name} is {value!r} but must be {wanted}"
                ) from None
        wrong = self.check()
        if wrong:
            raise InputError(f"schedule {type(self).__name__}: {wrong}")

    def check(self) -> str:
        """What is wrong with the fields taken together, or nothing."""
        return ""

    def __call__(self, step: int) -> float:
        """The value for the update that follows ``step`` updates; ``step`` from 0."""
        raise NotImplementedError

    def length(self) -> int | None:
        """Steps after which it has come to its end; None where it goes on for ever."""
        return None

    def extent(self) -> int:
        """Steps in which its shape shows: its length, or what a drawing of one without an end needs."""
        return self.length() or UNENDING

    def may_be_followed(self) -> bool:
        """Whether it comes to an end, at a step known now or once the run has measured something."""
        return self.length() is not None

    def watches(self) -> tuple[str, ...]:
        """The measurements it reacts to, by the names of the history; none for a schedule of the step alone."""
        return ()

    def settled(self) -> Schedule:
        """The same without the parts that last until something is measured, where others follow them."""
        return self

    def begin(self) -> Running:
        """The form that a run follows: told what was measured, and kept in checkpoints."""
        return Fixed(self)

    def __rshift__(self, other: Schedule) -> Schedule:
        if not isinstance(other, Schedule):
            return NotImplemented
        ours = self.parts if isinstance(self, Joined) else (self,)
        return Joined(ours + (other.parts if isinstance(other, Joined) else (other,)))

    def __mul__(self, factor: float) -> Schedule:
        if isinstance(factor, Schedule):
            return NotImplemented
        return Scaled(_factor(factor), self)

    __rmul__ = __mul__

    def __repr__(self) -> str:
        given = []
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.default is MISSING:
                given.append(repr(value))
            elif value != field.default:
                given.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(given)})"


def _factor(value: Any) -> float:
    try:
        return _number(value)
    except (TypeError, ValueError):
        raise InputError(f"a schedule was multiplied by {value!r}: the factor must be a finite number") from None


@dataclass(frozen=True, repr=False)
class Joined(Schedule):
    """One schedule after another; made by ``>>``. All but the last come to an end."""

    parts: tuple[Schedule, ...]

    def __post_init__(self) -> None:
        starts = [0]
        for part in self.parts[:-1]:
            if not part.may_be_followed():
                raise InputError(f"{part!r} never ends, so nothing can follow it: give it a number of steps")
            length = part.length()
            if length is None:  # where it ends is for the run to say
                break
            starts.append(starts[-1] + length)
        object.__setattr__(self, "_starts", tuple(starts))

    def __call__(self, step: int) -> float:
        starts: tuple[int, ...] = self._starts  # type: ignore[attr-defined]
        index = bisect_right(starts, step) - 1
        return self.parts[index](step - starts[index])

    def length(self) -> int | None:
        lengths = [part.length() for part in self.parts]
        return None if None in lengths else sum(filter(None, lengths))

    def extent(self) -> int:
        before = sum(part.length() or part.extent() for part in self.parts[:-1])
        last = self.parts[-1]
        return before + (last.extent() if last.length() else max(last.extent(), before // 2))

    def may_be_followed(self) -> bool:
        return self.parts[-1].may_be_followed()

    def watches(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for part in self.parts for name in part.watches()))

    def settled(self) -> Schedule:
        kept = [part.settled() for part in self.parts[:-1] if part.length() is not None]
        return Joined((*kept, self.parts[-1].settled())) if kept else self.parts[-1].settled()

    def begin(self) -> Running:
        return RunningJoined([part.begin() for part in self.parts])

    def __repr__(self) -> str:
        return " >> ".join(map(repr, self.parts))


@dataclass(frozen=True, repr=False)
class Scaled(Schedule):
    """A schedule times a number; made by ``*``."""

    factor: float
    schedule: Schedule

    def __post_init__(self) -> None:
        if isinstance(self.schedule, Scaled):
            object.__setattr__(self, "factor", self.factor * self.schedule.factor)
            object.__setattr__(self, "schedule", self.schedule.schedule)

    def __call__(self, step: int) -> float:
        return self.factor * self.schedule(step)

    def length(self) -> int | None:
        return self.schedule.length()

    def extent(self) -> int:
        return self.schedule.extent()

    def may_be_followed(self) -> bool:
        return self.schedule.may_be_followed()

    def watches(self) -> tuple[str, ...]:
        return self.schedule.watches()

    def settled(self) -> Schedule:
        return Scaled(self.factor, self.schedule.settled())

    def begin(self) -> Running:
        return RunningScaled(self.factor, self.schedule.begin())

    def __repr__(self) -> str:
        inner = f"({self.schedule!r})" if isinstance(self.schedule, Joined) else repr(self.schedule)
        return f"{self.factor!r} * {inner}"
