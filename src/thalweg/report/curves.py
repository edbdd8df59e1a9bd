"""The charts of how a run went, each with the sentence that says what to see in it.

>>> loss(run, history).caption
'The dev loss is lowest, 0.0537, at epoch 18 of 20; the training part has 0.0123 there.'
>>> gradients(history).title
'Gradient by layer'

A chart that has nothing to show is None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from thalweg.averages import beta_of, ewa
from thalweg.diagnose.measures import finite
from thalweg.history import Column, History
from thalweg.report.figure import LAYER_COLOURS, Figure, axis, band, line, spread
from thalweg.report.markup import SHARES, label, measure, number, text
from thalweg.report.run import RunReport

MOST_LEGENDS = 8
NARROW = 0.045
"""A range of accuracies below which whole percents would repeat on the axis."""
STEPS = axis("step", log=True, exponentformat="none", separatethousands=True)
HEALTHY = (1e-4, 1e-2)
"""Update-to-weight ratio: about 1e-3 is healthy, this band usual (Stanford CS231n, Neural Networks 3)."""


def clock(history: History) -> tuple[str, Callable[[np.ndarray], np.ndarray]]:
    """The axis of a run: passes over the data, with fractions, where they were recorded; else steps."""
    steps, epochs = history.column("epoch")
    ends = steps[epochs == 1]
    if len(ends) == 0:
        return "step", lambda at: at
    return "epoch", lambda at: at / ends[0]


def loss(run: RunReport, history: History) -> Figure | None:
    """Loss of the mini-batches, of the training part and of the dev part."""
    unit, at = clock(history)
    parts = {part: finite(history.column(f"{part}/loss")) for part in ("train", "dev")}
    batches = finite(history.column("batch/loss"))
    if not len(batches.steps) and not any(len(column.steps) for column in parts.values()):
        return None
    drawn: list[dict[str, Any]] = []
    if len(batches.steps) > 1:
        window = round(max(batches.steps[-1] / 60, 2))
        smooth = Column(batches.steps, ewa(batches.values, beta_of(window), steps=batches.steps))
        faint = {"width": 1, "opacity": 0.3, "hoverinfo": "skip", "showlegend": False}
        drawn += [line("mini-batch", batches, at(batches.steps), "--batch", **faint)]
        drawn += [line(f"mini-batch, averaged over {window:,} steps", smooth, at(batches.steps), "--batch", width=1.5)]
    colours = {"train": "--train", "dev": "--dev"}
    drawn += [
        line(label(part), column, at(column.steps), colours[part])
        for part, column in parts.items()
        if len(column.steps)
    ]
    shown = np.concatenate([np.asarray(trace["y"]) for trace in drawn if trace.get("showlegend", True)])
    caption = _best(run, history, "loss", lowest=True)
    if len(batches.steps) > 1:
        caption += f" The mini-batch loss is noisy (faint); the grey line averages about its last {window:,} steps."
    layout = {"xaxis": axis(unit), "yaxis": _around(shown), **_best_mark(run, unit)}
    return Figure("loss", "Loss", caption, drawn, layout, 380)


def _around(values: np.ndarray) -> dict[str, Any]:
    """An axis for losses that a single mini-batch far below or above the others does not press flat."""
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    if spread(values):
        return axis("loss", log=True, values=values, range=[float(np.log10(low / 1.6)), float(np.log10(high * 1.3))])
    margin = 0.06 * max(high - low, 1e-12)
    return axis("loss", range=[low - margin, high + margin])


def metric(run: RunReport, history: History) -> Figure | None:
    """Accuracy or R² of the training and the dev part."""
    unit, at = clock(history)
    parts = {part: finite(history.column(f"{part}/{run.metric}")) for part in ("train", "dev")}
    colours = {"train": "--train", "dev": "--dev"}
    drawn = [
        line(label(part), column, at(column.steps), colours[part])
        for part, column in parts.items()
        if len(column.steps)
    ]
    if not drawn:
        return None
    values = np.concatenate([column.values for column in parts.values()])
    low = _worth_seeing(list(parts.values()))
    shown = float(np.ptp(values)) if low is None else float(values.max()) - low
    form: dict[str, Any] = {"tickformat": ".0%" if shown > NARROW else ".1%"} if run.metric in SHARES else {}
    caption = _best(run, history, run.metric, lowest=False)
    if low is not None:
        form["range"] = [low, float(values.max()) + 0.04 * shown]
        caption += f" The axis begins at {measure(run.metric, low)}: the first steps up are below it."
    layout = {"xaxis": axis(unit), "yaxis": axis(label(run.metric), **form), **_best_mark(run, unit)}
    title = label(run.metric)
    return Figure("metric", title[0].upper() + title[1:], caption, drawn, layout)


def _worth_seeing(columns: list[Column]) -> float | None:
    """Where an axis begins that does not press all of a run flat for its first passes; None where it need not be cut.

    All but the first tenth of the passes are on it, with as much room below as they take; a run that learns slowly is whole.
    """
    late = np.concatenate([column.values[-max(int(0.9 * len(column.values)), 2) :] for column in columns])
    lowest = min(float(column.values.min()) for column in columns if len(column.values))
    low = float(late.min()) - 0.5 * max(float(np.ptp(late)), 0.01)
    unit = 10.0 ** math.floor(math.log10(float(late.max()) - low))
    low = math.floor(low / unit) * unit
    return low if late.max() - lowest > 3 * (late.max() - low) else None


def _best(run: RunReport, history: History, name: str, *, lowest: bool) -> str:
    """Where the dev part was best and how far the training part is from it."""
    dev = history.column(f"dev/{name}")
    kept = np.isfinite(dev.values)
    if not kept.any():
        return f"The {label(name)} as training goes on."
    steps, values = dev.steps[kept], dev.values[kept]
    best = int(values.argmin() if lowest else values.argmax())
    unit, at = clock(history)
    where = f"{unit} {number(float(at(steps[best : best + 1])[0]))}"
    last = number(float(at(dev.steps[-1:])[0]))
    extreme = "lowest" if lowest else "highest"
    said = f"The dev {label(name)} is {extreme}, {measure(name, float(values[best]))}, at {where} of {last}"
    train = history.column(f"train/{name}")
    same = train.values[train.steps == steps[best]]
    said += f"; the training part has {measure(name, float(same[-1]))} there." if len(same) else "."
    return said + (" The dashed line marks the weights that were kept." if run.best_epoch is not None else "")


def _best_mark(run: RunReport, unit: str) -> dict[str, Any]:
    if run.best_epoch is None or unit != "epoch":
        return {}
    mark = {"type": "line", "x0": run.best_epoch, "x1": run.best_epoch, "yref": "paper", "y0": 0, "y1": 1}
    return {"shapes": [mark | {"line": {"color": "--muted", "width": 1, "dash": "dash"}}]}


def learning_rate(history: History) -> Figure | None:
    """The rate each step was made with."""
    unit, at = clock(history)
    column = finite(history.column("lr"))
    if len(column.steps) < 2:
        return None
    top, last = float(column.values.max()), float(column.values[-1])
    if top == column.values.min():
        caption = f"The rate is {number(top)} throughout."
    else:
        peak = int(column.values.argmax())
        when = f"at {unit} {number(float(at(column.steps[[peak]])[0]), digits=3)}" if peak else "at the start"
        caption = f"The rate is highest, {number(top, digits=3)}, {when}, and ends at {number(last, digits=3)}."
    layout = {
        "xaxis": axis(unit, range=[0, float(at(column.steps[-1:])[0])]),
        "yaxis": axis("learning rate", rangemode="tozero", exponentformat="e"),
    }
    return Figure(
        "lr", "Learning rate", caption, [line("learning rate", column, at(column.steps), "--accent")], layout, 280
    )


def by_layer(columns: Mapping[str, Column]) -> list[dict[str, Any]]:
    """One curve for each layer, coloured from the first to the last; of many layers only some are named."""
    names = list(columns)
    named = set(np.linspace(0, len(names) - 1, min(len(names), MOST_LEGENDS)).astype(int).tolist())
    drawn = []
    for index, name in enumerate(names):
        column = finite(columns[name])
        column = Column(
            column.steps, np.where(column.values > 0, column.values, np.nan)
        )  # zero has no place on a log axis
        colour = f"--layer-{round(index * (LAYER_COLOURS - 1) / max(len(names) - 1, 1))}"
        drawn.append(line(name, column, column.steps, colour, width=1.5, showlegend=index in named))
    return [trace for trace in drawn if np.isfinite(trace["y"]).any()]


def _values(drawn: list[dict[str, Any]]) -> np.ndarray:
    return np.concatenate([np.asarray(trace["y"], dtype=float) for trace in drawn])


def gradients(history: History) -> Figure | None:
    """The gradient's norm, layer by layer."""
    columns = history.under("grad_norm")
    drawn = by_layer(columns)
    if not drawn:
        return None
    medians = {
        name: float(np.median(finite(column).values)) for name, column in columns.items() if len(finite(column).steps)
    }
    first, last = next(iter(medians)), list(medians)[-1]
    caption = "How strong the learning signal is at each layer's weights. Lines that fall to nothing are signals lost."
    if len(medians) > 1 and medians[last] > 0:
        caption = (
            f"How strong the learning signal is at each layer's weights. By the medians, the first layer ({text(first)}) "
            f"gets {number(medians[first] / medians[last], digits=2)} times the gradient of the last ({text(last)}); below "
            f"a thousandth it would have vanished on its way."
        )
    layout = {
        "xaxis": STEPS,
        "yaxis": axis("gradient norm", log=True, values=_values(drawn)),
    }
    return Figure("gradients", "Gradient by layer", caption, drawn, layout, 360)


