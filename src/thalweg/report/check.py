"""The page of a check before training: each question with its answer, and the pictures behind the answers.

>>> page = check_page(CheckReport("digits", "multiclass", "mlp", checks, layers=layers, range_test=swept))
>>> write("check.html", page)

Small multiples: a layer each, all on the same axes, so that what fades from layer to layer is seen to fade.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import thalweg
from thalweg.diagnose.checks.check import Check
from thalweg.diagnose.checks.one_batch import OneBatch
from thalweg.diagnose.checks.rate import RangeTest
from thalweg.diagnose.checks.signals import Layer, chain
from thalweg.history import Column
from thalweg.report.figure import LAYER_COLOURS, Figure, axis, band, line, plain, spread
from thalweg.report.markup import Shown, facts, number, table, text
from thalweg.report.page import document
from thalweg.report.sheet import Section, Sheet, section

WORDS = {"failed": "failed", "warned": "worth a look", "passed": "passed", "skipped": "not asked"}
CLASSES = {"failed": "critical", "warned": "warning"}
MOST_MULTIPLES = 16
"""Layers drawn; of a deeper net, those with weights and activations evenly through it."""


@dataclass(frozen=True)
class CheckReport:
    """What a page of a check is told. ``suggested`` are the layers under the settings that ``settings`` says in words."""

    data: str
    task: str
    model: str
    checks: Sequence[Check]
    layers: Sequence[Layer] = ()
    suggested: Sequence[Layer] = ()
    settings: str = ""
    range_test: RangeTest | None = None
    one_batch: OneBatch | None = None
    seconds: float = 0.0


def check_page(report: CheckReport) -> str:
    """The page as HTML."""
    sheet = Sheet()
    written = [
        _answers(report),
        _signals(sheet, report),
        _rate(sheet, report),
        _by_heart(sheet, report),
        _numbers(report),
    ]
    worst = next((s for s in ("failed", "warned") if any(check.status == s for check in report.checks)), "passed")
    state = {"failed": "failed", "warned": "running", "passed": "finished"}[worst]
    said = {"failed": "would not train", "warned": "worth a look", "passed": "ready to train"}[worst]
    subtitle = " · ".join(text(part) for part in (report.task, report.data, "before the first step") if part)
    return document(
        f"check {report.data}",
        heading=f'<h1>{text(report.model)} on {text(report.data)} <span class="status {state}">{said}</span></h1>\n'
        f'<p class="subtitle">{subtitle}</p>',
        written=[part for part in written if part is not None],
        sheet=sheet,
        footer=f"Made by thalweg {text(thalweg.__version__)} in {report.seconds:.1f} s. It loads nothing from elsewhere.",
    )


def _answers(report: CheckReport) -> Section | None:
    """What did not pass as cards, gravest first; what passed as a table."""
    cards = "".join(_card(check) for status in CLASSES for check in report.checks if check.status == status)
    fine = [check for check in report.checks if check.status not in CLASSES]
    rows = [[check.name, check.sentence] for check in fine]
    listed = (
        table("Passed" if cards else "All checks", ["check", "what was found"], rows, sortable=False) if rows else ""
    )
    if not cards:
        asked = '<div class="card good"><h3>Nothing stands in the way of training</h3></div>'
        return section("Checks", "checks", f'<div class="findings">{asked}{listed}</div>')
    return section("Checks", "checks", f'<div class="findings">{cards}{listed}</div>')


def _card(check: Check) -> str:
    place = f"layer {check.where}" if check.where.replace(".", "").isdigit() else check.where
    where = " · ".join(text(part) for part in (WORDS[check.status], check.kind.replace("_", " "), place) if part)
    shown = {
        name.replace("/", " "): Shown(value, number(value, digits=3))
        for name, value in check.evidence.items()
        if not isinstance(value, str)
    }
    remedy = f"<p><strong>What to do.</strong> {text(check.remedy)}</p>" if check.remedy else ""
    source = f'<p class="source">Rule: {text(check.reference)}</p>' if check.reference else ""
    return (
        f'<article class="card finding {CLASSES[check.status]}"><div><p class="kind">{where}</p>'
        f'<h3>{text(check.name[:1].upper() + check.name[1:])}</h3><p class="said">{text(check.sentence)}</p>'
        f"{remedy}{facts(shown)}{source}</div></article>"
    )


def _signals(sheet: Sheet, report: CheckReport) -> Section | None:
    """Activations and gradients, layer by layer, and beside them what the suggested settings make of them."""
    if not report.layers:
        return None
    drawn = _chosen(report.layers)
    charts = sheet.charts([
        _by_layer("spread", "Signal by layer", "spread over rows", report,
                  "How much the rows differ at each layer's outputs. A level line means that the signal comes through."),
        _by_layer("gradient", "Gradient by layer", "gradient norm", report,
                  "The norm of the loss's gradient at each layer's outputs, of one row. Training moves layers by it."),
    ])  # fmt: skip
    multiples = sheet.charts([_outputs(drawn), _sizes(drawn)])
    below = f'<div style="margin-top:18px">{multiples}</div>' if multiples else ""
    return section("Signals before the first step", "signals", charts, below)


def _chosen(layers: Sequence[Layer]) -> list[Layer]:
    if len(layers) <= MOST_MULTIPLES:
        return list(layers)
    places = np.unique(np.linspace(0, len(layers) - 1, MOST_MULTIPLES).round().astype(int))
    return [layers[place] for place in places]


def _by_layer(what: str, title: str, named: str, report: CheckReport, caption: str) -> Figure | None:
    curves = []
    for layers, label, colour, dash in (
        (report.layers, "as it is", "--train", "solid"), (report.suggested, report.settings, "--good", "dash"),
    ):  # fmt: skip
        weighted = [
            layer for layer in chain(tuple(layers)) if getattr(layer, what) > 0 and math.isfinite(getattr(layer, what))
        ]
        if len(weighted) > 1:
            values = np.array([getattr(layer, what) for layer in weighted])
            places = np.arange(1, len(values) + 1)
            curves.append((line(label, Column(places, values), places, colour, dash=dash, mode="lines+markers",
                                text=[plain(layer.label) for layer in weighted],
                                hovertemplate="%{text}: %{y:.2g}<extra></extra>"), values))  # fmt: skip
    if not curves:
        return None
    everything = np.concatenate([values for _, values in curves])
    low, high = math.floor(math.log10(everything.min())), math.ceil(math.log10(everything.max()))
    low, high = (low, high) if high - low >= 2 else (low - 1, high + 1 if high == low else high)
    count = max(len(values) for _, values in curves)
    layout: dict[str, Any] = {
        "xaxis": axis("layer with weights, first to last", dtick=max(1, count // 10), range=[0.8, count + 0.2]),
        "yaxis": axis(
            named,
            log=True,
            values=10.0 ** np.array([low, high]),
            range=[low - 0.04 * (high - low), high + 0.04 * (high - low)],
        ),
        "hovermode": "closest",
        "showlegend": len(curves) > 1,
    }
    return Figure(what, title, caption, [curve for curve, _ in curves], layout, 280)


def _outputs(layers: Sequence[Layer]) -> Figure | None:
    """Histograms of what each layer puts out, on one axis."""
    kept = [layer for layer in layers if layer.counts.sum() > 0]
    if not kept:
        return None
    low = min(float(np.quantile(_values(layer), 0.002)) for layer in kept)
    high = max(float(np.quantile(_values(layer), 0.998)) for layer in kept)
    bound = max(abs(low), abs(high), 1e-12)
    said = (
        "Shares of the outputs of each layer, all on the same axes. Needles at zero are signals that faded, or units that are "
        "dead; combs are units that say the same to every row."
    )
    return _multiples("outputs", "Outputs of each layer", said, kept, [(layer.edges, layer.counts) for layer in kept],
                      (max(low, -bound), min(high, bound)), "output")  # fmt: skip


def _sizes(layers: Sequence[Layer]) -> Figure | None:
    """Histograms of log₁₀ of the gradients' sizes."""
    kept = [layer for layer in layers if layer.sizes.sum() > 0]
    if not kept:
        return None
    low = min(float(np.quantile(_values(layer, sizes=True), 0.02)) for layer in kept)
    high = max(float(layer.size_edges[-1]) for layer in kept)
    said = (
        "Sizes of the gradients at each layer's outputs, as powers of ten. Where they march from layer to layer, they vanish "
        "or explode."
    )
    return _multiples("sizes", "Gradients at each layer", said, kept, [(layer.size_edges, layer.sizes) for layer in kept],
                      (low, high), "log₁₀ of the gradient's size")  # fmt: skip


