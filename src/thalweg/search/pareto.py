"""Several objectives: the trials that no other beats in all of them.

>>> front([Finished(0, {}, (0.03, 9.0)), Finished(1, {}, (0.05, 2.0)), Finished(2, {}, (0.05, 9.0))])
[Finished(0, …), Finished(1, …)]                            # the third is no better than either
>>> front(store.finished())
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thalweg.search.samplers import Finished


def front(finished: Sequence[Finished]) -> list[Finished]:
    """The trials that succeeded, were not pruned and are not dominated, by number.

    One dominates another where it is no worse in any objective and better in one; of equal ones all stay.
    """
    trials = sorted((one for one in finished if one.succeeded and one.pruned_at is None), key=lambda one: one.number)
    scores = np.array([trial.scores for trial in trials], dtype=np.float64)
    return [
        trial
        for trial, mine in zip(trials, scores, strict=True)
        if not ((scores <= mine).all(axis=1) & (scores < mine).any(axis=1)).any()
    ]
