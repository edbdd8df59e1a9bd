"""Findings as a reader sees them: cards with the sentence, the picture, the numbers, what to do; notes folded below.

>>> findings(sheet, Verdict()).html
'<section id="findings" …><h3>Nothing wrong was found</h3>…'
>>> words("trial/slow/error")
'error, a tenth of the rate'
"""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.diagnose import KINDS, Chart, Finding, Verdict
from thalweg.diagnose.pictures import TRIALS
from thalweg.diagnose.verdict import SUGGESTED
from thalweg.history import Column
from thalweg.report.figure import Figure, axis, line, plain, spread
from thalweg.report.markup import facts, number, text
from thalweg.report.sheet import Section, Sheet, section

LEVELS = {"critical": "critical", "warning": "worth a look", "note": "note"}
COLOURS = ("--train", "--dev", "--layer-4")
MOST_LYING = 8
"""Bars that lie, with room for their names; more of them stand."""
WORDS = {
    "chance": "error without inputs",
    "dev/error": "dev error",
    "domain/auc": "AUC of training against dev rows",
    "frozen_share": "share of the weights that did not move",
    "leak/column": "what this column tells",
    "leak/met": "dev rows among training rows",
    "leak/next": "what the next best column tells",
    "loop/eval": "training passes in evaluation mode",
    "loop/first_bad": "step at which it broke",
    "loop/judged_training": "measuring passes in training mode",
    "loop/largest_before": "largest output before it broke",
    "loop/largest_first": "largest output at first",
    "loop/stale": "backward passes that met an old gradient",
    "loss/anti": "loss of wrong outputs",
    "loss/best": "loss of right outputs",
    "loss/floor": "loss of right outputs behind the activation",
    "loss/null": "loss of blank outputs",
    "loss/pairs": "loss of the rows",
    "loss/unpaired": "loss with targets of other rows",
    "n/batch": "rows of a mini-batch",
    "n/steps": "steps made",
    "order/batch_variance": "spread of mini-batches over that of shuffled rows",
    "rate/alive": "share of the run with the rate alive",
    "rate/last": "last rate",
    "rate/top": "highest rate",
    "reference/clear_disagreement": "sure rows with another label",
    "reference/dev": "dev error these data allow",
    "reference/train": "training error these data allow",
    "train/error": "training error",
    "weights_shrunk": "size of the weights over their first",
}
"""Names of numbers that a finding rests on, in plain words."""


def words(name: str) -> str:
    """The name of a number in a finding's evidence, for reading."""
    path = name.split("/")
    if path[0] == "trial" and len(path) == 3:
        return f"{path[2].replace('_', ' ')}, {TRIALS.get(path[1], path[1].replace('_', ' '))}"
    return WORDS.get(name, name.replace("/", " ").replace("_", " "))


def findings(sheet: Sheet, verdict: Verdict, *, so_far: bool = False) -> Section | None:
    """What is wrong, likeliest cause first; or that nothing is, and what was looked for. Notes are folded below."""
    notes = _notes(verdict)
    if verdict.findings:
        cards = "".join(_finding(sheet, index, finding) for index, finding in enumerate(verdict.findings))
        return section("Findings", "findings", f'<div class="findings">{cards}</div>', notes)
    kinds = KINDS if verdict.tested else SUGGESTED
    looked = ", ".join(KINDS[kind].title.lower().replace("relu", "ReLU") for kind in kinds)
    where = "Tested" if verdict.tested else "Looked for in what the run recorded"
    said = f"<h3>Nothing wrong was found{' so far' if so_far else ''}</h3><p>{where}: {text(looked)}.</p>"
    return section("Findings", "findings", f'<div class="card good">{said}</div>', notes)


def _finding(sheet: Sheet, index: int, finding: Finding) -> str:
    chart = ""
    if finding.chart is not None:
        chart = sheet.chart(figure(f"finding-{index}", finding.chart), bare=True)
    level = f"{LEVELS[finding.severity]} · {text(finding.where)} · {100 * finding.confidence:.0f} % sure"
    test = finding.evidence.get("test")
    decided = f'<p class="decided"><strong>What decided.</strong> {text(test)}.</p>' if test else ""
    return (
        f'<article class="card finding {finding.severity}"><div><p class="kind">{level}</p>'
        f'<h3>{text(finding.title)}</h3><p class="said">{text(finding.sentence)}</p>'
        f"<p><strong>What to do.</strong> {text(finding.remedy)}</p>{decided}{_numbers(finding)}"
        f'<p class="source">Rule: {text(finding.reference)}</p></div>{chart}</article>'
    )


def _numbers(finding: Finding) -> str:
    shown: dict[str, object] = {words(name): value for name, value in finding.evidence.items() if name != "test"}
    return facts(shown) if shown else ""


