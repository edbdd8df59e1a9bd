"""From text to schedule: a grammar of names, numbers, quoted words, ``>>``, ``*`` and brackets. Nothing is evaluated.

>>> parse("0.1 * (warmup(500) >> cosine(10000, end=0.01))")
0.1 * (warmup(500) >> cosine(10000, end=0.01))
>>> parse("cosin(100)")
InputError: there is no schedule "cosin": did you mean "cosine"?
"""

from __future__ import annotations

import ast
from typing import Any

from thalweg.errors import InputError
from thalweg.schedules.schedule import Schedule
from thalweg.schedules.shapes import SHAPES
from thalweg.wording import meant

LONGEST_TEXT = 2000


def parse(text: str) -> Schedule:
    """The schedule that ``text`` describes, such as ``0.1 * (warmup(500) >> cosine(10000, end=0.01))``.

    Raises ``InputError`` for anything but the names in ``SHAPES``, numbers, quoted words, ``>>``, ``*`` and brackets.
    """
    if len(text) > LONGEST_TEXT:
        raise InputError(f"a schedule of {len(text)} characters is too long: at most {LONGEST_TEXT}")
    try:
        found = _read(ast.parse(text.strip(), mode="eval").body, text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f'"{text}" is no schedule: write it as in warmup(500) >> cosine(10000)') from None
    if not isinstance(found, Schedule):
        raise InputError(
            f'"{text}" is no schedule: write it as in warmup(500) >> cosine(10000), a constant as constant(0.1)'
        )
    return found


def _read(node: ast.expr, text: str) -> Any:
    match node:
        case ast.Constant(value=int() | float() | str() | None):
            return node.value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.Tuple(elts=elements):
            return tuple(_read(element, text) for element in elements)
        case ast.BinOp(left=left, op=ast.RShift() | ast.Mult() as op, right=right):
            first, second = _read(left, text), _read(right, text)
            join = isinstance(op, ast.RShift)
            if sum(isinstance(side, Schedule) for side in (first, second)) == (2 if join else 1):
                return first >> second if join else first * second
            raise InputError(f'"{text}": >> joins two schedules, * multiplies a schedule by a number')
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
            if name not in SHAPES:
                raise InputError(f'there is no schedule "{name}": {meant(name, SHAPES)}')
            given = {str(keyword.arg): _read(keyword.value, text) for keyword in keywords}
            try:
                return SHAPES[name](*(_read(argument, text) for argument in arguments), **given)
            except TypeError as error:
                raise InputError(f'"{text}": {str(error).replace(".__init__", "")}') from None
    raise InputError(
        f'"{text}" is no schedule: {ast.unparse(node)} means nothing here; write as in warmup(500) >> cosine(10000)'
    )
