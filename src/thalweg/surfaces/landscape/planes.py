"""The loss on the plane through three sets of weights, and what of a path lies in it.

>>> found = plane(landscape, start, first, second)
>>> found.values["loss"].shape, found.corners                      # (31, 31), where the three stand
>>> found.axes.place(snapshot)                                     # Place(x=3.1, y=0.4, off=1.9)
>>> found.axes.share(snapshots)                                    # of the path's variance, in the plane
0.62

The axes are orthonormal, in units of distance between weights: ``u`` from the first point to the second, ``v`` at right
angles to it towards the third (Garipov et al. 2018, arXiv 1802.10026, appendix). A plane is a small part of a space of
thousands of dimensions; a path may leave it, so the share that lies in it belongs to every picture of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from thalweg.errors import InputError
from thalweg.surfaces.landscape.ground import Landscape


class Place(NamedTuple):
    """Coordinates in a plane, and the distance ``off`` it."""

    x: float
    y: float
    off: float


@dataclass(frozen=True)
class Axes:
    """``origin + x u + y v``; ``u`` and ``v`` ``(size,)``, orthonormal where they come from ``through``."""

    origin: torch.Tensor
    u: torch.Tensor
    v: torch.Tensor

    @classmethod
    def through(cls, first: torch.Tensor, second: torch.Tensor, third: torch.Tensor) -> Axes:
        """The plane of three points; ``InputError`` where they lie on one line."""
        along, up = second.double() - first.double(), third.double() - first.double()
        longest = max(float(along.norm()), float(up.norm()))
        u = along / along.norm() if float(along.norm()) > 0 else along
        v = up - (up @ u) * u
        v = v - (v @ u) * u  # once more, for what rounding left
        if float(along.norm()) <= 1e-6 * longest or float(v.norm()) <= 1e-6 * longest:
            raise InputError("the three points lie on one line, so no plane is theirs: take ends that differ")
        return cls(first, u.to(first.dtype), (v / v.norm()).to(first.dtype))

    def at(self, x: float, y: float) -> torch.Tensor:
        """The point ``(size,)`` at these coordinates."""
        return self.origin + x * self.u + y * self.v

    def place(self, point: torch.Tensor) -> Place:
        """Where a point falls when it is projected."""
        away = point.double() - self.origin.double()
        x, y = float(away @ self.u.double()), float(away @ self.v.double())
        return Place(x, y, float((away - x * self.u.double() - y * self.v.double()).norm()))

    def share(self, path: Sequence[torch.Tensor]) -> float:
        """The share of a path's variance (its points about their mean) that lies in the plane: 1 if it never leaves it."""
        if len(path) < 2:
            return float("nan")
        mean = torch.zeros_like(path[0], dtype=torch.float64)
        for point in path:
            mean += point.double() / len(path)
        whole = inside = 0.0
        for point in path:
            away = point.double() - mean
            whole += float(away @ away)
            inside += float(away @ self.u.double()) ** 2 + float(away @ self.v.double()) ** 2
        return inside / whole if whole > 0 else float("nan")


@dataclass(frozen=True)
class Plane:
    """``values`` by name ``(len(y), len(x))`` on a grid; ``corners`` are the three points it goes through."""

    axes: Axes
    x: np.ndarray
    y: np.ndarray
    values: Mapping[str, np.ndarray]
    corners: tuple[Place, ...] = ()


def plane(
    landscape: Landscape,
    first: torch.Tensor,
    second: torch.Tensor,
    third: torch.Tensor,
    *,
    points: int = 31,
    margin: float = 0.2,
    around: Iterable[torch.Tensor] = (),
) -> Plane:
    """What is measured on a grid of ``points`` × ``points`` that holds the three points, and the projections of ``around``.

    ``margin`` is the share of the extent added on each side.
    """
    if points < 2:
        raise InputError(f"a plane of {points} × {points} points cannot be drawn: give at least 2")
    axes = Axes.through(first, second, third)
    corners = tuple(axes.place(point) for point in (first, second, third))
    shown = np.array([(place.x, place.y) for place in (*corners, *map(axes.place, around))])
    low, high = shown.min(0), shown.max(0)
    edge = margin * (high - low)
    x, y = (np.linspace(low[i] - edge[i], high[i] + edge[i], points) for i in (0, 1))
    return Plane(axes, x, y, grid(landscape, axes, x, y), corners)


def grid(landscape: Landscape, axes: Axes, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """What is measured at each ``(x, y)``, ``(len(y), len(x))`` for each name."""
    found = landscape.along(axes.at(across, up) for up in y.tolist() for across in x.tolist())
    return {name: values.reshape(len(y), len(x)) for name, values in found.items()}
