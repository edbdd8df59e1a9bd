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
from thalweg.doctor.callback import Callback
from thalweg.doctor.twin import Loss
from thalweg.errors import InputError

PACKAGES = ("lightning.pytorch", "pytorch_lightning")


class Watching(Callback):
    """``loss``, ``train``, ``dev``, ``train_dev``, ``live``, ``quiet`` are those of ``thalweg.watch``."""

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
        super().__init__(loss=loss, train=train, dev=dev, train_dev=train_dev, live=live, quiet=quiet)
        self._module, self._optimizer = module, optimizer

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        optimizers, chosen = trainer.optimizers, self._optimizer
        if not chosen < len(optimizers):
            raise InputError(f"optimizer is {chosen}, and the module has {len(optimizers)}: count from 0")
        several = f"of {len(optimizers)} optimizers, number {chosen} is watched: optimizer= names another"
        self.begin(self._chosen(pl_module), optimizers[chosen], note=several if len(optimizers) > 1 else "")

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.passed()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self.end(None)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self.end(exception)

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
