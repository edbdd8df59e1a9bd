"""A page while it is written: sections as HTML, figures as data beside them.

>>> sheet = Sheet()
>>> sheet.chart(figure)
'<figure class="card"><h3>Loss</h3><div class="chart" id="chart-loss" …'
>>> list(sheet.figures)
['loss']
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from thalweg.errors import InputError
from thalweg.report.figure import Figure
from thalweg.report.markup import text


class Section(NamedTuple):
    """A part of the page with a heading. ``key`` is its anchor, ``html`` all of it."""

    title: str
    key: str
    html: str


def section(title: str, key: str, *content: str) -> Section | None:
    """A section of these pieces of HTML; None where all are empty."""
    inner = "".join(content)
    if not inner:
        return None
    heading = f'<h2 id="{key}-title">{text(title)}</h2>'
    return Section(title, key, f'<section id="{key}" aria-labelledby="{key}-title">{heading}{inner}</section>')


class Sheet:
    """Collects the figures of a page; what it gives back is the place where each will be drawn."""

    def __init__(self) -> None:
        self.figures: dict[str, Any] = {}

    def chart(self, figure: Figure, *, bare: bool = False) -> str:
        """A figure with its title (unless ``bare``), its caption, and its numbers for those who cannot see or point at it.

        Raises ``InputError`` for one without a caption: a reader is told what there is to see.
        """
        if not figure.caption:
            raise InputError(f"the chart {figure.key} has no caption: say in a sentence what is to be seen in it")
        self.figures[figure.key] = {"data": figure.data, "layout": figure.layout}
        title = "" if bare else f"<h3>{text(figure.title)}</h3>"
        key = figure.key
        return (
            f'<figure class="card" data-key="{key}">{title}<div class="chart" id="chart-{key}" role="img" '
            f'aria-label="Chart: {text(figure.title)}" aria-describedby="caption-{key}" style="height:{figure.height}px">'
            f'</div><figcaption id="caption-{key}">{figure.caption}</figcaption>{_numbers(key)}</figure>'
        )

    def charts(self, figures: Iterable[Figure | None]) -> str:
        """Figures side by side where there is room; those that are None are left out."""
        drawn = "".join(self.chart(figure) for figure in figures if figure is not None)
        return f'<div class="grid">{drawn}</div>' if drawn else ""


def _numbers(key: str) -> str:
    """Where the page's script puts the numbers of a chart as a table, when somebody asks for them."""
    return f'<details class="numbers" id="numbers-{key}"><summary>Numbers</summary></details>'
