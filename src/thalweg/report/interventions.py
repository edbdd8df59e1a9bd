"""What was done to a run by hand, on its page: marks in the curves and a list.

>>> marked([figure], run, clock)[0].layout["shapes"]
[{'type': 'line', 'x0': 12.4, …}]
>>> interventions(run, clock)
Section(title='Interventions', …)

A run that was never steered has neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from thalweg.report.figure import Figure
from thalweg.report.markup import number, table
from thalweg.report.run import RunReport
from thalweg.report.sheet import Section, section

Clock = tuple[str, Callable[[np.ndarray], np.ndarray]]
"""The axis of a run's curves: its name, and steps to places on it."""
WORDS = {"set": "{what} {before} → {to}", "back": "back to epoch {to}", "pause": "paused", "resume": "going on"}


def interventions(run: RunReport, clock: Clock) -> Section | None:
    """The list of all that was done by hand, a row each."""
    if not run.interventions:
        return None
    unit, at = clock
    rows = [
        [
            words(one),
            one["step"],
            *([] if unit == "step" else [float(at(np.array([one["step"]]))[0])]),
            one.get("when", ""),
        ]
        for one in run.interventions
    ]
    heads = ["what", *dict.fromkeys(["step", unit]), "when"]
    note = (
        "<p>This run was changed by hand while it went; the dotted lines in the curves stand where. <code>spec.toml</code> "
        "repeats it without, <code>steered.toml</code> with all of it, at the same steps.</p>"
    )
    return section("Interventions", "interventions", note, table("What was done by hand", heads, rows))


def marked(figures: Sequence[Figure | None], run: RunReport, clock: Clock) -> list[Figure | None]:
    """The figures, whose axis is the run's, with a dotted line for each intervention that the curves still contain.

    What came after a pass that the run went back to is no longer part of the curves.
    """
    line = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "line": {"color": "--accent", "width": 1, "dash": "dot"}}
    lines = [line | {"x0": x, "x1": x} for x in sorted(set(_places(run.interventions, clock[1])))]
    if not lines:
        return list(figures)
    return [
        None if f is None else replace(f, layout={**f.layout, "shapes": [*f.layout.get("shapes", ()), *lines]})
        for f in figures
    ]


def _places(done: Sequence[Mapping[str, Any]], at: Callable[[np.ndarray], np.ndarray]) -> list[float]:
    """Where on the axis the interventions stand that the run kept; going back stands at the end of the epoch gone back to."""
    places: list[float] = []
    for one in done:
        if one["act"] == "back":
            places = [place for place in places if place <= one["to"]] + [float(one["to"])]
        elif one["act"] in ("set", "stop"):
            places.append(float(at(np.array([one["step"]]))[0]))
    return places


def words(one: Mapping[str, Any]) -> str:
    """An intervention in words."""
    return WORDS.get(one["act"], "ended").format(
        what=one.get("what", ""), before=_shown(one.get("before")), to=_shown(one.get("to"))
    )


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    if value is None:
        return "none"
    return number(float(value)) if isinstance(value, int | float) else str(value)
