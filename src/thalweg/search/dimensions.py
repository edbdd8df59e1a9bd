"""What one hyperparameter may be, and on which scale it is searched.

>>> Range(1e-4, 1.0, "log").at(0.5), Range(0.9, 0.999, "one-minus").at(0.5), Range(16, 256, "power2").at(0.5)
(0.01, 0.99, 64)
>>> Range(1e-4, 1.0, "log").text, Choices((64, 128)).at(0.7), Fixed(30).at(0.7)
('0.0001..1.0:log', 128, 30)

Every dimension maps the unit interval onto its values, so that ``at`` a uniform draw is a draw on the scale that fits: a
rate spreads over its orders of magnitude (``log``), an averaging factor β over those of ``1 − β``, one over the length of
its window (``one-minus``), a batch size over the powers of two (``power2``).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, Protocol

from thalweg.errors import InputError

Value = float | int | str | bool
Scale = Literal["linear", "log", "one-minus", "power2"]
SCALES: tuple[Scale, ...] = ("linear", "log", "one-minus", "power2")
_WHOLE = re.compile(r"[+-]?\d+")


class Dimension(Protocol):
    """What one hyperparameter may be."""

    @property
    def text(self) -> Value | list[Value]:
        """As TOML writes it: a text for a range, a list for choices, the value itself where it is fixed."""
        ...

    def at(self, place: float) -> Value:
        """The value at ``place`` in [0, 1]."""
        ...

    def place(self, value: Value) -> float:
        """The place of a value: ``at(place(value)) == value``, up to rounding. ``ValueError`` where it can't have one."""
        ...

    def grid(self, points: int) -> tuple[Value, ...]:
        """``points`` values evenly spaced on the scale, the ends among them; fewer where there are no more."""
        ...

    def within(self, places: list[float]) -> Dimension:
        """The part of the dimension that holds these places, a little widened."""
        ...


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; whole numbers where both are ints, powers of two under ``power2``.

    Raises ``InputError`` where low is not below high, or the scale does not reach them (log: above 0; one-minus: below 1;
    power2: both powers of two).
    """

    low: float | int
    high: float | int
    scale: Scale = "linear"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InputError(f"the range {self.low}..{self.high} must rise from a finite number to a larger one")
        if self.scale not in SCALES:
            raise InputError(f'there is no scale "{self.scale}": choose {", ".join(SCALES)}')
        if self.scale == "log" and self.low <= 0:
            raise InputError(f"the range {self.low}..{self.high}:log must lie above 0")
        if self.scale == "one-minus" and (self.high >= 1 or self.whole):
            raise InputError(f"the range {self.low}..{self.high}:one-minus must lie below 1, as in 0.9..0.999")
        if self.scale == "power2" and not (_is_power(self.low) and _is_power(self.high)):
            raise InputError(
                f"the range {self.low}..{self.high}:power2 must go from a power of two to another, as in 16..256"
            )

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def text(self) -> str:
        return f"{self.low!r}..{self.high!r}" + ("" if self.scale == "linear" else f":{self.scale}")

    def _ends(self) -> tuple[float, float]:
        # A whole number stands for the interval of all that round to it, so that the outermost are as likely as the others.
        if self.scale == "power2":
            return self._forward(self.low) - 0.5, self._forward(self.high) + 0.5
        half = 0.5 if self.whole else 0.0
        return self._forward(self.low - half), self._forward(self.high + half)

    def _forward(self, value: float) -> float:
        if self.scale == "log":
            return math.log(value)
        if self.scale == "power2":
            return math.log2(value)
        return -math.log1p(-value) if self.scale == "one-minus" else value

    def _backward(self, number: float) -> float:
        if self.scale == "log":
            return math.exp(number)
        if self.scale == "power2":
            return 2.0 ** math.floor(number + 0.5)
        return -math.expm1(-number) if self.scale == "one-minus" else number

    def at(self, place: float) -> Value:
        low, high = self._ends()
        value = self._backward(low + place * (high - low))
        rounded = math.floor(value + 0.5) if self.whole else float(f"{value:.12g}")
        return min(max(rounded, self.low), self.high)

    def place(self, value: Value) -> float:
        low, high = self._ends()
        return (self._forward(float(value)) - low) / (high - low)

    def grid(self, points: int) -> tuple[Value, ...]:
        if points == 1:
            return (self.at(0.5),)
        return tuple(dict.fromkeys(self.at(index / (points - 1)) for index in range(points)))

    def within(self, places: list[float]) -> Range:
        margin = max(0.25 * (max(places) - min(places)), 0.05)
        low, high = self.at(max(min(places) - margin, 0.0)), self.at(min(max(places) + margin, 1.0))
        return Range(low, high, self.scale) if low < high else self  # type: ignore[arg-type, operator]


@dataclass(frozen=True)
class Choices:
    """Values without an order. Raises ``InputError`` where there are none, or one twice."""

    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        if not self.values or len(set(self.values)) < len(self.values):
            raise InputError(f"the choices {list(self.values)} must be at least one, each once")
        _refuse_unusable(self.values)

    @property
    def text(self) -> list[Value]:
        return list(self.values)

    def at(self, place: float) -> Value:
        return self.values[min(int(place * len(self.values)), len(self.values) - 1)]

    def place(self, value: Value) -> float:
        return (self.values.index(value) + 0.5) / len(self.values)

    def grid(self, points: int) -> tuple[Value, ...]:
        return self.values

    def within(self, places: list[float]) -> Choices:
        seen = {self.at(place) for place in places}
        return Choices(tuple(value for value in self.values if value in seen))


@dataclass(frozen=True)
class Fixed:
    """One value, which is not searched."""

    value: Value

    def __post_init__(self) -> None:
        _refuse_unusable((self.value,))

    @property
    def text(self) -> Value:
        return self.value

    def at(self, place: float) -> Value:
        return self.value

    def place(self, value: Value) -> float:
        if value != self.value:
            raise ValueError(f"{value!r} is not {self.value!r}")
        return 0.5

    def grid(self, points: int) -> tuple[Value, ...]:
        return (self.value,)

    def within(self, places: list[float]) -> Fixed:
        return self


def parse_dimension(name: str, text: str) -> Dimension:
    """One dimension from its text: ``low..high``, ``low..high:SCALE`` or ``[a, b, c]``; two ends written without point or
    exponent are whole numbers. Raises ``InputError``, naming the key, for anything else.
    """
    stripped = text.strip()
    try:
        if stripped.startswith("[") and stripped.endswith("]"):
            return Choices(tuple(_value(part) for part in stripped[1:-1].split(",") if part.strip()))
        ends, _, scale = stripped.partition(":")
        low, dots, high = ends.partition("..")
        numbers = [_value(low), _value(high)]
        if dots and all(isinstance(end, int | float) and not isinstance(end, bool) for end in numbers):
            whole = all(isinstance(end, int) for end in numbers)
            first, last = (end if whole else float(end) for end in numbers)
            return Range(first, last, scale.strip() or "linear")  # type: ignore[arg-type]
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    raise InputError(
        f'{name}: "{text}" is no range: write 1e-4..1:log, 0.9..0.999:one-minus, 16..256:power2, 0.0..0.5, 1..4 or '
        "[64, 128]"
    )


def _value(text: str) -> Value:
    word = text.strip().strip("\"'")
    if _WHOLE.fullmatch(word):
        return int(word)
    try:
        return float(word)
    except ValueError:
        return {"true": True, "false": False}.get(word.lower(), word)


def _is_power(value: float) -> bool:
    return isinstance(value, int) and value > 0 and value & (value - 1) == 0


def _refuse_unusable(values: tuple[Value, ...]) -> None:
    for value in values:
        if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
            raise InputError(f"{value!r} is no value of a hyperparameter: give a finite number, a text, true or false")
