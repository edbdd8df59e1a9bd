"""The page of a surface: every rule's path over it, with sliders that make the rules walk anew in the page itself.

>>> page = surface_page(report)
>>> write("surface.html", page)

The page has the surface, its slopes and each rule's program as JavaScript (``engines.browser``), so it needs no server; what
the optimizers of this package measured stands in its table. ``surface.js`` moves it, ``surface.css`` colours it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

import thalweg
from thalweg.report import palette
from thalweg.report.figure import Figure, axis, plain
from thalweg.report.markup import Shown, facts, number, table, text
from thalweg.report.page import document
from thalweg.report.sheet import Sheet, section

COLOURS = len(palette.KNOWN)
LEVELS = 18
FLOOR = " What falls below a ten-billionth of the first loss is drawn there: a logarithmic axis has no 0."


@dataclass(frozen=True)
class Slider:
    """A hyperparameter to move. ``scale``: ``log``, ``share`` (of the past that stays: finer towards 1) or ``linear``."""

    name: str
    label: str
    scale: str
    low: float
    high: float
    main: bool


@dataclass(frozen=True)
class Walker:
    """A rule on a surface. What is not known is None; ``limit`` and ``matrix`` are JavaScript of ``$curvature`` and numbers.

    ``arrived`` is the step from which the loss stays within 0.001 of the lowest.
    """

    name: str
    equations: str
    program: str
    numbers: Mapping[str, float]
    sliders: Sequence[Slider]
    linear: bool
    final: float
    arrived: int | None
    limit: str | None = None
    limit_words: str = ""
    matrix: Sequence[Sequence[str]] | None = None
    exact_limit: float | None = None
    measured_limit: float | None = None
    predicted: float | None = None
    contraction: float | None = None


@dataclass(frozen=True)
class SurfaceReport:
    """A surface and who walked it. ``value`` and ``slopes`` are JavaScript of ``x`` and ``y``.

    ``heights`` is the loss on a grid ``(rows, columns)`` over ``across`` and ``up``; ``lowest`` the loss at ``minimum``. A
    quadratic has a ``hessian`` (xx, xy, yy) and ``curvatures``, and a ``centre`` if that is its lowest point. ``source`` stands
    for the surface on the command line.
    """

    name: str
    formula: str
    difficulty: str
    sentence: str
    start: tuple[float, float]
    minimum: tuple[float, float] | None
    lowest: float | None
    noise: float
    seed: int
    steps: int
    hessian: tuple[float, float, float] | None
    curvatures: tuple[float, float] | None
    centre: tuple[float, float] | None
    across: np.ndarray
    up: np.ndarray
    heights: np.ndarray
    value: str
    slopes: tuple[str, str]
    functions: str
    walkers: Sequence[Walker]
    source: str


def surface_page(report: SurfaceReport) -> str:
    """The page as HTML."""
    sheet = Sheet()
    room = files("thalweg.report")
    style = f"<style>{(room / 'surface.css').read_text(encoding='utf-8')}</style>"
    shown = [
        section("Paths", "paths", style, _stage(report, sheet)),
        section("Rules", "rules", _LEAD, _rules(report)),
        section("Measured", "measured", _measured(report)),
        section("The surface", "surface", _facts(report)),
    ]
    title = text(report.formula)
    if report.difficulty:
        title = f'{text(report.name)} <span class="formula">{title}</span>'
    said = f'<p class="subtitle">{text(report.difficulty)}</p>' if report.difficulty else ""
    return document(
        f"{report.name}: {', '.join(walker.name for walker in report.walkers)}",
        heading=f"<h1>{title}</h1>{said}<p>{text(report.sentence)}</p>",
        written=[part for part in shown if part is not None],
        sheet=sheet,
        footer=f"Made by thalweg {text(thalweg.__version__)}. This page loads nothing from elsewhere: it walks by itself.",
        script=_script(report) + (room / "surface.js").read_text(encoding="utf-8"),
    )


_LEAD = (
    '<p class="reason">Move a slider and the rule walks anew, here in the page, by its own equations. '
    "The text box beside each takes exact numbers.</p>"
)


# ---- the stage ---------------------------------------------------------------------------------------------------------
def _stage(report: SurfaceReport, sheet: Sheet) -> str:
    caption = (
        "Each line is a rule's way downhill from one start; a dot is a step. Contours are levels of the loss, close where it "
        "is low and far apart where it is high. Click anywhere to start there."
    )
    paths = sheet.chart(Figure("paths", "Paths", caption, _ground(report), _frame(report), 560), bare=True)
    title = "loss" if report.lowest is None else "loss above the lowest"
    losses = sheet.chart(
        Figure(
            "losses",
            "Loss after each step",
            _what_to_see(report),
            [],
            {"xaxis": axis("step"), "yaxis": axis(title, log=report.lowest is not None), "showlegend": False},
            340,
        )
    )
    return f'<div class="stage">{paths}<div class="aside">{_controls(report)}{losses}</div></div>'


def _what_to_see(report: SurfaceReport) -> str:
    if report.noise:
        said = "Lines fall until the noise is as large as what is left to gain: a lower rate ends lower, and later."
        return said if report.lowest is None else said + FLOOR
    if report.lowest is None:
        return "Where a line lies flat the slope is almost gone; where it bends down, the rule has found a way on."
    return (
        "A straight line is steady contraction: the steeper, the fewer steps. A line that climbs is beyond its limit."
        + FLOOR
    )


def _controls(report: SurfaceReport) -> str:
    x, y = report.start
    return f"""<div class="card controls" role="group" aria-label="Walk">
