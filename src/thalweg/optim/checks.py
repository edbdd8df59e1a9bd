"""What a parameter group may hold: PyTorch's own checks in PyTorch's words, and one sentence for everything else.

A group is looked at when an optimizer is made, when a group is added and when a number in it has changed.
"""

from __future__ import annotations

import math
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg.errors import InputError
from thalweg.optim.scheduled import scheduled

if TYPE_CHECKING:
    from thalweg.optim.optimizer import Optimizer

ENGINES = ("auto", "cpu", "gpu", "reference")
POSITIVE = ("clip_norm", "clip_tensor_norm", "clip_adaptive", "clip_value")
WORDS: dict[str, tuple[str | None, ...]] = {
    "decay": ("all", "matrices"),
    "state_dtype": (None, "float32", "bfloat16", "8bit"),
}
NUMBERS = ("lr", "l1", "weight_decay", "eps")


def check_engine(engine: str, owner: str) -> None:
    """Raises ``InputError`` for an engine that does not exist."""
    if engine not in ENGINES:
        raise InputError(f'{owner}: there is no engine "{engine}": choose {", ".join(ENGINES[:-1])} or {ENGINES[-1]}')


def check(group: dict[str, Any], defaults: dict[str, Any], kind: type[Optimizer]) -> None:
    """Raises for what cannot be: ``ValueError`` with PyTorch's words where it checks, ``InputError`` elsewhere.

    ``defaults`` say which keys hold a number; the class, which hold several, and between what bounds its own ones lie.
    """
    owner, parts = kind.__name__, list(kind.renamed.values())
    many = {
        key: 1 + max(at for k, at in parts if k == key and at is not None) for key, index in parts if index is not None
    }
    values = {name: scheduled(value) for name, value in group.items() if name not in ("params", "param_names")}
    if isinstance(values.get("lr"), torch.Tensor) and values["lr"].numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    for name, value in values.items():
        _check_kind(name, value, scheduled(defaults.get(name)), many.get(name, 2 if name == "swa" else 0), owner)
    for name, words in (("lr", "learning rate"), ("eps", "epsilon value"), ("weight_decay", "weight_decay value")):
        if name in values and not values[name] >= 0.0:
            raise ValueError(f"Invalid {words}: {values[name]}")
    for name, (low, high) in kind.ranges.items():
        if name in values and not low <= values[name] <= high:
            raise ValueError(f"Invalid {name} value: {values[name]}")
    for index, beta in enumerate(values.get("betas", ())):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {index}: {beta}")
    for name in POSITIVE:
        if values.get(name) is not None and not values[name] > 0.0:
            raise InputError(f"{name} = {values[name]} must be above 0; None leaves the gradient alone")
    if not values.get("l1", 0.0) >= 0.0:
        raise InputError(f"l1 = {values['l1']} must be at least 0")
    _check_averages(values.get("ema"), values.get("swa"))
    for name, choices in WORDS.items():
        if values.get(name, choices[0]) not in choices:
            shown = ", ".join("None" if choice is None else f'"{choice}"' for choice in choices)
            raise InputError(f"{owner}: {name} = {values[name]!r} is none of {shown}")


def _check_averages(ema: Any, swa: Any) -> None:
    if ema is not None and not 0.0 <= ema < 1.0:
        raise InputError(f"ema = {ema} must be at least 0 and below 1, such as 0.999; None keeps no average")
    if swa is not None and not (swa[0] >= 1 and swa[1] >= 1):
        raise InputError(f"swa = {swa!r} must be (first step, every so many steps), both at least 1")
    if ema is not None and swa is not None:
        raise InputError("ema and swa are two averages of the same weights: choose one")


def _check_kind(name: str, value: Any, default: Any, many: int, owner: str) -> None:
    """A number where a number belongs, as many as there belong."""
    if many:
        if value is None and name == "swa":
            return
        if not isinstance(value, (tuple, list)) or len(value) != many or not all(map(_is_number, value)):
            raise InputError(f"{owner}: {name} = {value!r} must be {many} numbers")
    elif name in (*POSITIVE, "ema"):
        if value is not None and not _is_number(value):
            raise InputError(f"{owner}: {name} = {value!r} must be a number or None")
    elif not _is_number(value) and (name in NUMBERS or (_is_number(default) and not isinstance(default, bool))):
        raise InputError(f"{owner}: {name} = {value!r} must be a number")


def _is_number(value: Any) -> bool:
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return bool(math.prod(value.shape) == 1)
    return isinstance(value, Number) and not isinstance(value, complex)


__all__ = ["check", "check_engine"]
