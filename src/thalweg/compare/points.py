"""The same points for every rule: a scrambled Sobol sequence of the unit cube, each axis with one role.

>>> [point["lr"] for point in points_of(space_of("sgd"), 3)]
[0.0795112849497, 0.273305763221, 1.25234169356]
>>> [point["lr"] for point in points_of(space_of("adam"), 3)]                # two decades below, as their ranges are
[0.000795112849497, 0.00273305763221, 0.0125234169356]

Equal budgets are not yet equal luck: eight random points may miss one rule's valley and hit another's. So all rules share
their points, axis by axis: trial 3 of each tries the rate at the same place of its own range, and the momentum likewise.
"""

from __future__ import annotations

import numpy as np

from thalweg.errors import InputError
from thalweg.search import Point, Range, Sobol, Space

AXES = 8
"""Axes of the cube from which each rule takes those it needs; a rule with fewer hyperparameters sees a shadow of the same
points, and n + m points begin with the n."""
ROLES = {
    "lr": 0,
    "beta": 1,
    "beta1": 1,
    "momentum": 1,
    "alpha": 2,
    "rho": 2,
    "beta2": 2,
    "weight_decay": 3,
    "rest_lr": 4,
}


def shared_points(n: int, dims: int, seed: int = 0, *, first: int = 0) -> np.ndarray:
    """``(n, dims)`` places in [0, 1]: the points ``first`` to ``first + n`` of the sequence of this seed (Owen 1998).

    Raises ``InputError`` for fewer than one point or axis, or more than ``AXES``.
    """
    if n < 1 or not 1 <= dims <= AXES:
        raise InputError(f"shared points are at least 1, of 1 to {AXES} axes, not {n} of {dims}")
    cube = Space({str(axis): Range(0.0, 1.0) for axis in range(AXES)})
    points = Sobol(cube, seed).suggest([], [], first + n)[first:]
    return np.array([[float(point[str(axis)]) for axis in range(dims)] for point in points])


def points_of(space: Space, n: int, seed: int = 0, *, first: int = 0) -> list[Point]:
    """The shared points as values of a rule's space. A hyperparameter has the axis of its role, so the rate of trial k is at
    the same place of its range in each rule; those without a role take the axes that are left."""
    axes = {name: ROLES[name] for name in space.searched if name in ROLES}
    free = iter(axis for axis in range(AXES) if axis not in axes.values())
    for name in space.searched:
        if name not in axes:
            axis = next(free, None)
            if axis is None:
                raise InputError(f"{name}: a rule is raced over at most {AXES} hyperparameters: fix some of them")
            axes[name] = axis
    rest = dict.fromkeys(space, 0.5)
    rows = shared_points(n, AXES, seed, first=first)
    return [space.at({**rest, **{name: float(row[axis]) for name, axis in axes.items()}}) for row in rows]
