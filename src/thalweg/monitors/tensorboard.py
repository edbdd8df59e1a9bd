"""A history in TensorBoard: every number as a scalar under its own name, at its own step.

>>> to_tensorboard(history, "runs/one")                          # then: tensorboard --logdir runs
>>> to_tensorboard(history, writer, texts={"note": "the second try"})
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thalweg.errors import InputError
from thalweg.history import History


def to_tensorboard(history: History, target: Any, *, texts: Mapping[str, str] | None = None) -> None:
    """Writes to a folder, or through a ``SummaryWriter`` of yours (which stays open). ``texts`` by name, in Markdown.

    Raises ``InputError`` where TensorBoard is not installed.
    """
    if not isinstance(target, str | Path):
        _write(history, target, texts or {})
        return
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError as error:
        raise InputError("TensorBoard is not installed: pip install tensorboard") from error
    with SummaryWriter(str(target)) as writer:
        _write(history, writer, texts or {})


def _write(history: History, writer: Any, texts: Mapping[str, str]) -> None:
    for name in history.columns:
        for step, value in zip(*history.column(name), strict=True):
            writer.add_scalar(name, float(value), int(step))
    for name, text in texts.items():
        writer.add_text(name, text)
