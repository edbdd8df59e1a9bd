"""What thalweg chooses for a built-in net where the user leaves it open: widths, dropout, decay, batch size.

Few choices, by the number of rows and the kind of inputs; each comes with its reason, which the page shows.

>>> values, choices = open_settings(spec, rows=265, features=10, image=False, task="regression", built_in=True)
>>> values["hidden"], values["dropout"]
([64, 64], [0.5])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from thalweg.experiments.spec import Spec

FEW_ROWS, SOME_ROWS = 1000, 10_000
MANY_INPUTS = 256


@dataclass(frozen=True)
class Choice:
    """Something thalweg decided by itself: the setting, its value as text, and why."""

    what: str
    value: str
    why: str


def open_settings(
    spec: Spec, *, rows: int, features: int, image: bool, task: str, built_in: bool
) -> tuple[dict[str, Any], list[Choice]]:
    """Values for the settings that the spec leaves open, and the choices to report."""
    from thalweg.data import auto_batch_size

    said = f"{rows:,} training rows"
    watch = "loss" if task == "regression" else "accuracy"
    wanted: list[tuple[str, Any, str]] = [
        ("batch_size", auto_batch_size(rows), said),
        ("watch", watch, f"what counts for {task}; ties go to the lower loss"),
    ]
    if built_in and spec.model == "mlp":
        wanted += _for_mlp(spec, rows, features, image, said)
    if built_in and spec.model == "resnet" and spec.rule == "adamw" and spec.l2 is None and spec.l1 is None:
        wanted.append(("weight_decay", 0.05, "a convolutional net fits any training part"))
    values, choices = {}, []
    for name, value, why in wanted:
        if getattr(spec, name) is None:
            values[name] = value
            if why:
                text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
                choices.append(Choice(name, text, why))
    return values, choices


def _for_mlp(spec: Spec, rows: int, features: int, image: bool, said: str) -> list[tuple[str, Any, str]]:
    few = rows < FEW_ROWS and not image
    hidden = [64, 64] if few else [256, 128] if features >= MANY_INPUTS else [128, 128]
    wanted: list[tuple[str, Any, str]] = [("hidden", hidden, f"{said} with {features:,} inputs each")]
    if few:
        small = f"only {said}: a deep net alone would fit their noise"
        wanted += [("skip", True, small), ("dropout", [0.5], small)]
        if spec.rule == "adamw" and spec.l2 is None and spec.l1 is None:
            wanted.append(("weight_decay", 1.0, small))
    else:
        wanted += [
            ("skip", False, ""),
            ("dropout", [0.3] if rows < SOME_ROWS else [0.0], said if rows < SOME_ROWS else ""),
        ]
    return wanted
