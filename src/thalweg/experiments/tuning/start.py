"""A study from its settings to its folder: what ``thalweg tune`` and ``thalweg.tune`` share.

>>> folder, result = start_study(Spec(data="digits", epochs=5), Plan(trials=16), Silent())
>>> result["best"]["values"]
{'lr': 0.0041, …}
"""

from __future__ import annotations

import functools
import inspect
import os
import re
import shutil
import time
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import torch

from thalweg.errors import InputError, MissingDependency
from thalweg.experiments.build import build_device
from thalweg.experiments.experiment import Experiment
from thalweg.experiments.parts import Prepared, prepare
from thalweg.experiments.reading import anywhere, read
from thalweg.experiments.spec import Spec
from thalweg.experiments.stopping import interruptible
from thalweg.experiments.tuning.candidate import (
    OF_MODEL,
    block_of,
    candidate,
    check_space,
    default_space,
    kinds_of,
    with_rate,
)
from thalweg.experiments.tuning.confirm import confirm, crown, said
from thalweg.experiments.tuning.deciding import WORKERS, Decision, decide
from thalweg.experiments.tuning.engine import Engine, Here, Laboratory, Materials, Own
from thalweg.experiments.tuning.folder import StudyFolder
from thalweg.experiments.tuning.objectives import COSTS, Costs, directions, front_of
from thalweg.experiments.tuning.plan import Plan
from thalweg.experiments.tuning.record import write_study_page
from thalweg.experiments.tuning.rungs import Rungs
from thalweg.experiments.tuning.stated import stated
from thalweg.experiments.tuning.study import Study
from thalweg.experiments.tuning.trainer import Event
from thalweg.experiments.tuning.workers import Workers
from thalweg.experiments.watcher import Watcher
from thalweg.search.brains import with_optuna
from thalweg.search.space import Space
from thalweg.wording import counted

if TYPE_CHECKING:
    from thalweg.data import Data, Stream


class StudyStopped(Exception):
    """The user stopped the study; every trial that ended is kept, and it can go on."""

    def __init__(self, folder: StudyFolder) -> None:
        super().__init__(f"stopped; the same command with --name {folder.name} goes on")
        self.folder = folder


def start_study(
    spec: Spec, plan: Plan, watcher: Watcher, on_event: Callable[[Event, Study], None] = lambda event, study: None
) -> tuple[StudyFolder, dict[str, Any]]:
    """Makes or goes on with the study of ``spec.name`` and searches. Returns its folder and the content of ``result.json``.

    Raises ``InputError`` for what cannot be searched or trained, ``StudyStopped`` when the user stops it.
    """
    spec = anywhere(spec)
    folder, result, _ = search(spec, plan, read(spec), watcher=watcher, on_event=on_event)
    return folder, {name: value for name, value in result.items() if name != "records"}


def search(
    spec: Spec,
    plan: Plan,
    data: Data | Stream,
    *,
    watcher: Watcher,
    on_event: Callable[[Event, Study], None],
    model: Own = None,
    given: Data | None = None,
) -> tuple[StudyFolder, dict[str, Any], Experiment | None]:
    """The same with data that were read; returns the ``records`` of all trials too, and the winner with its weights.

    ``given`` are data that workers can't read again, ``model`` is the user's module.
    """
    with_optuna("a search that is kept")
    if spec.folds is not None or spec.shard:
        raise InputError("a search trains each candidate once, in one process: leave out folds and shard")
    small = any(name in COSTS for name in plan.objectives)
    space = with_rate(spec, plan.space) if plan.space is not None else default_space(spec, small=small)
    check_space(spec, space)
    if isinstance(model, torch.nn.Module) and (
        argument := next((name for name in space if name.startswith(OF_MODEL)), None)
    ):
        raise InputError(
            f"{argument} is an argument of a function, and the model is a module: give the function that makes it"
        )
    device = build_device(spec.device)
    prepared = prepare(data, spec, device=device)
    usual = "loss" if prepared.task == "regression" else "accuracy"
    plan = replace(plan, objectives=plan.objectives or (spec.watch or usual,))
    directions(plan.objectives, task=prepared.task)
    if spec.watch not in (None, plan.objectives[0]):
        raise InputError(f"watch is {spec.watch} and the first objective {plan.objectives[0]}: give one of the two")
    spec = spec.replace(watch=plan.objectives[0])
    folder = StudyFolder.of(spec.runs, spec.name, data.name)
    with folder.turn():
        going_on = folder.study.exists()
        if going_on:
            _check_same(folder, spec, plan, space, data.fingerprint)
        folder.write(folder.study, settings_of(spec, plan, space, data.fingerprint))
    for sentence in stated(spec, plan, space, new=plan.space is None):
        watcher.note(sentence)
    try:
        return _searched(folder, spec, plan, space, prepared, data, watcher, on_event, model, given)
    except (InputError, MissingDependency, KeyboardInterrupt):
        if not going_on and not any(folder.trials.glob("*/spec.toml")):  # nothing was tried: no study to keep
            shutil.rmtree(folder.path, ignore_errors=True)
        raise


