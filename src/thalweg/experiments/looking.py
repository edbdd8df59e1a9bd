"""The parts of a check, one function each: from a rehearsal to what ``diagnose.checks`` judges.

>>> begin(rehearsal).loss
2.31
>>> modes(rehearsal).norms
0
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg import gradcheck
from thalweg.diagnose.checks import one_batch as batches
from thalweg.diagnose.checks import program, start
from thalweg.diagnose.checks import rate as rates
from thalweg.diagnose.checks import signals as judged
from thalweg.diagnose.checks.check import Check
from thalweg.doctor import one_batch as learning
from thalweg.doctor.before import before, named
from thalweg.doctor.signals import signals
from thalweg.doctor.twin import outputs, quietly
from thalweg.errors import InputError
from thalweg.experiments.build import build_model, initialise
from thalweg.experiments.checkup import Suggestion
from thalweg.experiments.rate import ShortRun
from thalweg.experiments.rehearsal import Rehearsal, Work
from thalweg.experiments.spec import Spec

if TYPE_CHECKING:
    from thalweg.data import Data, Stream
    from thalweg.diagnose import Finding

BATCH = 32
"""Rows learned by heart."""
USUAL = 1e-3
"""The rate where a range test suggests none."""
EXPLAINING = ("gradient check", "output and loss", "parameters", "gradients", "activations", "weights", "inputs")
"""Checks that say why a mini-batch is not learned, likeliest first."""
FEWEST = 16
"""Steps below which neither a range test nor a mini-batch by heart says anything."""
PROBING = 12
"""Forward passes that the doctor's probes come to."""
CHECKED_ROWS, CHECKED_PARAMETERS = 16, 24
KINDS = ("wrong_loss", "wrong_activation", "nan", "unnormalised_input", "bad_init", "leakage")


def profiled(data: Data | Stream, spec: Spec) -> Check | None:
    """The profile of data in memory, a short form of ``thalweg data``."""
    from thalweg.data import Data, split
    from thalweg.data.profile import profile

    if not isinstance(data, Data):
        return None
    found = profile(data, split=split(data, seed=spec.seed, fractions=spec.split), seed=spec.seed)
    return program.data([(one.kind, one.sentence) for one in found.suspicions], rows=found.rows, name=found.name)


def begin(r: Rehearsal, work: Work) -> start.Start:
    """The loss before training and that of an answer without inputs, on rows of the training part."""
    rows = r.examples(work.rows(1000))
    model = copy.deepcopy(r.model).eval()
    with quietly(0):
        out = outputs(model, rows.inputs)
    task = r.prepared.task if r.prepared is not None else ""
    shares: tuple[float, ...] = ()
    blank = uniform = math.nan
    targets = r.truth(r.parts.train[1])
    with torch.no_grad():
        loss = float(r.plain(out, rows.targets))
        if not r.own_loss and task == "regression":
            blank = float(targets.reshape(len(targets), -1).double().var(0, correction=0).mean())
        elif not r.own_loss and targets.ndim == 1:
            counts = torch.bincount(targets.long(), minlength=2)
            shares = tuple((counts / counts.sum()).tolist())
            blank = -sum(p * math.log(p) for p in shares if p > 0)
            uniform = math.log(sum(p > 0 for p in shares))
    finite = float(torch.isfinite(out).double().mean())
    shape = tuple(r.parts.train[0].shape[1:])
    return start.Start(task, shape, tuple(out.shape[1:]), len(rows), finite, loss, blank, uniform, shares)


def causes(r: Rehearsal, work: Work) -> list[Finding]:
    """What the doctor's probes and causes say before a run."""
    model = copy.deepcopy(r.model)
    case, _ = before(
        model,
        r.build_optimizer(model, lr=1e-3)[0],
        loss=r.plain,
        train=r.examples(work.rows(2000, passes=PROBING)),
    )
    return named(case, KINDS)


def layers(r: Rehearsal, work: Work, model: torch.nn.Module | None = None) -> tuple[judged.Layer, ...]:
    """Activations and gradients of every layer."""
    rows = r.examples(work.rows(256))
    return signals(copy.deepcopy(r.model if model is None else model), r.plain, rows.inputs, rows.targets)


def suggest(r: Rehearsal, work: Work, found: tuple[judged.Layer, ...]) -> Suggestion | None:
    """The smallest change of settings under which signals come through, measured beside what there is; None if none helps."""
    built_in = r.spec.model == "mlp" and r.prepared is not None and r.prepared.preprocessor is not None
    changes: list[dict[str, Any]] = [{"init": "auto"}, {"init": "lsuv"}]
    if built_in:
        changes += [{"norm": "batch"}, {"activation": "relu", "init": "auto"}, {"norm": "layer", "init": "auto"}]
    measured = []
    for change in changes:
        if all(getattr(r.spec, name) == value for name, value in change.items()):
            continue
        try:
            own = layers(r, work, _changed(r, change, built_in=built_in))
        except (InputError, RuntimeError, ValueError):  # a scheme that this network cannot be given
            continue
        measured.append((change, own))
        if _cured(own):
            break
    if not measured:
        return None
    change, own = min(measured, key=lambda pair: judged.unevenness(pair[1]))
    was, now = judged.unevenness(found), judged.unevenness(own)
    if not now < 0.6 * was:
        return None
    return Suggestion(change, own, f"measured so, {judged.summary(own)}.", _cured(own))


