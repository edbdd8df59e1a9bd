"""The pictures of a landscape: curves on lines, contours on planes, and densities of curvature.

>>> charts.lines(report)[0].title
'From sgd to adam'

Losses of a landscape span decades: contours are drawn of their logarithms, with the losses written at the scale.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.history import Column
from thalweg.report import palette
from thalweg.report.figure import Figure, axis, line, plain, spread
from thalweg.report.markup import number, text

if TYPE_CHECKING:
    from thalweg.report.landscape import Between, Field, LandscapeReport, Stand

START = "--ink"
HEAT = [[0.0, "--heat-0"], [0.5, "--heat-1"], [1.0, "--heat-2"]]
PARTS = {"train": ("training loss", "--train"), "dev": ("dev loss", "--dev")}
FLOOR = 1e-6
"""Of what is drawn on a logarithmic scale, the least in proportion to the most."""


def lines(report: LandscapeReport) -> list[Figure]:
    """The loss from end to end, with the straight line above which a barrier stands, and from the start to each end."""
    figures = []
    for index, way in enumerate(report.lines):
        drawn = [_curve(way, name, shown, colour) for name, (shown, colour) in PARTS.items() if name in way.values]
        values = np.concatenate([np.asarray(way.values[name]) for name in PARTS if name in way.values])
        for name, (_, colour) in PARTS.items():
            if name in way.values:
                ends = np.asarray(way.values[name])[[0, -1]]
                straight = (1 - way.at) * ends[0] + way.at * ends[1]
                drawn.append(line("", Column(np.arange(len(way.at)), straight), way.at, colour, dash="dot", width=1.2,
                                  showlegend=False, hoverinfo="skip"))  # fmt: skip
        above = [
            f"the {shown} is at most {number(way.heights[name][0], digits=3)}"
            for name, (shown, _) in PARTS.items()
            if way.heights.get(name, (0.0, 0.0))[0] > 0
        ]
        said = " and ".join(above) or "no loss is anywhere"
        caption = f"{said[:1].upper()}{said[1:]} above the straight line between the ends (dotted)."
        if spread(values):
            caption += " The scale is logarithmic: a small hump looks large where the loss is almost 0."
        layout = {"xaxis": _ticks(way.first, way.second), "yaxis": axis("loss", log=spread(values), values=values)}
        title = f"From {way.first} to {way.second}"
        figures.append(Figure(f"line-{index}", title, caption, drawn, layout, 320))
    if report.descents:
        figures.append(_descents(report))
    return figures


def _colours(rules: Iterable[str]) -> list[str]:
    names = list(rules)
    looks = palette.lines(names)
    return [looks[name]["color"] for name in names]


def _curve(way: Between, name: str, shown: str, colour: str) -> dict[str, Any]:
    return line(shown, Column(np.arange(len(way.at)), np.asarray(way.values[name])), way.at, colour)


def _ticks(first: str, second: str) -> dict[str, Any]:
    room = max(0.04, 0.011 * max(len(first), len(second)))  # a label that does not fit is left out
    return axis(
        "share of the way",
        range=[-room, 1 + room],
        tickvals=[0, 0.25, 0.5, 0.75, 1],
        ticktext=[plain(first), "¼", "½", "¾", plain(second)],
    )


def _descents(report: LandscapeReport) -> Figure:
    drawn = [
        line(way.second, Column(np.arange(len(way.at)), np.asarray(way.values["train"])), way.at, colour)
        for way, colour in zip(report.descents, _colours(way.second for way in report.descents), strict=True)
    ]
    values = np.concatenate([np.asarray(curve["y"]) for curve in drawn])
    bumps = [way.second for way in report.descents if not _falls(np.asarray(way.values["train"]))]
    caption = (
        f"The training loss straight from the start to each end. On the way to {' and '.join(map(text, bumps))} it rises."
        if bumps
        else "The training loss straight from the start to each end: it only falls, though no optimizer went this way."
    )
    layout = {"xaxis": _ticks("start", "end"), "yaxis": axis("training loss", log=spread(values), values=values)}
    return Figure("descents", "From the start to each end", caption, drawn, layout, 320)


def _falls(values: np.ndarray) -> bool:
    return bool((np.diff(values) <= 1e-3 * (values[0] - values[-1])).all())


def planes(report: LandscapeReport) -> list[Figure]:
    """The losses on the plane, with the ends, the start and what of the paths lies in it."""
    if report.plane is None:
        return []
    marks = _marks(report)
    paths = [end for end in report.ends if len(end.path) > 2]
    found = []
    for name, (shown, _) in PARTS.items():
        if name not in report.plane.values:
            continue
        said = f"The {shown} on the plane through {_through(report)}; distances are those between weights."
        if paths and name == "train":
            shares = ", ".join(f"{share_of(end.share)} of {text(end.name)}'s" for end in paths)
            said += f" The paths are projected: the plane holds {shares} variance, and the rest happened outside of it."
        if name == "train":
            off = [(start.name, start.place[2]) for start in report.starts if start.place is not None]
            said += "".join(
                f" The {text(one)} lies {number(away, digits=3)} off it." for one, away in off if away > 1e-3
            )
        said += _bounds(name, report.plane)[2]
        drawn = [contour(report.plane, name, shown), *marks]
        layout = {
            "xaxis": axis("distance", constrain="domain", zeroline=False),
            "yaxis": axis("distance", scaleanchor="x", constrain="domain", zeroline=False),
            "hovermode": "closest",
        }
        title = f"{shown[:1].upper()}{shown[1:]} on the plane"
        found.append(Figure(f"plane-{name}", title, said, drawn, layout, 480))
    return found


def _through(report: LandscapeReport) -> str:
    if len(report.ends) > 2:
        return "the three ends"
    return f"the start and the two ends, {' and '.join(text(end.name) for end in report.ends)}"


def share_of(share: float) -> str:
    return f"{share:.0%}".replace("%", " %") if math.isfinite(share) else "an unknown part"


def _bounds(name: str, *fields: Field) -> tuple[float, float, str]:
    """The least and the largest loss that have a colour of their own, and what to say of those below."""
    every = np.concatenate([np.asarray(one.values[name], dtype=float).reshape(-1) for one in fields])
    finite = every[np.isfinite(every)]
    top = float(finite.max()) if finite.size else 1.0
    least = float(finite.min()) if finite.size else 0.0
    low = max(least, FLOOR * max(top, 1e-30))
    said = f" Losses below {number(low, digits=2)} share its colour: a logarithmic scale has no 0."
    return low, top, said if least < low else ""


def contour(field: Field, name: str, shown: str, *, also: Sequence[Field] = ()) -> dict[str, Any]:
    """Filled contours of the logarithm of a loss, in colours that serve the fields ``also`` shown, too."""
    values = np.asarray(field.values[name], dtype=float)
    low, top, _ = _bounds(name, field, *also)
    z = np.log10(np.clip(np.where(np.isfinite(values), values, top), low, None))
    bottom, high = math.log10(low), max(math.log10(max(top, low)), math.log10(low) + 1e-3)
    places = np.linspace(bottom, high, 5)
    words = [[f"{shown} {number(float(value), digits=3)}" for value in row] for row in values]
    return {
        "type": "contour", "x": field.x, "y": field.y, "z": z, "text": words, "hovertemplate": "%{text}<extra></extra>",
        "colorscale": HEAT, "autocontour": False,
        "contours": {"coloring": "fill", "start": bottom, "end": high, "size": (high - bottom) / 24},
        "line": {"color": "--line", "width": 0.6}, "zmin": bottom, "zmax": high,
        "colorbar": {"thickness": 10, "len": 0.9, "outlinewidth": 0, "tickvals": places,
                     "ticktext": [number(float(10**place), digits=2) for place in places], "tickfont": {"color": "--muted"}},
    }  # fmt: skip


def _marks(report: LandscapeReport) -> list[dict[str, Any]]:
    drawn: list[dict[str, Any]] = []
    for end, colour in zip(report.ends, _colours(end.name for end in report.ends), strict=True):
        if len(end.path) > 1:
            drawn.append({
                "type": "scatter", "mode": "lines+markers", "name": f"path of {plain(end.name)}", "showlegend": False,
                "x": [x for x, _ in end.path], "y": [y for _, y in end.path], "line": {"color": colour, "width": 2},
                "marker": {"color": colour, "size": 4}, "hoverinfo": "skip",
            })  # fmt: skip
    for stand, colour, symbol in [
        *((start, START, "circle-open") for start in report.starts),
        *(
            (end, colour, "diamond")
            for end, colour in zip(report.ends, _colours(end.name for end in report.ends), strict=True)
        ),
    ]:
        if stand.place is None:
            continue
        x, y, off = stand.place
        away = f", {number(off, digits=3)} off the plane" if off > 1e-3 * max(abs(x), abs(y), 1e-9) else ""
        drawn.append({
            "type": "scatter", "mode": "markers", "name": plain(stand.name), "x": [x], "y": [y],
            "marker": {"color": colour, "size": 13, "symbol": symbol, "line": {"color": "--card", "width": 2}
                       if symbol == "diamond" else {"color": colour, "width": 3}},
            "hovertemplate": f"{plain(stand.name)}{away}<extra></extra>",
        })  # fmt: skip
    return drawn


def slices(report: LandscapeReport) -> list[Figure]:
    """The loss along random directions: the mean of each end bold, each direction thin."""
    ends = [end for end in report.ends if end.cuts.size]
    if not ends:
        return []
    drawn = []
    for end, colour in zip(report.ends, _colours(end.name for end in report.ends), strict=True):
        thin: dict[str, Any] = {"width": 0.8, "opacity": 0.35, "showlegend": False, "hoverinfo": "skip"}
        drawn += [line("", Column(np.arange(len(end.at)), row), end.at, colour, **thin) for row in end.cuts]
        if end.cuts.size:
            mean = np.exp(np.log(np.maximum(end.cuts, 1e-12)).mean(0))
            drawn.append(line(end.name, Column(np.arange(len(end.at)), mean), end.at, colour, width=2.6))
    values = np.concatenate([end.cuts.reshape(-1) for end in ends])
    layout = {
        "xaxis": axis("distance, in filter-normalised directions"),
        "yaxis": axis("training loss", log=spread(values), values=values),
    }
    caption = (
        f"The training loss from each end along {len(ends[0].cuts)} random directions, each filter of which is as long as that "
        f"of the network (thin), and their geometric mean (bold). The wider the valley, the flatter the end, whatever the "
        f"scale of the weights."
    )
    return [Figure("cuts", "Slices through each end", caption, drawn, layout, 380)]


def fields(report: LandscapeReport) -> list[Figure]:
    """The loss on two random directions around each end, all on one scale of distance and colour."""
    found = []
    every = [end.around for end in report.ends if end.around is not None]
    for index, end in enumerate(report.ends):
        if end.around is None:
            continue
        caption = (
            f"Two random directions around {text(end.name)}, filter-normalised: at distance 1 they are as long as the weights. "
            "All ends share the colours." + _bounds("train", *every)[2]
        )
        layout = {
            "xaxis": axis("direction 1", constrain="domain", zeroline=False),
            "yaxis": axis("direction 2", scaleanchor="x", constrain="domain", zeroline=False),
            "hovermode": "closest",
            "showlegend": False,
        }
        middle = {"type": "scatter", "mode": "markers", "x": [0], "y": [0], "hoverinfo": "skip",
                  "marker": {"color": _colours(end.name for end in report.ends)[index], "size": 11, "symbol": "diamond",
                             "line": {"color": "--card", "width": 2}}}  # fmt: skip
        drawn = [contour(end.around, "train", "training loss", also=every), middle]
        found.append(Figure(f"around-{index}", f"Around {end.name}", caption, drawn, layout, 400))
    return found


def spectra(report: LandscapeReport) -> list[Figure]:
    """The density of the Hessian's eigenvalues, a chart for each end and for the start."""
    figures = []
    stands: list[tuple[Stand, str]] = [
        *zip(report.ends, _colours(end.name for end in report.ends), strict=True),
        *((one, START) for one in report.starts),
    ]
    for index, (stand, colour) in enumerate(stands):
        if stand.density is None:
            continue
        at, density = stand.density.at, stand.density.density
        top = math.log10(max(float(density.max()), 1e-30))
        drawn = line(stand.name, Column(np.arange(len(at)), np.maximum(density, 10 ** (top - 12))), at, colour,
                     showlegend=False, hovertemplate="curvature %{x:.3g}: %{y:.2g}<extra></extra>")  # fmt: skip
        layout = {
            "xaxis": axis("curvature (eigenvalue of the Hessian)"),
            "yaxis": axis("density", log=True, range=[top - 6.5, top + 0.3], dtick=2),
            "hovermode": "closest",
        }
        ends = [number(stand.numbers.get(name, math.nan), digits=3) for name in ("smallest", "sharpness")]
        share = stand.numbers.get("negative", 0.0)
        caption = f"From {ends[0]} to {ends[1]}, {f'{share:.2%}'.replace('%', ' %') if share else 'none'} below 0."
        if not index:
            caption += (
                " On a logarithmic scale: nearly all directions are flat and stand at 0, the few on the right limit the rate, "
                "those on the left curve downwards."
            )
        figures.append(Figure(f"spectrum-{index}", f"Curvature at {stand.name}", caption, [drawn], layout, 300))
    return figures
