"""A surface from an expression that somebody typed: read as a formula, never run as a program.

>>> surface_of("x**4 - x**2 + y**2").minimum
(0.7071…, 0.0)
>>> surface_of("__import__('os')")
InputError: "__import__('os')" uses __import__, which is no function of a formula: there are abs, cos, …

The text is parsed as a tree of which only numbers, ``x``, ``y``, ``pi``, ``e``, arithmetic and a dozen functions are taken;
SymPy is given that tree, not the text. Sizes are bounded, so that no formula takes long to read.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.errors import InputError
from thalweg.surfaces.functions import Point, Surface

if TYPE_CHECKING:
    import sympy

LONGEST, LARGEST, STEEPEST, WIDEST = 200, 1e12, 20, 256
"""Characters of a formula, size of a number in it, size of an exponent, bits of a fraction."""
FUNCTIONS = {
    "abs": "Abs", "cos": "cos", "cosh": "cosh", "exp": "exp", "log": "log", "max": "Max", "min": "Min", "sin": "sin",
    "sinh": "sinh", "sqrt": "sqrt", "tan": "tan", "tanh": "tanh",
}  # fmt: skip
BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.Pow: operator.pow,
}  # fmt: skip
DOMAIN = ((-5.0, 5.0), (-5.0, 5.0))
START = (-4.0, 3.0)
GRID, MOST_LOOKS = 201, 1000


def parsed(text: str) -> sympy.Expr:
    """The formula as SymPy's expression of the real symbols ``x`` and ``y``. Raises ``InputError`` for anything else."""
    if len(text) > LONGEST:
        raise InputError(f"the formula has {len(text)} characters: write it with {LONGEST} at most")
    try:
        return _Reader(text).read(ast.parse(text.strip(), mode="eval").body)
    except InputError:
        raise
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise InputError(
            f'"{text}" is no formula of x and y: write it as in x**4 - x**2 + y**2, with * between factors'
        ) from None


class _Reader:
    def __init__(self, text: str) -> None:
        import sympy

        self.text = text
        self.letters = {
            "x": sympy.Symbol("x", real=True), "y": sympy.Symbol("y", real=True), "pi": sympy.pi, "e": sympy.E,
        }  # fmt: skip
        self.functions = {name: getattr(sympy, word) for name, word in FUNCTIONS.items()}

    def read(self, node: ast.expr) -> Any:
        """A node as SymPy's expression, no constant part of it beyond bounds."""
        value = self._read(node)
        if value.is_number:
            wide = value.is_Rational and max(value.p.bit_length(), value.q.bit_length()) > WIDEST
            if wide or not (value.is_real and abs(complex(value)) <= LARGEST):
                raise InputError(
                    f'"{self.text}" has a part that is not real, too large or too fine a number: write a plainer one'
                )
        return value

    def _read(self, node: ast.expr) -> Any:
        import sympy

        match node:
            case ast.Constant(value=int() | float() as number) if (
                not isinstance(number, bool) and abs(number) <= LARGEST
            ):
                return sympy.Rational(repr(number))
            case ast.Name(id=name) if name in self.letters:
                return self.letters[name]
            case ast.Name(id=name):
                raise InputError(f'"{self.text}" uses {name}, which is neither x nor y: a surface has two variables')
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.read(operand)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.read(operand)
            case ast.BinOp(op=ast.BitXor()):
                raise InputError(f'"{self.text}" has ^, which is not a power here: write x**2')
            case ast.BinOp(op=op, left=left, right=right) if type(op) in BINARY:
                first, second = self.read(left), self.read(right)
                self._check(op, first, second)
                return BINARY[type(op)](first, second)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in self.functions:
                return self._call(name, [self.read(argument) for argument in arguments])
            case ast.Call(func=ast.Name(id=name)):
                raise InputError(
                    f'"{self.text}" uses {name}, which is no function of a formula: there are {", ".join(FUNCTIONS)}'
                )
        raise InputError(f'"{self.text}" has a part that is no formula: write numbers, x, y, + - * / **, and functions')

    def _check(self, op: ast.operator, first: Any, second: Any) -> None:
        if isinstance(op, ast.Div) and second.is_zero:
            raise InputError(f'"{self.text}" divides by zero: remove that part')
        if isinstance(op, ast.Pow) and second.is_number and abs(complex(second)) > STEEPEST:
            raise InputError(f'"{self.text}" has a power beyond {STEEPEST}: write a smaller one')
        if isinstance(op, ast.Pow) and first.is_zero and second.is_number and not second.is_positive:
            raise InputError(f'"{self.text}" divides by zero: remove that part')

    def _call(self, name: str, arguments: list[Any]) -> Any:
        wanted = len(arguments) >= 2 if name in ("max", "min") else len(arguments) == 1
        if not wanted:
            several = "two numbers or more" if name in ("max", "min") else "one number"
            raise InputError(f'"{self.text}" gives {name} {len(arguments)} numbers: it takes {several}')
        return self.functions[name](*arguments)


