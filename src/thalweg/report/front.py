"""Several objectives on the page of a study: the trials that no other beats in all of them.

>>> front = Front({"accuracy": True, "size": False}, {0: {"accuracy": 0.97, "size": 9482}, 1: …}, members=(0, 1))
>>> pareto(study)[0].caption
'2 of 64 trials are beaten by no other in both: …'
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.report import trials as charts
from thalweg.report.figure import Figure, axis, decades, plain
from thalweg.report.markup import Shown, label, measured, number, table, text
from thalweg.report.sheet import Section, Sheet, section
from thalweg.report.trials import Trial

if TYPE_CHECKING:
    from thalweg.report.study import StudyReport

NAMES = {"size": "weights", "time": "ms for 1,000 rows"}
SPREAD = 4.0
"""How many times the least the largest must be for a logarithmic axis."""


@dataclass(frozen=True)
class Front:
    """``objectives`` says of each whether more is better, the first being that of the study; ``scores`` has the measurements of
    each trial that was trained to its end; ``members`` are the numbers of the trials on the front, best by the first first.

    ``importance`` are the shares of the hyperparameters in each further objective, ``command`` what trains a member again.
    """

    objectives: Mapping[str, bool]
    scores: Mapping[int, Mapping[str, float]]
    members: Sequence[int]
    importance: Mapping[str, Sequence[tuple[str, float, float]]] = field(default_factory=dict)
    command: str = ""


def front_section(study: StudyReport, sheet: Sheet) -> Section | None:
    """The front drawn, then as a table."""
    front = study.front
    if front is None or not front.members:
        return None
    by_number = {trial.number: trial for trial in study.trials}
    names = [str(one["name"]) for one in study.axes]
    rows = [
        [
            number,
            *(measured(name, front.scores[number][name]) for name in front.objectives),
            *(_cell(by_number[number].values.get(name)) for name in names),
        ]
        for number in front.members
    ]
    head = ["trial", *(NAMES.get(one, f"dev {label(one)}") for one in front.objectives), *names]
    again = f'<div class="card"><pre>{text(front.command)}</pre></div>' if front.command else ""
    return section(
        "The front",
        "front",
        sheet.charts(pareto(study)),
        table("Beaten by no other in all objectives, the best trial first", head, rows),
        again,
    )


def pareto(study: StudyReport) -> list[Figure]:
    """The first objective against each of the others."""
    front = study.front
    assert front is not None
    first, *others = front.objectives
    return [_against(study, front, first, other) for other in others]


def _against(study: StudyReport, front: Front, first: str, other: str) -> Figure:
    member = set(front.members)
    done = [trial for trial in study.trials if trial.number in front.scores]
    beaten = [trial for trial in done if trial.number not in member]
    ahead = sorted((t for t in done if t.number in member), key=lambda t: _across(front, t, other))
    drawn = [
        _marks(study, front, beaten, other, "beaten", {"color": "--muted", "size": 7, "opacity": 0.55}),
        _marks(study, front, ahead, other, "on the front", {"color": "--dev", "size": 11, "symbol": "diamond"}),
    ]
    if len(front.objectives) == 2:
        drawn[1] |= {"mode": "lines+markers", "line": {"color": "--dev", "width": 1.5, "shape": "hv"}}
    values = [value for trial in done if math.isfinite(value := _across(front, trial, other))]
    wide = bool(values) and min(values) > 0 and max(values) > SPREAD * min(values)
    title = _heading(other) if not front.objectives[other] else f"1 − {label(other)}"
    layout = {
        "xaxis": axis(plain(title), log=wide) | (decades(np.array(values)) | {"exponentformat": "SI"} if wide else {}),
        "yaxis": charts.scores_axis(study),
        "hovermode": "closest",
    }
    both = "both" if len(front.objectives) == 2 else f"all {len(front.objectives)}"
    count = f"{number(len(ahead))} of {number(len(done))} trials"
    caption = f"{count} are beaten by no other in {both}; down and to the left is better."
    if len(front.objectives) == 2 and len(ahead) > 1:
        caption += " Each step along the line buys less error, and this is its price."
    return Figure(
        f"front-{other}",
        f"{label(first)[:1].upper()}{label(first)[1:]} against {_heading(other)}",
        text(caption + charts.zeros(study)),
        drawn,
        layout,
        400,
    )


def _marks(
    study: StudyReport, front: Front, trials: Sequence[Trial], other: str, name: str, marker: dict[str, Any]
) -> dict[str, Any]:
    said = []
    for trial in trials:
        measures = [
            f"{plain(_heading(one))} {measured(one, value)}" for one, value in front.scores[trial.number].items()
        ]
        said.append(f"trial {trial.number}<br>{'<br>'.join(measures)}<br>{charts.said(trial)}")
    return {
        "type": "scatter", "mode": "markers", "name": name, "x": [_across(front, trial, other) for trial in trials],
        "y": [charts.cost(study, trial.score) for trial in trials], "text": said, "marker": marker,
        "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip


def _across(front: Front, trial: Trial, other: str) -> float:
    value = front.scores[trial.number][other]
    return 1.0 - value if front.objectives[other] else value


def _heading(name: str) -> str:
    return NAMES.get(name, label(name))


def _cell(value: object) -> object:
    if value is None:
        return "–"
    return Shown(value, f"{value:.4g}") if isinstance(value, float) else value
