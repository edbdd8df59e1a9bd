"""The page of a race: the verdict first, then the curves it was read from, then how fair the race was.

>>> adam = Racer("adam", {"lr": 0.002}, dev=(0.131, 0.128, 0.134), trials=8)
>>> problem = Problem("digits", "loss", racers=[adam, sgd], verdicts=["adam was best …"], winner="adam")
>>> report = RaceReport(name="digits-race-1", problems=[problem])
>>> write("runs/digits-race-1/page.html", race_page(report))

One problem or a suite of them, with one table over all. Numbers are as they were measured, ``more`` says whether more is
better; an interval is a mean with both ends.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from thalweg.report import race_charts as charts
from thalweg.report.figure import Figure
from thalweg.report.markup import Shown, duration, facts, label, measure, number, table, text, tiled
from thalweg.report.page import document
from thalweg.report.sheet import Section, Sheet, section

Interval = tuple[float, float, float]
"""A value, and the ends of its interval."""
UNKNOWN: Interval = (math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Learning:
    """The confirmed runs of a rule together: at each of ``steps`` the ``middle`` (median) over seeds and the quantiles
    around it (``low``, ``high``: a quarter and three quarters), NaN where fewer than that many runs were finite."""

    steps: Sequence[int]
    middle: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


@dataclass(frozen=True)
class Arrival:
    """How a rule reached the target: ``median`` steps (infinite where fewer than half did) with its interval, ``hits`` of
    ``seeds``, ``seconds`` at the median. ``steps`` and ``reached`` are the Kaplan–Meier curve: the share of runs that had
    arrived after so many steps."""

    median: Interval = UNKNOWN
    hits: int = 0
    seeds: int = 0
    seconds: float = math.nan
    steps: Sequence[float] = ()
    reached: Sequence[float] = ()


@dataclass(frozen=True)
class Racer:
    """One rule on one problem.

    ``settings`` are its tuned values, ``edges`` those at an end of their range (name → "low" or "high"). ``dev`` and ``test``
    are means over the fresh seeds, ``untuned`` that of the rule's default settings. ``after_k[k − 1]`` is the expected best
    dev score of k random trials. ``rates`` are (rate, dev score) of a sweep of the rate alone, and ``decades`` the width of its
    good part. ``trials`` counts tuning trials, ``diverged`` those that diverged, ``seeds`` the fresh seeds; ``step_seconds``
    is the time of a step.
    """

    rule: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    space: Mapping[str, Any] = field(default_factory=dict)
    edges: Mapping[str, str] = field(default_factory=dict)
    dev: Interval = UNKNOWN
    test: Interval = UNKNOWN
    untuned: Interval = UNKNOWN
    learning: Learning | None = None
    arrival: Arrival | None = None
    after_k: Sequence[float] = ()
    rates: Sequence[tuple[float, float]] = ()
    decades: float = math.nan
    trials: int = 0
    diverged: int = 0
    seeds: int = 0
    step_seconds: float = math.nan


@dataclass(frozen=True)
class Problem:
    """One problem: its ``racers``, the best first, and the ``verdicts``, sentences, the most important first.

    ``metric`` is the name of the dev score that was raced for, ``target`` what was to be reached (NaN: none), ``winner`` the
    rule that won (empty: none did), ``steps`` the updates that every run had, ``every`` those between two measurements.
    """

    name: str
    metric: str = "loss"
    more: bool = False
    about: str = ""
    racers: Sequence[Racer] = ()
    verdicts: Sequence[str] = ()
    winner: str = ""
    target: float = math.nan
    steps: int = 0
    every: int = 1


@dataclass(frozen=True)
class Profile:
    """A rule over several problems: ``shares`` of them that it solved within ``ratios`` times the time of the fastest, and the
    ``score``, the mean share up to a ratio of 4 (AlgoPerf)."""

    rule: str
    ratios: Sequence[float]
    shares: Sequence[float]
    score: float


@dataclass(frozen=True)
class RaceReport:
    """A race as its page shows it.

    ``findings`` are sentences over all problems (none for a single one). ``profiles`` want four problems; ``profile_note``
    says why there are none. ``budget`` and ``protocol`` are facts (name → value): what was spent, and how it was made fair.
    ``notes`` say what is to be kept in mind.
    """

    name: str
    problems: Sequence[Problem] = ()
    findings: Sequence[str] = ()
    profiles: Sequence[Profile] = ()
    profile_note: str = ""
    created: str = ""
    status: str = "finished"
    budget: Mapping[str, Any] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    commands: Sequence[str] = ()
    seconds: float = math.nan
    version: str = ""


def race_page(report: RaceReport) -> str:
    """The page as HTML. The same race gives the same text."""
    sheet = Sheet()
    looks = charts.Looks(report)
    if len(report.problems) == 1:
        written = [_verdict(report), *_alone(sheet, looks, report.problems[0])]
    else:
        whole = _drawn(sheet, charts.profile(report, looks))
        written = [_verdict(report), _overview(report), section("Performance profile", "profile", whole)]
        written += [_one_of_many(sheet, looks, problem, f"problem-{at}") for at, problem in enumerate(report.problems)]
    written.append(_fairness(report))
    state = text(report.status.partition(":")[0])
    subtitle = " · ".join(text(part) for part in (_about(report), report.created) if part)
    return document(
        report.name,
        heading=f"""<h1>{text(report.name)} <span class="status {state.split(" ")[0]}">{state}</span></h1>
