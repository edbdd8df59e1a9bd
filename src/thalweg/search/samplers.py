"""Which points of a space to try next, as many at a time as are wanted.

>>> sampler = Random(space, seed=0)
>>> sampler.suggest([], [], 64)                            # the first 64 points
[{'lr': 0.0351, 'beta1': 0.982, 'hidden': 64}, …]
>>> Grid(space, points=5).size                             # said before it starts: 5 × 5 × 2
50

A sampler looks at nothing but the trials that are finished or running, and draws from (seed, number of the trial): a study
that was stopped goes on with the points it would have tried, and how many are asked at a time changes nothing here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from thalweg.errors import InputError
from thalweg.search.space import Point, Space


@dataclass(frozen=True)
class Asked:
    """A trial that runs: its number from 0 and what is tried."""

    number: int
    values: Point


@dataclass(frozen=True)
class Finished:
    """A trial that is over: its number from 0, what was tried, and how it did.

    ``scores`` has a number for each objective, lower is better, not finite where the trial failed or diverged. A trial that
    was pruned carries the step it reached (``pruned_at``), and its scores are those of that step.
    """

    number: int
    values: Point
    scores: tuple[float, ...]
    pruned_at: int | None = None

    @property
    def score(self) -> float:
        """The first objective."""
        return self.scores[0]

    @property
    def succeeded(self) -> bool:
        return all(math.isfinite(score) for score in self.scores)


class Sampler(Protocol):
    """Proposes points."""

    @property
    def space(self) -> Space: ...

    def suggest(self, finished: Sequence[Finished], running: Sequence[Asked], n: int) -> list[Point]:
        """At most ``n`` points for the trials from number ``len(finished) + len(running)`` on.

        Fewer where the trials that run must end first; none while none runs: there is nothing left to try.
        """
        ...


def ranked(finished: Sequence[Finished]) -> list[Finished]:
    """The trials that did not fail, the best first; pruned ones come last, those that got further before the others."""

    def place(trial: Finished) -> tuple[bool, int, float]:
        return trial.pruned_at is not None, -(trial.pruned_at or 0), trial.score

    return sorted((trial for trial in finished if trial.succeeded), key=place)


def with_finite_scores(finished: Sequence[Finished]) -> list[Finished]:
    """The same trials, a score that is not finite replaced by the worst finite one of that objective (1 where there is none).

    Left out, a failed trial's neighbourhood would be tried again and again; told as infinite, it would hide all others.
    """
    objectives = max((len(trial.scores) for trial in finished), default=1)
    worst = [
        max((trial.scores[index] for trial in finished if math.isfinite(trial.scores[index])), default=1.0)
        for index in range(objectives)
    ]
    return [
        trial
        if trial.succeeded
        else Finished(
            trial.number,
            trial.values,
            tuple(
                score if math.isfinite(score) else bad for score, bad in zip(trial.scores, worst, strict=True)
            ),
            trial.pruned_at,
        )
        for trial in finished
    ]  # fmt: skip


@dataclass(frozen=True)
class Random:
    """Independent uniform draws on each dimension's scale (Bergstra & Bengio 2012).

    The ``shared`` hyperparameters are drawn once for each ``block`` of consecutive trials, so that these can train as one
    program. Blocks are spread over them evenly (a scrambled Sobol sequence): each value is as likely as before, and the others
    are drawn for each trial.
    """

    space: Space
    seed: int = 0
    shared: tuple[str, ...] = ()
    block: int = 1

    def suggest(self, finished: Sequence[Finished], running: Sequence[Asked], n: int) -> list[Point]:
        start = len(finished) + len(running)
        numbers = range(start, start + n)
        if not self.shared or self.block == 1 or not n:
            return [drawn(self.space, self.seed, number) for number in numbers]
        first = start // self.block
        rows = sobol(len(self.shared), self.seed, first, numbers[-1] // self.block - first + 1)
        own = [uniform(self.space, self.seed, number) for number in numbers]
        return [
            self.space.at(places | dict(zip(self.shared, rows[number // self.block - first], strict=True)))
            for number, places in zip(numbers, own, strict=True)
        ]


def drawn(space: Space, seed: int, number: int) -> Point:
    """A uniform draw on each dimension's scale, from (seed, number) alone."""
    return space.at(uniform(space, seed, number))


def uniform(space: Space, seed: int, number: int) -> dict[str, float]:
    """The places of that draw."""
    places = np.random.default_rng([seed, number]).random(len(space))
    return dict(zip(space, places.tolist(), strict=True))


def sobol(dimensions: int, seed: int, start: int, n: int) -> list[list[float]]:
    """Points ``start`` to ``start + n`` of a scrambled Sobol sequence (Owen 1998)."""
    import torch

    engine = torch.quasirandom.SobolEngine(dimensions, scramble=True, seed=seed)
    engine.fast_forward(start)
    return engine.draw(n, dtype=torch.float64).tolist()


@dataclass(frozen=True)
class Sobol:
    """Points that fill the space more evenly than chance: a scrambled Sobol sequence on each dimension's scale (Owen 1998)."""

    space: Space
    seed: int = 0

    def suggest(self, finished: Sequence[Finished], running: Sequence[Asked], n: int) -> list[Point]:
        if not self.space.searched:
            return Random(self.space).suggest(finished, running, n)
        rows = sobol(len(self.space.searched), self.seed, len(finished) + len(running), n)
        rest = dict.fromkeys(self.space, 0.5)
        return [self.space.at({**rest, **dict(zip(self.space.searched, row, strict=True))}) for row in rows]


@dataclass(frozen=True)
class Grid:
    """Every combination of ``points`` values of each range and all choices; the last dimension changes fastest.

    Combinations that differ in an inactive dimension alone count once.
    """

    space: Space
    points: int = 5

    def __post_init__(self) -> None:
        if self.points < 1:
            raise InputError("a grid has at least 1 point of each range")

    @property
    def size(self) -> int:
        """The number of trials."""
        order = self.space.order()
        asked = {other for conditions in self.space.when.values() for other in conditions}

        def below(depth: int, point: Point) -> int:
            """Counted without going through them: only what others depend on is told apart."""
            if depth == len(order):
                return 1
            name = order[depth]
            if not self.space.wants(name, point):
                return below(depth + 1, point)
            values = self.space[name].grid(self.points)
            if name not in asked:
                return len(values) * below(depth + 1, point)
            return sum(below(depth + 1, {**point, name: value}) for value in values)

        return below(0, {})

    @property
    def formula(self) -> str:
        """How the number comes about: ``5 × 5 × 2 = 50 trials``."""
        counts = [len(self.space[name].grid(self.points)) for name in self.space.searched] or [1]
        product = " × ".join(str(count) for count in counts)
        if not self.space.when:
            return f"{product} = {self.size} trials"
        return (
            f"{self.size} of {product} combinations, as some hyperparameters are there with some values of others alone"
        )

    def suggest(self, finished: Sequence[Finished], running: Sequence[Asked], n: int) -> list[Point]:
        start = len(finished) + len(running)
        return list(itertools.islice(self._all(), start, start + n))

    def _all(self) -> Iterator[Point]:
        order = self.space.order()

        def below(depth: int, point: Point) -> Iterator[Point]:
            if depth == len(order):
                yield self.space.active(point)
            elif not self.space.wants(order[depth], point):
                yield from below(depth + 1, point)
            else:
                for value in self.space[order[depth]].grid(self.points):
                    yield from below(depth + 1, {**point, order[depth]: value})

        return below(0, {})
