"""Charts of what a run decided and achieved: the search for its rate, and its errors by class or by size.

>>> range_test(run.rate).caption
'The range test: the loss of one untrained network as its rate rises. …'
>>> confusion(run).title
'Confusion matrix'
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from thalweg.averages import beta_of, ewa
from thalweg.diagnose.measures import finite
from thalweg.history import Column
from thalweg.report.figure import LAYER_COLOURS, Figure, axis, band, line, plain, spread
from thalweg.report.markup import SHARES, label, measure, number, text
from thalweg.report.run import RateReport, RunReport

MOST_NUMBERS = 20
"""Classes up to which the cells of a confusion matrix show their counts."""


def range_test(rate: RateReport) -> Figure | None:
    """Loss against rate, with the band and the choice."""
    if len(rate.rates) < 2:
        return None
    raw, smooth = Column(rate.rates, rate.losses), Column(rate.rates, rate.smoothed)
    faint = {"width": 1, "opacity": 0.4, "showlegend": False, "hoverinfo": "skip"}
    drawn = [line("loss", raw, rate.rates, "--batch", **faint), line("loss, averaged", smooth, rate.rates, "--train")]
    seen = rate.smoothed[np.isfinite(rate.smoothed)]
    layout: dict[str, Any] = {
        "xaxis": axis("learning rate", log=True),
        "yaxis": axis("loss"),
        "showlegend": False,
        "shapes": [
            band("x", *rate.band),
            {"type": "line", "x0": rate.rate, "x1": rate.rate, "yref": "paper", "y0": 0, "y1": 1,
             "line": {"color": "--accent", "width": 2}},
        ],
    }  # fmt: skip
    if len(seen):
        # A loss that breaks out at the end would press all before it flat.
        low, top = float(seen.min()), float(seen[: max(len(seen) // 3, 1)].max())
        high = min(float(seen.max()), top + 0.8 * max(top - low, 0.1 * abs(top)))
        margin = 0.08 * max(high - low, 1e-12)
        layout["yaxis"]["range"] = [low - margin, high + margin]
    caption = (
        f"The loss of one untrained network while its rate rises. In the shaded band, {number(rate.band[0], digits=2)} to "
        f"{number(rate.band[1], digits=2)}, it falls; the line is the rate chosen, {number(rate.rate, digits=3)}."
    )
    return Figure("range", "Range test", caption, drawn, layout)


def candidates(rate: RateReport) -> Figure | None:
    """The confirming runs side by side."""
    if not rate.candidates:
        return None
    drawn = []
    ordered = sorted(rate.candidates, key=lambda candidate: candidate.rate)
    for index, candidate in enumerate(ordered):
        column = finite(Column(np.arange(1, len(candidate.losses) + 1), candidate.losses))
        if not len(column.steps):
            continue
        smooth = Column(column.steps, ewa(column.values, beta_of(max(len(column.steps) / 15, 2)), steps=column.steps))
        chosen = bool(np.isclose(candidate.rate, rate.rate))
        colour = "--accent" if chosen else f"--layer-{round(index * (LAYER_COLOURS - 1) / max(len(ordered) - 1, 1))}"
        style = {"width": 3} if chosen else {"width": 1.5}
        drawn.append(line(f"rate {number(candidate.rate, digits=3)}", smooth, smooth.steps, colour, **style))
    if not drawn:
        return None
    values = np.concatenate([np.asarray(trace["y"]) for trace in drawn])
    caption = (
        "Short whole runs, each at one rate with its own warm-up and decay; mini-batch loss, averaged. The bold line is the "
        "rate chosen."
    )
    layout = {"xaxis": axis("step"), "yaxis": axis("loss", log=spread(values), values=values)}
    return Figure("candidates", "Confirming runs", caption, drawn, layout)


def confusion(run: RunReport) -> Figure | None:
    """Counts of true against predicted class, shaded by share of the true class."""
    if run.confusion is None:
        return None
    names = [str(name) for name in run.confusion["classes"]]
    counts = np.asarray(run.confusion["matrix"], dtype=float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    wrong = counts - np.diag(np.diag(counts))
    total, errors = int(counts.sum()), int(wrong.sum())
    caption = f"Rows are true classes, columns what the network said: {errors:,} of {total:,} examples are wrong."
    if errors:
        true, said = np.unravel_index(int(wrong.argmax()), wrong.shape)
        caption += (
            f" The commonest mistake is {text(names[said])} for {text(names[true])}, {int(wrong.max()):,} of "
            f"{int(counts[true].sum()):,}."
        )
    caption += " Shades grow with the square root of the share, so that rare mistakes show."
    ticks: dict[str, Any] = {"tickvals": list(range(len(names))), "ticktext": [plain(name) for name in names]}
    few = len(names) <= MOST_NUMBERS
    hover = [
        [
            f"{text(t)} taken for {text(s)}: {int(c)} ({share:.1%})"
            for s, c, share in zip(names, row, parts, strict=True)
        ]
        for t, row, parts in zip(names, counts, shares, strict=True)
    ]
    heat = {
        "type": "heatmap", "z": np.sqrt(shares), "zmin": 0, "zmax": 1, "showscale": False, "xgap": 1, "ygap": 1,
        "colorscale": [[0, "--heat-0"], [0.5, "--heat-1"], [1, "--heat-2"]], "text": hover,
        "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip
    notes = [
        {"x": column, "y": row, "text": f"{int(count):,}", "showarrow": False,
         "font": {"color": "--heat-ink-1" if shares[row, column] > 0.35 else "--heat-ink-0"}}
        for (row, column), count in np.ndenumerate(counts) if count
    ] if few else []  # fmt: skip
    layout = {
        "xaxis": axis("predicted", **ticks, showgrid=False, zeroline=False, constrain="domain"),
        "yaxis": axis("true", **ticks, showgrid=False, zeroline=False, autorange="reversed"),
        "annotations": notes,
        "hovermode": "closest",
    }
    return Figure("confusion", "Confusion matrix", caption, [heat], layout, min(300 + 18 * len(names), 760))


MOST_OUTPUTS = 6
"""Outputs of which a chart is drawn."""


def predictions(run: RunReport) -> list[Figure]:
    """Predicted against true values of each output, with the line on which both are equal."""
    several = len(run.predictions) > 1
    drawn = [_predictions(f"predictions-{index}" if several else "predictions", record, several)
             for index, record in enumerate(run.predictions[:MOST_OUTPUTS])]  # fmt: skip
    return [figure for figure in drawn if figure is not None]


def _predictions(name: str, record: Mapping[str, Any], several: bool) -> Figure | None:
    true, said = (np.asarray(record[key], dtype=float) for key in ("true", "predicted"))
    kept = np.isfinite(true) & np.isfinite(said)
    true, said = true[kept], said[kept]
    if not len(true):
        return None
    ends = np.array([min(true.min(), said.min()), max(true.max(), said.max())])
    points = {
        "type": "scatter", "mode": "markers", "name": "examples", "x": true, "y": said,
        "marker": {"color": "--train", "size": 7, "opacity": 0.55}, "hovertemplate": "true %{x}, predicted %{y}<extra></extra>",
    }  # fmt: skip
    equal = line("equal", Column(ends, ends), ends, "--muted", width=1, dash="dash", hoverinfo="skip")
    off = np.abs(said - true)
    caption = (
        f"On the dashed line a prediction is right. Half of the {len(true):,} examples are off by less than "
        f"{number(float(np.median(off)), digits=3)}, nine in ten by less than {number(float(np.quantile(off, 0.9)), digits=3)}."
    )
    layout = {
        "xaxis": axis("true", constrain="domain"),
        "yaxis": axis("predicted", scaleanchor="x", constrain="domain"),
        "showlegend": False,
        "hovermode": "closest",
    }
    title = f"Predicted against true: {plain(str(record['name']))}" if several else "Predicted against true"
    return Figure(name, title, caption, [equal, points], layout, 420)


def residuals(run: RunReport) -> Figure | None:
    """How far predictions of a single amount are off, and to which side."""
    if len(run.predictions) != 1:
        return None
    true, said = (np.asarray(run.predictions[0][key], dtype=float) for key in ("true", "predicted"))
    off = (said - true)[np.isfinite(said - true)]
    if len(off) < 10 or not np.ptp(off):
        return None
    counts, edges = np.histogram(off, bins=int(np.clip(2 * np.sqrt(len(off)), 8, 40)))
    words = [f"{number(a, digits=3)} to {number(b, digits=3)}: {int(n):,} examples"
             for a, b, n in zip(edges[:-1], edges[1:], counts, strict=True)]  # fmt: skip
    bars = {
        "type": "bar", "x": (edges[:-1] + edges[1:]) / 2, "y": counts, "width": np.diff(edges), "name": "examples",
        "marker": {"color": "--train", "line": {"color": "--card", "width": 1}}, "text": words, "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip
    mean, error = float(off.mean()), float(off.std(ddof=1) / np.sqrt(len(off)))
    side = "high" if mean > 0 else "low"
    caption = (
        f"Right of zero a prediction is too high. On average they are {number(abs(mean), digits=2)} too {side}"
        f"{', more than chance would make of it' if abs(mean) > 2 * error else ', no more than chance makes of it'}."
    )
    zero = {"type": "line", "x0": 0, "x1": 0, "yref": "paper", "y0": 0, "y1": 1,
            "line": {"color": "--muted", "width": 1, "dash": "dash"}}  # fmt: skip
    layout = {
        "xaxis": axis("predicted − true"), "yaxis": axis("examples"), "shapes": [zero], "showlegend": False, "bargap": 0,
        "hovermode": "closest",
    }  # fmt: skip
    return Figure("residuals", "Errors", caption, [bars], layout, 420)


def by_fold(run: RunReport) -> Figure | None:
    """The metric of each fold, their mean, and the band of one standard deviation."""
    values = np.array([fold["metrics"].get(run.metric, np.nan) for fold in run.folds], dtype=float)
    if len(values) < 2 or not np.isfinite(values).all():
        return None
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    at = np.arange(1, len(values) + 1)
    share = run.metric in SHARES
    form = ".1%" if share else ".4f"
    points = {
        "type": "scatter", "mode": "markers", "name": "folds", "x": at, "y": values,
        "marker": {"color": "--accent", "size": 11}, "hovertemplate": f"fold %{{x}}: %{{y:{form}}}<extra></extra>",
    }  # fmt: skip
    ends = np.array([0.5, len(values) + 0.5])
    middle = line("mean", Column(ends, np.array([mean, mean])), ends, "--muted", width=1, dash="dash", hoverinfo="skip")
    error = sd / np.sqrt(len(values))
    apart, about = (
        f"{value:.2g} points" if share else number(value, digits=2)
        for value in ((100 * sd, 100 * error) if share else (sd, error))
    )
    caption = (
        f"Each point is measured on rows that its network has not seen. Mean {measure(run.metric, mean)} (dashed), standard "
        f"deviation over the folds {apart} (the band), standard error of the mean about {about}."
    )
    low, high = min(mean - sd, values.min()), max(mean + sd, values.max())
    margin = 0.08 * max(high - low, 1e-12)
    scale = axis(plain(label(run.metric)), range=[low - margin, high + margin], tickformat=form if share else None)
    layout = {
        "xaxis": axis("fold", dtick=1 if len(values) <= 20 else None, range=ends.tolist()),
        "yaxis": scale,
        "shapes": [band("y", mean - sd, mean + sd)],
        "showlegend": False,
    }
    return Figure("folds", "The folds", caption, [middle, points], layout)


def by_class(run: RunReport) -> list[tuple[str, int, float, float, float]]:
    """For each class: name, examples, recall, precision, F1; empty without a confusion matrix."""
    if run.confusion is None:
        return []
    counts = np.asarray(run.confusion["matrix"], dtype=float)
    rows = []
    for index, name in enumerate(run.confusion["classes"]):
        right, true, said = counts[index, index], counts[index].sum(), counts[:, index].sum()
        recall = right / true if true else float("nan")
        precision = right / said if said else float("nan")
        f1 = 2 * right / (true + said) if true + said else float("nan")
        rows.append((str(name), int(true), float(recall), float(precision), float(f1)))
    return rows
