"""Where everything can be known: quadratics, on which limits and contractions are measured, to be held against equations.

>>> quadratic(RAVINE).curvatures
(0.1, 2.0)
>>> measured_limit(RAVINE, lambda lr: lambda w: torch.optim.SGD(w, lr=lr))       # 2/λ says 1
1.0005
>>> measured_contraction(RAVINE, lambda w: torch.optim.SGD(w, lr=0.95))          # 1 − 0.95 · 0.1
0.905
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from thalweg.surfaces.expression import parsed
from thalweg.surfaces.functions import Point, Surface
from thalweg.surfaces.path import path

if TYPE_CHECKING:
    import sympy

Make = Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer]
STEPS, LONG = 400, 1200
"""Steps of a walk that asks whether a rate is stable, and of one that measures a contraction."""
FINE = 1.001
"""How close to the limit a bisection goes, as a factor."""
FROM, TO = 1e-9, 1e9
TINY, HUGE = 1e-250, 1e250
HIGHEST = 8
"""Degree up to which a formula is expanded, to see whether it is a quadratic."""


@dataclass(frozen=True)
class Quadratic:
    """``L(w) = (w − centre)ᵀ H (w − centre)/2 + constant``: ``hessian`` H ``(2, 2)``, ``curvatures`` its eigenvalues."""

    hessian: np.ndarray
    curvatures: tuple[float, float]
    centre: Point

    @property
    def bowl(self) -> bool:
        """Whether it has one lowest point."""
        return self.curvatures[0] > 1e-12 * abs(self.curvatures[1])


def quadratic(surface: Surface) -> Quadratic | None:
    """The quadratic that a surface is; None where it is none, or one without a centre."""
    import sympy

    formula = parsed(surface.formula)
    letters = (sympy.Symbol("x", real=True), sympy.Symbol("y", real=True))
    if _degree(formula) > HIGHEST or sympy.Poly(formula, *letters).total_degree() != 2:
        return None
    hessian = sympy.hessian(formula, letters)
    numbers = np.array(hessian, dtype=float)
    if abs(np.linalg.det(numbers)) < 1e-12 * np.abs(numbers).max() ** 2:
        return None
    slope = np.array([float(sympy.diff(formula, letter).subs(dict.fromkeys(letters, 0))) for letter in letters])
    centre = np.linalg.solve(numbers, -slope)
    low, high = np.linalg.eigvalsh(numbers)
    return Quadratic(numbers, (float(low), float(high)), (float(centre[0]) + 0.0, float(centre[1]) + 0.0))


def _degree(formula: sympy.Expr) -> float:
    """At most what degree a polynomial would have, without expanding it; infinite for what is none."""
    if formula.is_number:
        return 0
    if formula.is_Symbol:
        return 1
    if formula.is_Add:
        return max(map(_degree, formula.args))
    if formula.is_Mul:
        return sum(map(_degree, formula.args))
    if formula.is_Pow and formula.exp.is_Integer and formula.exp > 0:
        return _degree(formula.base) * int(formula.exp)
    return math.inf


def centred(surface: Surface, shape: Quadratic, start: Point) -> Surface:
    """The same quadratic with its centre at the origin and no noise: walks may come as near to it as floats can."""
    hessian, centre = shape.hessian, shape.centre
    return Surface(
        surface.name,
        surface.formula,
        surface.difficulty,
        lambda x, y: (hessian[0, 0] * x**2 + 2 * hessian[0, 1] * x * y + hessian[1, 1] * y**2) / 2,
        lambda x, y: (hessian[0, 0] * x + hessian[0, 1] * y, hessian[0, 1] * x + hessian[1, 1] * y),
        (start[0] - centre[0], start[1] - centre[1]),
        (0.0, 0.0),
        surface.domain,
    )


def measured_limit(surface: Surface, make: Callable[[float], Make], *, fades: bool = True) -> float | None:
    """The largest stable rate, by bisection of walks of ``STEPS`` from the surface's start; None where none is found.

    A rate is stable if the distance to the minimum, at its largest over a quarter of the walk, falls from the second quarter to
    the last. With ``fades=False``, for rules whose steps do not shrink with the gradient, if no step stands higher than
    the start.
    """

    def stable(rate: float) -> bool:
        walk = path(surface, make(rate), steps=STEPS)
        if not np.isfinite(walk).all():
            return False
        if not fades:
            with np.errstate(over="ignore"):
                heights = surface.value(*walk.T)
            return bool(heights.max() <= heights[0])
        away = _distance(walk, surface)
        return bool(away[-STEPS // 4 :].max() <= away[STEPS // 4 : STEPS // 2].max())

    low = high = 1.0
    if stable(1.0):
        while stable(high := high * 4):
            if high > TO:
                return None
        low = high / 4
    else:
        while not stable(low := low / 4):
            if low < FROM:
                return None
        high = low * 4
    while high / low > FINE:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if stable(middle) else (low, middle)
    return math.sqrt(low * high)


def measured_contraction(surface: Surface, make: Make) -> float:
    """By what factor a step shrinks the distance to the minimum, in the second half of a long walk; above 1 it grows.

    The walk ends early where floats do. The factor is the slope of the distance's logarithm, by least squares.
    """
    away = _distance(path(surface, make, steps=LONG), surface)
    usable = np.isfinite(away) & (away > TINY) & (away < HUGE)
    end = int(np.argmin(usable)) if not usable.all() else len(away)
    late = np.arange(end // 2, end)
    if len(late) < 3:
        return 0.0 if away[-1] <= TINY else math.nan
    return float(np.exp(np.polyfit(late, np.log(away[late]), 1)[0]))


def _distance(walk: np.ndarray, surface: Surface) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.hypot(*(walk - np.array(surface.minimum or (0.0, 0.0))).T)
