"""Schedules: the value of a hyperparameter as a function of the number of updates made.

A schedule is evaluated in closed form at any step, so resuming needs nothing and no order of calls can be wrong. Schedules
join with ``>>`` (the right one begins where the left one ends, counting from 0 again) and scale with ``*``:

>>> schedule = warmup(500) >> cosine(10_000)
>>> [schedule(step) for step in (0, 249, 499, 500, 5500, 10_500)]
[0.002, 0.5, 1.0, 1.0, 0.5, 0.0]
>>> parse("warmup(500) >> 0.5 * cosine(10000)") == warmup(500) >> 0.5 * cosine(10_000)
True

Each is a factor (1 is the full rate); multiply by the rate for the rate itself. ``steps`` are updates, not epochs.
"""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass, fields
from typing import ClassVar

from thalweg.errors import InputError

FOREVER = math.inf


class Schedule:
    """Step → value. Subclasses are frozen dataclasses that define ``__call__`` and, where they end, ``length``."""

    def __call__(self, step: int) -> float:
        """The value for the update after ``step`` updates (the first one is ``schedule(0)``)."""
        raise NotImplementedError

    @property
    def length(self) -> float:
        """Steps after which it stays as it is; infinite where it never does."""
        return FOREVER

    def __rshift__(self, after: Schedule) -> Schedule:
        if self.length == FOREVER:
            raise InputError(f"{self} never ends, so {after} would never begin: give it a number of steps")
        return Joined(self, after)

    def __mul__(self, factor: float) -> Schedule:
        return Scaled(float(factor), self)

    __rmul__ = __mul__

    def __str__(self) -> str:
        return repr(self)


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


@dataclass(frozen=True, repr=False)
class Named(Schedule):
    """A schedule that is written as a call with numbers."""

    word: ClassVar[str]

    def __repr__(self) -> str:
        values = [(field, getattr(self, field.name)) for field in fields(self)]
        while values and values[-1][0].default == values[-1][1]:
            values.pop()
        return f"{self.word}({', '.join(_number(value) for _, value in values)})"


@dataclass(frozen=True, repr=False)
class constant(Named):
    """1, for ``steps`` updates or for ever."""

    word = "constant"
    steps: float = FOREVER

    def __call__(self, step: int) -> float:
        return 1.0

    @property
    def length(self) -> float:
        return self.steps


@dataclass(frozen=True, repr=False)
class warmup(Named):
    """Rises in equal parts to 1: ``(step + 1)/steps`` (gradual warm-up, Goyal et al. 2017)."""

    word = "warmup"
    steps: float

    def __call__(self, step: int) -> float:
        return min(1.0, (step + 1) / max(self.steps, 1))

    @property
    def length(self) -> float:
        return self.steps


@dataclass(frozen=True, repr=False)
class hold(Named):
    """Stays at ``value`` for ``steps`` updates: constant warm-up (He et al. 2016), or one stair of a staircase."""

    word = "hold"
    value: float
    steps: float = FOREVER

    def __call__(self, step: int) -> float:
        return self.value

    @property
    def length(self) -> float:
        return self.steps


@dataclass(frozen=True, repr=False)
class cosine(Named):
    """From 1 to ``end`` along half a cosine in ``steps`` updates (Loshchilov & Hutter 2017)."""

    word = "cosine"
    steps: float
    end: float = 0.0

    def __call__(self, step: int) -> float:
        share = min(1.0, step / max(self.steps, 1))
        return self.end + (1 - self.end) * 0.5 * (1 + math.cos(math.pi * share))

    @property
    def length(self) -> float:
        return self.steps


@dataclass(frozen=True, repr=False)
class polynomial(Named):
    """``end + (1 − end)(1 − step/steps)^power``; a straight line for power 1."""

    word = "polynomial"
    steps: float
    power: float = 1.0
    end: float = 0.0

    def __call__(self, step: int) -> float:
        return self.end + (1 - self.end) * (1 - min(1.0, step / max(self.steps, 1))) ** self.power

    @property
    def length(self) -> float:
        return self.steps


@dataclass(frozen=True, repr=False)
class linear(Named):
    """From 1 to ``end`` in a straight line in ``steps`` updates."""

    word = "linear"
    steps: float
    end: float = 0.0

    def __call__(self, step: int) -> float:
        return 1 + (self.end - 1) * min(1.0, step / max(self.steps, 1))

    @property
    def length(self) -> float:
        return self.steps


@dataclass(frozen=True, repr=False)
class inverse_time(Named):
    """``1/(1 + decay · step/every)``."""

    word = "inverse_time"
    decay: float
    every: float = 1.0

    def __call__(self, step: int) -> float:
        return 1.0 / (1.0 + self.decay * step / self.every)


@dataclass(frozen=True, repr=False)
class exponential(Named):
    """``base^(step/every)``, as in ``0.95^epoch``."""

    word = "exponential"
    base: float
    every: float = 1.0

    def __call__(self, step: int) -> float:
        return self.base ** (step / self.every)


