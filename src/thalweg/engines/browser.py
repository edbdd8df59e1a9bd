"""A program as JavaScript, for a page that takes steps by itself: float64, one tensor, no library.

>>> print(source(rules.lowered("sgd")))
{
  hypers: ["lr"],
  begin($weights, $h) { const $lr = $h.lr; return {$t: 0}; },
  step($weights, $gradients, $h, $m) { … }
}
>>> expression("where((t < 2.0), lr, square(beta))")
'($where(($t < 2.0), $lr, $square($beta)))'

``begin(weights, hyperparameters)`` makes the memory of a walk, ``step(weights, gradients, hyperparameters, memory)`` changes
weights and memory in place. Both want the functions of ``FUNCTIONS`` around them. Every name of a program carries a ``$``, so
that no hyperparameter is taken for a word of the language. All sums are over the one tensor, which is one unit.
"""

from __future__ import annotations

import ast

from thalweg.errors import InputError
from thalweg.rules import Program
from thalweg.rules.program import Phase

FUNCTIONS = """\
const $sqrt = Math.sqrt, $absolute = Math.abs, $exp = Math.exp, $log = Math.log, $tanh = Math.tanh, $power = Math.pow;
const $square = (x) => x * x;
const $sign = (x) => (x > 0 ? 1 : x < 0 ? -1 : x);
const $maximum = (a, b) => (a < b || b !== b ? b : a);
const $minimum = (a, b) => (b < a || b !== b ? b : a);
const $where = (condition, a, b) => (condition ? a : b);
const $mod = (a, b) => a - b * Math.floor(a / b);
"""
"""All that generated text calls, as JavaScript. ``$mod`` has the divisor's sign, as Python's ``%``."""

BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.BitAnd: "&&", ast.BitOr: "||"}
COMPARED = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "===", ast.NotEq: "!=="}


def expression(text: str) -> str:
    """A line of a program, or a scalar's formula, as JavaScript."""
    return _written(ast.parse(text, mode="eval").body)


def source(program: Program) -> str:
    """A program as a JavaScript object of three members: ``hypers``, ``begin`` and ``step``.

    Raises ``InputError`` for a program with functions of whole matrices.
    """
    if program.scratch:
        raise InputError(
            f"the rule {program.name} works on whole matrices, which a page cannot do: leave it out, or choose another rule"
        )
    last = len(program.phases) - 1
    body = ["const $t = $m.$t + 1;"]
    body += [f"const ${name} = $m.${name};" for name, _ in program.hosts]
    unpacked = [f"const ${name} = $h.{name};" for name in program.arguments]
    body += unpacked
    sizes = {"n_rows": "$weights.length", "n_columns": "1"}
    body += [f"const ${name} = {sizes[name]};" for name in program.shapes]
    for number, phase in enumerate(program.phases):
        body += [f"let ${found.name} = 0;" for found in phase.sums]
        body += ["{"] * (number != last) + _phase(program, phase) + ["}"] * (number != last)
    body += [f"$m.${name} = ${line};" for name, line in program.hosts]
    body.append("$m.$t = $t;")
    starts = dict(program.starts)
    memory = ["$t: 0"]
    memory += [f"${name}: $weights.map(($w) => {expression(starts.get(name, '0.0'))})" for name in program.states]
    memory += [f"${name}: {expression(starts.get(name, '0.0'))}" for name, _ in program.hosts]
    hypers = ", ".join(f'"{name}"' for name in program.arguments)
    steps = "\n".join(f"    {row}" for row in body)
    return (
        f"{{\n  hypers: [{hypers}],\n  begin($weights, $h) {{ {' '.join(unpacked)} return {{{', '.join(memory)}}}; }},\n"
        f"  step($weights, $gradients, $h, $m) {{\n{steps}\n  }}\n}}"
    )


def _phase(program: Program, phase: Phase) -> list[str]:
    rows = [f"const ${name} = {expression(text)};" for name, text in phase.scalars]
    rows.append("for (let $i = 0; $i < $weights.length; $i++) {")
    rows.append("  const $w = $weights[$i], $g = $gradients[$i];")
    rows += [f"  const ${name} = $m.${name}[$i];" for name in program.states]
    rows += [f"  const ${name} = {expression(text)};" for name, text in phase.lines]
    rows += [f"  ${found.name} += ${found.line};" for found in phase.sums]
    rows += [f"  {'$weights' if name == 'w' else f'$m.${name}'}[$i] = {'$' + line};" for name, line in phase.results]
    return [*rows, "}"]


def _written(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=bool(value)):
            return str(value).lower()
        case ast.Constant(value=int() | float() as value):
            return repr(float(value)).replace("inf", "Infinity")
        case ast.Name(id="nan"):
            return "NaN"
        case ast.Name(id=name):
            return f"${name}"
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return f"(-{_written(operand)})"
        case ast.BinOp(op=ast.Mod(), left=left, right=right):
            return f"$mod({_written(left)}, {_written(right)})"
        case ast.BinOp(op=op, left=left, right=right):
            return f"({_written(left)} {BINARY[type(op)]} {_written(right)})"
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return f"({_written(left)} {COMPARED[type(op)]} {_written(right)})"
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return f"${name}({', '.join(map(_written, arguments))})"
    raise AssertionError(ast.dump(node))  # not in the language of a program
