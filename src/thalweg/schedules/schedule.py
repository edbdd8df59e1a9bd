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


def _whole(value: Any) -> int:
    number = operator.index(value)
    if number < 1 or isinstance(value, bool):
        raise ValueError("a whole number of at least 1")
    return number


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
    """One schedule after another; made by ``>>``. All but the last have a length."""

    parts: tuple[Schedule, ...]

    def __post_init__(self) -> None:
        starts = [0]
        for part in self.parts[:-1]:
            length = part.length()
            if length is None:
                raise InputError(f"{part!r} never ends, so nothing can follow it: give it a number of steps")
            starts.append(starts[-1] + length)
        object.__setattr__(self, "_starts", tuple(starts))

    def __call__(self, step: int) -> float:
        starts: tuple[int, ...] = self._starts  # type: ignore[attr-defined]
        index = bisect_right(starts, step) - 1
        return self.parts[index](step - starts[index])

    def length(self) -> int | None:
        last = self.parts[-1].length()
        return None if last is None else self._starts[-1] + last  # type: ignore[attr-defined]

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

    def __repr__(self) -> str:
        inner = f"({self.schedule!r})" if isinstance(self.schedule, Joined) else repr(self.schedule)
        return f"{self.factor!r} * {inner}"
