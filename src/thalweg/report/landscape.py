"""The page of a landscape: what lies between the ends first, then the pictures it was read from, then the numbers.

>>> report = LandscapeReport(name="digits-landscape-1", ends=[sgd, adam], lines=[between], plane=field)
>>> write("runs/digits-landscape-1/page.html", landscape_page(report))

Plain numbers go in: losses on lines and grids, coordinates, densities. The pictures are in ``landscape_charts``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from thalweg.report import landscape_charts as charts
from thalweg.report.markup import Shown, duration, facts, label, number, table, text
from thalweg.report.page import document
from thalweg.report.sheet import Section, Sheet, section


class Told(NamedTuple):
    """A finding: what was found in a few words, in sentences, and whether it is ``good`` to hear or a ``warning``."""

    title: str
    sentence: str
    tone: str = ""


@dataclass(frozen=True)
class Field:
    """``values`` by name ``(len(y), len(x))`` on a grid."""

    x: np.ndarray
    y: np.ndarray
    values: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Between:
    """The way from one end to another: ``values`` by name ``(k,)`` at the shares ``at`` of it, the ``heights`` of barriers with
    the place of each, and the ``distance``."""

    first: str
    second: str
    at: np.ndarray
    values: Mapping[str, np.ndarray]
    heights: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    distance: float = math.nan


@dataclass(frozen=True)
class Density:
    """The density of eigenvalues at ``at`` ``(k,)``."""

    at: np.ndarray
    density: np.ndarray


@dataclass(frozen=True)
class Stand:
    """An end, or the start: where it stands and what is around it.

    ``numbers`` by name (``train``, ``dev`` and ``start`` as they are measured here: see ``ROWS``), ``verdict`` its kind and a
    sentence. ``place`` is (x, y, distance off the plane), ``path`` (x, y) of the way there and ``share`` how much of the path's
    variance lies in the plane. ``cuts`` ``(directions, len(at))`` are losses along random directions, ``around`` those on two.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
    verdict: tuple[str, str] = ("", "")
    place: tuple[float, float, float] | None = None
    path: Sequence[tuple[float, float]] = ()
    share: float = math.nan
    at: np.ndarray = field(default_factory=lambda: np.zeros(0))
    cuts: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    around: Field | None = None
    density: Density | None = None


@dataclass(frozen=True)
class LandscapeReport:
    """A landscape as its page shows it: ``findings`` first; ``starts`` (one, if all ends come from it) and ``ends``; the
    ``lines`` between ends, the ``descents`` to them, and the ``plane``. ``about`` are facts on how it was measured."""

    name: str
    ends: Sequence[Stand] = ()
    starts: Sequence[Stand] = ()
    findings: Sequence[Told] = ()
    lines: Sequence[Between] = ()
    descents: Sequence[Between] = ()
    plane: Field | None = None
    task: str = ""
    data: str = ""
    model: str = ""
    created: str = ""
    notes: Sequence[str] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = math.nan
    version: str = ""


ROWS = {
    "train": "training loss", "dev": "dev loss", "dev error": "dev error", "from start": "distance from start",
    "gradient": "gradient norm", "sharpness": "largest curvature", "smallest": "smallest curvature", "trace": "trace",
    "negative": "curves downwards", "rise": "rise at distance 1",
}  # fmt: skip
"""What the table of ends holds, and how its columns are called."""
SHARES = ("dev error", "negative")
METHODS = (
    "Losses are those of the data in evaluation mode, without dropout and decay; the statistics of batch norm are computed "
    "anew from training rows at every point (Garipov et al. 2018).",
    "The barrier between two ends is the most by which the loss on the straight way between their weights exceeds the straight "
    "line between their losses (Entezari et al. 2022, eq. 1; Frankle et al. 2020 take the mean of the ends in its place).",
    "Random directions are normalised filter by filter (Li et al. 2018); the density of curvature is stochastic Lanczos "
    "quadrature, its trace Hutchinson's estimate (Ghorbani et al. 2019).",
    "A gradient counts as zero where a saddle-free Newton step (Dauphin et al. 2014) would gain less than a thousandth of what "
    "training gained; curvature below the root of the precision, times the sharpest, counts as none.",
)