def _cured(layers: tuple[judged.Layer, ...]) -> bool:
    return judged.activations(layers).status == judged.gradients(layers).status == "passed"


def _changed(r: Rehearsal, change: dict[str, Any], *, built_in: bool) -> torch.nn.Module:
    spec = r.spec.replace(**change)
    assert r.prepared is not None
    if built_in:
        assert r.prepared.preprocessor is not None
        model = build_model(spec, r.prepared.preprocessor)
    else:
        model = copy.deepcopy(r.model)
    initialise(spec, model, r.prepared)
    return model.to(r.parts.train[0].device)


def advised(check: Check, suggestion: Suggestion | None) -> Check:
    """A check of signals with what was found to help."""
    if check.status in ("passed", "skipped") or suggestion is None:
        return check
    begin = "Set" if suggestion.cures else f"{check.remedy} A part of the way goes"
    return replace(check, remedy=f"{begin} {suggestion.words}: {suggestion.sentence}")


def reach(r: Rehearsal) -> program.Reach:
    """Which parameters a backward pass reaches."""
    model = copy.deepcopy(r.model).train()
    rows = r.examples(8)
    with quietly(0):
        r.plain(model(rows.inputs), rows.targets).backward()
    sizes = {name: p.numel() for name, p in model.named_parameters()}
    frozen = {name: sizes[name] for name, p in model.named_parameters() if not p.requires_grad}
    unused = {name: sizes[name] for name, p in model.named_parameters() if p.requires_grad and p.grad is None}
    held = None if r.optimizer is None else {id(p) for group in r.optimizer.param_groups for p in group["params"]}
    unheld = {} if held is None else {
        name: sizes[name] for name, p in r.model.named_parameters() if p.requires_grad and id(p) not in held
    }  # fmt: skip
    return program.Reach(sum(sizes.values()), frozen, unused, unheld)


def gradient(r: Rehearsal, work: Work) -> Check:
    """The gradient check, in float64, of as many parameters as the bound allows, first and last among them."""
    model = copy.deepcopy(r.model).double().eval().requires_grad_(True)
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.train()  # the gradient goes through its moments; its running ones are put back
    directions, entries = 2, 3
    each = 2 * (directions + entries) + 2
    rows = r.examples(min(CHECKED_ROWS, work.rows(CHECKED_ROWS, passes=4 * each)))
    affordable = work.losses(rows=2 * len(rows)) // each  # float64 takes twice the time
    if affordable < 1:
        return program.gradient((), of=0, refused="the network is too large for differences in seconds")
    inputs = rows.inputs.double() if rows.inputs.is_floating_point() else rows.inputs
    targets = rows.targets.double() if rows.targets.is_floating_point() else rows.targets
    with quietly(0):
        try:
            value = r.plain(model(inputs), targets)
            used = torch.autograd.grad(value, list(model.parameters()), allow_unused=True)
        except (RuntimeError, TypeError, ValueError) as error:
            first = str(error).partition("\n")[0]
            return program.gradient((), of=0, refused=f"the model does not run in float64 ({first[:90]})")
        names = [n for (n, _), g in zip(model.named_parameters(), used, strict=True) if g is not None]
        most = min(CHECKED_PARAMETERS, affordable)
        places = np.unique(np.linspace(max(len(names) - 1, 0), 0, min(most, len(names))).round().astype(int))
        known = dict(model.named_parameters())
        chosen = {names[place]: known[names[place]] for place in places}
        try:
            found = gradcheck.check(
                lambda: r.plain(model(inputs), targets),
                chosen,
                directions=directions,
                entries=entries,
                seed=r.spec.seed,
            )
        except (InputError, RuntimeError) as error:
            return program.gradient((), of=0, refused=str(error).partition("\n")[0])
    largest = max((max(abs(one.worst.given), abs(one.worst.measured)) for one in found.parameters), default=0.0)
    least = max(1e-8 * max(1.0, abs(found.loss)), 1e-3 * largest)  # below it, rounding and not a fault
    seen = [
        program.Gradient(
            one.parameter,
            one.ratio if one.ok or one.worst.error > least else 0.0,
            str(one.worst),
            one.kinks,
        )
        for one in found.parameters
        if one.resolved and one.defined
    ]
    if not seen:
        return program.gradient((), of=0, refused="all gradients looked at are too small for differences to tell")
    return program.gradient(seen, of=len(names))