def ratios(history: History) -> Figure | None:
    """How far a step moves each layer's weights, in parts of their size, over the healthy band."""
    found = history.under("update_ratio")
    # A weight that starts at zero has its first ratio later; the model's order is the one of the gradients.
    columns = {name: found[name] for name in dict.fromkeys([*history.under("grad_norm"), *found]) if name in found}
    drawn = by_layer(columns)
    if not drawn:
        return None
    medians = np.array([np.median(finite(column).values) for column in columns.values() if len(finite(column).steps)])
    inside = int(((medians >= HEALTHY[0]) & (medians <= HEALTHY[1])).sum())
    caption = (
        f"How far one step moves a layer's weights, relative to their size. About 1e−3 is healthy; the band is 1e−4 to 1e−2. "
        f"{inside or 'None'} of {len(medians)} layers {'has its' if inside < 2 else 'have their'} median in it."
    )
    positive = (values := _values(drawn))[values > 0]
    low = min(positive.min(initial=HEALTHY[0]), HEALTHY[0]) / 1.5
    high = max(positive.max(initial=HEALTHY[1]), HEALTHY[1]) * 1.5
    layout = {
        "xaxis": STEPS,
        "yaxis": axis("‖Δw‖ / ‖w‖", log=True, values=np.array([low, high]), range=np.log10([low, high])),
        "shapes": [band("y", *HEALTHY)],
    }
    return Figure("ratios", "Update-to-weight ratio by layer", caption, drawn, layout, 360)
