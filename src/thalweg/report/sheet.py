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
        """A figure with its title (unless ``bare``) and caption."""
        self.figures[figure.key] = {"data": figure.data, "layout": figure.layout}
        title = "" if bare else f"<h3>{text(figure.title)}</h3>"
        caption = f"<figcaption>{figure.caption}</figcaption>" if figure.caption else ""
        return (
            f'<figure class="card">{title}<div class="chart" id="chart-{figure.key}" role="img" '
            f'aria-label="Chart: {text(figure.title)}" style="height:{figure.height}px"></div>{caption}</figure>'
        )

    def charts(self, figures: Iterable[Figure | None]) -> str:
        """Figures side by side where there is room; those that are None are left out."""
        drawn = "".join(self.chart(figure) for figure in figures if figure is not None)
        return f'<div class="grid">{drawn}</div>' if drawn else ""