def _notes(verdict: Verdict) -> str:
    if not verdict.notes:
        return ""
    items = "".join(
        f"<li>{f'<strong>{text(note.title)}.</strong> ' if note.kind != 'note' else ''}{text(_sentence(note.sentence))}</li>"
        for note in verdict.notes
    )
    count = len(verdict.notes)
    said = "1 remark that asks for no action" if count == 1 else f"{count} remarks that ask for no action"
    return f'<details class="notes"><summary>{said}</summary><ul>{items}</ul></details>'


def _sentence(said: str) -> str:
    return f"{said[:1].upper()}{said[1:]}" if said.endswith(".") else f"{said[:1].upper()}{said[1:]}."


def figure(key: str, chart: Chart) -> Figure:
    """A finding's evidence, small: lines over steps, or bars where its values have names."""
    values = np.concatenate([series.values for series in chart.series])
    log = chart.log and spread(values)
    return _bars(key, chart, log=log) if chart.ticks else _lines(key, chart, axis(chart.y, log=log, values=values))


def _lines(key: str, chart: Chart, y: dict[str, Any]) -> Figure:
    drawn = [
        line(series.label, Column(series.steps, series.values), series.steps, COLOURS[index % 3])
        for index, series in enumerate(chart.series)
    ]
    shapes = []
    if chart.mark is not None:
        mark = {"type": "line", "x0": chart.mark, "x1": chart.mark, "yref": "paper", "y0": 0, "y1": 1}
        shapes.append(mark | {"line": {"color": "--bad", "width": 1.5, "dash": "dot"}})
    if chart.level is not None:
        shapes.append(_level("y", chart.level))
    return Figure(key, "Evidence", _seen(chart), drawn, {"xaxis": axis("step"), "yaxis": y, "shapes": shapes}, 220)


def _seen(chart: Chart) -> str:
    """What a finding's picture shows, with the numbers to look for."""
    said = []
    for series in chart.series:
        known = np.flatnonzero(np.isfinite(series.values))
        if not len(known):
            continue
        if chart.ticks:
            low, high = (known[pick(series.values[known])] for pick in (np.argmin, np.argmax))
            ends = (f"{chart.ticks[place]} {number(float(series.values[place]), digits=3)}" for place in (low, high))
            words = f"least {', most '.join(ends)}"
        else:
            first, last = (number(float(series.values[place]), digits=3) for place in known[[0, -1]])
            words = f"from {first} to {last}"
        said.append(f"{series.label}: {words}" if len(chart.series) > 1 or not chart.ticks else words)
    seen = f"{chart.y[:1].upper()}{chart.y[1:]}; {'; '.join(said)}." if said else f"{chart.y}: nothing finite."
    if chart.level is not None:
        seen += f" The dashed line is at {number(chart.level, digits=3)}."
    if chart.mark is not None:
        seen += f" The dotted line marks step {chart.mark:,}."
    return text(seen)


def _level(direction: str, value: float) -> dict[str, Any]:
    other = "x" if direction == "y" else "y"
    ends = {f"{direction}0": value, f"{direction}1": value, f"{other}ref": "paper", f"{other}0": 0, f"{other}1": 1}
    return {"type": "line", **ends, "line": {"color": "--muted", "width": 1, "dash": "dash"}}


def _bars(key: str, chart: Chart, *, log: bool) -> Figure:
    """Bars that lie where their names are words, and stand where there are many."""
    names = [plain(tick if len(tick) <= 40 else f"…{tick[-38:]}") for tick in chart.ticks]
    lying = len(names) <= MOST_LYING
    count = len(chart.series)
    drawn = []
    for index, series in enumerate(chart.series):
        written = [f"{value:.3g}" for value in series.values.tolist()]
        x, y = (series.values, names) if lying else (names, series.values)
        drawn.append({
            "type": "bar", "name": plain(series.label), "orientation": "h" if lying else "v", "x": x, "y": y,
            "marker": {"color": COLOURS[index % 3]}, "showlegend": count > 1,
            "text": written if lying and count == 1 else [], "textposition": "outside", "textangle": 0,
            "cliponaxis": False,
            "hovertemplate": "%{y}: %{x:.3g}" if lying else "%{x}: %{y:.3g}",
        })  # fmt: skip
    seen = np.concatenate([series.values for series in chart.series])
    seen = seen[np.isfinite(seen)]
    low, high = min(float(seen.min(initial=0.0)), 0.0), max(float(seen.max(initial=0.0)), chart.level or 0.0)
    amount = axis(chart.y, log=True, values=seen) if log else axis(chart.y, range=[1.15 * low, 1.15 * high or 1.0])
    named = {"type": "category", "tickangle": 0 if lying else "auto"} | ({"autorange": "reversed"} if lying else {})
    shapes = [_level("x" if lying else "y", chart.level)] if chart.level is not None else []
    layout = {"xaxis": amount if lying else named, "yaxis": named if lying else amount, "shapes": shapes,
              "barmode": "group", "bargap": 0.35, "hovermode": "closest"}  # fmt: skip
    height = max(150, 76 + 20 * len(names) * (0.6 + count)) if lying else 260
    return Figure(key, "Evidence", _seen(chart), drawn, layout, round(height))
