"""Samplers that learn from what was tried: Optuna's, asked for many points at a time.

>>> Gp(space, seed=0).suggest(finished, running, 4)         # few, dear trials: 0.1 to 0.5 s of thought for each point
>>> Nsga2(space, seed=0).suggest(finished, running, 64)     # several objectives

Each call makes a study in memory out of the trials so far and asks it; those that run and those just asked stand in it as
running, which keeps the next point away from them (a fantasy for the Gaussian process). So nothing needs
to be kept beside the trials themselves: the generator's state is (seed, number of the first trial asked), and a study goes on
after an interruption, or with another sampler, as if nothing had been. A trial that diverged is told as the worst
finite score so far. A point is told on each dimension's own scale, choices as categories.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from thalweg.errors import InputError, MissingDependency
from thalweg.search.dimensions import Choices
from thalweg.search.samplers import Asked, Finished, Random, with_finite_scores
from thalweg.search.space import Point, Space

if TYPE_CHECKING:
    import optuna

Pruned = Literal["told", "finished"]


@dataclass(frozen=True)
class Gp:
    """Bayesian optimisation with a Gaussian process and log expected improvement (Ament et al. 2023): the fewest trials, the
    most thought; for trials that take minutes. Conditional dimensions are drawn at random.

    Raises ``MissingDependency`` where Optuna is not installed.
    """

    space: Space
    seed: int = 0
    startup: int = 10

    def suggest(self, finished: Sequence[Finished], running: Sequence[Asked], n: int) -> list[Point]:
        if len(finished) < self.startup:
            return Random(self.space, self.seed).suggest(finished, running, n)

        def make(seed: int) -> optuna.samplers.BaseSampler:
            samplers = with_optuna("a search by a Gaussian process").samplers
            return samplers.GPSampler(seed=seed, n_startup_trials=0)

        return ask_optuna(make, self.space, self.seed, finished, running, n, pruned="finished")


@dataclass(frozen=True)
class Nsga2:
    """Genetic search for the Pareto front of several objectives (Deb et al. 2002), ``population`` trials a generation.

    Raises ``MissingDependency`` where Optuna is not installed.
    """

    space: Space
    seed: int = 0
    population: int = 32

    def suggest(self, finished: Sequence[Finished], running: Sequence[Asked], n: int) -> list[Point]:
        def make(seed: int) -> optuna.samplers.BaseSampler:
            samplers = with_optuna("a search by NSGA-II").samplers
            return samplers.NSGAIISampler(seed=seed, population_size=self.population)

        def generation(place: int) -> dict[str, Any]:
            return {"NSGAIISampler:generation": place // self.population}

        return ask_optuna(make, self.space, self.seed, finished, running, n, marks=generation, pruned="finished")


@dataclass(frozen=True)
class CmaEs:
    """Covariance matrix adaptation (Hansen 2016) on the places of the dimensions, by the package that Optuna's sampler uses.

    The distribution is learned anew from the trials in generations of ``population``, in order of their numbers, so that
    trials may end in any order and as many be asked as fit the machine. Inactive dimensions count as the middle, choices
    as places: for spaces of numbers. Raises ``MissingDependency`` where the package is not installed.
    """

    space: Space
    seed: int = 0
    population: int = 16

    def __post_init__(self) -> None:
        if self.population < 4:
            raise InputError("a generation of CMA-ES has at least 4 trials")

    def suggest(self, finished: Sequence[Finished], running: Sequence[Asked], n: int) -> list[Point]:
        try:
            from cmaes import CMA
        except ImportError:
            raise MissingDependency("cmaes", "a search by CMA-ES", extra="search") from None
        names = self.space.searched
        if len(names) < 2 or len(finished) < self.population:
            # Fewer than two dimensions are no covariance; and the first generation is the same for every sampler.
            return Random(self.space, self.seed).suggest(finished, running, n)
        told = sorted(with_finite_scores(finished), key=lambda trial: trial.number)
        rows = [self._row(trial.values, names) for trial in told]
        generations = [
            list(zip(rows[start : start + self.population], told[start : start + self.population], strict=True))
            for start in range(0, len(told) - self.population + 1, self.population)
        ]
        bounds = np.tile([0.0, 1.0], (len(names), 1))
        best = min(generations[0], key=lambda pair: pair[1].score)[0]
        strategy = CMA(mean=best, sigma=0.25, bounds=bounds, seed=draw(self.seed, 0), population_size=self.population)
        for pairs in generations:
            strategy.tell([(row, trial.score) for row, trial in pairs])
        strategy.reseed_rng(draw(self.seed, len(finished) + len(running)))
        rest = dict.fromkeys(self.space, 0.5)
        return [
            self.space.at(rest | dict(zip(names, strategy.ask().tolist(), strict=True))) for _ in range(n)
        ]  # fmt: skip

    def _row(self, values: Point, names: Sequence[str]) -> np.ndarray:
        places = self.space.places(values)
        return np.clip([places.get(name, 0.5) for name in names], 0.0, 1.0)


def with_optuna(purpose: str) -> Any:
    """The package, told to be quiet. Raises ``MissingDependency``."""
    try:
        import optuna
    except ImportError:
        raise MissingDependency("optuna", purpose, extra="search") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def draw(seed: int, number: int) -> int:
    """The seed of the generator that proposes the trials from a number on."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def ask_optuna(
    make: Callable[[int], optuna.samplers.BaseSampler],
    space: Space,
    seed: int,
    finished: Sequence[Finished],
    running: Sequence[Asked],
    n: int,
    *,
    marks: Callable[[int], dict[str, Any]] = lambda place: {},
    pruned: Pruned = "told",
) -> list[Point]:
    """Asks Optuna's sampler for ``n`` points. ``marks`` are what it keeps in the ``place``-th finished trial."""
    sampler = make(draw(seed, len(finished) + len(running)))
    study = in_memory(space, finished, sampler, marks=marks, pruned=pruned, running=running)
    distributions = distributions_of(space)
    return [_point(space, study.ask({} if space.when else distributions), distributions) for _ in range(n)]


