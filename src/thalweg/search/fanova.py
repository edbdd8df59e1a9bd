"""Which hyperparameter mattered: the share of the scores' variance that each explains, and how sure that is.

>>> importance(space, store.finished())
Importance(shares=(Share('lr', 0.71, 0.09, 64), Share('beta1', 0.08, …), …), note='')
>>> parallel(space, store.finished())                       # axes and lines, for a page

Functional ANOVA (Hutter, Hoos & Leyton-Brown 2014) on a random forest, Optuna's, over the *ranks* of the trials: a diverged
trial is the last and not infinitely bad, a pruned one stands behind those that went on, and a few huge losses do not explain
all variance. A share is that of a hyperparameter alone; what only combinations explain is nobody's. Each tree is grown on
trials drawn with replacement, so how far the trees agree says how far the shares are to be trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from thalweg.search.brains import in_memory, with_optuna
from thalweg.search.dimensions import Choices, Dimension, Range
from thalweg.search.samplers import Finished, ranked
from thalweg.search.space import Space

FEWEST, ENOUGH = 8, 10
"""Trials without which nothing is said; and trials for each hyperparameter from which on nothing needs to be added."""
TREES = 48
PURPOSE = "the importance of hyperparameters"


@dataclass(frozen=True)
class Share:
    """What one hyperparameter explains, 0 to 1, and its standard deviation between trees, among the trials that have it."""

    name: str
    share: float
    spread: float
    trials: int


@dataclass(frozen=True)
class Importance:
    """The shares, the largest first; ``note`` says what there is to doubt (empty: nothing)."""

    shares: tuple[Share, ...]
    note: str


def importance(space: Space, finished: Sequence[Finished], *, seed: int = 0, objective: int = 0) -> Importance:
    """The share of each searched hyperparameter in the first objective, or another by its place.

    One that is there under a condition is judged among the trials that have it. Raises ``MissingDependency`` where Optuna is
    not installed.
    """
    with_optuna(PURPOSE)
    finished = [Finished(one.number, one.values, (one.scores[objective],), one.pruned_at) for one in finished]
    told = _by_rank(finished)
    if len(told) < FEWEST or len({trial.score for trial in finished}) == 1:
        return Importance(
            (), f"{len(told)} trials say nothing yet about importance: {FEWEST} that differ are the least"
        )
    always = tuple(name for name in space.searched if name not in space.when)
    shares = _shares(space, told, always, always, seed)
    for name in space.searched:
        having = [trial for trial in told if name in trial.values]
        if name in space.when and len(having) >= FEWEST:
            # Those that are always there take part, or their share would be counted as this one's.
            shares += _shares(space, _by_rank(having), (*always, name), (name,), seed)
    shares.sort(key=lambda share: -share.share)
    return Importance(tuple(shares), _note(space, told, shares))


def parallel(space: Space, finished: Sequence[Finished]) -> dict[str, list[dict[str, Any]]]:
    """Parallel coordinates as JSON, the best trial first.

    ``axes`` have a name, a scale and ticks (place, text); ``lines`` the number, the scores (None: failed), whether the trial
    was pruned, and its values and places on the axes (None where a hyperparameter is not active).
    """
    axes = []
    for name in space.searched:
        dimension = space[name]
        ticks = _ticks(dimension)
        axes.append(
            {"name": name, "scale": dimension.scale if isinstance(dimension, Range) else "choices", "ticks": ticks}
        )
    order = ranked(finished)
    failed = [trial for trial in finished if not trial.succeeded]
    lines = []
    for trial in [*order, *failed]:
        places = space.places(trial.values)
        lines.append(
            {
                "number": trial.number,
                "scores": list(trial.scores) if trial.succeeded else None,
                "pruned": trial.pruned_at is not None,
                "places": [places.get(name) for name in space.searched],
                "values": [trial.values.get(name) for name in space.searched],
            }
        )
    return {"axes": axes, "lines": lines}


def _ticks(dimension: Dimension) -> list[dict[str, Any]]:
    """Five values at most; of numbers round ones, with the fewest digits that tell them apart, where those stand."""
    values = dimension.grid(5)
    if not all(map(_is_real, values)):
        return [{"place": dimension.place(value), "text": str(value)} for value in values]
    texts: list[str] = []
    for digits in range(2, 7):
        texts = [f"{value:.{digits}g}" for value in values]
        if len(set(texts)) == len(texts):
            break
    places = [min(max(dimension.place(float(text)), 0.0), 1.0) for text in texts]
    return [{"place": place, "text": text} for place, text in zip(places, texts, strict=True)]


def _by_rank(finished: Sequence[Finished]) -> list[Finished]:
    """All trials with their rank as score, equal scores with equal ranks, failed ones together at the end."""
    order = ranked(finished)
    rank, ranks = 0.0, {}
    for place, trial in enumerate(order):
        before = order[place - 1]
        if place and (trial.score, trial.pruned_at) != (before.score, before.pruned_at):
            rank = float(place)
        ranks[trial.number] = rank
    return [Finished(one.number, one.values, (ranks.get(one.number, float(len(order))),)) for one in finished]


def _shares(
    space: Space, told: Sequence[Finished], among: tuple[str, ...], wanted: tuple[str, ...], seed: int
) -> list[Share]:
    if len({trial.score for trial in told}) == 1:
        return [Share(name, 0.0, 0.0, len(told)) for name in wanted]
    part = Space({name: space[name] for name in among})
    trials = [Finished(one.number, {name: one.values[name] for name in among}, one.scores) for one in told]
    evaluator = with_optuna(PURPOSE).importance.FanovaImportanceEvaluator(n_trees=TREES, max_depth=32, seed=seed)
    shares = evaluator.evaluate(in_memory(part, trials))
    forest = evaluator._evaluator
    searched = [name for name in among if len(part[name].grid(2)) > 1]
    # Optuna keeps the spread between the trees to itself, each with the share it belongs to.
    spreads = dict(forest.get_importance(place) for place in range(len(searched)))
    return [Share(name, float(shares[name]), spreads.get(shares[name], 0.0), len(told)) for name in wanted]


def _note(space: Space, told: Sequence[Finished], shares: Sequence[Share]) -> str:
    notes = []
    wanted = ENOUGH * len(space.searched)
    if len(told) < wanted:
        notes.append(
            f"{len(told)} trials are few for {len(space.searched)} hyperparameters: trust the order from {wanted} on"
        )
    missing = [name for name in space.searched if name not in {share.name for share in shares}]
    if missing:
        notes.append(f"fewer than {FEWEST} trials had {', '.join(missing)}")
    some = [share.name for share in shares if share.name in space.when]
    if some:
        notes.append(f"{', '.join(some)}: among the trials that have it, so these shares do not add up with the others")
    single = [
        name for name in space.searched if isinstance(choices := space[name], Choices) and len(choices.values) == 1
    ]
    if single:
        notes.append(f"{', '.join(single)}: a single choice explains nothing")
    return "; ".join(notes)


def _is_real(value: Any) -> bool:
    return isinstance(value, float)