def landscape_page(report: LandscapeReport) -> str:
    """The page as HTML. The same landscape gives the same text."""
    sheet = Sheet()
    written = (
        _findings(report),
        section("Between the ends", "lines", sheet.charts(charts.lines(report))),
        section("The plane", "plane", sheet.charts(charts.planes(report))),
        section("Around each end", "slices", sheet.charts(charts.slices(report)), _fields(sheet, report)),
        section("Curvature", "curvature", sheet.charts(charts.spectra(report)), _verdicts(report)),
        _numbers(report),
        section("How it was measured", "about", facts(report.about), _notes([*report.notes, *METHODS])),
    )
    subtitle = " · ".join(text(part) for part in (report.task, report.data, report.model, report.created) if part)
    barred = any(told.tone == "warning" for told in report.findings)
    state, said = ("running", "a barrier") if barred else ("finished", "no barrier")
    return document(
        report.name,
        heading=f'<h1>{text(report.name)} <span class="status {state}">{said}</span></h1>\n'
        f'<p class="subtitle">{subtitle}</p>',
        written=[part for part in written if part is not None],
        sheet=sheet,
        footer=f"Made by thalweg {text(report.version)} in {text(duration(report.seconds))}. "
        f"This page loads nothing from elsewhere.",
    )


def _findings(report: LandscapeReport) -> Section | None:
    tones = {"good": "good", "warning": "finding warning"}
    cards = "".join(
        f'<article class="card {tones.get(told.tone, "finding")}"><div><h3>{text(told.title)}</h3>'
        f'<p class="said">{text(told.sentence)}</p></div></article>'
        for told in report.findings
    )
    return section("What was found", "findings", f'<div class="findings">{cards}</div>' if cards else "")


def _fields(sheet: Sheet, report: LandscapeReport) -> str:
    drawn = sheet.charts(charts.fields(report))
    return f'<div style="margin-top:18px">{drawn}</div>' if drawn else ""


def _verdicts(report: LandscapeReport) -> str:
    told = [(stand.name, *stand.verdict) for stand in (*report.ends, *report.starts) if stand.verdict[1]]
    return table("Minimum or saddle", ["point", "kind", "why"], told, sortable=False) if told else ""


def _numbers(report: LandscapeReport) -> Section | None:
    """Every end and the start, a row each; columns sort."""
    stands = [*report.ends, *report.starts]
    names = [name for name in ROWS if any(name in stand.numbers for stand in stands)]
    settings = list(dict.fromkeys(key for stand in stands for key in stand.settings if key not in ("rule",)))
    if not names:
        return None
    rows = [
        [stand.name, *(_cell(name, stand.numbers.get(name, math.nan)) for name in names),
         *(_setting(stand.settings.get(key)) for key in settings)]
        for stand in stands
    ]  # fmt: skip
    heads = ["point", *(ROWS[name] for name in names), *map(label, settings)]
    written = [table("The ends and the start", heads, rows)]
    if report.lines:
        barred = [name for name in ROWS if name in report.lines[0].heights]
        ways = [
            [
                f"{way.first} – {way.second}",
                *(_cell(name, way.heights[name][0]) for name in barred),
                _cell("", way.distance),
            ]
            for way in report.lines
        ]
        heads = ["between", *(f"barrier, {ROWS[name]}" for name in barred), "distance"]
        written.append(table("Barriers: how far the way between two ends rises above them", heads, ways))
    return section("Numbers", "numbers", *written)


def _cell(name: str, value: float) -> object:
    if math.isnan(value):
        return "–"
    if name not in SHARES:
        return Shown(value, number(value, digits=3))
    return Shown(value, f"{value:.1%}".replace("%", " %") if value >= 1e-3 or value == 0 else number(value, digits=2))


def _setting(value: object) -> object:
    if value is None:
        return "–"
    return Shown(value, number(value, digits=3)) if isinstance(value, int | float) else str(value)


def _notes(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{text(note)}</li>" for note in notes)
    return f'<div class="notes"><ul>{items}</ul></div>' if items else ""
