"""The page of a race that is still run: who has come how far, and the best of each so far; its verdict comes at the end.

>>> lanes = [Lane("digits", "sgd", "accuracy", {"tuning": 8}, (0.45, 0.81))]
>>> page = underway_page("digits-race-1", lanes, state="running", said="", total=148)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

import thalweg
from thalweg.history import Column
from thalweg.report import palette
from thalweg.report.figure import Figure, axis, line
from thalweg.report.markup import SHARES, label, measured, number, table, text
from thalweg.report.page import document
from thalweg.report.sheet import Sheet, section

MOST_CHARTS = 12


@dataclass(frozen=True)
class Lane:
    """One rule on one problem: runs done in each of the ``stages``, and after each run the best dev ``metric`` so far."""

    problem: str
    rule: str
    metric: str
    stages: Mapping[str, int]
    curve: Sequence[float] = ()

    @property
    def runs(self) -> int:
        """Runs that have ended."""
        return sum(self.stages.values())


def underway_page(name: str, lanes: Sequence[Lane], *, state: str, said: str, total: int) -> str:
    """The page as HTML. ``total`` runs are planned; ``said`` is a sentence on the ``state`` where there is one."""
    sheet = Sheet()
    done = sum(lane.runs for lane in lanes)
    stages = list(dict.fromkeys(stage for lane in lanes for stage in lane.stages))
    rows = [
        [lane.rule, lane.problem, lane.runs, *(lane.stages.get(stage, 0) for stage in stages),
         measured(lane.metric, lane.curve[-1]) if lane.curve else "–", label(lane.metric)]
        for lane in lanes
    ]  # fmt: skip
    head = ["rule", "problem", "runs", *stages, "best dev metric", "metric"]
    problems = list(dict.fromkeys(lane.problem for lane in lanes))[:MOST_CHARTS]
    charts = [_best(at, [lane for lane in lanes if lane.problem == problem]) for at, problem in enumerate(problems)]
    share = f"<p>{number(done)} of {number(max(total, done))} runs have ended. The verdict comes when all have.</p>"
    why = f"<p>{text(said[:1].upper() + said[1:])}.</p>" if said else ""
    written = (
        section("How far it is", "lanes", share, why, table("Each rule on each problem", head, rows) if rows else ""),
        section("The best so far", "best", sheet.charts(charts)),
    )
    colour = {"running": "running", "failed": "failed"}.get(state, "")
    return document(
        name,
        heading=f'<h1>{text(name)} <span class="status {colour}">{text(state)}</span></h1>\n'
        f'<p class="subtitle">a race between {len({lane.rule for lane in lanes})} rules</p>',
        written=[part for part in written if part is not None],
        sheet=sheet,
        footer=f"Made by thalweg {text(thalweg.__version__)} from runs that ended. This page loads nothing from elsewhere.",
    )


def _best(at: int, lanes: Sequence[Lane]) -> Figure | None:
    """The best dev metric against the runs that each rule has had."""
    drawn = []
    looks = palette.lines(sorted(lane.rule for lane in lanes))
    for lane in lanes:
        if any(map(math.isfinite, lane.curve)):
            runs = np.arange(1, len(lane.curve) + 1)
            column = Column(runs, np.asarray(lane.curve, dtype=np.float64))
            own = looks[lane.rule]
            drawn.append(line(lane.rule, column, runs, own["color"]) | {"line": own | {"width": 2, "shape": "hv"}})
    if not drawn:
        return None
    first = lanes[0]
    caption = "The best dev metric of each rule after so many of its runs: tuning first, so early leads say little."
    layout = {
        "xaxis": axis("runs of the rule"),
        "yaxis": axis(f"best dev {label(first.metric)}", tickformat=".0%" if first.metric in SHARES else None),
    }
    return Figure(f"best-{at}", first.problem, caption, drawn, layout)
