"""How a search goes: where it looks, who proposes, how much it may cost; beside the settings of the runs it makes.

>>> Plan(space=Space.parse({"lr": "1e-4..1:log"}), trials=64, sampler="tpe")
>>> Plan(sampler="annealing")
InputError: there is no sampler "annealing": choose among random, grid, coarse, importance, tpe, gp, cmaes, sobol, nsga2
"""

from __future__ import annotations

from dataclasses import dataclass

from thalweg.errors import InputError
from thalweg.experiments.tuning.candidate import block_of, dividing
from thalweg.search import Random, Sampler, Space, sampler_named

SAMPLERS = ("random", "grid", "coarse", "importance", "tpe", "gp", "cmaes", "sobol", "nsga2")
ONE_OBJECTIVE = ("coarse", "importance", "cmaes")
"""Samplers that follow the best trial, and of several objectives there is no best."""
NAMES = {"coarse": "coarse-to-fine", "importance": "ordered", "cmaes": "cma-es"}
"""Shorter words of the command line."""
PRUNERS = ("halving", "median", "none")
ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Plan:
    """What ``thalweg tune`` takes beside the settings of a run. Raises ``InputError`` for what there is not.

    ``space`` None is the default space of the settings left open. ``points`` are those of each range in a grid. ``members``
    is how many candidates train together (None: measured). ``objectives`` are what is made good at once, the first a metric of
    the dev part (empty: what the settings watch). ``prune`` None is halving, or none where there are several objectives.
    ``workers`` are processes (None: as many as pay). ``storage`` is a URL or file (None: a file in the study's folder).
    ``confirm`` is how many fresh seeds the best trial is trained on again.
    """

    space: Space | None = None
    trials: int = 64
    members: int | None = None
    sampler: str = "random"
    points: int = 5
    prune: str | None = None
    workers: int | None = None
    engine: str = "local"
    address: str | None = None
    storage: str | None = None
    confirm: int = 3
    objectives: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for kind, name, known in (
            ("sampler", self.sampler, SAMPLERS), ("pruner", self.pruner, PRUNERS), ("engine", self.engine, ENGINES),
        ):  # fmt: skip
            if name not in known:
                raise InputError(f'there is no {kind} "{name}": choose among {", ".join(known)}')
        for name, number, least in (
            ("trials", self.trials, 1), ("members", self.members, 1), ("points", self.points, 1),
            ("workers", self.workers, 1), ("confirm", self.confirm, 0),
        ):  # fmt: skip
            if number is not None and number < least:
                raise InputError(f"{name} is {number}: it must be {least} or more")
        if len(self.objectives) > 1 and self.sampler in ONE_OBJECTIVE:
            raise InputError(
                f"the sampler {self.sampler} follows the best trial of one objective, and there are {len(self.objectives)}: "
                f"choose random, grid, sobol, tpe, gp or nsga2"
            )
        if self.address is not None and self.engine != "ray":
            raise InputError("an address is that of a Ray cluster: give it with the engine ray, or leave it out")

    def proposer(self, space: Space, seed: int) -> Sampler:
        """Who proposes points."""
        if self.sampler == "random":
            return Random(space, seed, dividing(space), block_of(space, self.trials))
        return sampler_named(
            NAMES.get(self.sampler, self.sampler), space, seed=seed, trials=self.trials, points=self.points
        )

    @property
    def pruner(self) -> str:
        """How candidates end early. Of several objectives none says alone who is bad: a small net errs more, and should."""
        return self.prune or ("none" if len(self.objectives) > 1 else "halving")

    @property
    def learns(self) -> bool:
        """Whether the sampler looks at what was tried: then points are asked a few at a time."""
        return self.sampler in ("tpe", "gp", "cmaes", "nsga2")
