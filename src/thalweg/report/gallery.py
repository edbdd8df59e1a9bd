"""A gallery of claims: which hold, in how many seeds; then each with its picture, its numbers and its program.

>>> plate = Plate("zigzag", "The zigzag", "Gradient descent", "SGD turns at every step.", "Polyak 1964", [True] * 10,
...               {"turns": [18.0] * 10}, figure, code=script)
>>> write("site/index.html", gallery_page("The atlas", [plate], version="0.1.0"))

Findings stand first: how many claims hold, then the contents by group, then a row for each. Plates of one group stand
together, in the order in which their groups first appear.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from thalweg.errors import InputError
from thalweg.report.figure import Figure
from thalweg.report.markup import Linked, Shown, number, table, text
from thalweg.report.page import document
from thalweg.report.program import program
from thalweg.report.sheet import Section, Sheet, section

ENOUGH = 0.9
"""The share of seeds in which a claim must hold to count as shown."""


@dataclass(frozen=True)
class Plate:
    """One claim and its evidence.

    ``key`` is its anchor and the name of its figure. ``holds`` has a verdict for each seed, ``numbers`` for each thing measured
    one value a seed. ``but`` says what is only half true, ``code`` is the program as it ran, ``file`` where it stands and
    ``seconds`` how long it kept a core busy.
    """

    key: str
    title: str
    group: str
    claim: str
    source: str
    holds: Sequence[bool]
    numbers: Mapping[str, Sequence[float]]
    figure: Figure
    but: str = ""
    code: str = ""
    file: str = ""
    seconds: float = math.nan

    @property
    def proven(self) -> bool:
        """Whether the claim holds in at least nine of ten seeds."""
        return bool(self.holds) and sum(self.holds) >= ENOUGH * len(self.holds)

    @property
    def verdict(self) -> str:
        """In how many seeds it holds, in words."""
        return f"{sum(self.holds)} of {len(self.holds)} seeds"


def gallery_page(name: str, plates: Sequence[Plate], *, version: str = "") -> str:
    """The page as HTML. The same plates give the same text. Raises ``InputError`` where there are none, or two of one key."""
    if not plates:
        raise InputError("a gallery has nothing to show: give it at least one plate")
    keys = [plate.key for plate in plates]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise InputError(f"two plates of the gallery have the key {twice[0]}: give each its own")
    sheet = Sheet()
    groups = dict.fromkeys(plate.group for plate in plates)
    written = [
        _findings(plates),
        *(
            section(group, f"group-{at}", *(_plate(sheet, plate) for plate in plates if plate.group == group))
            for at, group in enumerate(groups)
        ),
    ]
    return document(
        name,
        heading=f'<h1>{text(name)}</h1>\n<p class="subtitle">Claims about training, each tested by a short program.</p>',
        written=[part for part in written if part is not None],
        sheet=sheet,
        footer=f"Made by thalweg {text(version)} from what the programs measured. This page loads nothing from elsewhere.",
    )


def _findings(plates: Sequence[Plate]) -> Section | None:
    """The answer in numbers and a sentence, then the contents by group, then a row for each claim."""
    proven = sum(plate.proven for plate in plates)
    reserved = sum(plate.proven and bool(plate.but) for plate in plates)
    failed = [plate for plate in plates if not plate.proven]
    said = f"{proven} of {len(plates)} claims hold in at least nine of ten seeds"
    if reserved:
        said += f", {reserved} of them with a reservation, which is measured too"
    if failed:
        links = ", ".join(f'<a href="#{text(plate.key)}">{text(plate.title)}</a>' for plate in failed)
        said += f"; {len(failed)} do{'es' if len(failed) == 1 else ''} not hold as stated: {links}"
    counts = (
        ("big", f"{proven} of {len(plates)}", "claims hold"),
        ("", str(proven - reserved), "hold as they stand"),
        ("", str(reserved), "hold, with a reservation"),
        ("", str(len(failed)), f"do{'es' if len(failed) == 1 else ''} not hold as stated"),
    )
    tiles = "".join(f'<div class="tile {kind}"><dd>{much}</dd><dt>{what}</dt></div>' for kind, much, what in counts)
    rows = [
        [
            Linked(plate.title, f"#{plate.key}"),
            Shown(sum(plate.holds) / max(len(plate.holds), 1), plate.verdict),
            _word(plate),
            plate.group,
            plate.claim,
        ]
        for plate in plates
    ]
    head = ["claim", "holds in", "verdict", "about", "in a sentence"]
    claims = f'<div class="claims">{table("Every claim", head, rows)}</div>'
    told = f'<dl class="tiles counts">{tiles}</dl><p>{said}.</p>'
    return section("Findings", "findings", told, _contents(plates), claims)


def _contents(plates: Sequence[Plate]) -> str:
    """A list of links for each group, with what became of each claim."""
    lists = []
    for at, group in enumerate(dict.fromkeys(plate.group for plate in plates)):
        items = "".join(
            f'<li><a href="#{text(plate.key)}">{text(plate.title)}</a> <span class="{_colour(plate)}" '
            f'title="{text(_word(plate))}">{_mark(plate)}</span></li>'
            for plate in plates
            if plate.group == group
        )
        lists.append(f'<div class="card"><h3><a href="#group-{at}">{text(group)}</a></h3><ul>{items}</ul></div>')
    return f'<div class="themes" role="navigation" aria-label="Contents">{"".join(lists)}</div>'


def _word(plate: Plate) -> str:
    if not plate.proven:
        return "does not hold as stated"
    return "holds, with a reservation" if plate.but else "holds"


def _mark(plate: Plate) -> str:
    """The verdict in a word."""
    return ("holds, but" if plate.but else "holds") if plate.proven else "refuted"


def _colour(plate: Plate) -> str:
    return "failed" if not plate.proven else "running" if plate.but else "finished"


def _plate(sheet: Sheet, plate: Plate) -> str:
    state = f'<span class="status {_colour(plate)}">{text(_word(plate))}: {text(plate.verdict)}</span>'
    source = f" <em>{text(plate.source)}.</em>" if plate.source else ""
    figure = replace(plate.figure, key=plate.key, title=plate.title)
    rows = [_row(what, values) for what, values in plate.numbers.items()]
    several = f"Measured, {len(plate.holds)} seeds"
    measured = table(several, ["number", "mean", "± sd", "least", "most"], rows, sortable=False)
    but = f'<p class="notice"><strong>But:</strong> {text(plate.but)}</p>' if plate.but else ""
    took = f", {number(plate.seconds, digits=2)} s on one core" if math.isfinite(plate.seconds) else ""
    lines = plate.code.count("\n")
    code = (
        f'<details><summary>The program: {text(plate.file)} ({lines} lines{took})</summary><div class="card">'
        f'<pre class="program" tabindex="0">{program(plate.code)}</pre></div></details>'
        if plate.code
        else ""
    )
    key = text(plate.key)
    return (
        f'<article class="plate" id="{key}"><h3><a class="self" href="#{key}">{text(plate.title)}</a> {state}</h3>'
        f"<p>{text(plate.claim)}{source}</p>{but}"
        f'<div class="beside">{sheet.chart(figure, bare=True)}{measured}</div>{code}</article>'
    )


def _row(what: str, values: Sequence[float]) -> list[object]:
    row = np.asarray(values, dtype=float)
    sd = float(row.std(ddof=1)) if len(row) > 1 else math.nan
    if sd < 1e-12 * abs(row).max():  # rounding, no spread
        sd = 0.0
    shown = Shown(sd, number(sd, digits=2)) if math.isfinite(sd) else "–"
    return [what, float(row.mean()), shown, float(row.min()), float(row.max())]
