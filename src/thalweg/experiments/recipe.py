"""What thalweg chooses for a built-in net where the user leaves it open: widths, dropout, decay, batch size.

Few choices, by the number of rows and the kind of inputs; each comes with its reason, which the page shows.

>>> for choice in open_settings(spec, rows=265, features=10, image=False): print(choice)
Choice(what='hidden', value='64 64', why='265 training rows')
…
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from thalweg.experiments.own_module import is_own
from thalweg.experiments.spec import Spec

FEW_ROWS = 1000
MANY_INPUTS = 256


@dataclass(frozen=True)
class Choice:
    """Something thalweg decided by itself: the setting, its value as text, and why."""

    what: str
    value: str
    why: str


def open_settings(spec: Spec, *, rows: int, features: int, image: bool) -> tuple[dict[str, Any], list[Choice]]:
    """Values for the settings that the spec leaves open, and the choices to report."""
    from thalweg.data import auto_batch_size

    few = rows < FEW_ROWS and not image
    said = f"{rows:,} training rows"
    wanted: list[tuple[str, Any, str]] = [("batch_size", auto_batch_size(rows), said)]
    if not is_own(spec.model):
        hidden = [64, 64] if few else [256, 128] if features >= MANY_INPUTS else [128, 128]
        wanted.append(("hidden", hidden, f"{said} with {features:,} inputs each"))
        if few:
            small = f"only {said}: a deep net alone would fit their noise"
            wanted += [("skip", True, small), ("dropout", 0.5, small)]
            if spec.rule == "adamw":
                wanted.append(("weight_decay", 0.3, small))
        else:
            wanted += [("skip", False, ""), ("dropout", 0.0, "")]
    values, choices = {}, []
    for name, value, why in wanted:
        if getattr(spec, name) is None:
            values[name] = value
            if why:
                text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
                choices.append(Choice(name, text, why))
    return values, choices
