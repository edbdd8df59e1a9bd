"""The page of a loop that the doctor sat beside: what was found, what was tried on copies, how it went, all numbers.

>>> html = render_verdict(verdict, doctor.history, title="my loop")
>>> write("doctor.html", html)

A verdict read from curves alone has the same page with fewer sections.
"""

from __future__ import annotations

import numpy as np

from thalweg.diagnose import Chart, Series, Verdict
from thalweg.diagnose.measures import finite
from thalweg.diagnose.pictures import TRIALS, bars
from thalweg.history import History
from thalweg.report import curves
from thalweg.report.evidence import figure, findings, words
from thalweg.report.figure import Figure
from thalweg.report.markup import Shown, number, table, text
from thalweg.report.page import document
from thalweg.report.run import RunReport
from thalweg.report.sheet import Section, Sheet, section


def render_verdict(verdict: Verdict, history: History, *, title: str = "A training loop", subtitle: str = "") -> str:
    """One self-contained HTML page, in the design of a run's; the same verdict gives the same text."""
    sheet = Sheet()
    written = (
        findings(sheet, verdict),
        _trials(sheet, history),
        _course(sheet, title, history),
        _layers(sheet, history),
        _numbers(history),
    )
    count = len(verdict.findings)
    state = "healthy" if not count else "1 finding" if count == 1 else f"{count} findings"
    colour = "finished" if not count else "failed"
    said = [subtitle, *_size(history)]
    return document(
        title,
        heading=f"""<h1>{text(title)} <span class="status {colour}">{state}</span></h1>
<p class="subtitle">{" · ".join(text(part) for part in said if part)}</p>""",
        written=[part for part in written if part is not None],
        sheet=sheet,
        footer="Made by thalweg from what it saw and what it tried on copies. This page loads nothing from elsewhere.",
    )


def _size(history: History) -> list[str]:
    """How long the loop was and on how many rows."""
    named = {"n/steps": "steps", "n/train": "training rows", "n/dev": "dev rows", "n/batch": "rows a mini-batch"}
    return [f"{number(int(history.last(name)))} {said}" for name, said in named.items() if history.last(name, 0.0) > 0]


def _trials(sheet: Sheet, history: History) -> Section | None:
    """What the doctor tried on copies, each beside the same steps again."""
    rows = []
    for trial, said in TRIALS.items():
        if f"trial/{trial}/loss" in history:
            values = [history.last(f"trial/{trial}/{name}") for name in ("steps", "loss", "error", "dev_error")]
            rows.append([said, *(Shown(v, number(v)) if np.isfinite(v) else "–" for v in values)])
    if not rows:
        return None
    errors = {TRIALS[t]: history.last(f"trial/{t}/error") for t in TRIALS if f"trial/{t}/error" in history}
    chart = bars("training error", errors, level=history.last("reference/train"))
    drawn = None
    if chart is not None:
        small = figure("trials", chart)
        caption = "Where each trial ended. The dashed line is what these data allow: the error on rows left out of a reference."
        shown = caption if chart.level is not None else "Where each trial ended."
        drawn = Figure(small.key, "Training error", shown, small.data, small.layout, small.height)
    each = table("Trials on copies", ["change", "steps", "loss", "error", "dev error"], rows, sortable=False)
    return section("What was tried", "tried", f'<div class="beside">{sheet.charts([drawn])}{each}</div>')


def _course(sheet: Sheet, title: str, history: History) -> Section | None:
    """Loss, error and rate while it ran."""
    parts = {part: finite(history.column(f"{part}/error")) for part in ("train", "dev")}
    series = tuple(Series(part, *column) for part, column in parts.items() if len(np.unique(column.steps)) > 1)
    error = None
    if series:
        level = history.last("reference/train")
        small = figure("error", Chart(series, y="error", level=level if np.isfinite(level) else None))
        caption = "Share of wrong answers, or of the variance not explained, at the moments whose weights were kept."
        error = Figure(small.key, "Error", caption, small.data, small.layout, 320)
    run = RunReport(name=title)
    drawn = sheet.charts([curves.loss(run, history), error, curves.learning_rate(history)])
    return section("How it went", "course", f'<div class="first-wide">{drawn}</div>' if drawn else "")


def _layers(sheet: Sheet, history: History) -> Section | None:
    return section("Signals", "signals", sheet.charts([curves.gradients(history), curves.ratios(history)]))


def _numbers(history: History) -> Section | None:
    """Every number, first and last, folded."""
    rows: list[list[object]] = []
    for name in sorted(history.columns):
        values = history.column(name).values
        first, last = float(values[0]), float(values[-1])
        meant = "" if (said := words(name)) == name.replace("/", " ").replace("_", " ") else said
        rows.append([name, meant, Shown(first, number(first)), Shown(last, number(last))])
    if not rows:
        return None
    shown = table("All that was written down", ["name", "meaning", "first", "last"], rows)
    return section("Numbers", "numbers", f"<details><summary>{len(rows)} numbers</summary>{shown}</details>")
