"""A run that nobody sat beside: its first steps are made again under the tape, its recorded end is put in their place.

>>> record = Record(steps=1700, epochs=50, rates=((1, 1e-4), (2, 2e-4)), end=weights)
>>> doctor = revisit(model, optimizer, first_steps, record, loss=loss, train=(X, y), dev=(X_dev, y_dev))
>>> [finding.kind for finding in doctor.findings()]
['lr_too_high']

The tests then try their suspicions on copies of the start and of the end, as beside a loop that has just ended. What only
a watcher of every step could have seen (a gradient nobody cleared at step 900) stays unseen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from thalweg.doctor.tape import State
from thalweg.doctor.twin import Loss
from thalweg.doctor.watcher import Doctor


@dataclass(frozen=True)
class Record:
    """What a run left behind. ``rates``: (step from 1, learning rate) wherever one was written down, in order.

    ``end``: the weights it ended with, by the names of the model's state. ``first_bad``: the first step whose loss was not
    finite, or −1.
    """

    steps: int
    epochs: int
    rates: tuple[tuple[int, float], ...]
    end: State
    first_bad: int = -1


def revisit(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    first_steps: Callable[[], object],
    record: Record,
    *,
    loss: Loss,
    train: Any,
    dev: Any = None,
) -> Doctor:
    """Sits beside ``first_steps``, which trains ``model`` for a few steps, and examines the run that began so.

    The model is left with the weights of the recorded end. ``loss``, ``train`` and ``dev`` are as in ``thalweg.watch``.
    """
    doctor = Doctor(model, optimizer, loss=loss, train=train, dev=dev, train_dev=None, quiet=True)
    with doctor:
        first_steps()
        tape = doctor._tape
        assert tape is not None
        made = tape.steps
        tape.steps, tape.first_bad = record.steps, record.first_bad
        groups = len(optimizer.param_groups)
        tape.rates += [(step, [rate] * groups) for step, rate in record.rates if step > made]
        model.load_state_dict(record.end, strict=False)
        for _ in range(record.epochs):
            doctor.epoch_end()
    return doctor
