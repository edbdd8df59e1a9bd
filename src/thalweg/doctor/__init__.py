"""The doctor in anyone's loop: why does it not train, or train no better?

>>> with thalweg.watch(model, optimizer, loss=loss, train=(X, y), dev=(X_dev, y_dev)) as doctor:
...     for epoch in range(epochs):
...         ...                                     # your own steps
...         doctor.epoch_end()                      # optional
>>> for finding in doctor.findings():
...     finding.kind, finding.where, finding.evidence, finding.confidence, finding.remedy

A healthy run has no findings:

>>> doctor.findings()
[]

What is plain to see is said while the loop still goes, once, by the logger ``thalweg.doctor``. ``doctor.page("doctor.html")``
writes it all as a page, ``doctor.to_tensorboard("runs/one")`` for TensorBoard. ``doctor.lightning`` and ``doctor.huggingface``
have a callback each. A compiled or parallel model is given as the loop calls it. An error or Ctrl-C in the loop passes through
at once: what the tape has is judged, nothing is tried, and ``doctor.examine()`` does that if you want it.

Three steps. ``tape`` listens: a few numbers a step, weights at the steps 1, 2, 4, …. When the loop has ended, the probes
look at what was kept: activations and gradients at the start and the end, the loss's answer to ideal outputs, the order of
the rows, a gradient check in float64, what kernel ridge regression makes of the same rows; and they try the suspicions on
copies: a tenth of the rate, ten times the rate, standardised inputs, other weights, more steps, no regularisation. All of
it is numbers in one ``History``; ``thalweg.diagnose.verdict`` reads them and says what is wrong. The probes make about as
many steps as the run itself, once, at the end.

The model, the optimizer, the data and the random state are left as they were; a loop runs to the same bits with a doctor
beside it and without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from thalweg.diagnose import Finding
from thalweg.doctor.twin import Loss
from thalweg.doctor.watcher import Doctor

__all__ = ["Doctor", "watch"]


def watch(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    loss: Loss | None = None,
    train: Any = None,
    dev: Any = None,
    train_dev: Any = None,
    live: Callable[[Finding], None] | None = None,
    quiet: bool = False,
) -> Doctor:
    """A doctor for one training run, to be used as a context manager around the loop.

    ``loss(model(X), y)`` is how the loss is called. ``train``, ``dev``, ``train_dev``: pairs ``(X, y)`` of arrays or tensors
    as the model and the loss take them; ``train_dev`` is held out from the training distribution where ``dev`` is from
    another. All are optional; more evidence with them. Findings are logged as they arise (logger ``thalweg.doctor``, which is
    stderr where nobody set up logging), once each, unless ``quiet``; ``live`` is called with them. Raises ``InputError`` for
    what is no such pair.
    """
    return Doctor(model, optimizer, loss=loss, train=train, dev=dev, train_dev=train_dev, live=live, quiet=quiet)
