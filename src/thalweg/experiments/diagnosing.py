"""What is wrong with a run of thalweg's own, finished or not: from its history, and from causal tests on the run rebuilt.

>>> diagnosis = diagnose_run("runs/digits-1")
>>> diagnosis.findings[0].kind, diagnosis.findings[0].remedy
('lr_too_high', 'Lower the learning rate tenfold; warm it up or let it fall. Here: lr = 0.01.')
>>> diagnose_run("runs/digits-1", recorded=True).tested                 # the history alone, in a second
False

Seed and spec fix the data's parts, the first weights and the order of the rows, so a run need not be trained again: its
first steps are made anew with the doctor beside them, the recorded rates, length and weights take the place of the rest,
and the doctor tries what it suspects on copies (``doctor.replay``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from thalweg.errors import InputError
from thalweg.experiments.assemble import assemble
from thalweg.experiments.build import build_device
from thalweg.experiments.experiment import Experiment
from thalweg.experiments.findings import steps_made, write_findings
from thalweg.experiments.folder import Folder
from thalweg.experiments.spec import Spec
from thalweg.experiments.threads import threads
from thalweg.experiments.watcher import Silent, Watcher
from thalweg.history import History
from thalweg.train import Autograd, Hook, State, Weighted, train

if TYPE_CHECKING:
    from thalweg.diagnose import Finding, Verdict
    from thalweg.doctor.replay import Record

FIRST = 32
"""Steps made again: as far as the tape looks closely."""
AT_MOST = 1.0
"""What the tests cost at most, in times of the run's own steps (``doctor.budget``)."""
LONGEST = 4500
"""Steps that all tests make together at most, for none is longer than 1000."""
WEIGHTS = "The weights of the rows are left out in the tests: each row counts the same there."
GROUPS = "weight decay"
"""Where a remark on the optimizer's parameter groups stands: those of a run are ours, and no setting changes them."""
PROBES = 2.0
"""Seconds for what is looked at without a step: kernels, gradients, rows."""


@dataclass(frozen=True)
class Diagnosis:
    """``findings``, likeliest cause first, none for a healthy run; ``notes``: remarks below that.

    ``tested``: whether causal tests were made. ``content`` is what ``findings.json`` holds.
    """

    folder: Folder
    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...]
    tested: bool
    content: Mapping[str, Any]


def diagnose_run(
    run: str | Path, *, runs: str | Path = "runs", recorded: bool = False, watcher: Watcher | None = None
) -> Diagnosis:
    """Examines a run, writes ``findings.json`` into its folder and makes its page anew.

    With ``recorded`` the history alone is read, and what tests have found of the run stays.
    Raises ``InputError`` where there is no such run, or its data or code have changed since.
    """
    from thalweg.experiments.page import write_page

    folder, onlooker = Folder.open(run, runs), watcher or Silent()
    spec = Spec.read(folder.spec)
    if spec.folds is not None:
        raise InputError(
            f"the run {folder.path} is a cross-validation, which has no one course to examine: train without folds"
        )
    if not folder.history.exists():
        raise InputError(f"the run {folder.path} has no history yet: it did not get that far")
    history = History.read(folder.history)
    if recorded:
        verdict = _judged(folder, spec, history)
    else:
        verdict = _tested(folder, spec, history, onlooker)
    chosen = chosen_by_us(folder)
    verdict = replace(
        verdict,
        findings=tuple(_with_change(finding, spec, chosen) for finding in verdict.findings),
        notes=tuple(note for note in verdict.notes if note.where != GROUPS),
    )
    content = write_findings(folder, verdict, history, tested=not recorded)
    write_page(folder)
    return Diagnosis(folder, verdict.findings, verdict.notes, not recorded, content)


def chosen_by_us(folder: Folder) -> frozenset[str]:
    """The settings of a run that were left to thalweg."""
    result = folder.read_json(folder.result) if folder.result.exists() else {}
    return frozenset(choice["what"] for choice in result.get("choices", []))


def _with_change(finding: Finding, spec: Spec, chosen: frozenset[str]) -> Finding:
    """The finding with the change of the spec that comes first among its remedies."""
    from thalweg.diagnose.remedies import remedies, words

    changes = remedies(finding.kind, spec.model_dump(), evidence=finding.evidence, chosen=chosen)
    return replace(finding, remedy=f"{finding.remedy} Here: {words(changes[0])}.") if changes else finding


def _judged(folder: Folder, spec: Spec, history: History, said: Sequence[str] = ()) -> Verdict:
    from thalweg import diagnose
    from thalweg.experiments.page import facts_of

    result = folder.read_json(folder.result) if folder.result.exists() else {}
    return diagnose.examine(history, facts_of(spec, result), said)


