"""The narrow place of the update river: a rule lowered to what an engine runs, as plain text and names.

A program is a list of *phases*, each one pass over all elements. The last phase stores what is new; those before it only
read: they take the sums that later scalars need (a norm, a dot product) or fill the scratch matrices that a matrix function
works on. A phase's scalars are computed on the host, for a whole row of parameters, in float64 (``1 − β₁ᵗ`` costs nothing
per element).

>>> print(adam.program().listing())
scalars of (lr, beta1, beta2, eps, t)
  s0 = beta1
  …
for every element
  exp_avg_1 = s0*exp_avg + s1*g
  …

A program knows no device and no optimizer by name; it is data and goes to JSON and back.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

FUNCTIONS = ("sqrt", "square", "absolute", "sign", "exp", "log", "tanh", "maximum", "minimum", "where", "power")
"""All that the text of a line may call, besides ``+ - * /`` and comparisons."""
SCOPES = ("all", "group", "tensor", "unit")


@dataclass(frozen=True)
class Reduction:
    """A sum of a line over a scope: after the phase, ``name`` is a scalar. ``meaning`` is the expression as the rule has it:
    sums over all parameters with one meaning are one sum, whichever program they stand in."""

    name: str
    scope: str
    line: str
    meaning: str


@dataclass(frozen=True)
class Matrix:
    """A function of whole matrices, carried out in place on a scratch slot after the phase; ``arguments`` are scalars."""

    slot: str
    function: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Phase:
    """One pass over all elements.

    ``scalars`` are computed before it, in this order, each ``(name, expression)``; ``passed`` names those that the lines
    use. ``lines`` are in static single assignment over ``w``, ``g``, the states, the scratch slots, what was passed and earlier
    lines. ``results`` says which line is the new value of what.
    """

    scalars: tuple[tuple[str, str], ...]
    passed: tuple[str, ...]
    lines: tuple[tuple[str, str], ...]
    results: tuple[tuple[str, str], ...] = ()
    sums: tuple[Reduction, ...] = ()
    matrices: tuple[Matrix, ...] = ()


def summed_lines(phase: Phase) -> dict[str, str]:
    """The lines that are only summed, which engines compute in float64."""
    used = " ".join(text for _, text in phase.lines)
    kept = {line for _, line in phase.results}
    lines = dict(phase.lines)
    alone = {s.line: lines[s.line] for s in phase.sums if s.line not in kept}
    return {line: text for line, text in alone.items() if not re.search(rf"\b{line}\b", used)}


@dataclass(frozen=True)
class Program:
    """A rule as phases over elements, and numbers kept on the host."""

    name: str
    states: tuple[str, ...]
    starts: tuple[tuple[str, str], ...]
    """What states and hosts begin as, where it is not 0: an expression of hyperparameters, or ``w``."""
    arguments: tuple[str, ...]
    """Names of the hyperparameters, in the order ``evaluate`` takes them."""
    hosts: tuple[tuple[str, str], ...]
    """Numbers kept for a row of parameters: the name, and the last phase's scalar that is its next value."""
    shapes: tuple[str, ...]
    """Which numbers of a tensor's shape the scalars use."""
    scratch: tuple[str, ...]
    phases: tuple[Phase, ...]

    @property
    def last(self) -> Phase:
        """The phase that stores."""
        return self.phases[-1]

    @cached_property
    def reductions(self) -> tuple[Reduction, ...]:
        """All sums, in the order in which they are taken."""
        return tuple(found for phase in self.phases for found in phase.sums)

    @cached_property
    def grain(self) -> str:
        """For what a row of scalars is: a ``group``, each ``tensor`` or each ``unit`` of each tensor."""
        scopes = {found.scope for found in self.reductions}
        return "unit" if "unit" in scopes else "tensor" if "tensor" in scopes or self.shapes else "group"

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """What scalars are computed of: hyperparameters, ``t``, hosts, shapes, the sums taken so far."""
        hosts = tuple(name for name, _ in self.hosts)
        return (*self.arguments, "t", *hosts, *self.shapes, *(found.name for found in self.reductions))

    def listing(self) -> str:
        """The program as text, for people."""
        known = len(self.inputs) - len(self.reductions)
        rows = [f"scalars of ({', '.join(self.inputs[:known])})"]
        for phase in self.phases:
            rows += [f"  {name} = {text}" for name, text in phase.scalars]
            rows += ["for every element", *(f"  {name} = {text}" for name, text in phase.lines)]
            rows += [f"  {name} ← {line}" for name, line in phase.results]
            rows += [f"then {found.name} = sum of {found.line} over each {found.scope}" for found in phase.sums]
            rows += [f"then {m.slot} = {m.function}({', '.join((m.slot, *m.arguments))})" for m in phase.matrices]
        rows += [f"{name} ← {line}" for name, line in self.hosts]
        return "\n".join(rows)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Program:
        fields = json.loads(text)
        phases = tuple(
            Phase(
                **{
                    **{key: _tuples(value) for key, value in phase.items()},
                    "sums": tuple(Reduction(**found) for found in phase["sums"]),
                    "matrices": tuple(Matrix(**{k: _tuples(v) for k, v in m.items()}) for m in phase["matrices"]),
                }
            )
            for phase in fields.pop("phases")
        )
        return cls(**{key: _tuples(value) for key, value in fields.items()}, phases=phases)

    @cached_property
    def digest(self) -> str:
        """Names what the program computes; programs of the same content share a kernel."""
        return sha256(self.to_json().encode()).hexdigest()[:16]

    def __hash__(self) -> int:
        return hash(self.digest)  # all fields, once: a program is a key for each parameter of a plan

    @cached_property
    def evaluate(self) -> tuple[Callable[..., tuple[float, ...]], ...]:
        """For each phase: ``f(*inputs known by then)`` → the passed scalars, then the matrices' arguments.

        The last one gives the passed scalars, then the hosts' next values.
        """
        return tuple(_of_numbers(parts) for parts in self._sources())

    @cached_property
    def evaluate_rows(self) -> tuple[Callable[..., tuple[Any, ...]], ...]:
        """The same of arrays with one number for each row; what is the same for all rows may be a number."""
        return tuple(_of_arrays(parts) for parts in self._sources())

    def _sources(self) -> list[Source]:
        known = len(self.inputs) - len(self.reductions)
        parts = []
        for phase in self.phases:
            wanted = phase.passed + tuple(name for matrix in phase.matrices for name in matrix.arguments)
            if phase is self.last:
                wanted += tuple(line for _, line in self.hosts)
            parts.append((self.name, self.inputs[:known], phase.scalars, wanted))
            known += len(phase.sums)
        return parts

    def start(self, name: str, numbers: Mapping[str, float]) -> float | None:
        """What a state or host begins as, given the hyperparameters; None for the weight itself."""
        text = dict(self.starts).get(name, "0.0")
        if text == "w":
            return None
        evaluate = _of_numbers((self.name, self.arguments, (("start", text),), ("start",)))
        return evaluate(*(numbers[argument] for argument in self.arguments))[0]


