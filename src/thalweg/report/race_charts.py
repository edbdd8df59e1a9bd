"""The charts of a race: how rules learned, where they ended, when they arrived, what their tuning was worth.

>>> looks = Looks(report)
>>> learning(problem, looks, "digits").caption
'Medians of 10 fresh seeds, each band from the lower quarter to the upper. adam ends lowest. The dotted line is the target …'
>>> [figure.key for figure in details(problem, looks, "digits")]
['digits-ends', 'digits-arrivals', 'digits-rates', 'digits-after']

A rule has one colour on all pages. What is better when larger is drawn as an error, so that all curves fall.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.report import palette
from thalweg.report.figure import Figure, axis, decades, plain
from thalweg.report.markup import label, measure, number, text
from thalweg.wording import listed

if TYPE_CHECKING:
    from thalweg.report.race import Problem, Racer, RaceReport

R_MAX = 4.0
"""The ratio to the fastest up to which AlgoPerf looks."""


class Looks:
    """The colour and the dash of each rule, the same in all charts."""

    def __init__(self, report: RaceReport) -> None:
        rules = list(dict.fromkeys(racer.rule for problem in report.problems for racer in problem.racers))
        self.lines: dict[str, dict[str, str]] = palette.lines(sorted(rules))

    def curve(self, rule: str, x: Any, y: Any, *, bold: bool = False, **more: Any) -> dict[str, Any]:
        """A line of this rule."""
        return {
            "type": "scatter", "mode": "lines", "name": plain(rule), "x": x, "y": y, "legendgroup": plain(rule),
            "line": self.lines[rule] | {"width": 3 if bold else 2} | more.pop("line", {}), **more,
        }  # fmt: skip


class Scale:
    """How the scores of a problem are drawn: as errors where more is better, logarithmic where they span decades."""

    def __init__(self, problem: Problem, scores: Sequence[float]) -> None:
        self.more = problem.more
        values = np.asarray([self.cost(score) for score in scores], dtype=float)
        values = values[np.isfinite(values)]
        positive = values[values > 0]
        self.log = len(positive) >= 0.8 * len(values) > 0 and bool(positive.max() > 4 * positive.min())
        self.floor = float(positive.min()) if self.log else -math.inf
        self.values = values
        name = plain(label(problem.metric))
        self.title = f"dev error (1 − {name})" if self.more else f"dev {name}"

    def cost(self, score: float) -> float:
        return 1.0 - score if self.more else score

    def drawn(self, scores: Sequence[float]) -> list[float]:
        """Heights; a score of zero is drawn at the least that is above, where the axis is logarithmic."""
        return [max(self.cost(score), self.floor) if math.isfinite(score) else math.nan for score in scores]

    def above(self, start: float) -> float:
        """How far up a curve may be seen that rose from ``start``: tenfold, or as far above it as the best came below."""
        return 10 * start if self.log else 2 * start - float(self.values.min(initial=start))

    def axis(self, *, most: float = math.inf) -> dict[str, Any]:
        """The axis; ``most`` cuts off what diverged far above all that others start from."""
        shown = self.values[self.values <= most]
        more: dict[str, Any] = {}
        if self.log and len(shown) and shown.max() <= 100 * self.floor:
            more |= decades(shown)
        if len(shown) < len(self.values):
            low = self.floor if self.log else float(self.values.min())
            more["range"] = [math.log10(low / 1.5), math.log10(most)] if self.log else [low - 0.05 * (most - low), most]
        return axis(self.title, log=self.log, values=shown, **more)


def learning(problem: Problem, looks: Looks, key: str) -> Figure | None:
    """All rules' medians over the fresh seeds on one pair of axes, with a band between the quarters."""
    shown = [racer for racer in problem.racers if racer.learning is not None and len(racer.learning.steps)]
    if not shown:
        return None
    curves = [(racer, racer.learning) for racer in shown if racer.learning is not None]
    scale = Scale(problem, [score for _, one in curves for score in (*one.middle, *one.low, *one.high)])
    starts = [scale.cost(one.middle[0]) for _, one in curves if math.isfinite(one.middle[0])]
    bands, lines = [], []
    for rank, (racer, one) in reversed(list(enumerate(curves))):
        low, high = scale.drawn(one.low), scale.drawn(one.high)
        seen = [at for at in range(len(one.steps)) if math.isfinite(low[at]) and math.isfinite(high[at])]
        if len(seen) > 1:
            outline = [one.steps[at] for at in (*seen, *seen[::-1])]
            edge = [high[at] for at in seen] + [low[at] for at in seen[::-1]]
            bands.append(
                looks.curve(racer.rule, outline, edge, fill="toself", opacity=0.35, hoverinfo="skip", showlegend=False,
                            line={"width": 0})
            )  # fmt: skip
        lines.append(looks.curve(racer.rule, one.steps, scale.drawn(one.middle), bold=rank == 0, legendrank=rank))
    layout: dict[str, Any] = {
        "xaxis": axis("step", rangemode="tozero"),
        "yaxis": scale.axis(most=scale.above(max(starts, default=math.inf))),
    }
    seeds = max(racer.seeds or (racer.arrival.seeds if racer.arrival else 0) for racer in shown)
    said = f"Medians of {seeds} fresh seeds" if seeds else "Medians over fresh seeds"
    said += ", each band from the lower quarter to the upper."
    last = {racer.rule: scale.drawn(one.middle)[-1] for racer, one in curves}
    ended = {rule: value for rule, value in last.items() if math.isfinite(value)}
    if ended:
        said += f" {min(ended, key=lambda rule: ended[rule])} ends lowest."
    if math.isfinite(problem.target):
        at = max(scale.cost(problem.target), scale.floor)
        layout["shapes"] = [_across(at)]
        said += f" The dotted line is the target, {measure(problem.metric, problem.target)}."
    return Figure(f"{key}-learning", "Learning curves", text(said), bands + lines, layout, 440)


