"""Searches in rounds: each looks at all that the round before has shown.

>>> sampler = CoarseToFine(space, stage=16)                # 16 trials everywhere, 16 around the best quarter, …
>>> sampler.suggest(finished, running, 64)                 # never beyond the round that runs
>>> Ordered(space, stage=8).groups                         # the rate first, then what matters next, with the rest fixed
(('lr',), ('beta1', 'batch_size', 'hidden'), ('layers', 'weight_decay'))

A round begins when the one before is over, so that what is tried depends on the seed alone and not on who was faster.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from thalweg.errors import InputError
from thalweg.search.dimensions import Dimension, Value
from thalweg.search.samplers import Asked, Finished, drawn, ranked
from thalweg.search.space import Point, Space

IMPORTANCE: tuple[tuple[str, ...], ...] = (
    ("lr", "learning_rate"),
    ("momentum", "beta", "beta1", "batch_size", "hidden", "width"),
    ("layers", "depth", "schedule", "rate_decay", "lr_decay", "weight_decay", "decay"),
)
"""What matters most first, as Ng's course orders it: α; then β, mini-batch size and hidden units; then depth and decay."""


@dataclass(frozen=True)
class CoarseToFine:
    """Random draws, ``stage`` of them a round; each round from the part that holds the best ``keep`` of those before."""

    space: Space
    seed: int = 0
    stage: int = 16
    keep: float = 0.25

    def __post_init__(self) -> None:
        if self.stage < 2:
            raise InputError("a stage of coarse to fine has at least 2 trials")
        if not 0 < self.keep < 1:
            raise InputError(f"coarse to fine keeps a share between 0 and 1 of its trials, not {self.keep:g}")

    def suggest(self, finished: Sequence[Finished], running: Sequence[Asked], n: int) -> list[Point]:
        numbers = _next_in_round(self.stage, finished, running, n)
        space = self.zoomed(finished, numbers.start // self.stage)
        return [drawn(space, self.seed, number) for number in numbers]

    def zoomed(self, finished: Sequence[Finished], rounds: int) -> Space:
        """The part of the space in which the round after ``rounds`` rounds looks."""
        space = self.space
        for end in range(self.stage, rounds * self.stage + 1, self.stage):
            space = zoom(space, [trial for trial in finished if trial.number < end], self.keep)
        return space


def zoom(space: Space, finished: Sequence[Finished], keep: float = 0.25) -> Space:
    """The part of a space that holds the best ``keep`` of its trials, widened by a quarter on either side.

    The space stays as it is where fewer than two trials inside it succeeded; so does a dimension that fewer than two of the
    best had, and one that others depend on, or those would be lost with the values they need.
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
    needed = {other for conditions in space.when.values() for other in conditions}
    parts: dict[str, Dimension] = {}
    for name in space:
        seen = [places[name] for places in best if name in places]
        parts[name] = space[name].within(seen) if len(seen) >= 2 and name not in needed else space[name]
    return Space(parts, space.when)


@dataclass(frozen=True)
class Ordered:
    """One group of hyperparameters at a time, the most important first, the others held at the best values so far.

    Each group gets ``stage`` trials, spread evenly over each of its dimensions (Latin hypercube, McKay et al. 1979); what has
    not had its turn stands at ``start`` (absent: the middle of its scale). After the last group the first has its turn again.
    ``groups`` are names in order of importance (empty: the usual order, ``IMPORTANCE``; names not in it come last).
    Raises ``InputError`` for a group with a name that the space lacks, or a name twice or nowhere.
    """

    space: Space
    seed: int = 0
    stage: int = 8
    groups: tuple[tuple[str, ...], ...] = ()
    start: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.stage < 2:
            raise InputError("a stage of an ordered search has at least 2 trials")
        if not self.groups:
            object.__setattr__(self, "groups", usual_order(self.space))
        named = sorted(name for group in self.groups for name in group)
        if named != sorted(self.space.searched):
            raise InputError(
                f"the groups of an ordered search name each searched hyperparameter once: {', '.join(self.space.searched)}"
            )

    def suggest(self, finished: Sequence[Finished], running: Sequence[Asked], n: int) -> list[Point]:
        if not self.groups:
            return []
        numbers = _next_in_round(self.stage, finished, running, n)
        turn = numbers.start // self.stage
        group = self.groups[turn % len(self.groups)]
        held = self._held(finished, numbers.start - numbers.start % self.stage)
        columns = {name: self._spread(turn, name) for name in group}
        return [
            self.space.at({**held, **{name: columns[name][number % self.stage] for name in group}})
            for number in numbers
        ]

    def _held(self, finished: Sequence[Finished], end: int) -> dict[str, float]:
        places = dict.fromkeys(self.space, 0.5) | self.space.places(dict(self.start))
        best = ranked([trial for trial in finished if trial.number < end])
        return places | (self.space.places(best[0].values) if best else {})

    def _spread(self, turn: int, name: str) -> list[float]:
        generator = np.random.default_rng([self.seed, turn, list(self.space).index(name)])
        return ((generator.permutation(self.stage) + generator.random(self.stage)) / self.stage).tolist()


def usual_order(space: Space) -> tuple[tuple[str, ...], ...]:
    """The searched dimensions in groups by importance; names outside ``IMPORTANCE`` form the last."""
    known = {name for group in IMPORTANCE for name in group}
    groups = [tuple(name for name in space.searched if name in group) for group in IMPORTANCE]
    groups.append(tuple(name for name in space.searched if name not in known))
    return tuple(group for group in groups if group)


def _next_in_round(stage: int, finished: Sequence[Finished], running: Sequence[Asked], n: int) -> range:
    """The numbers of the next trials, none beyond the round; empty where a round begins and one before it still runs."""
    start = len(finished) + len(running)
    begun = start - start % stage
    if any(trial.number < begun for trial in running):
        return range(start, start)
    return range(start, min(start + n, begun + stage))
