"""A case before the first step: the doctor's probes without a run.

>>> case = before(model, optimizer, loss=loss, train=Examples.of((X, y), "train"))
>>> case.steps, case.history.last("head/softmax")
(0, 1.0)
>>> [finding.kind for finding in named(case)]
['wrong_activation']

The weights at the start are those at the end, so what a probe says of either is said of the start. Nothing is tried: that
is for a run. Model and optimizer stay as they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import torch

from thalweg.diagnose import Finding, examine
from thalweg.doctor.case import Case, progress
from thalweg.doctor.data_probe import data
from thalweg.doctor.examples import Examples
from thalweg.doctor.head_probe import head
from thalweg.doctor.start_probe import layers
from thalweg.doctor.tape import Tape
from thalweg.doctor.task import Task
from thalweg.doctor.twin import Loss, Twin, outputs, quietly
from thalweg.history import History

PROBES: tuple[Callable[[Case], None], ...] = (data, progress, head, layers)
WIDEST = 4096
"""Inputs a row beyond which rows are not looked at column by column."""


def before(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, *, loss: Loss, train: Examples
) -> tuple[Case, tuple[str, ...]]:
    """The case with every number the probes write, and sentences of what could not be examined."""
    history, said = History(), list[str]()
    with quietly(0), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a crafted question may make a loss warn
        twin = Twin.of(model, optimizer)
        tape = Tape(model, optimizer, history)
        tape.close()
        inputs, _ = train.take(train.sample(64))
        task = Task.of(outputs(twin.at(None), inputs), train.targets)
        case = Case(history, tape, twin, tape.snapshots[0], loss, train, None, None, task)
        wide = int(torch.as_tensor(train.inputs[0]).numel()) if isinstance(train.inputs, torch.Tensor) else 0
        for probe in PROBES:
            if probe is data and wide > WIDEST:
                continue
            try:
                probe(case)
            except Exception as error:  # one question that cannot be asked of a model leaves the others
                said.append(f"{probe.__name__}: {type(error).__name__}: {error}")
    return case, tuple(said)


def named(case: Case, kinds: Sequence[str] = ()) -> list[Finding]:
    """What the causes say to it, findings first and then remarks, those of ``kinds`` alone where some are given."""
    verdict = examine(case.history)
    return [finding for finding in (*verdict.findings, *verdict.notes) if not kinds or finding.kind in kinds]
