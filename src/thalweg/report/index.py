"""The list of all runs as a page: a row each, its dev curve in small, what is wrong with it said beside it.

>>> entry = Entry("digits-1", "run", link="page/digits-1", data="digits", rule="adamw", metric="accuracy", best=0.972)
>>> page = index_page("runs", [entry])

The page has no charts of its own, so it carries no chart library and weighs little more than its rows.

>>> sparkline((0.2, 0.8, 0.9), label="dev accuracy")
'<svg class="spark" viewBox="0 0 120 26" role="img" aria-label="dev accuracy: 0.2 at first, 0.9 at last">…'
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import thalweg
from thalweg.report.markup import duration, label, measure, text
from thalweg.report.page import document
from thalweg.report.sheet import Sheet, section

COLOURS = {"finished": "finished", "running": "running", "failed": "failed", "damaged": "failed"}
"""States that have a colour of the style sheet; the others stay grey."""
MOST_POINTS = 60
WIDE, HIGH, EDGE = 120, 26, 3
MINUTES = len("2026-01-31 14:03")
SIFTED_FROM = 6
"""Rows from which there is something to search among."""


@dataclass(frozen=True)
class Entry:
    """What a row says. ``state`` is one word, ``said`` the sentence to it where there is one.

    ``best`` is the best dev ``metric`` so far, ``curve`` all of them; ``done`` of ``total`` counts ``unit``; ``seconds`` is
    time in training, ``when`` it began (``2026-01-31 14:03:51``). ``link`` leads to the page, empty where there is none.
    """

    name: str
    kind: str
    link: str = ""
    data: str = ""
    rule: str = ""
    state: str = ""
    said: str = ""
    metric: str = ""
    best: float = math.nan
    curve: Sequence[float] = ()
    unit: str = "epochs"
    done: int = 0
    total: int = 0
    seconds: float = math.nan
    when: str = ""


HEAD = ("name", "kind", "status", "data", "rule", "best dev metric", "dev curve", "epochs", "time", "begun")


def index_page(folder: str, entries: Sequence[Entry]) -> str:
    """The page as HTML, the newest first; the same entries give the same text."""
    newest = sorted(entries, key=lambda entry: entry.when, reverse=True)
    running = sum(entry.state == "running" for entry in entries)
    count = "1 entry" if len(entries) == 1 else f"{len(entries):,} entries"
    state = f'<span class="status running">{running:,} running</span>' if running else ""
    field = '<input type="search" id="sift" autocomplete="off" placeholder="digits adam">'
    search = f'<p><label class="sift">Search {field}</label></p>' if len(entries) >= SIFTED_FROM else ""
    nothing = '<div class="card"><p>Nothing yet. A first run: <code>thalweg train digits</code></p></div>'
    note = (
        '<p class="note">A curve shows the dev metric from the first pass to the last, the dot the best of them. Rows of what '
        "is running keep up by themselves.</p>"
    )
    shown = section(
        "All runs",
        "runs",
        search,
        _table(newest) + note if newest else nothing,
    )
    assert shown is not None
    return document(
        folder,
        heading=f'<h1>{text(folder)} {state}</h1>\n<p class="subtitle">{count}</p>',
        written=[shown],
        sheet=Sheet(),
        footer=f"Served by thalweg {text(thalweg.__version__)} to this machine. This page loads nothing from elsewhere.",
    )


def _table(entries: Sequence[Entry]) -> str:
    rows = "".join(map(_row, entries))
    right = {"best dev metric", "epochs", "time"}
    heads = "".join(
        f'<th scope="col"{" class=number" if name in right else ""}{" aria-sort=descending" if name == "begun" else ""}>'
        + (f'<button type="button">{name}</button>' if name != "dev curve" else name)
        + "</th>"
        for name in HEAD
    )
    return (
        '<div class="scroll runs" tabindex="0" role="region" aria-label="All runs"><table><caption>Newest first; a click on a '
        f"heading sorts</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(entry: Entry) -> str:
    name = f'<a href="{text(entry.link)}">{text(entry.name)}</a>' if entry.link else text(entry.name)
    said = f'<p class="said">{text(entry.said)}</p>' if entry.said else ""
    state = f'<span class="status {COLOURS.get(entry.state, "")}">{text(entry.state or "–")}</span>{said}'
    metric = f"{text(label(entry.metric))} {measure(entry.metric, entry.best)}" if math.isfinite(entry.best) else "–"
    of = f" / {entry.total:,}" if entry.total else ""
    unit = "" if entry.unit == "epochs" else f" {text(entry.unit)}"
    done = f"{entry.done:,}{of}{unit}" if entry.done or entry.total else "–"
    curve = sparkline(entry.curve, label=f"dev {label(entry.metric)}", high=entry.metric not in ("loss", "rmse", "mae"))
    return (
        f'<tr data-key="{text(entry.name)}"><th scope="row">{name}</th><td>{text(entry.kind)}</td><td>{state}</td>'
        f"<td>{text(entry.data or '–')}</td><td>{text(entry.rule or '–')}</td>"
        f'<td class="number" data-value="{entry.best!r}">{metric}</td><td>{curve}</td>'
        f'<td class="number" data-value="{entry.done}">{done}</td>'
        f'<td class="number" data-value="{entry.seconds!r}">{duration(entry.seconds)}</td>'
        f'<td data-value="{re.sub("[^0-9]", "", entry.when) or "NaN"}" title="{text(entry.when)}">'
        f"{text(entry.when[:MINUTES] or '–')}</td></tr>"
    )


def sparkline(values: Sequence[float], *, label: str, high: bool = True) -> str:
    """A curve the size of a word, with a dot at its best value; ``high`` says whether that is the highest."""
    numbers = np.asarray(values, dtype=np.float64)
    numbers = numbers[np.isfinite(numbers)]
    if len(numbers) < 2:
        return "–"
    best = int(numbers.argmax() if high else numbers.argmin())
    at = np.unique(np.append(np.linspace(0, len(numbers) - 1, min(MOST_POINTS, len(numbers))).astype(int), best))
    low, top = float(numbers[at].min()), float(numbers[at].max())
    across = EDGE + (WIDE - 2 * EDGE) * at / (len(numbers) - 1)
    up = HIGH - EDGE - (HIGH - 2 * EDGE) * ((numbers[at] - low) / (top - low) if top > low else np.full(len(at), 0.5))
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, up, strict=True))
    dot = int(np.searchsorted(at, best))
    said = f"{label}: {numbers[0]:.4g} at first, {numbers[-1]:.4g} at last, {numbers[best]:.4g} at best"
    return (
        f'<svg class="spark" viewBox="0 0 {WIDE} {HIGH}" role="img" aria-label="{text(said)}"><title>{text(said)}</title>'
        f'<polyline points="{points}"/><circle cx="{across[dot]:.1f}" cy="{up[dot]:.1f}" r="2.6"/></svg>'
    )