def in_memory(
    space: Space,
    finished: Sequence[Finished],
    sampler: optuna.samplers.BaseSampler | None = None,
    *,
    running: Sequence[Asked] = (),
    marks: Callable[[int], dict[str, Any]] = lambda place: {},
    pruned: Pruned = "told",
) -> optuna.Study:
    """Optuna's study of these trials in memory, each range as its place in [0, 1], each choice as a category.

    A trial that failed carries the worst finite scores; a pruned one is told as pruned, or (``finished``) by the score it
    had then, which is pessimistic, as training would have gone on.
    """
    optuna = with_optuna("this search")
    distributions = distributions_of(space)
    told = sorted(with_finite_scores(finished), key=lambda trial: trial.number)
    objectives = len(told[0].scores) if told else 1
    study = optuna.create_study(sampler=sampler, directions=["minimize"] * objectives)
    state = optuna.trial.TrialState
    for place, trial in enumerate(told):
        params = _params(space, trial.values)
        as_pruned = trial.pruned_at is not None and pruned == "told" and objectives == 1
        study.add_trial(
            optuna.trial.create_trial(
                params=params,
                distributions={name: distributions[name] for name in params},
                values=list(trial.scores),
                state=state.PRUNED if as_pruned else state.COMPLETE,
                intermediate_values={trial.pruned_at: trial.score} if as_pruned else {},
                system_attrs=marks(place),
            )
        )
    for asked in running:
        params = _params(space, asked.values)
        here = {name: distributions[name] for name in params}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=here, state=state.RUNNING))
    return study


def distributions_of(space: Space) -> dict[str, Any]:
    """Optuna's name for each searched dimension: a category for choices, else a place."""
    distributions = with_optuna("this search").distributions
    return {
        name: distributions.CategoricalDistribution(dimension.values)
        if isinstance(dimension := space[name], Choices)
        else distributions.FloatDistribution(0.0, 1.0)
        for name in space.searched
    }


def _params(space: Space, values: Point) -> dict[str, Any]:
    places = space.places(values)
    return {
        name: values[name] if isinstance(space[name], Choices) else min(max(places[name], 0.0), 1.0)
        for name in space.searched
        if name in values and math.isfinite(places[name])
    }


def _point(space: Space, trial: optuna.Trial, distributions: Mapping[str, Any]) -> Point:
    """The point of a trial, whose conditional dimensions are asked one after another, as those before them allow."""
    point: Point = {}
    for name in space.order():
        if not space.wants(name, point):
            continue
        dimension = space[name]
        if isinstance(dimension, Choices):
            point[name] = dimension.values[dimension.values.index(trial.suggest_categorical(name, dimension.values))]
        else:
            point[name] = dimension.at(trial.suggest_float(name, 0.0, 1.0) if name in distributions else 0.5)
    return {name: point[name] for name in space if name in point}
