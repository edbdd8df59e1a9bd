"""Which point of a space to try next.

>>> sampler = Random(space, seed=0)
>>> sampler.suggest([])                                   # the first point
{'lr': 0.0351, 'beta1': 0.982, 'hidden': 64}
>>> Grid(space, points=5).size                            # said before it starts: 5 × 5 × 2
50

A sampler looks at nothing but the trials that are finished, and draws from (seed, number of trials): a study that was
stopped goes on with the points it would have tried.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from thalweg.errors import InputError, MissingDependency
from thalweg.search.space import Space, Value


@dataclass(frozen=True)
class Finished:
    """One trial: its number from 0, what was tried, and how it did (lower is better; not finite where it failed)."""

    number: int
    values: dict[str, Value]
    score: float


class Sampler(Protocol):
    """Proposes points one at a time."""

    def suggest(self, finished: Sequence[Finished]) -> dict[str, Value] | None:
        """The point of trial ``len(finished)``; None where there is nothing left to try."""
        ...


def ranked(finished: Sequence[Finished]) -> list[Finished]:
    """The trials that did not fail, the best first."""
    return sorted((trial for trial in finished if math.isfinite(trial.score)), key=lambda trial: trial.score)


@dataclass(frozen=True)
class Random:
    """Independent uniform draws on each dimension's scale (Bergstra & Bengio 2012)."""

    space: Space
    seed: int = 0

    def suggest(self, finished: Sequence[Finished]) -> dict[str, Value]:
        generator = np.random.default_rng([self.seed, len(finished)])
        return self.space.at(dict(zip(self.space, generator.random(len(self.space)).tolist(), strict=True)))


@dataclass(frozen=True)
class Grid:
    """Every combination of ``points`` values of each range and all choices; the last dimension changes fastest."""

    space: Space
    points: int = 5

    def __post_init__(self) -> None:
        if self.points < 1:
            raise InputError("a grid has at least 1 point of each range")

    @property
    def size(self) -> int:
        """The number of trials."""
        return math.prod(len(self.space[name].grid(self.points)) for name in self.space)

    def suggest(self, finished: Sequence[Finished]) -> dict[str, Value] | None:
        axes = [self.space[name].grid(self.points) for name in self.space]
        point = next(itertools.islice(itertools.product(*axes), len(finished), None), None)
        return None if point is None else dict(zip(self.space, point, strict=True))


@dataclass(frozen=True)
class CoarseToFine:
    """Random draws, ``stage`` of them at a time; each stage from the part that holds the best quarter of those before."""

    space: Space
    stage: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        if self.stage < 2:
            raise InputError("a stage of coarse to fine has at least 2 trials")

    def suggest(self, finished: Sequence[Finished]) -> dict[str, Value]:
        space = self.space
        for end in range(self.stage, len(finished) + 1, self.stage):
            space = zoom(space, finished[:end])
        return Random(space, self.seed).suggest(finished)


def zoom(space: Space, finished: Sequence[Finished], keep: float = 0.25) -> Space:
    """The part of a space that holds the best ``keep`` of its trials, widened by a quarter on either side.

    The space stays as it is where fewer than two trials inside it succeeded.
    """
    inside = []
    for trial in ranked(finished):
        try:
            places = space.places(trial.values)
        except ValueError:  # a choice that an earlier zoom has dropped
            continue
        if all(-1e-9 <= place <= 1 + 1e-9 for place in places.values()):
            inside.append(places)
    best = inside[: max(2, math.ceil(keep * len(inside)))]
    if len(best) < 2:
        return space
    return Space({name: space[name].within([places[name] for places in best]) for name in space})


@dataclass(frozen=True)
class Tpe:
    """Tree-structured Parzen estimator (Bergstra et al. 2011), Optuna's: after ``startup`` random draws, where good trials
    are dense and bad ones are not.

    Works on each dimension's own scale. Raises ``MissingDependency`` where Optuna is not installed.
    """

    space: Space
    seed: int = 0
    startup: int = 10

    def suggest(self, finished: Sequence[Finished]) -> dict[str, Value]:
        try:
            import optuna
        except ImportError:
            raise MissingDependency("optuna", "a search by TPE", extra="search") from None
        distributions: dict[str, Any] = {name: optuna.distributions.FloatDistribution(0.0, 1.0) for name in self.space}
        # A failed trial is told as the worst seen: left out, its neighbourhood would be tried again and again.
        worst = max((trial.score for trial in ranked(finished)), default=1.0)
        draw = int(np.random.SeedSequence([self.seed, len(finished)]).generate_state(1)[0])
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # A study made anew each time keeps nothing that a stopped search would lose.
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=draw, n_startup_trials=self.startup))
        study.add_trials(
            optuna.trial.create_trial(
                params={name: min(max(place, 0.0), 1.0) for name, place in self.space.places(trial.values).items()},
                distributions=distributions,
                value=trial.score if math.isfinite(trial.score) else worst,
            )
            for trial in finished
        )
        return self.space.at(study.ask(distributions).params)
