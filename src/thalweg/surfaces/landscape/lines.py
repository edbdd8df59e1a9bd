"""The loss on the straight line between two sets of weights, and the barrier on it.

>>> found = line(landscape, landscape.point(first), landscape.point(second))
>>> found.values["loss"]                                           # 25 losses, from the first to the second
>>> found.barrier("loss")
Barrier(height=0.83, at=0.5)

Two ends without a barrier lie in one connected low region. The height is ``max over t in [0, 1] of
L((1−t)a + tb) − ((1−t) L(a) + t L(b))`` (Entezari et al. 2022, arXiv 2110.06296, eq. 1); Frankle et al. 2020 (arXiv
1912.05671, linear mode connectivity) subtract the mean of the two ends instead, which is the same where they are equally
high. It is never negative: at an end nothing is above the line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from thalweg.errors import InputError
from thalweg.surfaces.landscape.ground import Landscape


@dataclass(frozen=True)
class Barrier:
    """``height`` of the loss above the straight line between the ends; ``at``: where, from 0 to 1."""

    height: float
    at: float


@dataclass(frozen=True)
class Line:
    """``values`` by name ``(k,)`` at the shares ``at`` ``(k,)`` of the way, 0 at the first end and 1 at the second."""

    at: np.ndarray
    values: Mapping[str, np.ndarray]
    distance: float
    """Between the ends: Euclidean, over all parameters."""

    def barrier(self, name: str) -> Barrier:
        """The barrier of one measure."""
        return barrier(self.at, self.values[name])


def line(
    landscape: Landscape, first: torch.Tensor, second: torch.Tensor, *, points: int = 25, beyond: float = 0.0
) -> Line:
    """What is measured at ``points`` places from ``first`` to ``second``, and so far ``beyond`` either end.

    Plain interpolation of the weights: both ends are met exactly.
    """
    if points < 3 or beyond < 0:
        raise InputError(
            f"a line of {points} points that goes {beyond:g} beyond its ends: give at least 3 points and 0"
        )
    at = np.linspace(-beyond, 1 + beyond, points)
    if beyond:
        at = np.union1d(at, [0.0, 1.0])
    values = landscape.along((1 - t) * first + t * second for t in at.tolist())
    return Line(at, values, distance(first, second))


def barrier(at: np.ndarray, values: np.ndarray) -> Barrier:
    """The barrier of ``values`` ``(k,)`` at the rising places ``at`` ``(k,)``, of which 0 and 1 are the ends."""
    at, values = np.asarray(at, dtype=float), np.asarray(values, dtype=float)
    inside = (at >= 0) & (at <= 1)
    at, values = at[inside], values[inside]
    if len(at) < 2 or at[0] != 0 or at[-1] != 1:
        raise InputError("a barrier is between two ends: the places must hold 0 and 1")
    above = values - ((1 - at) * values[0] + at * values[-1])
    above[[0, -1]] = 0.0
    above = np.where(np.isfinite(above), above, np.inf)  # a loss that overflowed is a high one
    top = int(above.argmax())
    return Barrier(float(above[top]), float(at[top]))


def distance(first: torch.Tensor, second: torch.Tensor) -> float:
    """Euclidean, summed in float64."""
    return float((first.double() - second.double()).norm())
