"""Who should train, and how many together? Measured before the search begins, for about a second, and kept.

A population of small nets in native code fills all cores of this process. Where PyTorch's operations do the work, workers
of one core each, every one with a population of its own, or one candidate at a time, may be faster: but they take seconds to
start. What is measured is member-steps a second; what is compared is the time until the study is over.

>>> decide(laboratory, spec, candidates=64, cores=2)
Decision(way='population', members=64, workers=1, gain=19.3, sentence='64 members as one program (compiled): …')
"""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import asdict, dataclass, replace

import torch

from thalweg import cache
from thalweg.experiments.build import build_schedule
from thalweg.experiments.experiment import Experiment
from thalweg.experiments.spec import Spec
from thalweg.experiments.threads import threads
from thalweg.experiments.together import member, together
from thalweg.experiments.tuning.candidate import group_of
from thalweg.experiments.tuning.engine import Laboratory

START = 6.0
"""Seconds until a worker has imported PyTorch and prepared the data."""
SHORT = 5.0
"""Seconds of a search below which a first look is enough."""
MOST = 64
"""Members of a population beyond which no gain was seen on a processor."""
MANY = 512
"""The same for an accelerator."""
POPULATION, WORKERS, HERE = "population", "workers", "one by one"


@dataclass(frozen=True)
class Decision:
    """Who trains: a ``population`` in this process, ``workers`` (of ``members`` candidates each), or one by one here.

    ``gain`` is how many times as fast as one candidate at a time in a process on each core, startup apart.
    """

    way: str
    members: int
    workers: int
    gain: float
    sentence: str


def decide(laboratory: Laboratory, spec: Spec, *, candidates: int, cores: int, seconds: float = 1.0) -> Decision:
    """Measures and compares. ``spec`` is a candidate like most of them, ``candidates`` how many of its kind there will be."""
    experiment = laboratory.build([spec])[0]
    reason = alone(experiment)
    if reason:
        workers = min(cores, candidates)
        return Decision(
            WORKERS if workers > 1 and laboratory.portable else HERE,
            1,
            workers,
            1.0,
            f"one candidate at a time: {reason}",
        )
    path = cache.folder() / f"probe-{_digest(spec, laboratory, candidates, cores)}.json"
    try:
        return Decision(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        pass
    found = _measured(laboratory, experiment, candidates, cores, seconds)
    cache.write(path, json.dumps(asdict(found)))
    return found


def alone(experiment: Experiment) -> str:
    """Why candidates like this one can't be a population, in words; empty where they can."""
    spec = experiment.spec
    if together(experiment):
        return ""
    if spec.augment:
        return "a population sees the examples as they are, and augment changes them"
    if spec.stream:
        return "a population needs the data in memory, and these stream"
    if build_schedule(spec, steps=1).watches():
        return "the schedule reacts to what each candidate measures"
    if spec.l2 or spec.max_norm:
        return f"{'l2' if spec.l2 else 'max_norm'} acts on each candidate between its steps"
    return "its steps want more than one thread or another precision"


def _measured(laboratory: Laboratory, experiment: Experiment, candidates: int, cores: int, seconds: float) -> Decision:
    from thalweg.population import probe

    spec = experiment.spec
    assert spec.batch_size is not None
    most = MOST if laboratory.device.type == "cpu" else MANY
    ks = sorted({k for k in (4, 16, MOST, MANY) if k < min(candidates, most)} | {min(candidates, most)})

    def make(number: int) -> object:
        return member(replace(experiment, model=copy.deepcopy(experiment.model)))

    steps = candidates * spec.epochs * len(experiment.batches)
    with threads(1):
        one = probe(make, ks, batch_size=spec.batch_size, seconds=0.2 * seconds)  # type: ignore[arg-type]
        if steps / max(one.rates.values()) > SHORT:
            one = probe(make, ks, batch_size=spec.batch_size, seconds=0.7 * seconds)  # type: ignore[arg-type]
    inner = next((way for k, way in one.ways.items() if k), "")
    best = max((rate for k, rate in one.rates.items() if k), default=0.0)
    # Members in native code are dealt out to the threads: no two wait for each other. So one program fills all cores at once,
    # where workers start first.
    rates = {HERE: one.rates[0], WORKERS: (best if one.members > 1 else one.rates[0]) * cores}
    if inner == "compiled" or (inner and cores == 1):
        rates[POPULATION] = best * cores
    elif one.members > 1:
        with threads(cores):
            several = probe(make, (one.members,), batch_size=spec.batch_size, seconds=0.3 * seconds)  # type: ignore[arg-type]
        rates[POPULATION] = max(several.rates.values())
    if cores == 1 or candidates < 2 or not laboratory.portable:
        del rates[WORKERS]
    way = min(rates, key=lambda name: steps / rates[name] + (START if name == WORKERS else 0.0))
    gain = rates[way] / (one.rates[0] * cores)
    members = 1
    # A larger population prunes better, and does not hang on a measurement.
    if way == POPULATION or (way == WORKERS and one.members > 1):
        fast = [k for k, rate in one.rates.items() if k and rate >= 0.5 * best]
        members = min(candidates, MOST, one.most) if inner == "compiled" else max(fast)
    if way == WORKERS and members > 1:
        members = max(1, min(members, candidates // cores))
    return Decision(
        way, members, cores if way == WORKERS else 1, gain, _sentence(way, members, cores, inner, rates[way], gain)
    )


def _sentence(way: str, members: int, cores: int, inner: str, rate: float, gain: float) -> str:
    against = "one process per core, one candidate at a time" if cores > 1 else "one candidate at a time"
    speed = f"{rate:,.0f} member-steps a second, {gain:.3g} × {against}"
    if way == POPULATION and members == 1:
        return f"one candidate at a time in this process ({inner}): {speed}"
    if way == POPULATION:
        return f"up to {members} candidates train as one program ({inner}): {speed}"
    if way == WORKERS and members > 1:
        return f"{cores} workers, each with {members} candidates as one program ({inner}): {speed}"
    if way == WORKERS:
        return f"{cores} workers, one candidate at a time in each: {speed}; one program gains nothing for this net"
    return f"one candidate at a time in this process: {speed}; workers would take longer to start than they save"


def _digest(spec: Spec, laboratory: Laboratory, candidates: int, cores: int) -> str:
    import thalweg

    shape = tuple(laboratory.prepared.parts.train[0].shape)
    known = (group_of(spec), spec.rule, shape, min(candidates, MOST), spec.epochs, cores, laboratory.portable)
    return hashlib.sha256(repr((known, thalweg.__version__, torch.__version__)).encode()).hexdigest()[:16]
