"""The charts of a study: best so far, what mattered, each hyperparameter, all of them at once, the trials' curves.

>>> best_so_far(study)[0].caption
'The best came after 41 of 64 trials.'
>>> [figure.key for figure in slices(study)]
['slice-0', 'slice-1']

Parallel coordinates are plain lines: Plotly's own need a program made at run time, which the page's policy forbids.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.report.figure import LAYER_COLOURS, Figure, axis, decades, plain
from thalweg.report.markup import label, measure, number, text

if TYPE_CHECKING:
    from thalweg.report.study import StudyReport

COLOURS = {"finished": "--accent", "pruned": "--muted", "diverged": "--bad", "failed": "--bad"}
MARKS = {"finished": "circle", "pruned": "line-ew-open", "diverged": "x", "failed": "x"}
WORDS = {"finished": "trained to the end", "pruned": "ended early", "diverged": "diverged", "failed": "failed"}
MOST_LINES = 200


@dataclass(frozen=True)
class Trial:
    """One trial. ``score`` is the metric of its best pass (NaN: none), ``ended`` seconds since the study began.

    ``curve`` is the metric after each pass, ``places`` where the values stand on their axes (0 to 1).
    """

    number: int
    values: Mapping[str, Any]
    status: str
    score: float
    epochs: int = 0
    seconds: float = 0.0
    ended: float = math.nan
    why: str = ""
    curve: Sequence[float] = ()
    places: Mapping[str, float] = field(default_factory=dict)


def ordered(study: StudyReport) -> list[Trial]:
    """The study's best first, then by score; what ended early behind, what never was measured last."""
    sign = -1 if study.more else 1

    def place(trial: Trial) -> tuple[bool, bool, bool, float, int]:
        measured = math.isfinite(trial.score)
        score = sign * trial.score if measured else 0.0
        return trial.number != study.best, not measured, trial.status != "finished", score, trial.number

    return sorted(study.trials, key=place)


def best_so_far(study: StudyReport) -> list[Figure]:
    """The best dev metric against trials and against time."""
    done = sorted((t for t in study.trials if math.isfinite(t.ended)), key=lambda t: (t.ended, t.number))
    if not done:
        return []
    running = _running([cost(study, t.score) if t.status == "finished" else math.nan for t in done])
    finite = [place for place, value in enumerate(running) if math.isfinite(value)]
    came = next((place for place in finite if running[place] == running[-1]), 0) + 1
    caption = f"The best came with trial {came:,} of {len(done):,} to end."
    by_count = np.arange(1, len(done) + 1)
    seconds = np.array([t.ended for t in done])
    return [
        _race(
            study, "best-trials", "Best so far, by trials", "trials that have ended", by_count, running, done, caption
        ),
        _race(
            study, "best-time", "Best so far, by time", "seconds", seconds, running, done, "The same against the clock."
        ),
    ]


def _running(costs: Sequence[float]) -> list[float]:
    best, running = math.nan, []
    for cost in costs:
        best = cost if math.isfinite(cost) and not cost >= best else best
        running.append(best)
    return running


def _race(
    study: StudyReport,
    key: str,
    title: str,
    unit: str,
    x: np.ndarray,
    running: list[float],
    done: list[Trial],
    caption: str,
) -> Figure:
    drawn = _points(study, [(float(at), trial) for at, trial in zip(x, done, strict=True)])
    drawn.append({
        "type": "scatter", "mode": "lines", "name": "best so far", "x": x, "y": running,
        "line": {"color": "--dev", "width": 2.5, "shape": "hv"}, "hoverinfo": "skip",
    })  # fmt: skip
    layout = {"xaxis": axis(unit), "yaxis": scores_axis(study), "hovermode": "closest"}
    return Figure(key, title, text(caption + zeros(study)), drawn, layout, 340)


def _points(study: StudyReport, at: Sequence[tuple[Any, Trial]]) -> list[dict[str, Any]]:
    """A trace for each way of ending. What was never measured stands at the edge that is worst."""
    costs = _costs(study)
    worst = float(costs.max()) if len(costs) else 1.0
    drawn = []
    for status in ("pruned", "finished", "diverged", "failed"):
        chosen = [(x, trial) for x, trial in at if trial.status == status]
        if not chosen:
            continue
        says = [f"trial {t.number}: {measure(study.metric, t.score)}<br>{said(t)}" for _, t in chosen]
        drawn.append({
            "type": "scatter", "mode": "markers", "name": WORDS[status], "x": [x for x, _ in chosen],
            "y": [cost(study, t.score) if math.isfinite(t.score) else worst for _, t in chosen], "text": says,
            "marker": {"color": COLOURS[status], "size": 8, "opacity": 0.75, "symbol": MARKS[status],
                       "line": {"color": COLOURS[status], "width": 1.5}},
            "hovertemplate": "%{text}<extra></extra>",
        })  # fmt: skip
    return drawn


