"""The page of a study: the best trial and what it is worth first, then how it was found, then every trial.

>>> report = StudyReport(name="digits-study-1", metric="accuracy", trials=[Trial(0, {"lr": 0.01}, "finished", 0.97)])
>>> write("runs/digits-study-1/page.html", study_page(report))

A metric is shown as it was measured; ``more`` says whether more of it is better. Axes are those of ``search.parallel``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from thalweg.report import trials as charts
from thalweg.report.figure import Figure
from thalweg.report.front import Front, front_section
from thalweg.report.markup import Shown, duration, facts, label, measure, measured, number, table, text, tiled
from thalweg.report.page import document
from thalweg.report.sheet import Section, Sheet, section
from thalweg.report.trials import Trial

STATUS = {"finished": "finished", "pruned": "ended early", "diverged": "diverged", "failed": "failed"}


@dataclass(frozen=True)
class StudyReport:
    """A study as its page shows it.

    ``best`` is the number of the best trial. ``confirmed`` holds its ``values`` on fresh ``seeds``, their ``mean``, ``sd``,
    perhaps an ``interval``, and a ``sentence``; ``metrics`` its metrics by part. ``axes`` has for each hyperparameter a
    ``name``, a ``scale`` and ``ticks`` (place, text); ``importance`` (name, share, spread). ``way`` says who trained and with
    what gain, ``front`` what several objectives brought. ``advice`` are sentences on what to try next, ``notes`` on how the
    search went.
    """

    name: str
    metric: str = "accuracy"
    more: bool = True
    created: str = ""
    status: str = "finished"
    task: str = ""
    data: str = ""
    trials: Sequence[Trial] = ()
    best: int | None = None
    confirmed: Mapping[str, Any] | None = None
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    axes: Sequence[Mapping[str, Any]] = ()
    importance: Sequence[tuple[str, float, float]] = ()
    importance_note: str = ""
    way: str = ""
    gain: float = math.nan
    advice: Sequence[str] = ()
    notes: Sequence[str] = ()
    front: Front | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    search: Mapping[str, Any] = field(default_factory=dict)
    commands: Sequence[str] = ()
    seconds: float = math.nan
    storage_seconds: float = math.nan
    version: str = ""

    @cached_property
    def least(self) -> float:
        """Where an error of zero is drawn on a logarithmic axis: at half of the least that is above."""
        return min((1.0 - one.score for one in self.trials if one.score < 1.0 - 1e-12), default=1e-3) / 2

    @property
    def winner(self) -> Trial | None:
        """The best trial."""
        return next((trial for trial in self.trials if trial.number == self.best), None)


def study_page(study: StudyReport) -> str:
    """The page as HTML. The same study gives the same text."""
    sheet = Sheet()
    written = (
        _result(study),
        front_section(study, sheet),
        _advice(study),
        section("How it was found", "search", _way(study), sheet.charts(charts.best_so_far(study))),
        section("What mattered", "importance", sheet.charts(_importance(study)), _note(study.importance_note)),
        section("Each hyperparameter", "slices", sheet.charts(charts.slices(study))),
        section(
            "All together",
            "parallel",
            *map(sheet.chart, charts.parallel(study)),
            *map(sheet.chart, charts.curves(study)),
        ),
        _trials(study),
        section("Settings", "settings", _list("Of the search", study.search), _list("Of every trial", study.settings)),
    )
    state = text(study.status.partition(":")[0])
    subtitle = " · ".join(text(part) for part in (study.task, study.data, study.created) if part)
    return document(
        study.name,
        heading=f"""<h1>{text(study.name)} <span class="status {state.split(" ")[0]}">{state}</span></h1>
