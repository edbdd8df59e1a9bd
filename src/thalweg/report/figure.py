"""A chart as plain data: what is drawn, without its looks.

A figure is a Plotly figure whose colours are names of the style sheet (``--train``), so that one figure serves light and
dark; fonts, margins and grids are ``page.js``'s business.

>>> line("dev", column, column.steps, "--dev")["line"]["color"]
'--dev'
>>> Figure("loss", "Loss", "The dev loss is lowest at epoch 18.", [line(…)], {"xaxis": axis("epoch")})
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thalweg.history import Column
from thalweg.report.markup import number

LAYER_COLOURS = 8
"""Steps of the style sheet's scale from first layer to last, ``--layer-0`` …"""


@dataclass(frozen=True)
class Figure:
    """A chart: Plotly's ``data`` and ``layout``, and the ``caption`` (HTML) that says what to see."""

    key: str
    title: str
    caption: str
    data: list[dict[str, Any]]
    layout: dict[str, Any] = field(default_factory=dict)
    height: int = 320


def plain(value: object) -> str:
    """Text that a chart shows as it is: Plotly takes ``<b>`` or ``<a href=…>`` in its labels for markup."""
    return html.escape(str(value), quote=False)


def line(name: str, column: Column, x: np.ndarray, colour: str, **style: Any) -> dict[str, Any]:
    """One curve."""
    return {
        "type": "scatter", "mode": style.pop("mode", "lines"), "name": plain(name), "x": x, "y": column.values,
        "line": {"color": colour, "width": style.pop("width", 2), "dash": style.pop("dash", "solid")}, **style,
    }  # fmt: skip


def axis(title: str, *, log: bool = False, values: np.ndarray | None = None, **more: Any) -> dict[str, Any]:
    """An axis; a logarithmic one has a tick for each decade, for fewer where ``values`` span many."""
    if not log:
        return {"title": {"text": title}, **more}
    decades = 1
    if values is not None and (positive := values[np.isfinite(values) & (values > 0)]).size:
        decades = max(1, math.ceil(math.log10(positive.max() / positive.min()) / 6))
    return {"title": {"text": title}, "type": "log", "dtick": decades, "exponentformat": "e"} | more


def decades(values: np.ndarray) -> dict[str, Any]:
    """Ticks of a logarithmic axis: of few decades 1, 2 and 5 of each, written out (Plotly would write 0.2 as 2)."""
    positive = values[np.isfinite(values) & (values > 0)]
    if not positive.size or positive.max() > 100 * positive.min():
        return {"dtick": 1}
    low, high = float(positive.min()), float(positive.max())
    several = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    shown = [
        lead * 10.0**decade
        for decade in several
        for lead in (1, 2, 5)
        if low / 1.5 <= lead * 10.0**decade <= 1.5 * high
    ]
    return {"tickvals": shown, "ticktext": [number(value, digits=2) for value in shown]}


def spread(values: np.ndarray) -> bool:
    """Whether values want a logarithmic axis."""
    positive = values[np.isfinite(values)]
    return len(positive) > 1 and positive.min() > 0 and positive.max() > 20 * positive.min()


def band(direction: str, low: float, high: float) -> dict[str, Any]:
    """A shaded band across the whole chart between two values of one axis."""
    other = "x" if direction == "y" else "y"
    ends = {f"{direction}0": low, f"{direction}1": high, f"{other}0": 0, f"{other}1": 1, f"{other}ref": "paper"}
    return {"type": "rect", **ends, "fillcolor": "--band", "line": {"width": 0}, "layer": "below"}