def said(trial: Trial) -> str:
    return "<br>".join(f"{plain(name)} {plain(_short(value))}" for name, value in trial.values.items())


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def cost(study: StudyReport, score: float) -> float:
    """What is drawn: the error where more is better, so that a logarithmic axis tells good trials apart."""
    return max(1.0 - score, study.least) if study.more else score


def _costs(study: StudyReport) -> np.ndarray:
    return np.array([cost(study, t.score) for t in study.trials if math.isfinite(t.score)])


def scores_axis(study: StudyReport) -> dict[str, Any]:
    """The axis of the metric."""
    name = label(study.metric)
    costs = _costs(study)
    title = f"dev error (1 − {plain(name)})" if study.more else f"dev {plain(name)}"
    if not _logarithmic(costs):
        return axis(title)
    return {"title": {"text": title}, "type": "log", **decades(costs)}


def _logarithmic(costs: np.ndarray) -> bool:
    return bool(len(costs) > 1 and costs.min() > 0 and costs.max() > 4 * costs.min())


def zeros(study: StudyReport) -> str:
    """Where errors of 0 are drawn, a sentence for captions; nothing where there are none."""
    perfect = study.more and any(trial.score >= 1.0 - 1e-12 for trial in study.trials)
    if not perfect or not _logarithmic(_costs(study)):
        return ""
    return f" An error of 0 is drawn at {number(study.least, digits=2)}: a logarithmic axis has no 0."


def importance(shares: Sequence[tuple[str, float, float]], *, of: str = "", key: str = "importance") -> Figure | None:
    """Shares of the variance, the largest on top, with the spread between the trees of the forest; ``of`` an objective."""
    if not shares:
        return None
    rows = list(reversed(shares))
    bars = {
        "type": "bar", "orientation": "h", "x": [share for _, share, _ in rows],
        "y": [plain(name) for name, *_ in rows], "marker": {"color": "--accent"}, "name": "share",
        "error_x": {"type": "data", "symmetric": False, "color": "--muted", "thickness": 1.5, "width": 4,
                    "array": [spread for *_, spread in rows],
                    "arrayminus": [min(spread, share) for _, share, spread in rows]},
        "hovertemplate": "%{y}: %{x:.0%}<extra></extra>",
    }  # fmt: skip
    name, share, *_ = shares[0]
    caption = (
        f"{text(name)} alone explains {share:.0%} of the differences between the trials (functional ANOVA on their ranks; "
        f"lines: one standard deviation between trees)."
    ).replace("%", " %")
    layout = {
        "xaxis": axis("share of the variance of ranks", tickformat=".0%", rangemode="tozero"),
        "yaxis": axis("", showgrid=False),
        "hovermode": "closest",
        "showlegend": False,
    }
    return Figure(key, f"Importance for {of}" if of else "Importance", caption, [bars], layout, 120 + 34 * len(rows))


def slices(study: StudyReport) -> list[Figure]:
    """The metric against each hyperparameter, on the scale it was searched on."""
    figures = []
    for at, one in enumerate(study.axes):
        name = str(one["name"])
        having = [trial for trial in study.trials if name in trial.values]
        if not having:
            continue
        scale = one["scale"]
        values = [trial.values[name] for trial in having]
        x: list[Any] = [1.0 - value for value in values] if scale == "one-minus" else list(values)
        across = axis(plain(name))
        if scale in ("log", "power2"):
            across = axis(plain(name), log=True, values=np.array(values, dtype=float))
            if scale == "power2":
                across |= {"dtick": math.log10(2), "exponentformat": "none"}
        elif all(isinstance(value, int) for value in values) and len(set(values)) < 12 and scale == "linear":
            across = axis(plain(name), dtick=1)
        elif scale == "one-minus":
            across = axis(f"1 − {plain(name)}", log=True, autorange="reversed", **decades(np.asarray(x, dtype=float)))
        elif scale == "choices":
            texts = [str(tick["text"]) for tick in one["ticks"]]
            across = axis(plain(name), type="category", categoryorder="array", categoryarray=texts)
            x = [str(value) for value in values]
        layout = {"xaxis": across, "yaxis": scores_axis(study), "hovermode": "closest", "showlegend": False}
        drawn = _points(study, list(zip(x, having, strict=True)))
        figures.append(Figure(f"slice-{at}", name, text(_where(study, name, scale) + zeros(study)), drawn, layout, 280))
    return figures


