"""The narrow place of the update river: a rule lowered to what an engine runs, as plain text and names.

``lower`` takes a rule through three steps:

1. *hoist*: every largest subexpression of hyperparameters, ``t`` and constants becomes one scalar, computed once a step for a
   whole group, in float64 (``1 − β₁ᵗ`` costs nothing per element);
2. *share*: subexpressions that stand in several lines become a line of their own;
3. *phase*: reductions (the gradient's norm) are computed before; the scalars may use them.

>>> print(lower(adam()).listing())
scalars of (beta1, beta2, eps, lr, t)
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
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sympy

    from thalweg.rules.rule import Rule

FUNCTIONS = ("sqrt", "square", "absolute", "sign", "exp", "log", "tanh", "maximum", "minimum", "where", "power")
"""All that the text of a line may call, besides ``+ - * /`` and comparisons."""


@dataclass(frozen=True)
class Program:
    """A rule as scalars computed on the host and lines computed for every element.

    ``lines`` are in static single assignment: ``(name, expression)`` over ``w``, ``g``, the states, scalar names and earlier
    lines. ``results`` says which line is the new value of the weight and of each state.
    """

    name: str
    states: tuple[str, ...]
    arguments: tuple[str, ...]
    """Names of the hyperparameters, in the order ``evaluate`` takes them."""
    hosts: tuple[tuple[str, float, str], ...]
    """Recurrences of one number for a group: name, start, next value."""
    reductions: tuple[str, ...]
    scalars: tuple[tuple[str, str], ...]
    lines: tuple[tuple[str, str], ...]
    results: tuple[tuple[str, str], ...]

    def listing(self) -> str:
        """The program as text, for people."""
        rows = [
            f"scalars of ({', '.join((*self.arguments, 't', *(name for name, *_ in self.hosts), *self.reductions))})"
        ]
        rows += [f"  {name} = {text}" for name, _, text in self.hosts]
        rows += [f"  {name} = {text}" for name, text in self.scalars]
        rows += ["for every element", *(f"  {name} = {text}" for name, text in self.lines)]
        rows += [f"  {name} ← {line}" for name, line in self.results]
        return "\n".join(rows)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Program:
        return cls(**{key: _tuples(value) for key, value in json.loads(text).items()})

    @cached_property
    def digest(self) -> str:
        """Names what the program computes; programs of the same content share a kernel."""
        return sha256(self.to_json().encode()).hexdigest()[:16]

    @cached_property
    def evaluate(self) -> Callable[..., tuple[float, ...]]:
        """``evaluate(*arguments, t, *hosts, *reductions)`` → the scalars, in float64."""
        return self._compiled([text for _, text in self.scalars])

    @cached_property
    def advance(self) -> Callable[..., tuple[float, ...]]:
        """``advance(*arguments, t, *hosts, *reductions)`` → the hosts' next values."""
        return self._compiled([text for _, _, text in self.hosts])

    def _compiled(self, expressions: list[str]) -> Callable[..., tuple[float, ...]]:
        names = [*self.arguments, "t", *(name for name, *_ in self.hosts), *self.reductions]
        body = ", ".join(expressions) + ("," if expressions else "")
        source = f"def scalars({', '.join(names)}):\n    return ({body})\n"
        space: dict[str, Any] = dict(SCALAR_FUNCTIONS)
        exec(compile(source, f"<scalars of {self.name}>", "exec"), space)
        fast: Callable[..., tuple[float, ...]] = space["scalars"]

        def careful(*values: float) -> tuple[float, ...]:
            try:
                return fast(*values)
            except (ZeroDivisionError, OverflowError):  # IEEE arithmetic has answers where Python's floats raise
                import numpy as np

                with np.errstate(all="ignore"):
                    return tuple(float(value) for value in fast(*map(np.float64, values)))

        return careful


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _maximum(a: float, b: float) -> float:
    return b if a < b or b != b else a