def _values(layer: Layer, *, sizes: bool = False) -> np.ndarray:
    edges, counts = (layer.size_edges, layer.sizes) if sizes else (layer.edges, layer.counts)
    return np.repeat((edges[1:] + edges[:-1]) / 2, np.ceil(1000 * counts / counts.sum()).astype(int))


def _multiples(
    key: str, title: str, caption: str, layers: Sequence[Layer], histograms: Sequence[tuple[np.ndarray, np.ndarray]],
    reach: tuple[float, float], named: str,
) -> Figure:  # fmt: skip
    """A ridge of histograms: each layer a row of its own, first layer on top, one axis for all."""
    low, high = reach
    pad = 0.03 * max(high - low, 1e-12)
    drawn: list[dict[str, Any]] = []
    for place, (layer, (edges, counts)) in enumerate(zip(layers, histograms, strict=True)):
        base = len(layers) - 1 - place
        density = counts / max(counts.max(), 1)
        middles = np.repeat(edges, 2)[1:-1]
        heights = base + 0.86 * np.repeat(density, 2)
        colour = f"--layer-{round(place * (LAYER_COLOURS - 1) / max(len(layers) - 1, 1))}"
        x = np.concatenate([middles[:1], middles, middles[-1:]])
        y = np.concatenate([[base], heights, [base]])
        inside = (x >= low - pad) & (x <= high + pad)
        drawn.append(line(layer.label, Column(np.arange(int(inside.sum())), y[inside]), x[inside], colour, width=1.2,
                          fill="toself", opacity=0.85, hoverinfo="name"))  # fmt: skip
    names = [plain(_short(layer.label)) for layer in layers]
    layout: dict[str, Any] = {
        "xaxis": axis(named, range=[low - pad, high + pad], zeroline=False),
        "yaxis": {"tickvals": [len(layers) - 1 - place + 0.4 for place in range(len(layers))], "ticktext": names,
                  "range": [-0.1, len(layers) + 0.05], "showgrid": False, "zeroline": False},
        "showlegend": False,
        "hovermode": "closest",
    }  # fmt: skip
    return Figure(key, title, caption, drawn, layout, 110 + 46 * len(layers))


