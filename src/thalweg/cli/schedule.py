"""``thalweg schedule``: a schedule as a chart and a table of its key steps, on a terminal of any width."""

from __future__ import annotations

import inspect
import shutil
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from thalweg.cli.chart import chart, short
from thalweg.schedules import SHAPES, Outline, outline, parse

WIDEST = 100
NARROW = 60
"""Columns below which the chart is lower and the table leaves the parts out."""
MOST_ROWS = 24


def draw(text: str, *, lr: float, steps: int | None, page: str | None) -> dict[str, Any]:
    """Shows the schedule of ``text`` times ``lr``; returns what was shown as plain data."""
    schedule = parse(text)
    drawn = outline(schedule if lr == 1.0 else lr * schedule, steps)
    width = min(shutil.get_terminal_size((80, 24)).columns, WIDEST)
    console = Console(width=width)
    plain = "utf" not in (sys.stdout.encoding or "").lower()
    marks = [stretch.start for stretch in drawn.stretches[1:]]
    height = 8 if width < NARROW else 14
    for line in chart(drawn.value, drawn.steps, width=width, height=height, marks=marks, plain=plain):
        print(line)
    print()
    rows = _rows(drawn)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("step", justify="right")
    table.add_column("value", justify="right")
    if width >= NARROW:
        table.add_column("begins", overflow="ellipsis", no_wrap=True)
    for step, value, begins in rows[:MOST_ROWS]:
        table.add_row(f"{step:,}", short(value), *([begins] if width >= NARROW else []))
    console.print(table, markup=False, highlight=False)
    if len(rows) > MOST_ROWS:
        print(f"and {len(rows) - MOST_ROWS} more steps where parts join: draw fewer with --steps")
    if drawn.imagined:
        console.print(drawn.imagined, markup=False, highlight=False)
    if page is not None:
        from thalweg.report.page import write
        from thalweg.report.schedule import schedule_page

        write(page, schedule_page(repr(schedule), drawn, rows, lr=lr))
        print(f"page  {Path(page)}")
    values = [{"step": step, "value": value} for step, value, _ in rows]
    return {"schedule": repr(schedule), "lr": lr, "steps": drawn.steps, "values": values}


def _rows(drawn: Outline) -> list[tuple[int, float, str]]:
    """Key steps with their values, and the part that begins there."""
    begins = {stretch.start: repr(stretch.schedule) for stretch in drawn.stretches}
    return [(step, drawn.value(step), begins.get(step, "")) for step in drawn.key_steps()]


def list_words() -> None:
    """Every shape with its arguments and what it is."""
    for name, shape in SHAPES.items():
        arguments = ", ".join(
            parameter.name if parameter.default is parameter.empty else f"{parameter.name}={parameter.default!r}"
            for parameter in inspect.signature(shape).parameters.values()
        )
        said = (inspect.getdoc(shape) or "").partition("\n")[0].replace("``", "")
        print(f"{name}({arguments})\n    {said}")
    print("a >> b\n    first a, then b\n0.1 * a\n    a times a number")
