"""From a SymPy expression to the small language of a program: names, numbers, ``+ - * /``, comparisons and ``FUNCTIONS``."""

from __future__ import annotations

from typing import Any

import sympy

NAMES = {sympy.Abs: "absolute", sympy.sign: "sign", sympy.exp: "exp", sympy.log: "log", sympy.tanh: "tanh"}


def emit(value: Any) -> str:
    """An expression as text."""
    if isinstance(value, (bool, sympy.logic.boolalg.BooleanAtom)):
        return str(bool(value))
    if value.is_Symbol:
        return str(value.name)
    if value.is_Integer:
        return f"{int(value)}.0" if value >= 0 else f"({int(value)}.0)"
    if value.is_number:
        return repr(float(value)) if value >= 0 else f"({float(value)!r})"
    if isinstance(value, sympy.Add):
        return "(" + " + ".join(map(emit, value.args)) + ")"
    if isinstance(value, sympy.Mul):
        above = [part for part in value.args if not _divides(part)]
        below = [part.base ** (-part.exp) for part in value.args if _divides(part)]
        product = "*".join(map(emit, above)) if above else "1.0"
        return (
            f"({product}/{emit(sympy.Mul(*below)) if len(below) > 1 else emit(below[0])})" if below else f"({product})"
        )
    if isinstance(value, sympy.Pow):
        return _power(value)
    if isinstance(value, (sympy.Max, sympy.Min)):
        name = "maximum" if isinstance(value, sympy.Max) else "minimum"
        first, *rest = map(emit, value.args)
        for other in rest:
            first = f"{name}({first}, {other})"
        return first
    if isinstance(value, sympy.Piecewise):
        text = "nan"  # where no case holds, as SymPy has it
        for part, condition in reversed(value.args):
            text = emit(part) if condition == True else f"where({emit(condition)}, {emit(part)}, {text})"  # noqa: E712
        return text
    if isinstance(value, sympy.core.relational.Relational):
        return f"({emit(value.lhs)} {value.rel_op} {emit(value.rhs)})"
    if isinstance(value, sympy.ITE):  # nested cases make SymPy join their conditions
        condition, yes, no = value.args
        return emit(sympy.Or(sympy.And(condition, yes), sympy.And(sympy.Not(condition), no)))
    if isinstance(value, (sympy.And, sympy.Or)):
        return "(" + (" & " if isinstance(value, sympy.And) else " | ").join(map(emit, value.args)) + ")"
    if isinstance(value, sympy.Not):
        return f"({emit(value.args[0])} == False)"
    if isinstance(value, sympy.Xor):
        return emit(sympy.to_nnf(value))
    if isinstance(value, sympy.Mod):
        return f"({emit(value.args[0])} % {emit(value.args[1])})"
    return f"{NAMES[type(value)]}({', '.join(map(emit, value.args))})"


def _divides(part: Any) -> bool:
    return isinstance(part, sympy.Pow) and part.exp.is_number and bool(part.exp < 0)


def _power(value: sympy.Pow) -> str:
    base, exponent = value.base, value.exp
    if exponent == sympy.Rational(1, 2):
        return f"sqrt({emit(base)})"
    if exponent == 2:
        return f"square({emit(base)})"
    if _divides(value):
        return f"(1.0/{emit(base**-exponent)})"
    return f"power({emit(base)}, {emit(exponent)})"
