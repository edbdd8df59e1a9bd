"""The loss around one set of weights, in random directions whose length fits the weights (Li et al. 2018, arXiv 1712.09913).

A ReLU net computes the same when one layer's weights are doubled and the next one's halved, so a step of fixed length says
nothing of how flat a place is. A *filter-normalised* direction is random, with each filter (the weights into one unit, of
each tensor with at least two dimensions) made as long as that filter of the network; biases and the parameters of batch
norm, tensors of one dimension, stay where they are.

>>> found = slices(landscape, here, directions=5)
>>> found.values["loss"].shape                                     # (5, 21): five directions, from −1 to 1
>>> found.rise("loss")                                             # mean rise of the loss at distance 1, and its spread
Rise(mean=0.42, sd=0.11)
>>> around(landscape, here).values["loss"].shape                   # (25, 25): two of these directions
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from thalweg.errors import InputError
from thalweg.surfaces.landscape.ground import Landscape
from thalweg.surfaces.landscape.planes import Axes, Plane, grid


class Rise(NamedTuple):
    """Mean over directions, and the standard deviation among them."""

    mean: float
    sd: float


@dataclass(frozen=True)
class Slices:
    """``values`` by name ``(directions, len(at))``; ``at`` in units of a direction, 0 in the middle."""

    at: np.ndarray
    values: Mapping[str, np.ndarray]

    def rises(self, name: str, *, distance: float | None = None) -> np.ndarray:
        """How far a measure rises at ``distance`` (the end, if None) along each direction, ``(directions,)``: the mean of both
        ways, over the value in the middle."""
        away = float(self.at[-1]) if distance is None else distance
        values = self.values[name]
        both = [(np.interp(away, self.at, row) + np.interp(-away, self.at, row)) / 2 for row in values]
        return np.array(both) - values[:, len(self.at) // 2]

    def rise(self, name: str, *, distance: float | None = None) -> Rise:
        """The same over all directions."""
        rises = self.rises(name, distance=distance)
        return Rise(float(rises.mean()), float(rises.std(ddof=1)) if len(rises) > 1 else float("nan"))


def filter_normalised(landscape: Landscape, point: torch.Tensor, *, seed: int = 0) -> torch.Tensor:
    """A random direction ``(size,)``: ``d_ij ← d_ij / ‖d_ij‖ · ‖w_ij‖`` for filter j of tensor i; 0 for biases and norms.

    The same seed gives the same draw at every point, each time fitted to that point's weights.
    """
    draw = torch.Generator().manual_seed(seed)
    pieces = []
    for weights in landscape.split(point).values():
        drawn = torch.randn(weights.shape, generator=draw, dtype=torch.float64).to(weights)
        if weights.ndim < 2:
            pieces.append(torch.zeros_like(drawn).reshape(-1))
            continue
        rows, filters = drawn.flatten(1), weights.flatten(1)
        scale = filters.norm(dim=1, keepdim=True) / rows.norm(dim=1, keepdim=True).clamp_min(1e-30)
        pieces.append((rows * scale).reshape(-1))
    return torch.cat(pieces)


def slices(
    landscape: Landscape,
    point: torch.Tensor,
    *,
    directions: int = 5,
    points: int = 21,
    reach: float = 1.0,
    seed: int = 0,
) -> Slices:
    """What is measured along each of some filter-normalised ``directions``, from −``reach`` to ``reach``."""
    if directions < 1 or points < 3 or points % 2 == 0 or not reach > 0:
        raise InputError(
            f"{directions} slices of {points} points to a distance of {reach:g} cannot be drawn: give at least one, an odd "
            f"number of points from 3 on, and a distance above 0"
        )
    at = np.linspace(-reach, reach, points)
    middle = landscape.at(point)
    found: dict[str, list[list[float]]] = {name: [] for name in middle}
    for index in range(directions):
        direction = filter_normalised(landscape, point, seed=seed + index)
        told = [middle if t == 0 else landscape.at(point + t * direction) for t in at.tolist()]
        for name, rows in found.items():
            rows.append([one[name] for one in told])
    return Slices(at, {name: np.array(rows) for name, rows in found.items()})


def around(landscape: Landscape, point: torch.Tensor, *, points: int = 21, reach: float = 1.0, seed: int = 0) -> Plane:
    """What is measured on a grid in two filter-normalised directions, those of ``slices`` with this seed."""
    axes = Axes(
        point,
        filter_normalised(landscape, point, seed=seed),
        filter_normalised(landscape, point, seed=seed + 1),
    )
    at = np.linspace(-reach, reach, points)
    return Plane(axes, at, at, grid(landscape, axes, at, at))
