"""The doctor in Lightning: a callback that watches ``fit``.

>>> from thalweg.doctor.lightning import DoctorCallback
>>> callback = DoctorCallback(loss=nn.functional.cross_entropy, train=(X, y), dev=(X_dev, y_dev))
>>> trainer = lightning.Trainer(callbacks=[callback])
>>> trainer.fit(module, loader)
>>> callback.doctor.findings()
[]

It watches the module itself where that defines ``forward``, else its largest part; ``module="net"`` names another. Of several
optimizers the first is watched; ``optimizer=1`` names another. ``DoctorCallback`` derives from the ``Callback`` of
``lightning`` or ``pytorch_lightning``, whichever the program has imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch

from thalweg.diagnose import Finding
from thalweg.doctor.twin import Loss
from thalweg.doctor.watcher import Doctor
from thalweg.errors import InputError

PACKAGES = ("lightning.pytorch", "pytorch_lightning")


class Watching:
    """What the callback does, whichever package it is for. ``doctor`` is None until training begins."""

    def __init__(
        self,
        *,
        loss: Loss | None = None,
        train: Any = None,
        dev: Any = None,
        train_dev: Any = None,
        module: str = "",
        optimizer: int = 0,
        live: Callable[[Finding], None] | None = None,
        quiet: bool = False,
    ) -> None:
        """``loss``, ``train``, ``dev``, ``train_dev``, ``live``, ``quiet`` are those of ``thalweg.watch``."""
        super().__init__()
        self.doctor: Doctor | None = None
        self._loss, self._train, self._dev, self._train_dev = loss, train, dev, train_dev
        self._module, self._optimizer, self._live, self._quiet = module, optimizer, live, quiet
        self._watches = False

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        optimizers = trainer.optimizers
        if not self._optimizer < len(optimizers):
            raise InputError(f"optimizer is {self._optimizer}, and the module has {len(optimizers)}: count from 0")
        self.doctor = Doctor(
            self._chosen(pl_module),
            getattr(optimizers[self._optimizer], "optimizer", optimizers[self._optimizer]),
            loss=self._loss,
            train=self._train,
            dev=self._dev,
            train_dev=self._train_dev,
            live=self._live,
            quiet=self._quiet,
        )
        if len(optimizers) > 1:
            self.doctor.note(
                f"of {len(optimizers)} optimizers, number {self._optimizer} is watched: optimizer= names another"
            )
        self.doctor.__enter__()
        self._watches = True

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if self._watches and self.doctor is not None:
            self.doctor.epoch_end()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self._end(None)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self._end(exception)

    def _end(self, error: BaseException | None) -> None:
        if self._watches and self.doctor is not None:
            self._watches = False
            self.doctor.__exit__(type(error) if error else None, error, None)

    def _chosen(self, pl_module: torch.nn.Module) -> torch.nn.Module:
        if self._module:
            try:
                return pl_module.get_submodule(self._module)
            except AttributeError as error:
                raise InputError(
                    f'module is "{self._module}", and {type(pl_module).__name__} has no such part'
                ) from error
        own = type(pl_module).forward
        parts = {part: sum(p.numel() for p in part.parameters()) for part in pl_module.children()}
        if own.__module__.split(".")[0] not in ("lightning", "pytorch_lightning", "torch") or not any(parts.values()):
            return pl_module
        return max(parts, key=lambda part: parts[part])


@cache
def callback_class() -> type:
    """``DoctorCallback`` for the packages the program uses. Raises ``InputError`` where there is none."""
    names = (
        [name for name in PACKAGES if name in sys.modules]
        or [name for name in PACKAGES[:1] if find_spec("lightning")]
        or [name for name in PACKAGES[1:] if find_spec("pytorch_lightning")]
    )
    if not names:
        raise InputError("Lightning is not installed: pip install lightning")
    bases = [import_module(name).Callback for name in names]
    return type("DoctorCallback", (Watching, *bases), {"__doc__": Watching.__doc__, "__module__": __name__})


def __getattr__(name: str) -> Any:
    if name == "DoctorCallback":
        return callback_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