def _short(label: str) -> str:
    return label if len(label) <= 22 else "…" + label[-21:]


def _rate(sheet: Sheet, report: CheckReport) -> Section | None:
    """The range test with its four places."""
    found = report.range_test
    if found is None:
        return None
    raw, smooth = Column(found.rates, found.losses), Column(found.rates, found.smoothed)
    faint = {"width": 1, "opacity": 0.4, "showlegend": False, "hoverinfo": "skip"}
    drawn = [
        line("loss", raw, found.rates, "--batch", **faint),
        line("loss, averaged", smooth, found.rates, "--train", showlegend=False),
    ]
    places = {"valley": found.valley, "steepest": found.steepest, "minimum": found.minimum, "diverges": found.diverges}
    colours = {"valley": "--accent", "steepest": "--good", "minimum": "--muted", "diverges": "--bad"}
    if found.falls:
        known = {name: rate for name, rate in places.items() if math.isfinite(rate)}
        for name, rate in known.items():
            value = float(found.smoothed[int(np.argmin(np.abs(np.log(found.rates / rate))))])
            point = Column(np.array([0]), np.array([value]))
            drawn.append(line(f"{name} {number(rate, digits=2)}", point, np.array([rate]), colours[name], mode="markers",
                              marker={"size": 11, "color": colours[name]}))  # fmt: skip
    seen = found.smoothed[np.isfinite(found.smoothed)]
    layout: dict[str, Any] = {
        "xaxis": axis("learning rate", log=True, values=found.rates),
        "yaxis": axis("loss"),
        "hovermode": "closest",
    }
    if found.falls:
        layout["shapes"] = [band("x", found.band[0], found.minimum)]
    if len(seen):
        low, begin = float(seen.min()), float(seen[0])
        high = min(float(seen.max()), begin + 0.8 * max(begin - low, 0.1 * abs(begin)))
        margin = 0.08 * max(high - low, 1e-12)
        layout["yaxis"]["range"] = [low - margin, high + margin]
    caption = (
        "The loss of one untrained network while its rate rises, a step at each rate, twice with other batches. "
        + ("In the shaded band it falls." if found.falls else "It falls at none of them.")
    )
    return section(
        "Which rates are useful", "rate", sheet.chart(Figure("range", "Range test", caption, drawn, layout, 360))
    )


