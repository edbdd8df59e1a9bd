"""``thalweg.check``: what would go wrong, in seconds, before the first epoch.

>>> checkup = thalweg.check(model, (X, y))                        # as thalweg.fit would train it
>>> checkup.ok, checkup["one batch"].sentence
(True, 'The loss of 32 rows falls from 2.31 to 0.0213 in 41 steps (rate 0.01).')
>>> check_spec(Spec(data="digits"))                               # as thalweg train would
>>> checkup.page("check.html")

Numbers are collected by the doctor's probes on copies, judged by ``diagnose.checks``; nothing of model, optimizer or random
state changes. The work is bounded by counting, not by a clock: a large network is asked with fewer rows, steps and
parameters, so the same network gets the same answers on any machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack

import torch

from thalweg.diagnose.checks import program, signals, start
from thalweg.diagnose.checks import rate as rates
from thalweg.diagnose.checks.check import Check
from thalweg.experiments.assemble import assemble
from thalweg.experiments.build import build_device
from thalweg.experiments.checkup import Checkup
from thalweg.experiments.experiment import Experiment
from thalweg.experiments.fitting import assembled
from thalweg.experiments.parts import Prepared, prepare
from thalweg.experiments.reading import Beside, read
from thalweg.experiments.rehearsal import Rehearsal, Work
from thalweg.experiments.settings import Settings, check_keywords
from thalweg.experiments.spec import Spec
from thalweg.experiments.threads import threads
from thalweg.experiments.watcher import Silent, Watcher

if TYPE_CHECKING:
    from thalweg.data import Data, Stream


def check(
    model: torch.nn.Module | str,
    data: Any,
    *,
    dev: Any = None,
    test: Any = None,
    weights: Any = None,
    groups: Any = None,
    time: Any = None,
    split_column: Any = None,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    watcher: Watcher | None = None,
    **settings: Unpack[Settings],
) -> Checkup:
    """Checks a training run before it begins: the arguments are those of ``thalweg.fit``, and nothing is trained.

    Raises ``InputError`` for data, settings or a model that ``fit`` would refuse.
    """
    check_keywords("check", settings)
    onlooker = Silent() if watcher is None else watcher
    with threads(), torch.random.fork_rng():
        experiment, prepared = assembled(
            model,
            data,
            Beside(dev, test, weights, groups, time, split_column),
            loss=loss,
            optimizer=optimizer,
            watcher=onlooker,
            settings=settings | {"pretrain": False},
        )
        return checkup(experiment, prepared, None, watcher=onlooker, own_loss=loss is not None)


def check_spec(spec: Spec, watcher: Watcher | None = None) -> Checkup:
    """The same for a run of ``thalweg train``."""
    onlooker = Silent() if watcher is None else watcher
    data = read(spec)
    device = build_device(spec.device)
    with threads(), torch.random.fork_rng():
        prepared = prepare(data, spec, device=device)
        experiment = assemble(spec.replace(pretrain=False), prepared, watcher=onlooker, device=device)
        return checkup(experiment, prepared, data, watcher=onlooker)


def checkup(
    experiment: Experiment,
    prepared: Prepared,
    data: Data | Stream | None,
    *,
    watcher: Watcher,
    own_loss: bool = False,
) -> Checkup:
    """Every check of an experiment. ``data`` is what was read, for its profile; None where arrays were brought."""
    from thalweg.experiments import looking

    began = time.perf_counter()
    spec = experiment.spec
    torch.set_num_threads(spec.threads or torch.get_num_threads())
    rehearsal = Rehearsal.of(experiment, prepared, own_loss=own_loss)
    work = Work.of(rehearsal)
    checks: list[Check] = []
    watcher.stage("looking at data and network")
    if data is not None and (found := looking.profiled(data, spec)) is not None:
        checks.append(found)
    begin = looking.begin(rehearsal, work)
    checks.append(start.shapes(begin))
    findings = looking.causes(rehearsal, work)
    if prepared.class_counts is not None:
        checks.append(program.classes(prepared.class_counts, weighted=bool(spec.class_weights)))
    checks.append(program.inputs(findings))
    checks.append(start.start(begin))
    layers = looking.layers(rehearsal, work)
    forwards, backwards = signals.activations(layers), signals.gradients(layers)
    suggestion = None
    if {forwards.status, backwards.status} & {"warned", "failed"}:
        suggestion = looking.suggest(rehearsal, work, layers)
    checks += [looking.advised(one, suggestion) for one in (forwards, backwards)]
    if (drawn := program.weights(findings, layers)) is not None:
        checks.append(drawn)
    checks.append(program.parameters(looking.reach(rehearsal)))
    watcher.stage("checking the gradient")
    checks.append(looking.gradient(rehearsal, work))
    checks.append(program.pairing(findings))
    checks.append(program.modes(looking.modes(rehearsal)))
    watcher.stage("trying rates")
    swept = looking.sweep(rehearsal, work, begin.blank)
    watcher.stage("learning one mini-batch by heart")
    learned, answer = looking.by_heart(rehearsal, work, swept, checks, begin)
    if swept is not None:
        given = spec.lr if experiment.optimizer is None else rehearsal.own_rate
        checks.append(rates.judge(swept, given=given, learns=answer.status == "passed"))
    else:
        checks.append(
            Check(
                "rate", "skipped", "Not tried: the loss is not finite, or a step takes too long for a check in seconds."
            )
        )
    checks.append(answer)
    return Checkup(
        spec.data, prepared.task, spec.model, tuple(checks), layers, suggestion, swept, learned,
        time.perf_counter() - began,
    )  # fmt: skip
