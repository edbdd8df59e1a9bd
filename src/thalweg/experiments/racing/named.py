"""A race from words: data or a function by name, rules by name, a suite; what the command line calls.

>>> folder, result = race_named("digits", {"epochs": 20}, rules=["sgd", "adam"], watcher=Silent())
>>> folder, result = race_named(None, {}, suite="small", watcher=Silent())
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from thalweg.errors import InputError
from thalweg.experiments.racing.folder import RaceFolder
from thalweg.experiments.racing.functions import FUNCTIONS
from thalweg.experiments.racing.networks import data_problem
from thalweg.experiments.racing.pacing import Ahead
from thalweg.experiments.racing.plan import RacePlan, entrants_of
from thalweg.experiments.racing.problem import Problem
from thalweg.experiments.racing.raced import USUAL_RULES, check_few, refuse_own
from thalweg.experiments.racing.start import start_race
from thalweg.experiments.racing.suite import SUITES, problems_of
from thalweg.experiments.racing.text import SHAKESPEARE, text_problem
from thalweg.experiments.reading import anywhere
from thalweg.experiments.spec import Spec
from thalweg.experiments.watcher import Watcher

WORDS = (*FUNCTIONS, SHAKESPEARE)
"""What there is to race on by name, beside data."""
FEWER_TRIALS = 8
"""Of a suite, whose problems are many."""


def race_named(
    source: Spec | str | None,
    settings: Mapping[str, Any],
    *,
    rules: Sequence[str] | None = None,
    trials: int | None = None,
    seeds: int | None = None,
    goal: float | None = None,
    schedules: Sequence[str] | None = None,
    decay: bool = False,
    suite: str | None = None,
    watcher: Watcher,
    follow: Callable[[Ahead], None] = lambda ahead: None,
) -> tuple[RaceFolder, dict[str, Any]]:
    """Races on what the words mean: one of ``WORDS``, a ``Spec`` made with the ``settings``, or a suite.

    Raises ``InputError`` for what cannot be raced, ``RaceStopped`` when the user stops it.
    """
    refuse_own(settings)
    entrants = entrants_of(
        list(rules or USUAL_RULES), list(schedules or ("cosine",)), warmup=settings.get("warmup"), decay=decay
    )
    plan = RacePlan(
        entrants,
        trials=trials if trials is not None else FEWER_TRIALS if suite is not None else 16,
        seeds=seeds,
        goal=goal,
        seed=settings.get("seed", 1),
    )
    problems: Sequence[Problem]
    if suite is not None:
        if source is not None or goal is not None:
            raise InputError("a suite has problems and targets of its own: leave out the data and --goal")
        check_few(settings, "a suite")
        problems, notes = problems_of(suite)
        for note in notes:
            watcher.note(note)
        stem = f"suite-{suite}"
    elif source is None:
        raise InputError(f"say what to race on: data, one of {', '.join(WORDS)}, or --suite {next(iter(SUITES))}")
    elif isinstance(source, str):
        check_few(settings, source)
        problems, stem = [text_problem() if source == SHAKESPEARE else FUNCTIONS[source]()], source
    else:
        problem = data_problem(anywhere(source))
        problems, stem = [problem], problem.name
    folder, result, _ = start_race(
        problems,
        plan,
        watcher=watcher,
        runs=settings.get("runs", "runs"),
        name=settings.get("name"),
        stem=stem,
        follow=follow,
    )
    return folder, result
