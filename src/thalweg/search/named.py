"""Samplers by name, as a command line or a file names them.

>>> sampler = sampler_named("tpe", space, seed=0, trials=64)
>>> sampler_named("grid", space, points=3).formula
'3 × 3 × 2 = 18 trials'
"""

from __future__ import annotations

from collections.abc import Callable

from thalweg.errors import InputError
from thalweg.search.brains import CmaEs, Gp, Nsga2
from thalweg.search.samplers import Grid, Random, Sampler, Sobol
from thalweg.search.space import Space
from thalweg.search.stages import CoarseToFine, Ordered, usual_order
from thalweg.search.tpe import Tpe

SAMPLERS = ("random", "sobol", "grid", "coarse-to-fine", "ordered", "tpe", "gp", "cma-es", "nsga2")


GENERATIONS = 6
"""Into which a genetic search divides its trials, where that leaves at least 8 and at most 32 in each."""


def sampler_named(
    name: str,
    space: Space,
    *,
    seed: int = 0,
    trials: int = 64,
    points: int = 5,
    rounds: int = 4,
    order: tuple[tuple[str, ...], ...] = (),
) -> Sampler:
    """One of ``SAMPLERS``. ``points`` is a grid's; ``rounds`` share the ``trials`` of coarse to fine, generations those of
    ``nsga2``; ``order`` are the groups of an ordered search, which share the ``trials`` among their turns.

    Raises ``InputError`` for another name.
    """
    if name == "coarse-to-fine":
        return CoarseToFine(space, seed, stage=max(2, -(-trials // max(rounds, 1))))
    if name == "ordered":
        groups = order or usual_order(space)
        return Ordered(space, seed, stage=max(2, -(-trials // max(len(groups), 1))), groups=groups)
    if name == "grid":
        return Grid(space, points)
    if name == "nsga2":
        return Nsga2(space, seed, population=min(32, max(8, trials // GENERATIONS)))
    simple: dict[str, Callable[[Space, int], Sampler]]
    simple = {"random": Random, "sobol": Sobol, "tpe": Tpe, "gp": Gp, "cma-es": CmaEs}
    if name not in simple:
        raise InputError(f'there is no sampler "{name}": choose {", ".join(SAMPLERS)}')
    return simple[name](space, seed)