def _minimum(a: float, b: float) -> float:
    return b if b < a or b != b else a


SCALAR_FUNCTIONS: dict[str, Callable[..., float]] = {
    "sqrt": lambda x: math.sqrt(x) if x >= 0 else math.nan,
    "square": lambda x: x * x,
    "absolute": abs,
    "sign": lambda x: math.copysign(1.0, x) if x else 0.0,
    "exp": math.exp,
    "log": math.log,
    "tanh": math.tanh,
    "maximum": _maximum,
    "minimum": _minimum,
    "where": lambda condition, a, b: a if condition else b,
    "power": lambda x, y: x**y,
}


def lower(rule: Rule) -> Program:
    """Lowers a rule: hoist, share, phase."""
    import sympy

    from thalweg.rules.symbols import hyper

    assigned = [name for name, _ in rule.assignments]
    hosts = {name for name, *_ in rule.scalars}
    uniform = {*rule.hyperparameters, "t", *hosts, *rule.reductions}
    version: dict[sympy.Symbol, sympy.Symbol] = {}
    count: dict[str, int] = {}
    read: set[str] = set()
    ssa: list[tuple[str, sympy.Expr]] = []
    hoisted = _Hoist(uniform)
    for name, value in rule.assignments:
        read |= {symbol.name for symbol in value.free_symbols if symbol not in version}
        count[name] = count.get(name, 0) + 1
        fresh = sympy.Symbol(f"{name}_{count[name]}", real=True)
        ssa.append((fresh.name, hoisted(value.xreplace(version))))
        version[hyper(name)] = fresh
    states = tuple(name for name, _ in rule.states if name in read)
    final = {symbol.name: fresh.name for symbol, fresh in version.items()}
    return Program(
        name=rule.name,
        states=states,
        arguments=rule.hyperparameters,
        hosts=tuple((name, float(start), _emit(value)) for name, start, value in rule.scalars),
        reductions=rule.reductions,
        scalars=tuple((symbol.name, _emit(value)) for value, symbol in hoisted.scalars.items()),
        lines=_share(ssa, used={final[name] for name in (*states, "w")}),
        results=tuple((name, final[name]) for name in (*states, "w") if name in assigned),
    )


class _Hoist:
    """Replaces subexpressions that are the same for all elements by scalars ``s0``, ``s1`` …"""

    def __init__(self, uniform: set[str]) -> None:
        self.uniform = uniform
        self.scalars: dict[sympy.Expr, sympy.Symbol] = {}

    def __call__(self, value: sympy.Expr) -> sympy.Expr:
        import sympy

        if not isinstance(value, sympy.Expr) or isinstance(value, sympy.functions.elementary.piecewise.ExprCondPair):
            return value if value.is_Atom else value.func(*map(self, value.args))  # only their numbers can be scalars
        if all(symbol.name in self.uniform for symbol in value.free_symbols):
            return self._scalar(value)
        if isinstance(value, (sympy.Add, sympy.Mul)):
            same = [part for part in value.args if all(s.name in self.uniform for s in part.free_symbols)]
            rest = [self(part) for part in value.args if part not in same]
            return value.func(*([self._scalar(value.func(*same))] if same else []), *rest)
        if isinstance(value, sympy.Pow):
            exponent = value.exp if value.exp.is_number else self(value.exp)
            return sympy.Pow(self(value.base), exponent)
        if value.is_Atom:
            return value
        return value.func(*map(self, value.args))

    def _scalar(self, value: sympy.Expr) -> sympy.Expr:
        import sympy

        return self.scalars.setdefault(value, sympy.Symbol(f"s{len(self.scalars)}", real=True))


