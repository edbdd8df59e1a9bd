"""What a search is after: a metric of the dev part, or several things at once, the net's size and its time among them.

>>> directions(("accuracy", "size"), task="multiclass")
{'accuracy': 'maximize', 'size': 'minimize'}
>>> costs = Costs(laboratory, folder.path / "times.json", ("size", "time"))
>>> costs(spec)
{'size': 9482.0, 'time': 0.31}

``size`` counts the numbers that are trained. ``time`` is what a user of the net waits for: milliseconds to predict 1,000 rows
on one thread, the least of some forward passes. How long a candidate trained says little of it, for members of a population
share their time. It is measured once for each architecture, in the process that leads the search, so that candidates that
differ in their rate alone do not differ in their time by chance.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from thalweg.errors import InputError
from thalweg.experiments.experiment import Experiment
from thalweg.experiments.spec import Spec
from thalweg.experiments.threads import threads
from thalweg.experiments.tuning.candidate import OF_A_MEMBER
from thalweg.experiments.tuning.engine import Laboratory
from thalweg.experiments.tuning.trainer import FINISHED, PRUNED
from thalweg.files import replacing
from thalweg.search import Finished, front
from thalweg.search.store import Direction
from thalweg.train.metrics import METRICS, metric
from thalweg.train.objectives import predict

COSTS = ("size", "time")
ROWS = 1000
SECONDS, FEWEST = 0.1, 3
"""How long one architecture is timed, and the fewest forward passes."""
OF_TRAINING = OF_A_MEMBER | {
    "batch_size",
    "dropout",
    "input_dropout",
    "pretrain",
    "l1",
    "l2",
    "max_norm",
    "patience",
    "min_gain",
}
"""Settings without a say in how long a trained net takes."""


def directions(names: Sequence[str], *, task: str) -> dict[str, Direction]:
    """Each objective with what is better. Raises ``InputError`` for one that cannot be measured, or stands there twice."""
    if len(set(names)) < len(names):
        raise InputError(f"objectives name {', '.join(names)}: give each once")
    if names[0] in COSTS:
        raise InputError(
            f"the first objective is {names[0]}, and by the first the best pass of a trial is chosen: begin with a metric of "
            f"the dev part, as in accuracy,{names[0]}"
        )
    found: dict[str, Direction] = {}
    for name in names:
        if name not in COSTS and name not in METRICS:
            raise InputError(f'there is no objective "{name}": choose among {", ".join((*METRICS, *COSTS))}')
        more = name not in COSTS and metric(name, task=task).higher_is_better
        found[name] = "maximize" if more else "minimize"
    return found


def values_of(record: Mapping[str, Any], names: Sequence[str]) -> dict[str, float]:
    """What a trial's record says of each objective; NaN where it says nothing."""
    measured = record["metrics"].get("dev", {}) | record.get("costs", {})
    return {name: float(measured.get(name, math.nan)) for name in names}


def finished_of(records: Sequence[Mapping[str, Any]], objectives: Mapping[str, Direction]) -> list[Finished]:
    """The trials as samplers see them: lower is better."""
    signs = {name: -1.0 if direction == "maximize" else 1.0 for name, direction in objectives.items()}
    found = []
    for record in records:
        told = record["status"] in (FINISHED, PRUNED)
        values = values_of(record, list(signs))
        scores = tuple(
            sign * values[name] if told and values[name] == values[name] else math.inf for name, sign in signs.items()
        )
        pruned = record["epochs"] if record["status"] == PRUNED else None
        found.append(Finished(record["number"], record["values"], scores, pruned))
    return found


def best_of(records: Sequence[Mapping[str, Any]], objectives: Mapping[str, Direction]) -> Any:
    """The best by the first objective of those trained to their end; of equal scores the best by the others, then the lower
    loss, then the earlier. None where there is none.
    """
    ended = [record for record in records if record["status"] == FINISHED and record["score"] is not None]
    return min(ended, key=lambda one: _rank(one, objectives), default=None)


def front_of(records: Sequence[Mapping[str, Any]], objectives: Mapping[str, Direction]) -> dict[str, Any]:
    """What ``result.json`` says of several objectives: the trials that no other beats in all of them, the best by the first
    before the others, so that the best trial leads. Empty for one objective.
    """
    if len(objectives) < 2:
        return {}
    numbers = {one.number for one in front(finished_of(records, objectives))}
    chosen = [record for record in records if record["number"] in numbers]
    return {
        "objectives": dict(objectives),
        "front": [
            {"number": one["number"], "values": one["values"], "scores": values_of(one, list(objectives))}
            for one in sorted(chosen, key=lambda one: _rank(one, objectives))
        ],
    }


def _rank(record: Mapping[str, Any], objectives: Mapping[str, Direction]) -> tuple[float, ...]:
    _, *others = finished_of([record], objectives)[0].scores
    return (record["score"], *others, record["metrics"]["dev"].get("loss", math.inf), record["number"])


@dataclass
class Costs:
    """Measures the objectives that no training changes. ``kept`` is the file of the times, for a study that goes on."""

    laboratory: Laboratory
    kept: Path
    names: tuple[str, ...] = ()
    _known: dict[str, dict[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kept.exists():
            self._known = json.loads(self.kept.read_text(encoding="utf-8"))

    def __call__(self, spec: Spec) -> dict[str, float]:
        if not self.names:
            return {}
        key = hashlib.sha256(spec.model_dump_json(exclude=OF_TRAINING).encode()).hexdigest()[:16]
        if key not in self._known:
            experiment = self.laboratory.build([spec.replace(pretrain=False)])[0]
            measures = {"size": size_of, "time": milliseconds}
            self._known[key] = {name: measures[name](experiment) for name in self.names}
            if "time" in self.names:
                with replacing(self.kept) as beside:
                    beside.write_text(json.dumps(self._known), encoding="utf-8")
        return self._known[key]


def size_of(experiment: Experiment) -> float:
    """The numbers that are trained."""
    return float(sum(weight.numel() for weight in experiment.model.parameters() if weight.requires_grad))


def milliseconds(experiment: Experiment) -> float:
    """To predict 1,000 rows on one thread, to three digits."""
    inputs = experiment.parts.train[0]
    rows = inputs[torch.arange(ROWS, device=inputs.device) % len(inputs)]
    seconds: list[float] = []
    with threads(1), torch.inference_mode():
        predict(experiment.model, rows)
        while len(seconds) < FEWEST or sum(seconds) < SECONDS:
            began = time.perf_counter()
            predict(experiment.model, rows).sum().item()  # an accelerator has ended only when its numbers are here
            seconds.append(time.perf_counter() - began)
    return float(f"{1000 * min(seconds):.3g}")
