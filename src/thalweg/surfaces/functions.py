"""Test functions of two variables, each showing one difficulty.

>>> RAVINE.value(-7.0, 2.0), RAVINE.gradient(-7.0, 2.0)
(6.45, (-0.7, 4.0))
>>> x, y = np.meshgrid(*(np.linspace(low, high, 200) for low, high in BEALE.domain))
>>> heights = BEALE.value(x, y)                                   # (200, 200), ready to draw
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Point = tuple[float, float]


@dataclass(frozen=True)
class Surface:
    """``value(x, y)`` and ``gradient(x, y)`` take numbers or arrays of one shape and give the same."""

    name: str
    formula: str
    """As SymPy reads it."""
    difficulty: str
    value: Callable[[Any, Any], Any]
    gradient: Callable[[Any, Any], tuple[Any, Any]]
    start: Point
    """Where a walk begins by custom."""
    minimum: Point | None
    """The global minimum; None where there is none."""
    domain: tuple[Point, Point]
    """``(x from, to), (y from, to)``: what to draw."""
    noise: float = 0.0
    """Standard deviation of what a walk's gradients have on top, in each direction (see ``noise``)."""


def _beale_terms(x: Any, y: Any) -> tuple[Any, Any, Any]:
    return 1.5 - x + x * y, 2.25 - x + x * y**2, 2.625 - x + x * y**3


def _beale_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    a, b, c = _beale_terms(x, y)
    return (
        2 * (a * (y - 1) + b * (y**2 - 1) + c * (y**3 - 1)),
        2 * x * (a + 2 * b * y + 3 * c * y**2),
    )


RAVINE = Surface(
    "ravine",
    "x**2/20 + y**2",
    "twenty times as curved across as along: plain descent zigzags",
    lambda x, y: x**2 / 20 + y**2,
    lambda x, y: (x / 10, 2 * y),
    start=(-7.0, 2.0),
    minimum=(0.0, 0.0),
    domain=((-10.0, 10.0), (-10.0, 10.0)),
)
BEALE = Surface(
    "Beale",
    "(3/2 - x + x*y)**2 + (9/4 - x + x*y**2)**2 + (21/8 - x + x*y**3)**2",
    "steep walls around a flat valley floor",
    lambda x, y: sum(term**2 for term in _beale_terms(x, y)),
    _beale_gradient,
    start=(1.0, 1.0),
    minimum=(3.0, 0.5),
    domain=((-4.5, 4.5), (-4.5, 4.5)),
)
ROSENBROCK = Surface(
    "Rosenbrock",
    "(1 - x)**2 + 100*(y - x**2)**2",
    "a curved valley whose floor hardly falls",
    lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2,
    lambda x, y: (2 * (x - 1) - 400 * x * (y - x**2), 200 * (y - x**2)),
    start=(-1.2, 1.0),
    minimum=(1.0, 1.0),
    domain=((-2.0, 2.0), (-1.0, 3.0)),
)
RASTRIGIN = Surface(
    "Rastrigin",
    "20 + x**2 - 10*cos(2*pi*x) + y**2 - 10*cos(2*pi*y)",
    "a minimum in every unit square, one of them the lowest",
    lambda x, y: 20 + x**2 - 10 * np.cos(2 * np.pi * x) + y**2 - 10 * np.cos(2 * np.pi * y),
    lambda x, y: (2 * x + 20 * np.pi * np.sin(2 * np.pi * x), 2 * y + 20 * np.pi * np.sin(2 * np.pi * y)),
    start=(3.3, -2.4),
    minimum=(0.0, 0.0),
    domain=((-5.12, 5.12), (-5.12, 5.12)),
)
SADDLE = Surface(
    "saddle",
    "x**2 - y**2",
    "a critical point that is no minimum: descent slows down before it leaves",
    lambda x, y: x**2 - y**2,
    lambda x, y: (2 * x, -2 * y),
    start=(-1.5, 0.001),
    minimum=None,
    domain=((-2.0, 2.0), (-2.0, 2.0)),
)
PLATEAU = Surface(
    "plateau",
    "1 - exp(-(x**2 + y**2)/4)",
    "almost no gradient until the hole is near",
    lambda x, y: 1 - np.exp(-(x**2 + y**2) / 4),
    lambda x, y: (x / 2 * np.exp(-(x**2 + y**2) / 4), y / 2 * np.exp(-(x**2 + y**2) / 4)),
    start=(-4.0, 3.0),
    minimum=(0.0, 0.0),
    domain=((-6.0, 6.0), (-6.0, 6.0)),
)
NOISY = Surface(
    "noisy",
    "x**2/4 + y**2",
    "a quadratic whose gradient is never quite known: a constant rate ends in a cloud, not in a point",
    lambda x, y: x**2 / 4 + y**2,
    lambda x, y: (x / 2, 2 * y),
    start=(-4.0, 3.0),
    minimum=(0.0, 0.0),
    domain=((-5.0, 5.0), (-5.0, 5.0)),
    noise=2.0,
)
SURFACES = {surface.name: surface for surface in (RAVINE, BEALE, ROSENBROCK, RASTRIGIN, SADDLE, PLATEAU, NOISY)}