def _tested(folder: Folder, spec: Spec, history: History, watcher: Watcher) -> Verdict:
    from thalweg.doctor.replay import revisit

    steps = steps_made(history)
    if spec.lr is None or steps == 0:
        raise InputError(f"the run {folder.path} has made no step yet: there is nothing to test; let it train first")
    with threads(spec.threads), torch.random.fork_rng():
        experiment = _rebuilt(folder, spec)
        optimizer, regularisers = experiment.build_optimizer(experiment.model, lr=spec.lr)
        objective, parts = experiment.objective, experiment.parts
        weighted = isinstance(objective, Weighted)
        # The tests know of no weights of rows, so the steps that they are held against are made without them, too.
        loss: Any = objective.objective if isinstance(objective, Weighted) else objective
        pairs = [(inputs, experiment.truth(targets)) for inputs, targets in (parts.train, parts.dev)]
        losses: list[float] = []

        def first_steps() -> None:
            watcher.stage(f"making the first {min(FIRST, steps)} of {steps:,} steps again")
            torch.manual_seed(spec.seed + 1)  # as ``conduct`` does
            begin = time.perf_counter()
            hooks = (*regularisers, _Recorded(history, losses, last=min(FIRST, steps)))
            gradients = Autograd(experiment.model, lambda outputs, targets: loss(outputs, experiment.truth(targets)))
            train(experiment.model, optimizer, gradients, experiment.batches, epochs=spec.epochs, hooks=hooks)
            each = (time.perf_counter() - begin) / max(len(losses), 1)
            seconds = PROBES + each * min(AT_MOST * steps, LONGEST)
            watcher.stage(f"testing causes on copies, at most about {seconds:.0f} s")

        doctor = revisit(
            experiment.model,
            optimizer,
            first_steps,
            _record(folder, history, experiment, steps),
            loss=loss,
            train=pairs[0],
            dev=pairs[1],
        )
    said = [note.sentence for note in doctor.notes() if note.kind == "note"]
    said += [WEIGHTS] if weighted else _otherwise(history, losses)
    return _judged(folder, spec, _joined(history, doctor.history), said)


def _joined(recorded: History, tests: History) -> History:
    """One history of both: what the run wrote down, what the tests did, and at the end the losses of the final weights."""
    joined = History()
    for source in (recorded, tests):
        for name in source.columns:
            steps, values = source.column(name)
            known = source is tests and name in recorded
            if known and name not in ("train/loss", "dev/loss"):
                continue
            for step, value in list(zip(steps.tolist(), values.tolist(), strict=True))[-1 if known else 0 :]:
                joined.record(step, {name: value})
    return joined


def _rebuilt(folder: Folder, spec: Spec) -> Experiment:
    """The run before its first step."""
    from thalweg.experiments.parts import prepare
    from thalweg.experiments.reading import read

    data = read(spec)
    result = folder.read_json(folder.result) if folder.result.exists() else {}
    if result.get("fingerprint", data.fingerprint) != data.fingerprint:
        raise InputError(
            f"the data {spec.data} have changed since the run {folder.path}: only its history can be read, with --recorded"
        )
    device = build_device(spec.device)
    silent = Silent()
    return assemble(spec, prepare(data, spec, device=device), watcher=silent, device=device)


def _record(folder: Folder, history: History, experiment: Experiment, steps: int) -> Record:
    from thalweg.doctor.replay import Record

    rates = history.column("lr")
    losses = history.column("batch/loss")
    bad = [int(step) for step, value in zip(losses.steps, losses.values, strict=True) if not math.isfinite(value)]
    return Record(
        steps=steps,
        epochs=int(history.last("epoch", 0.0)),
        rates=tuple((int(step), float(rate)) for step, rate in zip(rates.steps, rates.values, strict=True)),
        end=_weights(folder, experiment.model),
        first_bad=bad[0] if bad else -1,
    )


def _weights(folder: Folder, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights a run ended with: those it hands out, else its last checkpoint's; where there is none, the first ones."""
    from safetensors.torch import load_file

    if folder.model.exists():
        return load_file(folder.model)
    if folder.checkpoint.exists():
        saved: dict[str, torch.Tensor] = torch.load(folder.checkpoint, map_location="cpu", weights_only=True)["model"]
        return saved
    if folder.result.exists() and folder.read_json(folder.result)["status"] == "finished":
        raise InputError(
            f"the weights of the run {folder.path} are gone ({folder.model.name}): only the history can be read: --recorded"
        )
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


class _Recorded(Hook):
    """Steps at the recorded rates, as far as ``last``."""

    def __init__(self, history: History, losses: list[float], *, last: int) -> None:
        rates = history.column("lr")
        self.rates = dict(zip(rates.steps.tolist(), rates.values.tolist(), strict=True))
        self.losses, self.last = losses, last

    def on_gradient(self, state: State) -> None:
        self.losses.append(float(state.loss))
        for group in state.optimizer.param_groups:
            group["lr"] = self.rates.get(state.step + 1, group["lr"])

    def on_step(self, state: State) -> None:
        if state.step >= self.last:
            state.stop = "as far as the doctor looks"


def _otherwise(history: History, losses: list[float]) -> list[str]:
    """Whether the first loss came out as recorded: if not, this is not the run that was trained."""
    recorded = history.column("batch/loss").values
    if not len(recorded) or not losses or not math.isfinite(recorded[0]):
        return []
    if abs(losses[0] - recorded[0]) <= 1e-2 * abs(recorded[0]):
        return []
    return [
        f"The first step came out otherwise than recorded (loss {losses[0]:.4g}, then {recorded[0]:.4g}): code, versions or "
        f"the machine have changed, so the tests are those of a run like this one."
    ]
