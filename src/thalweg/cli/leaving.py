"""The last words of a command: one line of JSON where asked for, and a status that says that all has been said.

>>> print_object({"run": "runs/digits-1", "r2": float("nan")})
{"run": "runs/digits-1", "r2": null}
>>> raise Told(130)
"""

from __future__ import annotations

import json
import math
from typing import Any


class Told(SystemExit):
    """Leaves with a status after the JSON object has been printed."""


def print_object(value: dict[str, Any]) -> None:
    """One line of JSON. It has no word for NaN (R² where all targets are equal): null."""
    print(json.dumps(_without_nan(value), ensure_ascii=False, allow_nan=False))


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