<p class="subtitle">{subtitle}</p>""",
        written=[part for part in written if part is not None],
        sheet=sheet,
        footer=f"Made by thalweg {text(study.version)} from the study's own records. This page loads nothing from elsewhere.",
    )


def _result(study: StudyReport) -> Section | None:
    """The honest numbers large: test, then the mean over fresh seeds; what the winner was beside them."""
    winner = study.winner
    if winner is None:
        return section("Result", "result", "<p>No trial has finished yet.</p>" if study.trials else "")
    name = label(study.metric)
    tiles = []
    if study.metric in study.metrics.get("test", {}):
        tiles.append((f"test {name}", measure(study.metric, study.metrics["test"][study.metric])))
    if study.confirmed is not None:
        tiles.append((f"dev {name}, fresh seeds", measure(study.metric, study.confirmed["mean"])))
    tiles.append((f"dev {name} of trial {winner.number}", measure(study.metric, winner.score)))
    if math.isfinite(study.seconds):
        tiles.append(("time", duration(study.seconds)))
    tiles.append(("trials", number(len(study.trials))))
    pieces = [tiled(tiles)]
    if study.confirmed is not None:
        sentence = str(study.confirmed["sentence"])
        pieces.append(f"<p>{text(sentence[:1].upper() + sentence[1:])}.</p>")
    pieces.append(facts({key: _value(value) for key, value in winner.values.items()}))
    if study.metrics:
        names = list(dict.fromkeys(key for values in study.metrics.values() for key in values))
        rows = [
            [label(part), *(measured(key, values[key]) if key in values else "–" for key in names)]
            for part, values in study.metrics.items()
        ]
        pieces.append(table("The winner's own weights", ["part", *map(label, names)], rows, sortable=False))
    if study.commands:
        pieces.append(f'<div class="card"><pre>{text(chr(10).join(study.commands))}</pre></div>')
    return section("Result", "result", *pieces)


def _value(value: object) -> object:
    return f"{value:.4g}" if isinstance(value, float) else value


def _advice(study: StudyReport) -> Section | None:
    items = "".join(f"<li>{text(sentence)}</li>" for sentence in study.advice)
    return section("What to try next", "next", f"<ul>{items}</ul>" if items else "")


def _way(study: StudyReport) -> str:
    way = study.way.rstrip(".")
    said = [f"{way[:1].upper()}{way[1:]}." if way else "", *study.notes]
    if math.isfinite(study.storage_seconds) and study.seconds > 0:
        share = study.storage_seconds / study.seconds
        said.append(f"Choosing points and keeping trials took {share:.1%} of the time.".replace("%", " %"))
    return "".join(f"<p>{text(sentence)}</p>" for sentence in said if sentence)


def _importance(study: StudyReport) -> list[Figure | None]:
    """What mattered for each objective."""
    if study.front is None:
        return [charts.importance(study.importance)]
    further = [
        charts.importance(shares, of=label(name), key=f"importance-{name}")
        for name, shares in study.front.importance.items()
    ]
    return [charts.importance(study.importance, of=label(study.metric)), *further]


def _note(sentence: str) -> str:
    return f'<p class="subtitle">{text(sentence[:1].upper() + sentence[1:])}.</p>' if sentence else ""


def _list(title: str, pairs: Mapping[str, Any]) -> str:
    return f"<h3>{text(title)}</h3>{facts({key: _value(value) for key, value in pairs.items()})}" if pairs else ""


def _trials(study: StudyReport) -> Section | None:
    """Every trial, the best first; columns sort."""
    if not study.trials:
        return None
    names = [str(axis["name"]) for axis in study.axes] or list(study.trials[0].values)
    rows: list[list[object]] = []
    for trial in charts.ordered(study):
        values = [_cell(trial.values.get(name)) for name in names]
        rows.append(
            [trial.number, measured(study.metric, trial.score), *values, STATUS.get(trial.status, trial.status), trial.epochs,
             Shown(trial.seconds, f"{trial.seconds:.1f}"), trial.why]
        )  # fmt: skip
    head = ["trial", f"dev {label(study.metric)}", *names, "status", "epochs", "seconds", "why it ended"]
    return section("Trials", "trials", table("Every trial, the best first", head, rows))


def _cell(value: object) -> object:
    if value is None:
        return "–"
    return Shown(value, f"{value:.4g}") if isinstance(value, float) else value
