"""A search over a space: ask a sampler, try, remember; again.

>>> study = run_study(objective, Random(space, seed=0), trials=64)
>>> study.best.values, study.best.score
({'lr': 0.0031, 'beta1': 0.93, 'hidden': 128}, 0.0712)
>>> study = run_study(objective, Random(space, seed=0), trials=128, finished=study.finished)        # 64 more
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from thalweg.errors import Diverged, InputError
from thalweg.search.samplers import Finished, Sampler, ranked
from thalweg.search.space import Point


@dataclass(frozen=True)
class Study:
    """What has been tried so far, in order."""

    finished: tuple[Finished, ...]

    @property
    def best(self) -> Finished:
        """The trial with the lowest score. Raises ``InputError`` where none succeeded."""
        order = ranked(self.finished)
        if not order:
            raise InputError(f"none of {len(self.finished)} trials succeeded: look at one of them by itself")
        return order[0]


def run_study(
    objective: Callable[[Point], float | Sequence[float]],
    sampler: Sampler,
    *,
    trials: int,
    at_once: int = 1,
    finished: Sequence[Finished] = (),
    tell: Callable[[Finished], None] = lambda _: None,
) -> Study:
    """Tries points in memory until there are ``trials`` in all, or the sampler has no more; ``at_once`` are asked together.

    ``objective`` takes a point and returns a score, lower is better, or one for each of several objectives; a training run
    that diverges (``Diverged``) or a score that is not finite is a failed trial, any other error ends the search. ``tell``
    is called after each trial. ``finished`` are the trials of an earlier call. What outlives the process is a ``Store``.
    """
    done = list(finished)
    while len(done) < trials:
        points = sampler.suggest(done, [], min(at_once, trials - len(done)))
        if not points:
            break
        for values in points:
            try:
                outcome = objective(dict(values))
            except Diverged:
                outcome = [math.inf] * (len(done[0].scores) if done else 1)
            scores = tuple(float(score) for score in (outcome if isinstance(outcome, Sequence) else [outcome]))
            done.append(Finished(len(done), values, scores))
            tell(done[-1])
    return Study(tuple(done))