@dataclass(frozen=True, repr=False)
class inverse_root(Named):
    """``k/√(step/every)`` from the first full period on, ``k`` before it."""

    word = "inverse_root"
    k: float = 1.0
    every: float = 1.0

    def __call__(self, step: int) -> float:
        return self.k / math.sqrt(max((step + 1) / self.every, 1.0))


@dataclass(frozen=True, repr=False)
class staircase(Named):
    """Falls to ``factor`` of itself after each ``every`` updates: piecewise constant."""

    word = "staircase"
    every: float
    factor: float = 0.1

    def __call__(self, step: int) -> float:
        return self.factor ** (step // self.every)


@dataclass(frozen=True, repr=False)
class restarts(Named):
    """Cosines one after the other, each ``longer`` times as long as the one before (SGDR)."""

    word = "restarts"
    first: float
    longer: float = 1.0

    def __call__(self, step: int) -> float:
        start, size = 0.0, self.first
        if self.longer == 1.0:
            start = (step // size) * size
        else:
            while step >= start + size:
                start, size = start + size, size * self.longer
        return 0.5 * (1 + math.cos(math.pi * (step - start) / size))


@dataclass(frozen=True, repr=False)
class Joined(Schedule):
    """``first`` as long as it lasts, then ``after``, counting from 0 again."""

    first: Schedule
    after: Schedule

    def __call__(self, step: int) -> float:
        return self.first(step) if step < self.first.length else self.after(step - int(self.first.length))

    @property
    def length(self) -> float:
        return self.first.length + self.after.length

    def __repr__(self) -> str:
        after = f"({self.after!r})" if isinstance(self.after, Joined) else repr(self.after)
        return f"{self.first!r} >> {after}"


@dataclass(frozen=True, repr=False)
class Scaled(Schedule):
    """``factor`` times a schedule."""

    factor: float
    schedule: Schedule

    def __call__(self, step: int) -> float:
        return self.factor * self.schedule(step)

    @property
    def length(self) -> float:
        return self.schedule.length

    def __repr__(self) -> str:
        inner = f"({self.schedule!r})" if isinstance(self.schedule, Joined) else repr(self.schedule)
        return f"{self.factor!r} * {inner}"


WORDS: dict[str, type[Named]] = {
    kind.word: kind
    for kind in (
        constant, warmup, hold, cosine, polynomial, linear, inverse_time, exponential, inverse_root, staircase, restarts,
    )
}  # fmt: skip


def one_cycle(steps: int, *, rising: float = 0.3, start: float = 0.04) -> Schedule:
    """Up to 1 in a straight line, down along a cosine (Smith & Topin 2019); ``rising`` is the share of steps going up."""
    up = round(rising * steps)
    return Joined(Between(start, 1.0, up), cosine(steps - up))


def wsd(warming: int, stable: int, decaying: int) -> Schedule:
    """Warm-up, stable, decay (Hu et al. 2024)."""
    return warmup(warming) >> (constant(stable) >> linear(decaying))


@dataclass(frozen=True, repr=False)
class Between(Named):
    """From one value to another in a straight line."""

    word = "between"
    start: float
    end: float
    steps: float

    def __call__(self, step: int) -> float:
        return self.start + (self.end - self.start) * min(1.0, step / max(self.steps, 1))

    @property
    def length(self) -> float:
        return self.steps


WORDS[Between.word] = Between


def parse(text: str) -> Schedule:
    """A schedule from its text, as ``repr`` gives it. Raises ``InputError`` naming what it cannot read; runs no code."""
    try:
        return _build(ast.parse(text.strip(), mode="eval").body, text)
    except SyntaxError:
        raise InputError(f'the schedule "{text}" cannot be read: write it as in  warmup(500) >> cosine(10000)') from None


def _build(node: ast.expr, text: str) -> Schedule:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.RShift):
        return _build(node.left, text) >> _build(node.right, text)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        left, right = (node.left, node.right) if isinstance(node.left, ast.Constant | ast.UnaryOp) else (node.right, node.left)
        return _value(left, text) * _build(right, text)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        word = node.func.id
        if word not in WORDS:
            raise InputError(f'the schedule "{text}": there is no {word}; choose among {", ".join(sorted(WORDS))}')
        try:
            named = {keyword.arg: _value(keyword.value, text) for keyword in node.keywords if keyword.arg is not None}
            return WORDS[word](*(_value(argument, text) for argument in node.args), **named)
        except TypeError:
            wanted = ", ".join(field.name for field in fields(WORDS[word]))
            raise InputError(f'the schedule "{text}": {word} takes the numbers {wanted}') from None
    raise InputError(f'the schedule "{text}": "{ast.unparse(node)}" is no schedule; write it as in  warmup(500) >> cosine(10000)')


def _value(node: ast.expr, text: str) -> float:
    sign = 1.0
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = -1.0, node.operand
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return sign * node.value
    raise InputError(f'the schedule "{text}": "{ast.unparse(node)}" is no number')