<div class="buttons"><button type="button" id="play" class="main">Play</button>
<button type="button" id="back" aria-label="One step back">‹ Step</button>
<button type="button" id="on" aria-label="One step on">Step ›</button>
<button type="button" id="reset">Reset</button></div>
<label class="line"><span>Step</span><input type="range" id="at" min="0" max="{report.steps}" value="{report.steps}">
<output id="step" for="at">{report.steps} of {report.steps}</output></label>
<div class="line"><span>Start</span><label>x <input type="number" id="x" step="any" value="{x!r}"></label>
<label>y <input type="number" id="y" step="any" value="{y!r}"></label>
<label>Steps <input type="number" id="steps" min="1" max="2000" value="{report.steps}"></label></div>
<p class="vital" id="vital" role="status"></p></div>"""


def _ground(report: SurfaceReport) -> list[dict[str, Any]]:
    """The contours and the lowest point, on which the page puts the paths."""
    heights = report.heights
    finite = heights[np.isfinite(heights)]
    span = float(finite.max() - finite.min())
    if report.lowest is not None:
        base = min(report.lowest, float(finite.min()))
        shown = np.log10(np.maximum(heights - base, 0.0) + span * 1e-5)
    else:
        shown = np.sign(heights) * np.log10(1 + np.abs(heights) / (span / 200))
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    if report.lowest is not None:
        low = max(low, high - 4.5)
    contours = {
        "type": "contour", "x": report.across, "y": report.up, "z": shown, "customdata": heights, "showscale": False,
        "colorscale": [[0, "--land-0"], [0.3, "--land-1"], [0.65, "--land-2"], [1, "--land-3"]], "zmin": low, "zmax": high,
        "autocontour": False, "contours": {"start": low, "end": high, "size": (high - low) / LEVELS},
        "line": {"color": "--land-line", "width": 1, "smoothing": 1.1},
        "hovertemplate": "x %{x:.3g}, y %{y:.3g}<br>loss %{customdata:.4g}<extra></extra>",
    }  # fmt: skip
    if report.minimum is None:
        return [contours]
    x, y = report.minimum
    lowest = {
        "type": "scatter", "mode": "markers", "name": "lowest", "x": [x], "y": [y], "showlegend": False,
        "marker": {"symbol": "star", "size": 13, "color": "--ink", "line": {"color": "--card", "width": 1.5}},
        "hovertemplate": f"lowest: {number(report.lowest or 0.0)}<extra></extra>",
    }  # fmt: skip
    return [contours, lowest]


def _frame(report: SurfaceReport) -> dict[str, Any]:
    def side(values: np.ndarray, title: str) -> dict[str, Any]:
        return axis(title, range=[values[0], values[-1]], showgrid=False, zeroline=False)

    return {
        "xaxis": side(report.across, "x"), "yaxis": side(report.up, "y"), "hovermode": "closest",
        "dragmode": False, "showlegend": False,
    }  # fmt: skip


# ---- the rules ---------------------------------------------------------------------------------------------------------
def _rules(report: SurfaceReport) -> str:
    return f'<div class="rules">{"".join(_rule(report, at) for at in range(len(report.walkers)))}</div>'


def _shades(report: SurfaceReport) -> list[int]:
    """The number of each rule's colour."""
    numbers = palette.colours(walker.name for walker in report.walkers)
    return [numbers[walker.name] for walker in report.walkers]


def _rule(report: SurfaceReport, at: int) -> str:
    walker = report.walkers[at]
    main = "".join(_slider(at, walker, slider) for slider in walker.sliders if slider.main)
    rest = "".join(_slider(at, walker, slider) for slider in walker.sliders if not slider.main)
    more = f"<details><summary>More numbers</summary>{rest}</details>" if rest else ""
    return f"""<fieldset class="card rule" data-rule="{at}" style="--own: var(--rule-{_shades(report)[at] % COLOURS})">
<legend><label><input type="checkbox" checked> <span class="dot"></span>{text(walker.name)}</label></legend>
<pre>{text(walker.equations)}</pre>
{main}<div class="gauge" hidden><div></div></div><p class="readout" role="status"></p>{more}</fieldset>"""


