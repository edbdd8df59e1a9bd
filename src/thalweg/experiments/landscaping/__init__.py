"""``thalweg.landscape``: where optimizers end that begin together, and what lies between their ends.

>>> found = thalweg.landscape(model, (X, y), rules=("sgd", "adam"))
>>> found.barrier("sgd", "adam").height, found.verdict("adam").kind
(0.83, 'saddle')
>>> landscape_of_runs(["digits-1", "digits-2"]).page("landscape.html")

Every rule starts from the same weights and sees the same mini-batches; its rate is found as ``thalweg train`` finds it, unless
``own`` gives it. Losses are those of the data in evaluation mode: without dropout and weight decay.
"""

from __future__ import annotations

import copy
import time as clock
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import torch

from thalweg.errors import InputError
from thalweg.experiments.assemble import assemble, check_words
from thalweg.experiments.build import build_device
from thalweg.experiments.experiment import Experiment
from thalweg.experiments.fitting import assembled
from thalweg.experiments.landscaping.ends import End, of_runs, trained
from thalweg.experiments.landscaping.found import Landscaped
from thalweg.experiments.landscaping.measuring import Plan, check_points, survey
from thalweg.experiments.landscaping.sentences import both_of
from thalweg.experiments.parts import Prepared, prepare
from thalweg.experiments.reading import Beside, read
from thalweg.experiments.rehearsal import Rehearsal, Work
from thalweg.experiments.settings import Settings, check_keywords
from thalweg.experiments.spec import Spec
from thalweg.experiments.threads import threads
from thalweg.experiments.watcher import Silent, Watcher

Own = Mapping[str, Mapping[str, Any]]
"""Settings of single rules: ``{"sgd": {"lr": 0.1, "momentum": 0.9}}``; what is not ``OF_A_RULE`` is an option of the rule."""
FEWEST, MOST = 2, 3
OF_A_RULE = ("lr", "weight_decay", "clip_norm", "schedule", "warmup", "l1", "l2", "max_norm", "epochs", "patience")
"""The settings that may differ from rule to rule; all others are of the start, or of the rows."""


def landscape(
    model: torch.nn.Module | str,
    data: Any,
    *,
    rules: Sequence[str] = ("sgd", "adam"),
    own: Own | None = None,
    points: int | None = None,
    dev: Any = None,
    test: Any = None,
    weights: Any = None,
    groups: Any = None,
    time: Any = None,
    split_column: Any = None,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
    watcher: Watcher | None = None,
    **settings: Unpack[Settings],
) -> Landscaped:
    """Trains copies of ``model`` with two or three ``rules`` from one start, and looks at the loss between their ends.

    Model, data, ``loss`` and the further settings are those of ``thalweg.fit``; the model itself is left as it is. ``own`` are
    settings of single rules, ``points`` those on each side of the plane (chosen by the size of the network if None).

    Raises ``InputError`` for data, settings or a model that ``fit`` would refuse, and for rules that are not two or three.
    """
    check_keywords("landscape", settings)
    check_points(points)
    onlooker, began = Silent() if watcher is None else watcher, clock.perf_counter()
    named = isinstance(model, str)
    stated = Spec(data=data if isinstance(data, str) else "the data", model=model if named else "the model", **settings)
    specs = specs_of(stated, rules, own or {})
    first = {name: getattr(specs[0], name) for name in ("rule", "options", *OF_A_RULE)}
    experiment, prepared = assembled(
        model if isinstance(model, str) else copy.deepcopy(model),
        data,
        Beside(dev, test, weights, groups, time, split_column),
        loss=loss,
        optimizer=None,
        watcher=onlooker,
        settings={**settings, **first},  # type: ignore[typeddict-item]
    )
    ends = trained(experiment, prepared, specs, watcher=onlooker, module=not named, loss=loss)
    return _seen(
        ends,
        experiment,
        prepared,
        onlooker,
        began,
        points,
        own_loss=loss is not None,
        name=Path(data).stem if isinstance(data, str) else "the data",
        model=model if isinstance(model, str) else type(model).__name__,
    )


def landscape_of_spec(
    spec: Spec,
    rules: Sequence[str],
    *,
    own: Own | None = None,
    points: int | None = None,
    watcher: Watcher | None = None,
) -> Landscaped:
    """The same for what ``thalweg train`` would train."""
    onlooker, began = Silent() if watcher is None else watcher, clock.perf_counter()
    specs = specs_of(spec, rules, own or {})
    check_points(points)
    data, device = read(spec), build_device(spec.device)
    prepared = prepare(data, spec, device=device)
    experiment = assemble(specs[0], prepared, watcher=onlooker, device=device)
    ends = trained(experiment, prepared, specs, watcher=onlooker)
    return _seen(ends, experiment, prepared, onlooker, began, points, name=data.name)