def _across(at: float) -> dict[str, Any]:
    """A dotted line at one height."""
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": at, "y1": at, "layer": "below",
            "line": {"color": "--muted", "width": 1.5, "dash": "dot"}}  # fmt: skip


def ends(problem: Problem, looks: Looks, key: str) -> Figure | None:
    """Each rule's mean on fresh seeds with its interval, and what its default settings give."""
    shown = [racer for racer in reversed(problem.racers) if math.isfinite(racer.dev[0])]
    if not shown:
        return None
    untuned = [racer for racer in shown if math.isfinite(racer.untuned[0])]
    scale = Scale(problem, [racer.dev[0] for racer in shown] + [racer.untuned[0] for racer in untuned])
    drawn: list[dict[str, Any]] = []
    for racers, name, of, mark in (
        (untuned, "default settings", "untuned", {"symbol": "circle-open", "size": 10, "color": "--muted"}),
        (shown, "tuned", "dev", {"symbol": "circle", "size": 11}),
    ):
        if racers:
            colours = [looks.lines[racer.rule]["color"] if of == "dev" else "--muted" for racer in racers]
            drawn.append(_dots(problem, scale, racers, name, of, {"color": colours} | mark))
    gain = [racer for racer in untuned if scale.cost(racer.untuned[0]) <= scale.cost(racer.dev[0])]
    said = "Means over fresh seeds with their 95 % intervals; a ring is the rule with its default settings."
    if untuned:
        said += (
            f" Tuning gave nothing to {listed([racer.rule for racer in gain])}."
            if gain
            else " Tuning helped every rule."
        )
    layout = {
        "xaxis": scale.axis(),
        "yaxis": {"type": "category", "title": {"text": ""}, "range": [-0.7, len(shown) - 0.3]},
        "hovermode": "closest",
    }
    return Figure(f"{key}-ends", "Where they end", text(said), drawn, layout, max(340, 100 + 30 * len(shown)))