def _searched(
    folder: StudyFolder,
    spec: Spec,
    plan: Plan,
    space: Space,
    prepared: Prepared,
    data: Data | Stream,
    watcher: Watcher,
    on_event: Callable[[Event, Study], None],
    model: Own,
    given: Data | None,
) -> tuple[StudyFolder, dict[str, Any], Experiment | None]:
    """The search in its folder."""
    from thalweg.search.store import open_store

    began, device, watch = time.monotonic(), build_device(spec.device), str(spec.watch)
    rungs = Rungs.of(plan.pruner, epochs=spec.epochs)
    also = tuple(name for name in plan.objectives if name not in COSTS)
    laboratory = Laboratory(prepared, device, rungs, model, portable=is_portable(model), also=also)
    middle = candidate(spec, space.at(dict.fromkeys(space, 0.5))).replace(threads=spec.threads or 1)
    batch = plan.trials if not plan.learns else max(10, plan.trials // 4)
    decision = decided(plan, laboratory, middle, candidates=min(batch, alike(plan, space, batch)))
    watcher.note(f"{decision.sentence[:1].upper()}{decision.sentence[1:]}.")
    sampler = plan.proposer(space, spec.seed)
    with (
        open_store(
            plan.storage or str(folder.log),
            name=folder.name,
            space=space,
            objectives=directions(plan.objectives, task=prepared.task),
        ) as store,
        interruptible() as interrupted,
    ):
        study = Study(
            folder,
            spec,
            store,
            sampler,
            plan.trials,
            batch=batch if decision.members > 1 else decision.workers,
            members=decision.members,
            watch=watch,
            rungs=frozenset(rungs.passes if plan.pruner == "halving" else ()),
            onlooker=on_event,
            costs=Costs(laboratory, folder.times, tuple(name for name in plan.objectives if name in COSTS)),
        )
        study.run(engine_of(plan, decision, laboratory, Materials(spec, given, model, also)), interrupted)
        study.gather()
        with folder.turn():  # several processes may have searched together: the first confirms for all
            result = {
                "status": "finished",
                "created": time.strftime("%Y-%m-%d %H:%M:%S"),
                "task": data.task,
                "fingerprint": data.fingerprint,
                "watch": watch,
                "best": study.best,
                **front_of(study.results, store.objectives),
                "trials": len(study.results),
                "counts": dict(Counter(record["status"] for record in study.results)),
                "decision": asdict(decision),
                "ended": time.time(),
                "seconds": round(time.monotonic() - began, 3),
                "storage_seconds": round(store.seconds, 3),
            }
            experiment = None
            if study.best is not None and not interrupted():
                experiment = _crowned(study, laboratory, plan, result, watcher, interrupted)
            stopped = interrupted() and experiment is None
            if stopped:
                result["status"] = "stopped by the user"
            folder.write_json(folder.result, result)
            write_study_page(folder)
    if stopped:
        raise StudyStopped(folder)
    return folder, result | {"records": sorted(study.results, key=lambda one: one["number"])}, experiment


def _crowned(
    study: Study,
    laboratory: Laboratory,
    plan: Plan,
    result: dict[str, Any],
    watcher: Watcher,
    interrupted: Callable[[], bool],
) -> Experiment | None:
    """The best trial on fresh seeds, then its own weights on the test part; both go into ``result``. None where stopped."""
    best, folder = result["best"], study.folder
    trial = folder.trial(best["number"])
    spec = Spec.read(trial.spec) if trial.spec.exists() else candidate(study.spec, best["values"])
    folder.write(folder.best, spec.replace(name=None, threads=study.spec.threads).to_toml())
    before = folder.read_json(folder.result) if folder.result.exists() else {}
    seeds = before.get("confirmed", {}).get("seeds", ())
    if (before.get("best") or {}).get("number") == best["number"] and len(seeds) == plan.confirm:
        result |= {"confirmed": before["confirmed"]} if plan.confirm else {}
    elif plan.confirm:
        watcher.stage(f"training the best trial on {counted(plan.confirm, 'fresh seed')}")
        found = confirm(laboratory, spec, watch=study.watch, seeds=plan.confirm, stop=interrupted)
        if found is None:
            return None
        result["confirmed"] = found | {"sentence": said(found, best, len(study.results))}
    experiment = crown(folder, laboratory, best, spec)
    result["metrics"] = folder.winner.read_json(folder.winner.result)["metrics"]
    return experiment


def _check_same(folder: StudyFolder, spec: Spec, plan: Plan, space: Space, fingerprint: str) -> None:
    """Raises ``InputError`` where the study that is there has other settings or data: trials could not be compared."""
    before = tomllib.loads(folder.study.read_text(encoding="utf-8"))
    search, ranges = before.pop("search"), before.pop("space")
    now = tomllib.loads(spec.to_toml())
    other = sorted(name for name in {*before, *now} - {"name", "runs", "threads"} if before.get(name) != now.get(name))
    if other:
        raise InputError(
            f"the study {folder.path} was made with another {other[0]}: give another --name, or its own settings"
        )
    if search["fingerprint"] != fingerprint:
        raise InputError(f"the data {spec.data} have changed since the study {folder.path} began: give another --name")
    if ranges != space.to_dict() or list(ranges) != list(space):
        raise InputError(
            f"the study {folder.path} searches another space, or one in another order: give another --name, or its own space"
        )
    aims = search.get("objectives", [spec.watch])
    if aims != list(plan.objectives):
        raise InputError(
            f"the study {folder.path} has other objectives: give --objectives {','.join(aims)}, or another --name"
        )
    kept = search.get("storage")
    if kept != _shown_url(plan.storage):
        raise InputError(
            f"the study {folder.path} keeps its trials in {kept or 'its own folder'}: "
            f"{f'give --storage {kept}' if kept else 'leave out --storage'}, or give another --name"
        )


def settings_of(spec: Spec, plan: Plan, space: Space, fingerprint: str) -> str:
    """The study as TOML: its settings, its space, how it goes."""
    import tomli_w

    own = {name: value for name, value in asdict(plan).items() if name != "space" and value is not None}
    own |= {"prune": plan.pruner, "objectives": list(plan.objectives)}
    if plan.storage is not None:
        own["storage"] = _shown_url(plan.storage)
    own["fingerprint"] = fingerprint
    return spec.to_toml() + "\n" + tomli_w.dumps({"search": own, "space": space.to_dict()})


def _shown_url(storage: str | None) -> str | None:
    """Where trials are kept, without a password: the file it goes into is shown."""
    return None if storage is None else re.sub(r"//[^@/]*@", "//…@", storage)


def alike(plan: Plan, space: Space, trials: int) -> int:
    """How many of the trials have one architecture and one batch size, about."""
    block = block_of(space, plan.trials) if plan.sampler == "random" else 1
    return max(block, trials // kinds_of(space, trials))


def is_portable(model: Own) -> bool:
    """Whether another process can have the module: what a script or a notebook defines exists there alone."""
    while isinstance(model, functools.partial):
        model = model.func
    if model is not None and not isinstance(model, torch.nn.Module):
        named = model if inspect.isroutine(model) or inspect.isclass(model) else type(model)
        return named.__module__ != "__main__" and "<" not in named.__qualname__
    return model is None or all(type(module).__module__ != "__main__" for module in model.modules())


def decided(plan: Plan, laboratory: Laboratory, spec: Spec, *, candidates: int) -> Decision:
    """Who trains: as the user says, else as is measured."""
    cores = plan.workers or len(os.sched_getaffinity(0))
    if laboratory.device.type != "cpu":
        cores = 1
    found = decide(laboratory, spec, candidates=candidates, cores=cores)
    wanted = plan.workers or (cores if plan.engine == "ray" else 1)
    if plan.engine == "ray" or (wanted > 1 and laboratory.portable):
        share = max(1, candidates // wanted)
        members = min(plan.members or found.members, share)
        kind = "actors on a Ray cluster" if plan.engine == "ray" else "workers"
        each = f"{members} candidates as one program" if members > 1 else "one candidate at a time"
        sentence = f"{wanted} {kind}, as asked, {each} in each (without being told: {found.sentence})"
        return replace(found, way=WORKERS, workers=wanted, members=members, sentence=sentence)
    if plan.members in (None, found.members):
        return found
    each = f"up to {plan.members} candidates together" if plan.members > 1 else "one candidate at a time"
    sentence = f"{each}, as asked (without being told: {found.sentence})"
    return replace(found, members=plan.members, sentence=sentence)


def engine_of(plan: Plan, decision: Decision, laboratory: Laboratory, materials: Materials) -> Engine:
    """The one that trains."""
    if plan.engine == "ray":
        from thalweg.experiments.tuning.cluster import Cluster

        return Cluster(materials, decision.workers, laboratory.prune, plan.address)
    if decision.way == WORKERS:
        return Workers(materials, decision.workers, laboratory.prune)
    return Here(laboratory, threads=len(os.sched_getaffinity(0)))
