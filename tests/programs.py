"""The two sides of what lowering promises: a program carried out by NumPy, its equations by SymPy, element by element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy

from thalweg.rules import Program, Rule
from thalweg.rules.symbols import Sum, hyper, orthogonal, state, t

ARRAYS = {
    "sqrt": np.sqrt, "square": np.square, "absolute": np.abs, "sign": np.sign, "exp": np.exp, "log": np.log, "tanh": np.tanh,
    "maximum": np.maximum, "minimum": np.minimum, "where": np.where, "power": np.power,
}  # fmt: skip


def newton_schulz(x: np.ndarray, a: float, b: float, c: float, eps: float, steps: float) -> np.ndarray:
    """``orthogonal`` in float64, with the two sides of the product the other way round than in the source."""
    x = x / max(np.sqrt((x * x).sum()), eps)
    for _ in range(int(steps)):
        inner = x.T @ x
        x = a * x + x @ (b * inner + c * inner @ inner)
    return x


def carried_out(
    program: Program,
    stored: Mapping[str, np.ndarray],
    numbers: Mapping[str, float],
    step: float,
    hosts: Mapping[str, float],
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """A program's phases over one tensor that is all there is, by NumPy in float64: what is stored, and the hosts."""
    shape = np.shape(stored["w"])
    sizes = {"n_rows": float(shape[0]), "n_columns": float(np.prod(shape[1:]))} if program.shapes else {}
    fine = program.grain == "unit"
    inputs: list[Any] = [
        *(numbers[name] for name in program.arguments),
        step,
        *(hosts[name] for name, _ in program.hosts),
    ]
    inputs += [sizes[name] for name in program.shapes]
    scratch: dict[str, np.ndarray] = {}
    for number, phase in enumerate(program.phases):
        found = (program.evaluate_rows if fine else program.evaluate)[number](*inputs)
        passed = dict(zip(phase.passed, found, strict=False))
        rest = found[len(passed) :]
        values = {**stored, **scratch, **{name: _spread(value, len(shape)) for name, value in passed.items()}}
        for name, text in phase.lines:
            values[name] = eval(text, {"__builtins__": {}}, {**ARRAYS, **values})
        for taken in phase.sums:
            over = np.broadcast_to(values[taken.line], shape)
            inputs.append(over.reshape(shape[0], -1).sum(1) if taken.scope == "unit" else float(over.sum()))
        results = {name: np.broadcast_to(values[line], shape) for name, line in phase.results}
        for matrix in phase.matrices:
            arguments, rest = rest[: len(matrix.arguments)], rest[len(matrix.arguments) :]
            scratch[matrix.slot] = newton_schulz(results[matrix.slot], *arguments)
    assert not set(results) & set(program.scratch)
    return results, dict(zip((name for name, _ in program.hosts), rest, strict=True))


def _spread(value: Any, dimensions: int) -> Any:
    """A scalar of each unit, along the first dimension."""
    return np.reshape(value, (-1, *(1,) * (dimensions - 1))) if np.ndim(value) else value


def substituted(
    rule: Rule, stored: Mapping[str, np.ndarray], numbers: Mapping[str, float], step: float, hosts: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """Each assignment of a rule, in order, for one element after another, by SymPy: every name's value afterwards."""
    shape = np.shape(stored["w"])
    uniform: dict[str, float] = {**numbers, **hosts, "n_rows": float(shape[0]), "n_columns": float(np.prod(shape[1:]))}
    arrays = {name: array.copy() for name, array in stored.items()}
    for name, value in rule.assignments:
        arrays[name] = _everywhere(value, arrays, uniform, step, shape)
    return arrays


def _everywhere(
    value: sympy.Basic,
    arrays: Mapping[str, np.ndarray],
    uniform: Mapping[str, float],
    step: float,
    shape: tuple[int, ...],
) -> np.ndarray:
    """An expression's value at each element; sums and matrix functions from the values of what stands inside them."""
    inner: dict[sympy.Basic, tuple[sympy.Symbol, np.ndarray]] = {}
    for node in sympy.postorder_traversal(value):
        if isinstance(node, (Sum, orthogonal)) and node not in inner:
            known = {other: symbol for other, (symbol, _) in inner.items()}
            extra = {symbol.name: array for symbol, array in inner.values()}
            parts = [_everywhere(part.xreplace(known), {**arrays, **extra}, uniform, step, shape) for part in node.args]
            if isinstance(node, orthogonal):
                array = newton_schulz(parts[0], *(float(part.flat[0]) for part in parts[1:]))
            elif node.scope == "unit":
                array = np.broadcast_to(parts[0].sum(axis=tuple(range(1, len(shape))), keepdims=True), shape)
            else:
                array = np.full(shape, parts[0].sum())
            inner[node] = (sympy.Symbol(f"inner{len(inner)}", real=True), array)
    value = value.xreplace({node: symbol for node, (symbol, _) in inner.items()})
    every = {**arrays, **{symbol.name: array for symbol, array in inner.values()}}
    found = np.zeros(shape)
    for index in np.ndindex(*shape):
        here = {hyper(name): _number(number) for name, number in uniform.items()} | {t: _number(step)}
        here |= {state(name): _number(array[index]) for name, array in every.items()}
        found[index] = float(value.xreplace(here))
    return found


def _number(value: float) -> sympy.Expr:
    """Whole numbers as such: to SymPy a 0 with a point is no zero."""
    return sympy.Integer(int(value)) if float(value).is_integer() else sympy.Float(float(value))