def landscape_of_runs(
    runs: Sequence[str], *, folder: str = "runs", points: int | None = None, watcher: Watcher | None = None
) -> Landscaped:
    """The landscape between two or three finished runs of one architecture on one data set.

    Raises ``InputError`` where a run has no weights, or they do not fit each other.
    """
    _count(len(runs), "run")
    check_points(points)
    onlooker, began = Silent() if watcher is None else watcher, clock.perf_counter()
    ends, experiment, prepared, notes = of_runs(runs, folder=folder)
    return _seen(ends, experiment, prepared, onlooker, began, points, notes=notes, name=Path(experiment.spec.data).stem)


def specs_of(spec: Spec, rules: Sequence[str], own: Own) -> list[Spec]:
    """A spec for each rule. Raises ``InputError`` for a rule, a setting or an option that does not exist."""
    if isinstance(rules, str) or not isinstance(rules, Sequence):
        raise InputError(f'rules are a list of names, as in ["sgd", "adam"], not {rules!r}')
    _count(len(rules), "rule")
    bad = (
        own
        if not isinstance(own, Mapping)
        else next((one for one in own.values() if not isinstance(one, Mapping)), None)
    )
    if bad is not None:
        raise InputError(f'own settings are a mapping for each rule, as in {{"sgd": {{"lr": 0.1}}}}, not {bad!r}')
    twice = next((rule for at, rule in enumerate(rules) if rule in rules[:at]), None)
    if twice is not None:
        raise InputError(
            f"{twice} stands twice among the rules, and from one start it comes to one end: name each once"
        )
    stranger = next((rule for rule in own if rule not in rules), None)
    if stranger is not None:
        raise InputError(
            f'"{stranger}" has settings of its own but is not among the rules {", ".join(rules)}: name it there, too'
        )
    specs = []
    for rule in rules:
        given = own.get(rule, {})
        shared = next((name for name in given if name in Spec.model_fields and name not in OF_A_RULE), None)
        if shared is not None:
            raise InputError(
                f"{shared} must be the same for all rules, or they have no start in common: give it for all"
            )
        options = {name: value for name, value in given.items() if name not in OF_A_RULE}
        known = {name: value for name, value in given.items() if name in OF_A_RULE}
        specs.append(spec.replace(**({"rule": rule, "options": {**spec.options, **options}} | known)))
        check_words(specs[-1])
    return specs


def _count(number: int, what: str) -> None:
    if not FEWEST <= number <= MOST:
        found = f"{number} {what}{'s' if number != 1 else ''}"
        raise InputError(
            f"a landscape lies between two or three {what}s, and {found} {'were' if number != 1 else 'was'} given"
        )


def _seen(
    ends: list[End],
    experiment: Experiment,
    prepared: Prepared,
    watcher: Watcher,
    began: float,
    points: int | None,
    *,
    notes: Sequence[str] = (),
    own_loss: bool = False,
    name: str = "the data",
    model: str = "",
) -> Landscaped:
    spec, parts = experiment.spec, experiment.parts
    with threads(spec.threads), torch.random.fork_rng():
        work = Work.of(Rehearsal.of(experiment, prepared, own_loss=own_loss))
        plan = Plan.fitting(
            each=work.each,
            weights=work.weights,
            ends=len(ends),
            rows=(len(parts.train[1]), len(parts.dev[1])),
            device=parts.dev[1].device,
            points=points,
        )
        seen = survey(experiment, ends, plan, watcher=watcher)
    about = {
        "parameters": work.weights,
        "measured at": plan.words,
        "plane": f"{plan.plane} × {plan.plane} points",
        "slices": f"{plan.directions} directions",
        "Hessian": f"{plan.starts} starts of {plan.iterations} products each",
        "seed": spec.seed,
        "time for it": f"{seen.seconds:.1f} s",
    }
    title = both_of([end.name for end in ends])
    created = clock.strftime("%Y-%m-%d %H:%M")
    seconds = clock.perf_counter() - began
    return Landscaped(
        f"{title} on {name}", name, prepared.task, model or spec.model, seen, notes, about, created, seconds
    )


__all__ = ["Landscaped", "landscape", "landscape_of_runs", "landscape_of_spec", "specs_of"]
