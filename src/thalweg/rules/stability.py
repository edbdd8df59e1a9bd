"""What the equations of a rule say about a quadratic: how large a rate is stable, how fast a step contracts.

On ``L(w) = λw²/2`` the gradient is ``g = λw``; a rule that is linear in weight, gradient and states is then a matrix that takes
``(states, w)`` to their next values. It is stable where the spectral radius is at most 1, and contracts by that radius in
each step. First-step special cases and bias corrections do not matter in the long run: ``t → ∞``.

>>> named.momentum_sum().stability().limit                       # largest stable lr on curvature λ
2*(beta + 1)/lambda
>>> named.adam().stability().linear
False
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sympy

from thalweg.errors import InputError
from thalweg.rules.formula import written
from thalweg.rules.rule import Rule
from thalweg.rules.symbols import Sum, g, lr, orthogonal, t, w

curvature = sympy.Symbol("lambda", positive=True)


@dataclass(frozen=True)
class Stability:
    """``limit``: the largest stable ``lr`` on curvature λ, a formula in the hyperparameters; None for a rule not linear."""

    rule: str
    linear: bool
    matrix: sympy.Matrix | None
    limit: sympy.Expr | None

    def largest_rate(self, sharpness: float, **hyperparameters: float) -> float:
        """The limit as a number, for a sharpness (largest curvature). Raises ``InputError`` for a rule that has none."""
        if self.limit is None:
            raise InputError(f"the rule {self.rule} is not linear in the gradient: it has no fixed stability limit")
        return float(self.limit.subs(self._numbers(self.limit, sharpness, hyperparameters)))

    def contraction(self, sharpness: float, **hyperparameters: float) -> float:
        """The factor by which one step shrinks the distance to the minimum in the long run (spectral radius)."""
        if self.matrix is None:
            raise InputError(
                f"the rule {self.rule} is not linear in the gradient: its contraction depends on where it is"
            )
        return _radius(self.matrix.subs(self._numbers(self.matrix, sharpness, hyperparameters)))

    def _numbers(
        self, formula: sympy.Basic, sharpness: float, hyperparameters: Mapping[str, float]
    ) -> dict[sympy.Basic, float]:
        for name in sorted(symbol.name for symbol in formula.free_symbols - {curvature}):
            if name not in hyperparameters:
                raise InputError(f"the stability of {self.rule} depends on {name}: give it as {name}=…")
        return {s: hyperparameters[s.name] for s in formula.free_symbols - {curvature}} | {curvature: sharpness}

    def __str__(self) -> str:
        if self.limit is None:
            return f"{self.rule}: not linear in the gradient; no fixed limit"
        return f"{self.rule}: stable on curvature λ up to lr = {written(self.limit, ()).replace('lambda', 'λ')}"


def analyse(rule: Rule) -> Stability:
    """The iteration matrix of a rule on the quadratic and its stability limit."""
    if any(value.has(Sum, orthogonal) for _, value in rule.assignments):
        return Stability(rule.name, False, None, None)  # no element's step depends on its own gradient alone
    names = list(dict.fromkeys(name for name, _ in rule.states))
    variables = [sympy.Symbol(name, real=True) for name in names] + [w]
    now: dict[sympy.Symbol, sympy.Expr] = {variable: variable for variable in variables}
    now[g] = curvature * w
    for name, value in rule.assignments:
        symbol = sympy.Symbol(name, real=True)
        now[symbol] = sympy.expand(_in_the_long_run(value).xreplace(now))
    rows = [now[variable] for variable in variables]
    if not all(row.is_polynomial(*variables) and sympy.Poly(row, *variables).total_degree() <= 1 for row in rows):
        return Stability(rule.name, False, None, None)
    matrix = sympy.Matrix([[sympy.simplify(sympy.diff(row, variable)) for variable in variables] for row in rows])
    if not {symbol.name for symbol in matrix.free_symbols} <= {*rule.hyperparameters, curvature.name}:
        return Stability(rule.name, False, None, None)  # it changes from step to step: with t or with a host number
    return Stability(rule.name, True, matrix, _limit(matrix))


def _in_the_long_run(value: sympy.Expr) -> sympy.Expr:
    """``t → ∞``: first-step cases fall away, bias corrections become 1."""
    value = value.replace(
        lambda node: isinstance(node, sympy.Piecewise) and t in node.free_symbols, lambda node: node.args[-1].expr
    )
    return value.replace(
        lambda node: isinstance(node, sympy.Pow) and t in node.exp.free_symbols, lambda node: sympy.Integer(0)
    )


def _limit(matrix: sympy.Matrix) -> sympy.Expr | None:
    """The smallest positive rate at which an eigenvalue reaches the unit circle.

    For these rules it leaves through −1 (an oscillation), so the limit solves ``det(M + I) = 0``; that it is the first one
    is checked with numbers: just below it the radius is at most 1, just above it is larger.
    """
    size = matrix.shape[0]
    solutions = sympy.solve(sympy.factor((matrix + sympy.eye(size)).det()), lr)
    for solution in solutions:
        candidate = sympy.factor(sympy.simplify(solution))
        numbers = {
            symbol: sympy.Rational(1, 2) for symbol in candidate.free_symbols | matrix.free_symbols if symbol != lr
        }
        value = candidate.subs(numbers)
        if not (value.is_real and value > 0):
            continue

        below, above = (_radius(matrix.subs({**numbers, lr: value * factor})) for factor in (0.999, 1.001))
        if below <= 1.0 < above:
            return _with_positive_factors(candidate, numbers)
    return None


def _radius(matrix: sympy.Matrix) -> float:
    """The spectral radius of a matrix of numbers."""
    return float(np.abs(np.linalg.eigvals(np.array(matrix, dtype=float))).max())


def _with_positive_factors(value: sympy.Expr, numbers: Mapping[sympy.Basic, sympy.Expr]) -> sympy.Expr:
    """Writes ``−2/(β − 1)`` as ``2/(1 − β)``."""
    result = sympy.S.One
    for factor in sympy.Mul.make_args(value):
        base, exponent = factor.as_base_exp()
        result *= sympy.expand(-base) ** exponent if base.subs(numbers) < 0 and exponent.is_Integer else factor
    return result
