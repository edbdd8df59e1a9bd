"""What the best trial is worth: its settings on fresh seeds, its own weights on the test part, once.

>>> confirmed = confirm(laboratory, spec, watch="accuracy", seeds=3)
>>> confirmed["values"], confirmed["sentence"]
([0.978, 0.975, 0.983], 'dev accuracy 0.9787 on 3 fresh seeds, 95% interval 0.9686 to 0.9887; …')
>>> crown(folder, laboratory, record, confirmed)                 # the winner as a run: thalweg predict works on it

The best of many trials owes its score to merit and to luck: its initial weights, its order of mini-batches. Fresh seeds take
that luck out; that the dev part itself chose the settings is what the test part is for.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
from safetensors.torch import load_file

from thalweg.experiments.experiment import Experiment
from thalweg.experiments.folder import Folder
from thalweg.experiments.page import evidence_of, write_page
from thalweg.experiments.spec import Spec
from thalweg.experiments.tuning.engine import Laboratory
from thalweg.experiments.tuning.folder import StudyFolder
from thalweg.experiments.tuning.trainer import ABOVE, Ended, Event, Job, score_of, train_job
from thalweg.search import refit
from thalweg.train import evaluate
from thalweg.wording import counted

FRESH = 1000
"""Added to the seed of the search: no trial has seen those from here on."""


def confirm(
    laboratory: Laboratory, spec: Spec, *, watch: str, seeds: int, stop: Callable[[], bool] = lambda: False
) -> dict[str, Any] | None:
    """Trains the settings on fresh seeds, the data divided as they were. None where the user stopped it."""
    ended: list[Ended] = []

    def tell(event: Event) -> None:
        if isinstance(event, Ended):
            ended.append(event)

    specs = tuple(spec.replace(seed=spec.seed + FRESH + number) for number in range(seeds))
    train_job(Job(tuple(range(seeds)), specs, bar=-math.inf), laboratory.build(specs), tell, stop=stop)
    if len(ended) < seeds:
        return None
    values = [one.metrics.get(watch, math.nan) for one in sorted(ended, key=lambda one: one.number)]
    found: dict[str, Any] = {
        "seeds": [one.seed for one in specs],
        "metric": watch,
        "values": values,
        "mean": float(np.mean(values)),
        "sd": float(np.std(values, ddof=1)) if seeds > 1 else math.nan,
    }
    if seeds > 1 and np.isfinite(values).all():
        worth = refit([values], more_is_better=watch in ABOVE)
        found["interval"] = list(worth.interval)
    return found


def said(confirmed: dict[str, Any], record: dict[str, Any], trials: int) -> str:
    """The honest dev result, in a sentence."""
    metric, own = confirmed["metric"], record["metrics"]["dev"][confirmed["metric"]]
    flattery = score_of({metric: confirmed["mean"]}, metric) - score_of({metric: own}, metric)
    spread = f" ± {confirmed['sd']:.2g}" if math.isfinite(confirmed["sd"]) else ""
    tail = f"the best of {counted(trials, 'trial')} had {own:.4g}"
    none = math.isclose(
        own, confirmed["mean"], rel_tol=1e-9, abs_tol=1e-12
    )  # means of equal values may differ by rounding
    tail += f", which flatters it by {flattery:.2g}" if flattery > 0 and not none else ", so it was no stroke of luck"
    return f"dev {metric} {confirmed['mean']:.4g}{spread} on {counted(len(confirmed['values']), 'fresh seed')}; {tail}"


def crown(folder: StudyFolder, laboratory: Laboratory, record: dict[str, Any], spec: Spec) -> Experiment:
    """Makes the winner a run in ``best``, measured on every part; returns it with the weights that won."""
    trial, winner = folder.trial(record["number"]), folder.winner
    experiment = laboratory.build([spec])[0]
    if winner.result.exists() and winner.read_json(winner.result).get("trial") == record["number"]:
        experiment.model.load_state_dict(load_file(winner.model))
        experiment.model.eval()
        return experiment
    shutil.rmtree(winner.path, ignore_errors=True)
    winner.path.mkdir()
    if trial.model.exists():
        weights = trial.model.read_bytes()
    else:  # another machine trained it
        weights = _trained(experiment)
    winner.model.write_bytes(weights)
    experiment.model.load_state_dict(load_file(winner.model))
    experiment.model.eval()
    parts, prepared = experiment.parts, laboratory.prepared
    given = {"train": parts.train, "dev": parts.dev} | ({} if parts.test is None else {"test": parts.test})
    metrics = {name: evaluate(experiment.model, *part, experiment.objective) for name, part in given.items()}
    assert prepared.preprocessor is not None
    winner.write_json(winner.preprocessing, prepared.preprocessor.to_dict())
    winner.write(winner.spec, experiment.spec.replace(threads=None).to_toml())
    _history(trial, winner, len(experiment.batches))
    result = {
        "status": "finished",
        "stopped": record["why"],
        "created": record["created"],
        "task": prepared.task,
        "trial": record["number"],
        "metrics": metrics,
        "parts": prepared.sizes(),
        "best_epoch": record["best_epoch"],
        "epochs": record["epochs"],
        "seconds": record["seconds"],
        "choices": [vars(choice) for choice in experiment.choices],
        **evidence_of(experiment, prepared),
    }
    winner.write_json(winner.result, result)
    write_page(winner)
    return experiment


def _trained(experiment: Experiment) -> bytes:
    found: list[bytes] = []

    def tell(event: Event) -> None:
        if isinstance(event, Ended):
            found.append(event.weights)

    train_job(Job((0,), (experiment.spec,)), [experiment], tell)
    return found[0]


def _history(trial: Folder, winner: Folder, steps: int) -> None:
    """The trial's history with steps in place of passes, as a run has it."""
    from thalweg.history import History

    if not trial.history.exists():
        return
    before, after = History.read(trial.history), History(winner.history)
    columns = {name: before.column(name) for name in before.columns}
    for place, epoch in enumerate(before.column("epoch").values):
        after.record(round(epoch) * steps, {name: float(column.values[place]) for name, column in columns.items()})
    after.close()