Source = tuple[str, tuple[str, ...], tuple[tuple[str, str], ...], tuple[str, ...]]
"""What scalars are computed by: a title, the inputs' names, the lines, the names wanted."""


def _function(parts: Source, space: dict[str, Any]) -> Callable[..., tuple[Any, ...]]:
    title, inputs, scalars, wanted = parts
    body = "".join(f"    {name} = {text}\n" for name, text in scalars)
    source = f"def scalars({', '.join(inputs)}):\n{body}    return ({', '.join(wanted)}{',' * bool(wanted)})\n"
    exec(compile(source, f"<scalars of {title}>", "exec"), space)
    function: Callable[..., tuple[Any, ...]] = space["scalars"]
    return function


def _of_numbers(parts: Source) -> Callable[..., tuple[float, ...]]:
    fast = _function(parts, dict(SCALAR_FUNCTIONS))

    def careful(*values: float) -> tuple[float, ...]:
        try:
            return fast(*values)
        except (
            ZeroDivisionError,
            OverflowError,
            ValueError,
        ):  # IEEE arithmetic has answers where Python's floats raise
            return tuple(float(value) for value in _of_arrays(parts)(*values))

    return careful


def _of_arrays(parts: Source) -> Callable[..., tuple[Any, ...]]:
    import numpy as np

    space = {
        "sqrt": np.sqrt, "square": np.square, "absolute": np.abs, "sign": np.sign, "exp": np.exp, "log": np.log,
        "tanh": np.tanh, "maximum": np.maximum, "minimum": np.minimum, "where": np.where, "power": np.power,
    }  # fmt: skip
    function = _function(parts, space)

    def quiet(*values: Any) -> tuple[Any, ...]:
        with np.errstate(all="ignore"):
            return function(*(np.asarray(value, dtype=np.float64)[()] for value in values))

    return quiet


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _maximum(a: float, b: float) -> float:
    return b if a < b or b != b else a


def _minimum(a: float, b: float) -> float:
    return b if b < a or b != b else a


def _power(x: float, y: float) -> float:
    value = x**y
    return math.nan if isinstance(value, complex) else value


SCALAR_FUNCTIONS: dict[str, Callable[..., float]] = {
    "sqrt": lambda x: math.sqrt(x) if x >= 0 else math.nan,
    "square": lambda x: x * x,
    "absolute": abs,
    "sign": lambda x: x if x != x else math.copysign(1.0, x) if x else 0.0,
    "exp": math.exp,
    "log": lambda x: math.log(x) if x > 0 else -math.inf if x == 0 else math.nan,
    "tanh": math.tanh,
    "maximum": _maximum,
    "minimum": _minimum,
    "where": lambda condition, a, b: a if condition else b,
    "power": _power,
}
