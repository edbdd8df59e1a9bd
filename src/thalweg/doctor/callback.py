"""What the callbacks of all trainers have in common: the arguments of ``thalweg.watch``, kept until training begins.

>>> callback = Callback(loss=nn.functional.cross_entropy, train=(X, y))
>>> callback.begin(model, optimizer)
>>> ...                                                          # training
>>> callback.end(None)
>>> callback.doctor.findings()
[]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from thalweg.diagnose import Finding
from thalweg.doctor.twin import Loss
from thalweg.doctor.watcher import Doctor


class Callback:
    """The arguments are those of ``thalweg.watch``. ``doctor`` is None until training begins."""

    def __init__(
        self,
        *,
        loss: Loss | None = None,
        train: Any = None,
        dev: Any = None,
        train_dev: Any = None,
        live: Callable[[Finding], None] | None = None,
        quiet: bool = False,
    ) -> None:
        super().__init__()
        self.doctor: Doctor | None = None
        self._loss, self._train, self._dev, self._train_dev = loss, train, dev, train_dev
        self._live, self._quiet = live, quiet
        self._watches = False

    def begin(self, model: torch.nn.Module, optimizer: Any, *, note: str = "") -> None:
        """Sits down beside a model and its optimizer, out of whatever a trainer has wrapped that in."""
        self.doctor = Doctor(
            model,
            getattr(optimizer, "optimizer", optimizer),
            loss=self._loss,
            train=self._train,
            dev=self._dev,
            train_dev=self._train_dev,
            live=self._live,
            quiet=self._quiet,
        )
        if note:
            self.doctor.note(note)
        self.doctor.__enter__()
        self._watches = True

    def passed(self) -> None:
        """A pass over the data has ended."""
        if self._watches and self.doctor is not None:
            self.doctor.epoch_end()

    def end(self, error: BaseException | None) -> None:
        """Training has ended, by an error or well; once."""
        if self._watches and self.doctor is not None:
            self._watches = False
            self.doctor.__exit__(type(error) if error else None, error, None)