def _slider(at: int, walker: Walker, slider: Slider) -> str:
    value = walker.numbers[slider.name]
    said = f'data-name="{text(slider.name)}" data-scale="{slider.scale}"'
    title = text(f"{slider.label} of {walker.name}")
    low, high = place(slider.low, slider.scale), place(slider.high, slider.scale)
    return (
        f'<div class="line" {said}><span>{text(slider.label)}</span>'
        f'<input type="range" min="{low:.4f}" max="{high:.4f}" step="0.001" value="{place(value, slider.scale):.4f}" '
        f'aria-label="{title}"><input type="number" step="any" value="{value!r}" aria-label="{title}, exactly"></div>'
    )


def place(value: float, scale: str) -> float:
    """Where a slider stands for a value."""
    if scale == "log":
        return math.log10(max(value, 1e-300))
    return -math.log10(max(1.0 - value, 1e-6)) if scale == "share" else value


# ---- tables ------------------------------------------------------------------------------------------------------------
def _measured(report: SurfaceReport) -> str:
    bowl = report.centre is not None
    head = ["rule", "α", f"loss after {report.steps} steps"]
    head += ["steps to within 0.001"] * (report.lowest is not None)
    head += ["limit, exact", "limit, measured", "contraction, predicted", "contraction, measured"] * bowl
    rows = []
    for walker in report.walkers:
        row: list[object] = [walker.name, _or(walker.numbers.get("lr")), walker.final]
        row += [_or(walker.arrived)] * (report.lowest is not None)
        if bowl:
            known = (walker.exact_limit, walker.measured_limit, walker.predicted, walker.contraction)
            row += [_or(value) for value in known]
        rows.append(row)
    said = (
        "Measured by the optimizers of thalweg themselves, in float64: the limit by bisection of walks of 400 steps, the "
        "contraction from the second half of a walk of 1200. Exact and predicted are what the rule's equations say of the "
        "curvatures. A rule that is not linear in the gradient has neither; its measured limit is the largest rate with which "
        "no step of 400 stands higher than the start."
        if bowl
        else "Walked by the optimizers of thalweg themselves, in float64, with the settings that the page opened with."
    )
    return table("As walked in Python", head, rows) + f'<p class="subtitle below">{said}</p>'


def _or(value: float | None) -> object:
    return Shown(math.inf, "–") if value is None else value


def _facts(report: SurfaceReport) -> str:
    known: dict[str, object] = {"loss": report.formula}
    if report.minimum is not None:
        known["lowest"] = (
            f"{number(report.lowest or 0.0)} at ({number(report.minimum[0])}, {number(report.minimum[1])})"
        )
    if report.curvatures is not None:
        known["curvatures"] = ", ".join(number(value) for value in report.curvatures)
    if report.noise:
        known["noise in each gradient"] = f"σ = {number(report.noise)}, seed {report.seed}, the same for all rules"
    return facts(known) + (
        '<p class="subtitle below">The command that draws what you see now:</p>'
        '<div class="card command"><pre id="command"></pre><button type="button" id="copy">Copy</button></div>'
    )


# ---- the script --------------------------------------------------------------------------------------------------------
def _script(report: SurfaceReport) -> str:
    """What ``surface.js`` works on: data as JSON, formulas as functions."""
    rules = ",\n".join(_rule_script(walker) for walker in report.walkers)
    return f"""{report.functions}
const SURVEY = {{
  source: {_json(report.source)}, start: {_json(report.start)}, steps: {report.steps}, lowest: {_json(report.lowest)},
  minimum: {_json(report.minimum)},
  noise: {_json(report.noise)}, seed: {report.seed}, curvatures: {_json(report.curvatures)},
  centre: {_json(report.centre)}, hessian: {_json(report.hessian)}, shades: {_json(_shades(report))},
  colours: {COLOURS},
  value: (x, y) => {report.value},
  slopes: (x, y) => [{report.slopes[0]}, {report.slopes[1]}],
  rules: [{rules}],
}};
"""


def _rule_script(walker: Walker) -> str:
    unpacked = " ".join(f"const ${name} = h[{_json(name)}];" for name in walker.numbers)
    limit = "null" if walker.limit is None else f"(h, $curvature) => {{ {unpacked} return {walker.limit}; }}"
    matrix = "null"
    if walker.matrix is not None:
        rows = ", ".join(f"[{', '.join(row)}]" for row in walker.matrix)
        matrix = f"(h, $curvature) => {{ {unpacked} return [{rows}]; }}"
    return (
        f"{{name: {_json(plain(walker.name))}, numbers: {_json(dict(walker.numbers))}, linear: {_json(walker.linear)}, "
        f"words: {_json(walker.limit_words)},\nlimit: {limit},\nmatrix: {matrix},\nprogram: {walker.program}}}"
    )


def _json(value: Any) -> str:
    """JSON that no text can break out of, with every digit."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c").replace("\u2028", "\\u2028")