def _dots(
    problem: Problem, scale: Scale, racers: Sequence[Racer], name: str, of: str, marker: dict[str, Any]
) -> dict[str, Any]:
    """A point and its interval for each rule."""
    rows = [racer.dev if of == "dev" else racer.untuned for racer in racers]
    at = [scale.drawn(row) for row in rows]
    return {
        "type": "scatter", "mode": "markers", "name": name, "x": [value for value, *_ in at],
        "y": [plain(racer.rule) for racer in racers], "marker": marker, "showlegend": False,
        "error_x": {"type": "data", "symmetric": False, "color": "--muted", "thickness": 1.5, "width": 4,
                    "array": [_reach(max(a, b) - value) for value, a, b in at],
                    "arrayminus": [_reach(value - min(a, b)) for value, a, b in at]},
        "text": [f"{plain(racer.rule)}, {name}: {measure(problem.metric, row[0])}"
                 for racer, row in zip(racers, rows, strict=True)],
        "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip


def _reach(length: float) -> float:
    return length if math.isfinite(length) else 0.0


def details(problem: Problem, looks: Looks, key: str) -> list[Figure]:
    """Ends, arrivals at the target, the sweep of the rate, the best after k trials: those that were measured."""
    made = (part(problem, looks, key) for part in (ends, _arrivals, _rates, _after))
    return [figure for figure in made if figure is not None]


def _arrivals(problem: Problem, looks: Looks, key: str) -> Figure | None:
    """Which share of the runs has reached the target, by steps (Kaplan and Meier's curve, turned over)."""
    drawn, never, last = [], [], float(problem.steps)
    for racer in problem.racers:
        if racer.arrival is None:
            continue
        if not racer.arrival.hits:
            never.append(racer.rule)
            continue
        steps, reached = list(racer.arrival.steps), list(racer.arrival.reached)
        x, y = [0.0, *steps], [0.0, *reached]
        if last > x[-1]:
            x, y = [*x, last], [*y, y[-1]]
        drawn.append(looks.curve(racer.rule, x, y, line={"shape": "hv"}))
    if not drawn:
        return None
    said = "The earlier and higher a line rises, the sooner and more surely a rule reaches "
    said += f"{measure(problem.metric, problem.target)}."
    if never:
        said += f" {listed(never)} never did."
    if problem.every > 1:
        said += f" Runs are measured every {number(problem.every)} steps: an arrival is known to within as many."
    layout = {
        "xaxis": axis("step"),
        "yaxis": axis("share of runs that arrived", range=[-0.03, 1.03], tickformat=".0%"),
    }
    return Figure(f"{key}-arrivals", "Arrivals at the target", text(said), drawn, layout, 340)


def _rates(problem: Problem, looks: Looks, key: str) -> Figure | None:
    """The dev score against the learning rate alone: how wide the good part is."""
    swept = [racer for racer in problem.racers if len(racer.rates) > 1]
    if not swept:
        return None
    finite = [score for racer in swept for _, score in racer.rates if math.isfinite(score)]
    scale = Scale(problem, finite)
    drawn = []
    for racer in swept:
        rates, scores = zip(*sorted(racer.rates), strict=True)
        drawn.append(looks.curve(racer.rule, rates, scale.drawn(scores), mode="lines+markers", marker={"size": 5}))
    wide = {racer.rule: racer.decades for racer in swept if math.isfinite(racer.decades)}
    said = "A wide valley forgives a bad guess of the rate; where a line stops, training diverged."
    if wide:
        best, least = max(wide, key=lambda rule: wide[rule]), min(wide, key=lambda rule: wide[rule])
        said += f" The widest is that of {best}, {number(wide[best], digits=2)} decade{'' if wide[best] == 1 else 's'}"
        narrow = wide[least] < 0.9 * wide[best]
        said += f"; the narrowest of {least}, {number(wide[least], digits=2)}." if narrow else "."
    layout = {
        "xaxis": axis("learning rate", log=True, values=np.array([rate for racer in swept for rate, _ in racer.rates])),
        "yaxis": scale.axis(most=scale.above(float(np.median(scale.values))) if len(finite) else math.inf),
        "hovermode": "closest",
    }
    return Figure(f"{key}-rates", "Sensitivity to the learning rate", text(said), drawn, layout, 340)


def _after(problem: Problem, looks: Looks, key: str) -> Figure | None:
    """What k trials of tuning are expected to bring."""
    shown = [racer for racer in problem.racers if len(racer.after_k) > 1]
    if not shown:
        return None
    scale = Scale(problem, [score for racer in shown for score in racer.after_k])
    drawn = [
        looks.curve(racer.rule, np.arange(1, len(racer.after_k) + 1), scale.drawn(racer.after_k), mode="lines+markers",
                    marker={"size": 5})
        for racer in shown
    ]  # fmt: skip
    first = min(shown, key=lambda racer: scale.cost(racer.after_k[0])).rule
    last = min(shown, key=lambda racer: scale.cost(racer.after_k[-1])).rule
    said = "The expected best of k of the tuning trials. "
    said += (
        f"{first} leads from one trial to all." if first == last else f"With one trial {first} leads, with all {last}."
    )
    whole = axis("trials of tuning", dtick=max(1, round(max(len(racer.after_k) for racer in shown) / 8)))
    return Figure(
        f"{key}-after", "Best after k trials", text(said), drawn, {"xaxis": whole, "yaxis": scale.axis()}, 340
    )


def profile(report: RaceReport, looks: Looks) -> Figure | None:
    """On which share of the problems each rule was within τ times the fastest."""
    if not report.profiles:
        return None
    drawn = [
        looks.curve(one.rule, [*one.ratios, R_MAX], [*one.shares, one.shares[-1]], line={"shape": "hv"})
        for one in report.profiles
    ]
    best = max(report.profiles, key=lambda one: one.score)
    said = (
        "At 1 stands the share of problems on which a rule was the fastest; the higher the line, the better overall. "
    )
    said += f"{best.rule} has the best mean share, {number(best.score, digits=3)}."
    layout = {
        "xaxis": axis("times as long as the fastest", range=[1, R_MAX]),
        "yaxis": axis("share of problems solved", range=[-0.03, 1.03], tickformat=".0%"),
    }
    return Figure("profile", "Performance profile", text(said), drawn, layout, 380)
