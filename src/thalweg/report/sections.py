"""The sections of a page, one function each: what the reader is told, in the order it is told.

>>> result(RunReport(name="digits-1"), History()) is None
True
>>> errors(sheet, RunReport(name="digits-1")) is None               # a run without a result has no such section
True
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from thalweg.history import History
from thalweg.report import curves, outcome
from thalweg.report.interventions import marked
from thalweg.report.markup import Shown, duration, facts, label, measure, measured, number, table, text, tiled
from thalweg.report.run import RunReport
from thalweg.report.sheet import Section, Sheet, section

PARTS = ("train", "dev", "test", "held_out")
COUNTED = {"classes": "class", "parts": "part"}
"""Mappings of a data profile that hold numbers of examples."""


def result(run: RunReport, history: History) -> Section | None:
    """What came of it, the test metric large; of a run that still goes, its newest measurements."""
    metrics = {part: run.metrics[part] for part in PARTS if part in run.metrics} or _newest(history)
    known = [part for part in reversed(PARTS) if run.metric in metrics.get(part, {})]
    tiles = [(f"{label(part)} {label(run.metric)}", measure(run.metric, metrics[part][run.metric])) for part in known]
    if run.folds:
        scores = [float(fold["metrics"].get(run.metric, math.nan)) for fold in run.folds]
        tiles += [(f"{what} fold", measure(run.metric, of(scores))) for what, of in (("lowest", min), ("highest", max))]
        tiles.append((f"rows, in {len(scores)} folds", number(sum(int(fold["held_out"]) for fold in run.folds))))
    seconds, epochs, speed = (history.last(name) for name in ("seconds", "epoch", "samples_per_second"))
    if math.isfinite(seconds):
        tiles.append(("time", duration(seconds)))
    if math.isfinite(epochs):
        kept = "epochs" if run.best_epoch is None else f"epochs, the best {run.best_epoch}"
        tiles.append((kept, number(int(epochs))))
    if math.isfinite(speed):
        tiles.append(("examples a second", number(float(f"{speed:.2g}"), digits=9)))
    if run.parameters:
        tiles.append(("parameters", number(run.parameters)))
    if not tiles:
        return None
    names = list(dict.fromkeys(name for values in metrics.values() for name in values))
    rows = [
        [label(part), *(measured(name, values[name]) if name in values else "–" for name in names)]
        for part, values in metrics.items()
    ]
    each = table("Metrics of each part", ["part", *map(label, names)], rows, sortable=False) if names else ""
    return section("Result", "result", tiled(tiles, big=bool(known)), each)


def _newest(history: History) -> dict[str, dict[str, float]]:
    found = {}
    for part in ("train", "dev"):
        values = {name: float(column.values[-1]) for name, column in history.under(part).items()}
        if values:
            found[part] = values
    return found


def folds(sheet: Sheet, run: RunReport) -> Section | None:
    """Each fold of a cross-validation, and how far they are apart."""
    if not run.folds:
        return None
    names = list(run.folds[0]["metrics"])
    rows: list[list[object]] = [
        [number, fold["held_out"], *(measured(name, fold["metrics"][name]) for name in names),
         Shown(fold["lr"], f"{fold['lr']:.3g}"), fold["best_epoch"], fold["epochs"], fold["seconds"]]
        for number, fold in enumerate(run.folds, 1)
    ]  # fmt: skip
    head = ["fold", "rows", *map(label, names), "rate", "best epoch", "epochs", "seconds"]
    return section("Folds", "folds", sheet.charts([outcome.by_fold(run)]), table("Each fold", head, rows))


def learning(sheet: Sheet, run: RunReport, history: History) -> Section | None:
    """The curves of loss, metric and rate, and their numbers for those who do not see charts."""
    figures = [curves.loss(run, history), curves.metric(run, history), curves.learning_rate(history)]
    drawn = sheet.charts(marked(figures, run, curves.clock(history)))
    wide = f'<div class="first-wide">{drawn}</div>' if drawn else ""
    return section("Learning", "learning", wide, _measurements(run, history))


def _measurements(run: RunReport, history: History) -> str:
    names = [(part, name) for part in ("train", "dev") for name in ("loss", run.metric)]
    columns = {(part, name): history.column(f"{part}/{name}") for part, name in names if f"{part}/{name}" in history}
    if not columns:
        return ""
    unit, at = curves.clock(history)
    steps = next(iter(columns.values())).steps
    by_step = {key: dict(zip(c.steps.tolist(), c.values.tolist(), strict=True)) for key, c in columns.items()}
    rows = [
        [float(time), *(_at(by_step[key], step, key[1]) for key in columns)]
        for step, time in zip(steps.tolist(), at(steps).tolist(), strict=True)
    ]
    head = [unit, *(f"{label(part)} {label(name)}" for part, name in columns)]
    shown = table("Measurements after each pass", head, rows)
    return f"<details><summary>The numbers of these charts</summary>{shown}</details>"


def _at(values: dict[int, float], step: int, name: str) -> object:
    return measured(name, values[step]) if step in values else "–"


def signals(sheet: Sheet, history: History) -> Section | None:
    """Gradients and updates, layer by layer."""
    return section("Signals", "signals", sheet.charts([curves.gradients(history), curves.ratios(history)]))


def rate(sheet: Sheet, run: RunReport) -> Section | None:
    """How the learning rate was found."""
    if run.rate is None:
        return None
    chosen = run.rate.rate
    rows: list[list[object]] = [
        [Shown(c.rate, number(c.rate, digits=3)), c.steps, c.score, "chosen" if math.isclose(c.rate, chosen) else ""]
        for c in sorted(run.rate.candidates, key=lambda candidate: candidate.rate)
    ]
    reason = f'<p class="reason">{text(_sentence(run.rate.reason))}</p>' if run.rate.reason else ""
    charts = sheet.charts([outcome.range_test(run.rate), outcome.candidates(run.rate)])
    runs = table("Confirming runs", ["rate", "steps", "dev loss at the end", "choice"], rows) if rows else ""
    return section("How the rate was found", "rate", reason, charts, runs)


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:].rstrip(".") + "."


def errors(sheet: Sheet, run: RunReport) -> Section | None:
    """Which examples the network gets wrong, by class or by size."""
    charts = sheet.charts([outcome.confusion(run), *outcome.predictions(run), outcome.residuals(run)])
    rows = [
        [name, count, *(measured("accuracy", share) for share in shares)]
        for name, count, *shares in outcome.by_class(run)
    ]
    each = table("Each class", ["class", "examples", "recall", "precision", "F1"], rows) if rows else ""
    beside = f'<div class="beside">{charts}{each}</div>' if each else charts
    return section(f"Errors on the {label(run.part)} part", "errors", beside)


def choices(run: RunReport) -> Section | None:
    """All that thalweg decided by itself, and why."""
    rows = table("What was left open", ["setting", "value", "why"], run.choices) if run.choices else ""
    return section("Chosen by thalweg", "choices", rows)


def network(run: RunReport) -> Section | None:
    """The layers and the update rule."""
    names = ("name", "type", "shape", "parameters")
    rows = [[layer.get(name, "") for name in names] for layer in run.layers]
    layers = table(f"Layers: {run.parameters:,} parameters", names, rows, sortable=False) if rows else ""
    rule = f'<div class="card"><h3>Update rule</h3><pre tabindex="0">{text(run.rule)}</pre></div>' if run.rule else ""
    beside = f'<div class="beside">{layers}{rule}</div>' if layers or rule else ""
    return section("Network and update", "network", beside)


def data(profile: Mapping[str, Any]) -> Section | None:
    """A data profile of any shape: plain values as a list, mappings as tables."""
    plain, tables = {}, []
    for key, value in sorted(profile.items(), key=lambda item: item[0] != "parts"):
        title = key[:1].upper() + key[1:]
        if isinstance(value, Mapping) and value:
            rows = [
                [
                    label(str(name)) if key == "parts" else str(name),
                    item if isinstance(item, int | float) else str(item),
                ]
                for name, item in value.items()
            ]
            tables.append(table(title, [COUNTED.get(key, ""), "examples" if key in COUNTED else "value"], rows))
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            names = list(value[0])
            tables.append(table(title, names, [[item.get(name, "") for name in names] for item in value]))
        elif isinstance(value, list | tuple):
            plain[key] = ", ".join(str(item) for item in value[:50]) + (" …" if len(value) > 50 else "")
        elif value != {}:
            plain[key] = value
    pieces = [f'<div class="card">{facts(plain)}</div>', *tables] if plain else tables
    return section("Data", "data", f'<div class="columns">{"".join(pieces)}</div>' if pieces else "")


def settings(run: RunReport) -> Section | None:
    """Everything needed to do it again: settings, versions, and what else was noted."""
    pieces = []
    if run.spec:
        pieces.append(f'<div class="card"><h3>spec.toml</h3><pre tabindex="0">{text(_toml(run.spec))}</pre></div>')
    if run.environment:
        pieces.append(f'<div class="card"><h3>Environment</h3>{facts(run.environment)}</div>')
    if run.notes:
        notes = "".join(f"<li>{text(note)}</li>" for note in run.notes)
        pieces.append(f'<div class="card"><h3>Notes</h3><ul>{notes}</ul></div>')
    return section("Settings", "settings", f'<div class="columns">{"".join(pieces)}</div>' if pieces else "")


def _toml(spec: Mapping[str, Any]) -> str:
    import tomli_w

    written = tomli_w.dumps({key: value for key, value in spec.items() if value is not None and value != {}})
    return re.sub(r"\[\n((?: +[^\[\]{}\n]+,\n){1,12})\]", _on_one_line, written)


def _on_one_line(array: re.Match[str]) -> str:
    return "[" + ", ".join(line.strip().rstrip(",") for line in array[1].splitlines()) + "]"
