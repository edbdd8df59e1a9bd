"""Which values a hyperparameter may take, and on which scale, as the user writes it.

>>> space = Space.parse({"lr": "1e-4..1:log", "beta1": "0.9..0.999:one-minus", "hidden": "[64, 128]", "layers": "1..4"})
>>> space["lr"].at(0.5), space["beta1"].at(0.5), space["layers"].at(0.5)
(0.01, 0.99, 3)

Every dimension maps the unit interval onto its values, so that ``at`` a uniform draw is a draw on the scale that fits: a
rate spreads over its orders of magnitude (``log``), an averaging factor β over those of ``1 − β``, one over the length of
its window (``one-minus``). Two ends written without point or exponent are whole numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from thalweg.errors import InputError

Value = float | int | str | bool
Scale = Literal["linear", "log", "one-minus"]
SCALES: tuple[Scale, ...] = ("linear", "log", "one-minus")
_WHOLE = re.compile(r"[+-]?\d+")


class Dimension(Protocol):
    """What one hyperparameter may be."""

    def at(self, place: float) -> Value:
        """The value at ``place`` in [0, 1]."""
        ...

    def place(self, value: Value) -> float:
        """The place of a value: ``at(place(value)) == value``, up to rounding."""
        ...

    def grid(self, points: int) -> tuple[Value, ...]:
        """``points`` values evenly spaced on the scale, the ends among them; fewer where there are no more."""
        ...

    def within(self, places: list[float]) -> Dimension:
        """The part of the dimension that holds these places, a little widened."""
        ...


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; whole numbers where both are ints.

    Raises ``InputError`` where low is not below high, or the scale does not reach them (log: above 0; one-minus: below 1).
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

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    def _ends(self) -> tuple[float, float]:
        # A whole number stands for the interval of all that round to it, so that the outermost are as likely as the others.
        half = 0.5 if self.whole else 0.0
        return self._forward(self.low - half), self._forward(self.high + half)

    def _forward(self, value: float) -> float:
        if self.scale == "log":
            return math.log(value)
        return -math.log1p(-value) if self.scale == "one-minus" else value

    def _backward(self, number: float) -> float:
        if self.scale == "log":
            return math.exp(number)
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
class Space:
    """Named dimensions, in order."""

    dimensions: Mapping[str, Dimension]

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> Space:
        """From what the user writes: ``low..high``, ``low..high:log``, ``low..high:one-minus``, ``[a, b, c]``.

        Raises ``InputError``, naming the key, for anything else.
        """
        return cls({name: parse_dimension(name, text) for name, text in texts.items()})

    def at(self, places: Mapping[str, float]) -> dict[str, Value]:
        """One value of each dimension from its place."""
        return {name: dimension.at(places[name]) for name, dimension in self.dimensions.items()}

    def places(self, values: Mapping[str, Value]) -> dict[str, float]:
        """The places of one value of each dimension."""
        return {name: dimension.place(values[name]) for name, dimension in self.dimensions.items()}

    def __getitem__(self, name: str) -> Dimension:
        return self.dimensions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.dimensions)

    def __len__(self) -> int:
        return len(self.dimensions)


def parse_dimension(name: str, text: str) -> Dimension:
    """One dimension from its text; see ``Space.parse``."""
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
        f'{name}: "{text}" is no range: write 1e-4..1:log, 0.9..0.999:one-minus, 0.0..0.5, 1..4 or [64, 128]'
    )


def _value(text: str) -> Value:
    word = text.strip().strip("\"'")
    if _WHOLE.fullmatch(word):
        return int(word)
    try:
        return float(word)
    except ValueError:
        return {"true": True, "false": False}.get(word.lower(), word)
