"""Pictures in a few words, for the entries: what is drawn by seed is shown as its median within its spread.

>>> picture("Momentum damps it.", curve("SGD", steps, losses, "--train"), x="step", y=axis("loss", log=True))

``losses`` is ``(seeds, steps)``. Colours are names of the style sheet, so that a figure serves light and dark.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from thalweg.report.figure import Figure, axis
from thalweg.surfaces import Surface

COLOURS = ("--train", "--dev", "--accent", "--layer-0", "--good", "--bad", "--layer-6", "--batch")
MOST = 400
"""Points of a curve: what a screen shows."""
FEW = 16
"""Up to so many points each is marked: a line between measurements is not itself measured."""

Traces = list[dict[str, Any]]


def picture(
    caption: str,
    *traces: Traces,
    x: str | dict[str, Any] = "",
    y: str | dict[str, Any] = "",
    height: int = 380,
    **layout: Any,
) -> Figure:
    """A figure of these traces; an axis is its title or ``axis(…)``. Key and title are given by the gallery."""
    across, up = (axis(one) if isinstance(one, str) else one for one in (x, y))
    drawn = [trace for several in traces for trace in several]
    return Figure("", "", caption, drawn, {"xaxis": across, "yaxis": up, "hovermode": "closest", **layout}, height)


def curve(
    name: str, x: ArrayLike, rows: ArrayLike, colour: str, *, dash: str = "solid", width: float = 2, legend: bool = True
) -> Traces:
    """The median of ``rows`` ``(seeds, n)`` over ``x`` ``(n,)``, within the band from the lowest to the highest decile."""
    across, values = np.asarray(x, dtype=float), np.atleast_2d(np.asarray(rows, dtype=float))
    kept = np.unique(np.linspace(0, len(across) - 1, min(len(across), MOST)).round().astype(int))
    across, values = across[kept], values[:, kept]
    middle = {
        "type": "scatter", "mode": "lines+markers" if len(across) <= FEW else "lines", "name": name, "x": across,
        "y": np.median(values, axis=0), "line": {"color": colour, "width": width, "dash": dash},
        "marker": {"color": colour, "size": 5}, "showlegend": legend,
    }  # fmt: skip
    if len(values) == 1:
        return [middle]
    low, high = np.quantile(values, (0.1, 0.9), axis=0)
    band = {
        "type": "scatter", "mode": "lines", "x": np.concatenate([across, across[::-1]]), "y": np.concatenate([high, low[::-1]]),
        "fill": "toself", "fillcolor": colour, "line": {"width": 0}, "opacity": 0.16, "hoverinfo": "skip", "showlegend": False,
    }  # fmt: skip
    return [band, middle]


def dots(name: str, x: ArrayLike, y: ArrayLike, colour: str, *, size: float = 8, legend: bool = True) -> Traces:
    """One mark for each pair."""
    looks = {"color": colour, "size": size, "opacity": 0.75}
    return [{"type": "scatter", "mode": "markers", "name": name, "x": x, "y": y, "marker": looks, "showlegend": legend}]


def bars(name: str, x: list[str], rows: ArrayLike, colour: str) -> Traces:
    """The mean of ``rows`` ``(seeds, n)`` with its standard deviation over seeds."""
    values = np.atleast_2d(np.asarray(rows, dtype=float))
    apart = values.std(axis=0, ddof=1)
    spread = {
        "type": "data",
        "array": apart,
        "visible": bool((apart > 1e-12).any()),
        "color": "--muted",
        "thickness": 1.5,
    }
    return [
        {"type": "bar", "name": name, "x": x, "y": values.mean(axis=0), "marker": {"color": colour}, "error_y": spread}
    ]


def contours(surface: Surface, *, x: tuple[float, float], y: tuple[float, float], levels: int = 16) -> Traces:
    """The lines of equal height of a surface, closer together where it is lower."""
    across, up = np.linspace(*x, 90), np.linspace(*y, 90)
    heights = surface.value(*np.meshgrid(across, up))
    ground = heights.min()
    ends = {
        "start": 0.0,
        "end": float(np.sqrt(heights.max() - ground)),
        "size": float(np.sqrt(np.ptp(heights)) / levels),
    }
    return [{
        "type": "contour", "x": across, "y": up, "z": np.sqrt(heights - ground), "showscale": False, "hoverinfo": "skip",
        "contours": {"coloring": "none", **ends}, "line": {"color": "--batch", "width": 0.8}, "opacity": 0.6,
        "showlegend": False,
    }]  # fmt: skip


def walk(name: str, points: np.ndarray, colour: str) -> Traces:
    """A path ``(steps + 1, 2)`` over a surface."""
    return [{
        "type": "scatter", "mode": "lines+markers", "name": name, "x": points[:, 0], "y": points[:, 1],
        "line": {"color": colour, "width": 2}, "marker": {"color": colour, "size": 5},
    }]  # fmt: skip
