"""A page for a schedule: its curve, where its parts join, and its values at the steps that matter.

>>> page = schedule_page("warmup(500) >> cosine(10000)", drawn, rows, lr=0.1)
>>> write("schedule.html", page)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import thalweg
from thalweg.history import Column
from thalweg.report.figure import Figure, axis, line
from thalweg.report.markup import number, table, text
from thalweg.report.page import document
from thalweg.report.sheet import Section, Sheet, section
from thalweg.schedules import Outline

MOST_POINTS = 2000


def schedule_page(name: str, drawn: Outline, rows: Sequence[tuple[int, float, str]], *, lr: float) -> str:
    """The page as HTML. ``rows`` are (step, value, the part that begins there)."""
    sheet = Sheet()
    joins = [stretch.start for stretch in drawn.stretches[1:] if stretch.start < drawn.steps]
    chart = sheet.chart(_figure(drawn, joins, "factor" if lr == 1.0 else "learning rate"), bare=True)
    values = table(
        "Key steps",
        ["step", "value", "begins"],
        [[step, value, begins] for step, value, begins in rows],
        sortable=False,
    )
    shown: list[Section] = [
        part for part in (section("Curve", "curve", chart), section("Values", "values", values)) if part is not None
    ]
    times = "" if lr == 1.0 else f", times {number(lr)}"
    return document(
        name,
        heading=f'<h1>{text(name)}</h1>\n<p class="subtitle">{number(drawn.steps)} steps{times}</p>',
        written=shown,
        sheet=sheet,
        footer=f"Made by thalweg {text(thalweg.__version__)}. This page loads nothing from elsewhere.",
    )


def _figure(drawn: Outline, joins: Sequence[int], named: str) -> Figure:
    corners = [step for join in joins for step in (join - 1, join)]  # a jump is drawn as one
    steps = np.unique(
        np.concatenate([np.linspace(0, drawn.steps, min(MOST_POINTS, drawn.steps + 1)).astype(np.int64), corners])
    ).astype(np.int64)
    column = Column(steps, np.array([drawn.value(step) for step in steps.tolist()]))
    mark = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "line": {"color": "--muted", "width": 1, "dash": "dot"}}
    layout = {
        "xaxis": axis("step", separatethousands=True, exponentformat="none"),
        "yaxis": axis(named, exponentformat="e"),
        "shapes": [mark | {"x0": join, "x1": join} for join in joins],
    }
    first, last = column.values[[0, -1]].tolist()
    top = int(column.values.argmax())
    highest = f", is highest, {number(float(column.values[top]))}, at step {number(int(steps[top]))}," if top else ""
    caption = f"The {named} begins at {number(first)}{highest} and ends at {number(last)}."
    caption += " Dotted lines stand where one part ends and the next begins." if joins else ""
    caption += f" {drawn.imagined[:1].upper()}{drawn.imagined[1:]}." if drawn.imagined else ""
    return Figure("schedule", "Schedule", text(caption), [line(named, column, steps, "--accent")], layout, 420)
