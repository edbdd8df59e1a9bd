"""The way an optimizer takes over a surface.

>>> walk = path(ROSENBROCK, lambda parameters: torch.optim.Adam(parameters, lr=0.05), steps=500)
>>> slow = path(RAVINE, lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9), steps=50, start=(5.0, 1.0))
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from thalweg.errors import InputError
from thalweg.surfaces.functions import Point, Surface
from thalweg.surfaces.noise import normal


def path(
    surface: Surface,
    make_optimizer: Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer],
    *,
    steps: int,
    start: Point | None = None,
    seed: int = 0,
) -> np.ndarray:
    """The points ``(steps + 1, 2)`` that an optimizer visits, the start first, in float64.

    ``make_optimizer`` is given one parameter of shape ``(2,)``; every step gets a closure, so line searches work too.
    Where the surface has noise, the gradient of step ``t`` has that of ``(seed, t)``, the same whoever walks. A walk that
    leaves all bounds goes on as infinity or NaN.
    """
    if steps < 0:
        raise InputError(f"a walk has 0 steps or more, not {steps}")
    begin = surface.start if start is None else start
    place = torch.nn.Parameter(torch.tensor(begin, dtype=torch.float64))
    if place.shape != (2,):
        raise InputError(f"a walk starts at two numbers (x, y), not at {begin}")
    optimizer = make_optimizer([place])
    walk = np.empty((steps + 1, 2))
    walk[0] = begin

    at = place.detach().numpy()
    place.grad = torch.zeros_like(place)
    slope = place.grad.numpy()
    pushed = (0.0, 0.0)

    def evaluate() -> torch.Tensor:
        x, y = at
        slope[:] = surface.gradient(x, y)
        slope[:] += pushed
        return torch.tensor(float(surface.value(x, y)), dtype=torch.float64)

    with np.errstate(all="ignore"):
        for step in range(1, steps + 1):
            if surface.noise:
                pushed = (surface.noise * (noise := normal(seed, step))[0], surface.noise * noise[1])
            optimizer.step(evaluate)  # type: ignore[arg-type]
            walk[step] = at
    return walk