def _where(study: StudyReport, name: str, scale: object) -> str:
    """Where on one axis the best trials lie."""
    ahead = [
        t.values[name] for t in ordered(study) if t.status == "finished" and math.isfinite(t.score) and name in t.values
    ]
    if not ahead:
        return f"No trial with {name} was trained to the end."
    best = ahead[: math.ceil(len(ahead) / 4)]
    said = f"The best trial has {_short(best[0])}"
    if scale == "choices" or len(best) < 2:
        return f"{said}; each point is a trial."
    if min(best) == max(best):
        return f"{said}, as all of the best quarter of those trained to the end."
    return (
        f"{said}; the best quarter of those trained to the end lie between {_short(min(best))} and {_short(max(best))}."
    )


def parallel(study: StudyReport) -> list[Figure]:
    """A line for each trial through its place on every axis, the best third in colour."""
    if len(study.axes) < 2 or not study.trials:
        return []
    order = ordered(study)[:MOST_LINES]
    drawn = []
    groups = np.array_split(np.arange(len(order)), min(LAYER_COLOURS, len(order)))
    for index, group in reversed(list(enumerate(groups))):
        x: list[float | None] = []
        y: list[float | None] = []
        says: list[str] = []
        for trial in (order[int(place)] for place in group):
            x += [*map(float, range(len(study.axes))), None]
            y += [*(_place(one, trial) for one in study.axes), None]
            says += [f"trial {trial.number}: {measure(study.metric, trial.score)}<br>{said(trial)}"] * (
                len(study.axes) + 1
            )
        top = index == 0
        drawn.append({
            "type": "scatter", "mode": "lines", "x": x, "y": y, "name": "best eighth" if top else "", "text": says,
            "hovertemplate": "%{text}<extra></extra>",
            "line": {"color": "--dev" if top else f"--layer-{index}", "width": 2.5 if top else 1},
            "opacity": 1.0 if top else 0.35, "connectgaps": False,
        })  # fmt: skip
    last = len(study.axes) - 1
    notes = [
        {"x": at, "y": tick["place"], "text": plain(tick["text"]), "showarrow": False,
         "xanchor": "left" if at < last else "right", "xshift": 4 if at < last else -4,
         "font": {"color": "--ink", "size": 11}, "bgcolor": "--card", "borderpad": 1}
        for at, one in enumerate(study.axes) for tick in one["ticks"] if -0.01 <= tick["place"] <= 1.01
    ]  # fmt: skip
    layout = {
        "xaxis": axis("", tickvals=list(range(len(study.axes))), ticktext=[plain(one["name"]) for one in study.axes],
                      range=[-0.15, last + 0.15], showgrid=True, autotickangles=[0, -30, -90]),
        "yaxis": axis("", range=[-0.06, 1.06], showticklabels=False, showgrid=False, zeroline=False),
        "annotations": notes, "showlegend": False, "hovermode": "closest",
    }  # fmt: skip
    caption = "Each line is a trial; the bold ones are the best eighth. Where they meet on an axis, its value matters."
    return [Figure("parallel", "Parallel coordinates", caption, drawn, layout, 400)]


def _place(one: Mapping[str, Any], trial: Trial) -> float | None:
    place = trial.places.get(str(one["name"]))
    return None if place is None else float(place)


def curves(study: StudyReport) -> list[Figure]:
    """The metric after each pass of every trial: who was ended when."""
    shown = [trial for trial in ordered(study)[:MOST_LINES] if len(trial.curve)]
    if not shown or max(len(trial.curve) for trial in shown) < 2:
        return []
    drawn = []
    for trial in reversed(shown):
        best = trial.number == study.best
        drawn.append({
            "type": "scatter", "mode": "lines", "name": f"trial {trial.number}", "x": np.arange(1, len(trial.curve) + 1),
            "y": [cost(study, score) for score in trial.curve], "showlegend": False, "opacity": 1.0 if best else 0.5,
            "line": {"color": "--dev" if best else COLOURS.get(trial.status, "--muted"), "width": 3 if best else 1},
            "text": [measure(study.metric, score) for score in trial.curve],
            "hovertemplate": f"trial {trial.number}, epoch %{{x}}: %{{text}}<extra></extra>",
        })  # fmt: skip
    layout = {"xaxis": axis("epoch"), "yaxis": scores_axis(study), "hovermode": "closest"}
    caption = "Each line is a trial, the bold one the best; those that end early are grey." + zeros(study)
    return [Figure("curves", "The trials' curves", caption, drawn, layout, 360)]