def surface_of(text: str, *, start: Point = START, domain: tuple[Point, Point] = DOMAIN, noise: float = 0.0) -> Surface:
    """A surface of a formula in ``x`` and ``y``; its minimum is looked for in ``domain``, None where it lies at its edge.

    Raises ``InputError`` for what is no formula, and for one without a finite value at ``start``.
    """
    import sympy

    formula = parsed(text)
    if not formula.free_symbols:
        raise InputError(f'"{text}" is the same everywhere: write a formula of x and y')
    tilts = [sympy.diff(formula, letter) for letter in _letters()]
    if any(part.has(sympy.I, sympy.re, sympy.im, sympy.Derivative) for part in (formula, *tilts)):
        raise InputError(f'"{text}" has a value or a slope that is not real somewhere: write a plainer formula')
    value, slopes = _compiled(formula), [_compiled(tilt) for tilt in tilts]
    made = Surface(
        text.strip(),
        text.strip(),
        "",
        value,
        lambda x, y: (slopes[0](x, y), slopes[1](x, y)),
        start,
        None,
        domain,
        noise,
    )
    with np.errstate(all="ignore"):
        here = (float(made.value(*start)), *map(float, made.gradient(*start)))
    if not all(map(math.isfinite, here)):
        raise InputError(f'"{text}" has no finite value and slope at the start {start}: start elsewhere')
    return Surface(
        made.name, made.formula, made.difficulty, made.value, made.gradient, start, _minimum(made), domain, noise
    )


def as_javascript(surface: Surface) -> tuple[str, str, str]:
    """The surface's value and its two slopes as JavaScript of ``x`` and ``y``."""
    import sympy

    formula = parsed(surface.formula)
    x, y = _letters()
    return _javascript(formula), _javascript(sympy.diff(formula, x)), _javascript(sympy.diff(formula, y))


def _javascript(expression: sympy.Expr) -> str:
    import sympy

    return " ".join(sympy.jscode(_plain(expression)).split())


def _letters() -> tuple[sympy.Symbol, sympy.Symbol]:
    import sympy

    return sympy.Symbol("x", real=True), sympy.Symbol("y", real=True)


def _plain(expression: sympy.Expr) -> sympy.Expr:
    """Without what only a theorem needs: the point where |x| or max(x, y) has its kink."""
    import sympy

    return expression.replace(sympy.DiracDelta, lambda *_: sympy.S.Zero).replace(
        sympy.Heaviside, lambda at, *_: sympy.Piecewise((1, at > 0), (sympy.S.Half, sympy.Eq(at, 0)), (0, True))
    )


def _compiled(expression: sympy.Expr) -> Callable[[Any, Any], Any]:
    import sympy

    function = sympy.lambdify(_letters(), _plain(expression), "numpy", cse=True)

    def value(x: Any, y: Any) -> Any:
        if isinstance(x, float) and isinstance(y, float):
            return float(function(np.float64(x), np.float64(y)))
        with np.errstate(all="ignore"):
            found = np.asarray(function(np.asarray(x, dtype=float), np.asarray(y, dtype=float)), dtype=float)
        return np.broadcast_to(found, np.broadcast_shapes(np.shape(x), np.shape(y)))[()]

    return value


def _minimum(surface: Surface) -> Point | None:
    """The lowest point of the domain, if it is no edge."""
    from scipy.optimize import minimize

    (left, right), (low, high) = surface.domain
    x, y = np.meshgrid(np.linspace(left, right, GRID), np.linspace(low, high, GRID))
    heights = np.where(np.isfinite(z := surface.value(x, y)), z, np.inf)
    at = np.unravel_index(int(heights.argmin()), heights.shape)
    with np.errstate(all="ignore"):
        found = minimize(
            lambda w: float(surface.value(*w)), (x[at], y[at]), jac=lambda w: np.array(surface.gradient(*w)),
            bounds=surface.domain, method="L-BFGS-B", options={"ftol": 1e-16, "gtol": 1e-12, "maxfun": MOST_LOOKS},
        )  # fmt: skip
    point = (float(found.x[0]), float(found.x[1]))
    inside = all(a < p < b for p, (a, b) in zip(point, surface.domain, strict=True))
    return point if inside and np.isfinite(found.fun) else None
