"""The settings of ``Spec`` as keywords of a function, with their types.

``Spec`` says what each means and checks it; a test holds the two to the same names and types.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypedDict

Scaling = Literal["standard", "robust", "quantile", "none"]


class Settings(TypedDict, total=False):
    """What ``thalweg.fit`` and the estimators take beside model and data; all have the defaults of ``Spec``."""

    target: str | None
    task: Literal["binary", "multiclass", "regression"] | None
    delimiter: str | None
    drop: list[str] | None
    split: list[float] | None
    class_weights: Literal["balanced"] | list[float] | None
    scale: Scaling
    scale_target: Scaling
    augment: list[str] | str | None
    monitors: list[str] | str | None
    model_options: dict[str, Any]
    hidden: list[int] | None
    activation: str
    depth: int | None
    width: int | None
    residual: bool
    skip: bool | None
    norm: Literal["batch", "layer"] | None
    init: str | None
    pretrain: bool
    pretrain_epochs: int
    dropout: list[float] | float | None
    input_dropout: float
    label_smoothing: float
    l2: float | None
    l1: float | None
    max_norm: float | None
    rule: str
    options: dict[str, Any]
    lr: float | None
    weight_decay: float | None
    clip_norm: float | None
    schedule: str
    warmup: float
    epochs: int
    batch_size: int | None
    patience: int
    watch: str | None
    min_gain: float
    seed: int
    device: str
    precision: Literal["float32", "bfloat16"]
    threads: int | None


def check_keywords(function: str, names: Iterable[str]) -> None:
    """Raises ``TypeError``, as Python does, for a keyword that is no setting of ``function``."""
    unknown = set(names) - set(Settings.__annotations__)
    if unknown:
        raise TypeError(f"{function}() got an unexpected keyword argument {min(unknown)!r}")
