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
from thalweg.search.space import Value


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
    objective: Callable[[dict[str, Value]], float],
    sampler: Sampler,
    *,
    trials: int,
    finished: Sequence[Finished] = (),
    tell: Callable[[Finished], None] = lambda _: None,
) -> Study:
    """Tries points until there are ``trials`` in all, or the sampler has no more.

    ``objective`` takes one value of each hyperparameter and returns a score, lower is better; a training run that
    diverges (``Diverged``) or a score that is not finite is a failed trial, any other error ends the search. ``tell`` is
    called after each trial. ``finished`` are the trials of an earlier call.
    """
    done = list(finished)
    while len(done) < trials:
        values = sampler.suggest(done)
        if values is None:
            break
        try:
            score = float(objective(dict(values)))
        except Diverged:
            score = math.inf
        done.append(Finished(len(done), values, score))
        tell(done[-1])
    return Study(tuple(done))
