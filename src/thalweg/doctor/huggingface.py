"""The doctor in Hugging Face's ``Trainer``: a callback that watches ``train``.

>>> from thalweg.doctor.huggingface import DoctorCallback
>>> callback = DoctorCallback()
>>> trainer = transformers.Trainer(model, arguments, train_dataset=rows, callbacks=[callback])
>>> trainer.train()
>>> callback.doctor.findings()
[]

With data it says more. Inputs are a dict of what the model is called with; the loss is that of the outputs (logits):

>>> DoctorCallback(loss=nn.functional.cross_entropy, train=({"input_ids": ids, "attention_mask": mask}, y))
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from thalweg.doctor.callback import Callback
from thalweg.doctor.keywords import Keywords
from thalweg.doctor.watcher import unwrapped
from thalweg.errors import InputError


class Watching(Callback):
    """The arguments are those of ``thalweg.watch``. ``doctor`` is None until training begins."""

    def on_train_begin(self, args: Any, state: Any, control: Any, *, model: Any, optimizer: Any, **_: Any) -> None:
        self.begin(Keywords(unwrapped(model)), optimizer)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.passed()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.end(None)


@cache
def callback_class() -> type:
    """``DoctorCallback``. Raises ``InputError`` where transformers is not installed."""
    if not find_spec("transformers"):
        raise InputError('Hugging Face transformers is not installed: pip install "transformers[torch]"')
    base = import_module("transformers").TrainerCallback
    return type("DoctorCallback", (Watching, base), {"__doc__": Watching.__doc__, "__module__": __name__})


def __getattr__(name: str) -> Any:
    if name == "DoctorCallback":
        return callback_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