def _by_heart(sheet: Sheet, report: CheckReport) -> Section | None:
    """The loss of one mini-batch learned by heart, an attempt a line."""
    found = report.one_batch
    if found is None:
        return None
    drawn = []
    best = found.best
    for trial in found.trials:
        steps = np.arange(len(trial.losses))
        bold = trial is best
        drawn.append(line(f"rate {number(trial.rate, digits=2)}", Column(steps, np.maximum(trial.losses, 1e-12)), steps,
                          "--accent" if bold else "--batch", width=2.5 if bold else 1.2, mode="lines"))  # fmt: skip
    values = np.concatenate([np.asarray(curve["y"]) for curve in drawn])
    values = values[np.isfinite(values)]
    goal = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": found.goal, "y1": found.goal,
            "line": {"color": "--good", "width": 1.5, "dash": "dot"}}  # fmt: skip
    log = spread(np.append(values, found.goal))
    layout = {
        "xaxis": axis("step"),
        "yaxis": axis("loss", log=log, values=values),
        "shapes": [goal],
        "showlegend": True,
    }
    caption = (
        f"The loss of {found.rows} rows, again and again, without dropout or decay. Below the dotted line, "
        f"{number(found.goal, digits=2)}, they are known by heart. What cannot do this has a fault that no setting cures."
    )
    return section(
        "One mini-batch by heart",
        "one-batch",
        sheet.chart(Figure("batch", "Overfitting one batch", caption, drawn, layout, 340)),
    )


def _numbers(report: CheckReport) -> Section | None:
    """The layers as a table."""
    if not report.layers:
        return None
    head = ["layer", "mean", "sd", "spread over rows", "zeros", "dead units", "at the rails", "gradient"]
    rows = [
        [layer.label, *(_shown(value, share=share) for value, share in (
            (layer.mean, False), (layer.sd, False), (layer.spread, False), (layer.zeros, True), (layer.dead, True),
            (layer.saturated, True), (layer.gradient, False)))]
        for layer in report.layers
    ]  # fmt: skip
    return section("Layers", "layers", table("Outputs and gradients before the first step", head, rows))


def _shown(value: float, *, share: bool) -> object:
    if not math.isfinite(value):
        return "" if math.isnan(value) else number(value)
    return Shown(value, f"{value:.0%}".replace("%", " %") if share else number(value, digits=3))