def _share(ssa: list[tuple[str, sympy.Expr]], used: set[str]) -> tuple[tuple[str, str], ...]:
    """Common subexpressions as lines of their own, each just before its first use; lines nobody needs left out."""
    import sympy

    shared, values = sympy.cse(
        [value for _, value in ssa], symbols=(sympy.Symbol(f"x{i}", real=True) for i in range(10**6))
    )
    waiting = dict(shared)
    lines: list[tuple[str, sympy.Expr]] = []

    def need(value: sympy.Expr) -> None:
        for symbol in sorted(value.free_symbols, key=lambda symbol: symbol.name):
            if symbol in waiting:
                found = waiting.pop(symbol)
                need(found)
                lines.append((symbol.name, found))

    for (name, _), value in zip(ssa, values, strict=True):
        need(value)
        lines.append((name, value))
    needed = set(used)
    for name, value in reversed(lines):
        if name in needed:
            needed |= {symbol.name for symbol in value.free_symbols}
    return tuple((name, _emit(value)) for name, value in lines if name in needed)


def _emit(value: Any) -> str:
    """An expression as text in the small language of ``FUNCTIONS``."""
    import sympy

    if isinstance(value, (bool, sympy.logic.boolalg.BooleanAtom)):
        return str(bool(value))
    if value.is_Symbol:
        return str(value.name)
    if value.is_Integer:
        return f"{int(value)}.0" if value >= 0 else f"({int(value)}.0)"
    if value.is_number:
        return repr(float(value)) if value >= 0 else f"({float(value)!r})"
    if isinstance(value, sympy.Add):
        return "(" + " + ".join(map(_emit, value.args)) + ")"
    if isinstance(value, sympy.Mul):
        above = [part for part in value.args if not _divides(part)]
        below = [part.base ** (-part.exp) for part in value.args if _divides(part)]
        product = "*".join(map(_emit, above)) if above else "1.0"
        return (
            f"({product}/{_emit(sympy.Mul(*below)) if len(below) > 1 else _emit(below[0])})"
            if below
            else f"({product})"
        )
    if isinstance(value, sympy.Pow):
        return _emit_power(value)
    if isinstance(value, (sympy.Max, sympy.Min)):
        name = "maximum" if isinstance(value, sympy.Max) else "minimum"
        first, *rest = map(_emit, value.args)
        for other in rest:
            first = f"{name}({first}, {other})"
        return first
    if isinstance(value, sympy.Piecewise):
        text = "0.0"
        for part, condition in reversed(value.args):
            text = _emit(part) if condition == True else f"where({_emit(condition)}, {_emit(part)}, {text})"  # noqa: E712
        return text
    if isinstance(value, sympy.core.relational.Relational):
        return f"({_emit(value.lhs)} {value.rel_op} {_emit(value.rhs)})"
    if isinstance(value, sympy.ITE):  # nested cases make SymPy join their conditions
        condition, yes, no = value.args
        return _emit(sympy.Or(sympy.And(condition, yes), sympy.And(sympy.Not(condition), no)))
    if isinstance(value, (sympy.And, sympy.Or)):
        return "(" + (" & " if isinstance(value, sympy.And) else " | ").join(map(_emit, value.args)) + ")"
    if isinstance(value, sympy.Not):
        return f"({_emit(value.args[0])} == False)"
    names = {sympy.Abs: "absolute", sympy.sign: "sign", sympy.exp: "exp", sympy.log: "log", sympy.tanh: "tanh"}
    return f"{names[type(value)]}({', '.join(map(_emit, value.args))})"


def _divides(part: Any) -> bool:
    import sympy

    return isinstance(part, sympy.Pow) and part.exp.is_number and bool(part.exp < 0)


def _emit_power(value: sympy.Pow) -> str:
    import sympy

    base, exponent = value.base, value.exp
    if exponent == sympy.Rational(1, 2):
        return f"sqrt({_emit(base)})"
    if exponent == 2:
        return f"square({_emit(base)})"
    if _divides(value):
        return f"(1.0/{_emit(base**-exponent)})"
    return f"power({_emit(base)}, {_emit(exponent)})"