def modes(r: Rehearsal) -> program.Modes:
    """Batch normalisation's rows, and whether evaluation is random."""
    rows = r.examples(8)
    model = copy.deepcopy(r.model).eval()
    answers = []
    for seed in (0, 1):
        with quietly(seed):
            answers.append(outputs(model, rows.inputs))
    same = torch.equal(torch.nan_to_num(answers[0]), torch.nan_to_num(answers[1]))
    norms = sum(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in r.model.modules())
    size = min(r.spec.batch_size or BATCH, r.rows)
    rest = r.rows % size
    return program.Modes(norms, size, rest or size, random=not same)


def sweep(r: Rehearsal, work: Work, blank: float) -> rates.RangeTest | None:
    """The range test of the run's own rule, batches and clipping; None where the loss is not finite, or a step too long."""
    from thalweg.search.rate import (
        NORMALISING,
        REPEATS,
        SPAN_OF_NORMALISING,
        SPAN_OF_OTHERS,
        SPANS,
        SWEEP,
        find_band,
        smooth,
    )
    from thalweg.search.rate import sweep as swept

    size = min(r.spec.batch_size or BATCH, r.rows)
    points = work.steps(rows=size, most=SWEEP * REPEATS) // REPEATS
    if points < FEWEST:
        return None
    rule = r.spec.rule if r.optimizer is None else _rule_of(r.optimizer)
    span = SPANS.get(rule, SPAN_OF_NORMALISING if rule in NORMALISING else SPAN_OF_OTHERS)
    tried = np.geomspace(*span, points)
    with quietly(r.spec.seed):
        losses = swept(lambda rate, steps=0, order=0: ShortRun(r, rate, steps, order, lambda: None), tried)
    smoothed = smooth(losses)
    try:
        band = find_band(tried, smoothed)
    except InputError:
        return None
    return rates.read(tried, losses, smoothed, band=band, blank=blank)


def _rule_of(optimizer: torch.optim.Optimizer) -> str:
    name = type(optimizer).__name__.lower()
    if name == "sgd" and optimizer.param_groups[0].get("momentum"):
        return "momentum"
    return name


def by_heart(
    r: Rehearsal, work: Work, swept: rates.RangeTest | None, earlier: Sequence[Check], began: start.Start
) -> tuple[batches.OneBatch | None, Check]:
    """One mini-batch learned by heart, or why not."""
    if not math.isfinite(began.loss):
        return None, Check("one batch", "skipped", "Not tried: the loss is not finite before training.")
    count = next((rows for rows in (BATCH, BATCH // 2, BATCH // 4) if work.steps(rows=rows, most=60) == 60), BATCH // 4)
    steps = work.steps(rows=count, most=learning.STEPS)
    if steps < FEWEST:
        return None, Check(
            "one batch", "skipped", "Not tried: a step of this network takes too long for a check in seconds."
        )
    rows = r.examples(2000)
    inputs, targets = rows.take(rows.sample(count, seed=r.spec.seed + 1))
    own = None if r.optimizer is None else r.own_rate
    given = r.spec.lr if r.optimizer is None else own
    found_rates = [] if swept is None or not swept.falls else [swept.steepest, 0.1 * swept.steepest, swept.minimum]
    tried = dict.fromkeys(([] if given is None else [given]) + found_rates + [USUAL, 10 * USUAL])
    model = copy.deepcopy(r.model)
    with quietly(0):
        out = outputs(model.eval(), inputs)
    task = r.task(out, targets)
    found = learning.one_batch(
        model, r.unregularised, r.plain, (inputs, targets), train=rows, task=task, rates=tuple(tried), given=given,
        blank=_blank(r, out, targets), steps=steps,
    )  # fmt: skip
    known = {check.name: check for check in earlier}
    asked = [known[name] for name in EXPLAINING if name in known]
    failed = [check for check in asked if check.status == "failed"]
    warned = [check for check in asked if check.status == "warned" and check.kind != "frozen_params"]
    found = replace(found, suspicions=failed + warned)
    return found, batches.judge(found)


def _blank(r: Rehearsal, out: torch.Tensor, targets: torch.Tensor) -> float:
    """The loss of the best answer without inputs on these rows; of a loss of one's own, what it starts from."""
    if r.own_loss or r.prepared is None:
        with torch.no_grad():
            return float(r.plain(out, targets))
    if r.prepared.task == "regression":
        return float(targets.double().reshape(len(targets), -1).var(0, correction=0).mean())
    shares = torch.bincount(targets.long().reshape(-1)).double() / len(targets)
    shares = shares[shares > 0]
    return max(float(-(shares * shares.log()).sum()), 0.1)  # one class alone would leave nothing to learn