<p class="subtitle">{subtitle}</p>""",
        written=[part for part in written if part is not None],
        sheet=sheet,
        footer=f"Made by thalweg {text(report.version)} from the race's own records. This page loads nothing from elsewhere.",
    )


def _about(report: RaceReport) -> str:
    if len(report.problems) == 1:
        return report.problems[0].about or report.problems[0].name
    return f"{len(report.problems)} problems" if report.problems else ""


def _verdict(report: RaceReport) -> Section | None:
    """Who won, or that nobody did, and why one may say so."""
    if not any(problem.racers for problem in report.problems):
        return section("Verdict", "verdict", "<p>No rule has finished yet.</p>")
    if len(report.problems) > 1:
        won = [f"{problem.winner or 'nobody'} on {problem.name}" for problem in report.problems if problem.racers]
        said = list(report.findings) or ["Won: " + ", ".join(won) + "."]
        return section("Verdict", "verdict", _said(said, good=any(problem.winner for problem in report.problems)))
    problem = report.problems[0]
    return section("Verdict", "verdict", _tiles(report, problem), _told(problem))


def _tiles(report: RaceReport, problem: Problem) -> str:
    first = problem.racers[0]
    tiles = [("the best rule" if problem.winner else "in front, but no winner", problem.winner or first.rule)]
    tiles.append((f"its dev {label(problem.metric)}, fresh seeds", measure(problem.metric, first.dev[0])))
    if math.isfinite(first.test[0]):
        tiles.append((f"its test {label(problem.metric)}", measure(problem.metric, first.test[0])))
    if first.arrival is not None:
        tiles.append(("its steps to the target", number(first.arrival.median[0])))
    tiles.append(("rules", number(len(problem.racers))))
    if first.trials:
        tiles.append(("trials of tuning, each rule", number(first.trials)))
    if math.isfinite(report.seconds):
        tiles.append(("time", duration(report.seconds)))
    return tiled(tiles)


def _said(sentences: Sequence[str], *, good: bool) -> str:
    """The first sentence large, the others below."""
    if not sentences:
        return ""
    first, *rest = (re.sub(r"(?<=[\s\[])-(?=[\d.])", "−", sentence) for sentence in sentences)
    items = "".join(f"<li>{text(sentence)}</li>" for sentence in rest)
    return (
        f'<div class="card {"good" if good else "finding"}"><h3>{text(first)}</h3>'
        f"{f'<ul>{items}</ul>' if items else ''}</div>"
    )


def _alone(sheet: Sheet, looks: charts.Looks, problem: Problem) -> list[Section | None]:
    """The sections of a race over one problem."""
    return [
        section("Learning curves", "learning", _drawn(sheet, charts.learning(problem, looks, "race"))),
        section("Results", "results", _results(problem)),
        section("Ends, arrivals, tuning", "tuning", sheet.charts(charts.details(problem, looks, "race"))),
        section("Settings", "settings", _settings(problem)),
    ]


def _one_of_many(sheet: Sheet, looks: charts.Looks, problem: Problem, key: str) -> Section | None:
    """All of one problem in a section."""
    about = f'<p class="subtitle">{text(problem.about)}</p>' if problem.about else ""
    figures = [charts.learning(problem, looks, key), *charts.details(problem, looks, key)]
    drawn = sheet.charts(figures).replace('class="grid"', 'class="grid first-wide"', 1)
    return section(problem.name, key, about, _stacked(_told(problem), drawn, _results(problem), _settings(problem)))


def _told(problem: Problem) -> str:
    return _said(problem.verdicts, good=bool(problem.winner))


def _stacked(*pieces: str) -> str:
    """Pieces one below the other, with air between them."""
    return f'<div class="findings">{"".join(pieces)}</div>' if any(pieces) else ""


def _drawn(sheet: Sheet, figure: Figure | None) -> str:
    """A chart that the heading of its section names."""
    return "" if figure is None else sheet.chart(figure, bare=True)


def _overview(report: RaceReport) -> Section | None:
    """One table over all problems."""
    rules = list(dict.fromkeys(racer.rule for problem in report.problems for racer in problem.racers))
    scores = {one.rule: one.score for one in report.profiles}
    rules.sort(key=lambda rule: -scores.get(rule, 0.0))
    rows: list[list[object]] = []
    for rule in rules:
        cells: list[object] = [Shown(scores[rule], number(scores[rule], digits=3))] if scores else []
        for problem in report.problems:
            racer = next((one for one in problem.racers if one.rule == rule), None)
            mark = " ★" if problem.winner == rule else ""
            cells.append("–" if racer is None else Shown(racer.dev[0], measure(problem.metric, racer.dev[0]) + mark))
        rows.append([rule, *cells])
    heads = ["rule", *(["score"] if scores else []), *(problem.name for problem in report.problems)]
    said = "Dev score on fresh seeds, mean; ★ beat every other rule"
    note = f'<p class="subtitle">{text(report.profile_note)}</p>' if report.profile_note else ""
    return section(
        "All problems",
        "all",
        note,
        table(said, heads, rows) if rows else "",
    )


def _results(problem: Problem) -> str:
    """What each rule reached, the best first."""
    rows: list[list[object]] = []
    for racer in problem.racers:
        arrival = racer.arrival
        cells: list[object] = [_interval(problem, racer.dev), _interval(problem, racer.test)]
        if arrival is None:
            cells += ["–"] * 3
        else:
            hits = Shown(arrival.hits, f"{arrival.hits} of {arrival.seeds}")
            cells += [_steps(arrival), hits, _time(arrival.seconds)]
        cells += [_interval(problem, racer.untuned), _time(racer.step_seconds)]
        rows.append([racer.rule, *cells])
    heads = [f"dev {label(problem.metric)}", "test", "steps to target", "arrived", "seconds", "default settings"]
    heads += ["a step"]
    return _without_empty("Tuned, then run on fresh seeds", ["rule", *heads], rows)


def _without_empty(caption: str, heads: list[str], rows: list[list[object]]) -> str:
    """A table without the columns of which nothing is known."""
    kept = [at for at in range(len(heads)) if any(row[at] not in ("–", "") for row in rows)]
    return table(caption, [heads[at] for at in kept], [[row[at] for at in kept] for row in rows]) if rows else ""


def _interval(problem: Problem, interval: Interval) -> object:
    value, low, high = interval
    if math.isnan(value):
        return "–"
    shown = measure(problem.metric, value)
    if math.isfinite(low) and math.isfinite(high):
        shown += (
            f" [{measure(problem.metric, low).removesuffix(' %')}, {measure(problem.metric, high).removesuffix(' %')}]"
        )
    return Shown(value, shown)


def _steps(arrival: Arrival) -> Shown:
    median, low, high = arrival.median
    if not math.isfinite(median):
        return Shown(math.inf, "more than half never")
    around = f" [{number(low)}, {number(high)}]" if math.isfinite(low) else ""
    return Shown(median, f"{number(median)}{around}")


def _time(seconds: float) -> object:
    if not math.isfinite(seconds):
        return "–"
    return Shown(seconds, f"{number(1000 * seconds, digits=3)} ms" if seconds < 1 else duration(seconds))


def _decades(decades: float) -> object:
    return (
        Shown(decades, f"{number(decades, digits=2)} {'decade' if decades == 1 else 'decades'}")
        if math.isfinite(decades)
        else "–"
    )


def _settings(problem: Problem) -> str:
    """What tuning chose for each rule, out of what."""
    rows: list[list[object]] = []
    for racer in problem.racers:
        searched = {name: value for name, value in racer.space.items() if isinstance(value, str | list)}
        chosen = ", ".join(f"{name} {_value(value)}" for name, value in racer.settings.items() if value != 0)
        space = ", ".join(f"{name} {value}" for name, value in searched.items())
        edges = ", ".join(f"{name} at the {side} end" for name, side in racer.edges.items())
        diverged = f"{racer.diverged} of {racer.trials}" if racer.trials else "–"
        rows.append([racer.rule, chosen, space, edges, _decades(racer.decades), diverged])
    heads = ["rule", "best settings", "searched", "at an edge", "good rates", "trials that diverged"]
    return _without_empty("What tuning chose", heads, rows)


def _value(value: object) -> object:
    return f"{value:.4g}" if isinstance(value, float) else value


def _fairness(report: RaceReport) -> Section | None:
    """How it was made fair, and what it cost."""
    notes = "".join(f"<li>{text(note)}</li>" for note in report.notes)
    lists = [
        f'<div class="card"><h3>{text(title)}</h3>{facts({key: _value(value) for key, value in pairs.items()})}</div>'
        for title, pairs in (("Budget", report.budget), ("Protocol", report.protocol))
        if pairs
    ]
    said = f'<div class="card"><ul>{notes}</ul></div>' if notes else ""
    commands = f'<div class="card"><pre>{text(chr(10).join(report.commands))}</pre></div>' if report.commands else ""
    return section("How it was made fair", "fair", _stacked(*lists, said, commands))
