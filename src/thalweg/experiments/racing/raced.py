"""``thalweg.race``: a race from Python, on whatever ``fit`` takes, on a function, or on a problem of one's own.

>>> raced = thalweg.race("digits", rules=["sgd", "momentum", "adam"], epochs=30)
>>> raced.verdict
'adam was best: steps to accuracy 0.964 153 [136, 170] over 10 seeds. …'
>>> raced.settings["adam"], raced.winner
({'lr': 0.0041, 'beta1': 0.92, 'weight_decay': 0.0}, 'adam')
>>> thalweg.race((X, y), model=make_net, rules={"mine": ("adam", {"lr": "1e-4..1e-1:log", "beta1": 0.0}), "adam": "adam"})
>>> thalweg.race("ravine", rules=["sgd", "momentum"])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import torch

from thalweg.errors import InputError
from thalweg.experiments.assemble import check_module
from thalweg.experiments.racing.folder import RaceFolder
from thalweg.experiments.racing.functions import FUNCTIONS
from thalweg.experiments.racing.networks import data_problem
from thalweg.experiments.racing.pacing import Ahead
from thalweg.experiments.racing.plan import RacePlan, Rules, entrants_of
from thalweg.experiments.racing.problem import Problem
from thalweg.experiments.racing.protocol import Race
from thalweg.experiments.racing.start import start_race
from thalweg.experiments.reading import Beside
from thalweg.experiments.settings import Settings, check_keywords
from thalweg.experiments.spec import Spec
from thalweg.experiments.watcher import Silent, Watcher

OF_A_RULE = ("lr", "rule", "options", "weight_decay")
"""Settings that a race finds for each rule, and gives to none."""
OF_A_FUNCTION = ("name", "runs", "seed", "warmup")
"""Settings that a race on a function or a suite knows."""
USUAL_RULES = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "nadam", "amsgrad", "swats")


@dataclass(frozen=True)
class Raced:
    """What came of a race: its folder, ``result`` as ``result.json`` has it, and every run of it in ``races``."""

    folder: RaceFolder
    result: dict[str, Any]
    races: list[Race]

    @property
    def verdict(self) -> str:
        """What the fresh seeds say, of the first problem."""
        return " ".join(self.result["problems"][0]["verdicts"])

    @property
    def winner(self) -> str:
        """The rule that beat all others on the first problem; empty where none did."""
        return str(self.result["problems"][0]["winner"])

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """The tuned settings of each entrant on the first problem."""
        return {name: dict(entry.best) for name, entry in self.races[0].entries.items()}


def race(
    data: Any,
    *,
    rules: Rules = USUAL_RULES,
    model: str | torch.nn.Module | Callable[[], torch.nn.Module] = "mlp",
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
    trials: int = 16,
    seeds: int | None = None,
    goal: float | None = None,
    schedules: Sequence[str] = ("cosine",),
    decay: bool = False,
    name: str | None = None,
    runs: str = "runs",
    dev: Any = None,
    test: Any = None,
    weights: Any = None,
    groups: Any = None,
    time: Any = None,
    split_column: Any = None,
    watcher: Watcher | None = None,
    follow: Callable[[Ahead], None] = lambda ahead: None,
    **settings: Unpack[Settings],
) -> Raced:
    """Races update rules on one problem, each tuned with the same budget, and judges them on fresh seeds.

    ``data`` is what ``fit`` takes, the name of a function (quadratic, noisy-quadratic, ravine, rosenbrock), or a ``Problem``.
    ``rules`` are names, or names of one's own for a rule or for a rule with its space. ``model`` is the net by name, a function
    that makes a module (called for each seed), or a module (every run begins with its weights). Each entrant tries ``trials``
    settings; the best race on ``seeds`` fresh seeds, at least ten if not given. ``goal`` is the dev metric to reach; if not
    given, what the best tuned baseline reaches. With every one of ``schedules`` each rule races once. ``decay`` has weight
    decay searched too; without it nobody decays. The other ``settings`` are those of ``fit``; gradients are not clipped unless
    ``clip_norm`` says so. With the ``name`` of a race that is there, it goes on.

    Raises ``InputError`` for what cannot be raced.
    """
    check_keywords("race", settings)
    refuse_own(settings)
    entrants = entrants_of(rules, schedules, warmup=settings.get("warmup"), decay=decay)
    plan = RacePlan(entrants, trials=trials, seeds=seeds, goal=goal, seed=settings.get("seed", 1))
    if isinstance(data, str) and data in FUNCTIONS:
        check_few(settings, data)
        problem: Problem = FUNCTIONS[data]()
    elif isinstance(data, Problem):
        problem = data
    else:
        own = None if isinstance(model, str) else model
        if isinstance(own, torch.nn.Module):
            check_module(own, None)
        spec = Spec(
            data=data if isinstance(data, str) else "the data",
            model=model if isinstance(model, str) else "the model",
            **({"clip_norm": None} | settings),
        )
        if isinstance(data, torch.utils.data.DataLoader):
            raise InputError("a race needs the data themselves, not a DataLoader: give arrays, a frame or a file")
        beside = Beside(dev, test, weights, groups, time, split_column)
        loaded = None if isinstance(data, str) and beside == Beside() else beside.read(data, spec)
        problem = data_problem(spec, loaded, model=own, loss=loss)
    folder, result, races = start_race(
        [problem], plan, watcher=watcher or Silent(), runs=runs, name=name, stem=problem.name, follow=follow
    )
    return Raced(folder, result, races)


def refuse_own(settings: Mapping[str, Any]) -> None:
    """Raises ``InputError`` for settings that a race finds for each rule by itself."""
    for name in OF_A_RULE:
        if name in settings:
            raise InputError(f"{name} is not given to a race, which finds it for each rule: leave it out")
    if "schedule" in settings:
        raise InputError("a race may have several schedules: give them as schedules")


def check_few(settings: Mapping[str, Any], what: str) -> None:
    """Raises ``InputError`` for settings that do not belong to a function or a suite."""
    for name in settings:
        if name not in OF_A_FUNCTION:
            raise InputError(f"{name} does not belong to {what}, which has its own: leave it out")
