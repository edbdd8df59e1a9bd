"""What a landscape says: its numbers, the sentences they make, and the page.

>>> found.barrier("sgd", "adam").height, found.flattest
(0.83, 'adam')
>>> [told.title for told in found.findings]
['A barrier between sgd and adam', 'adam ends flatter', …]
>>> found.page("landscape.html")
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

import thalweg
from thalweg.errors import InputError
from thalweg.experiments.landscaping.ends import End
from thalweg.experiments.landscaping.measuring import Seen
from thalweg.experiments.landscaping.sentences import barriers, flatness, standing, ways
from thalweg.report.landscape import Between, Density, Field, LandscapeReport, Stand, Told, landscape_page
from thalweg.report.page import write
from thalweg.surfaces.critical import Critical
from thalweg.surfaces.landscape import Barrier, Line, Plane

WIDTH = 0.01
"""By which an eigenvalue is widened, as a share of the reach of all."""


@dataclass(frozen=True)
class Landscaped:
    """A landscape measured between ``ends``; ``seen`` holds every number of it."""

    name: str
    data: str
    task: str
    model: str
    seen: Seen
    notes: Sequence[str] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""
    seconds: float = math.nan

    @property
    def ends(self) -> Sequence[End]:
        """Where the rules, or the runs, came to."""
        return self.seen.ends

    def line(self, first: str, second: str) -> Line:
        """The line between two ends by name, in the order in which they were given; ``InputError`` where there is none."""
        for a, b, found in self.seen.lines:
            if (self.ends[a].name, self.ends[b].name) == (first, second):
                return found
        there = " and ".join(f'"{self.ends[a].name}" to "{self.ends[b].name}"' for a, b, _ in self.seen.lines)
        raise InputError(f'there is no line from "{first}" to "{second}": there is {there}')

    def barrier(self, first: str, second: str, measure: str = "train") -> Barrier:
        """The barrier between two ends: of ``train``, the training loss, of ``dev`` or of ``dev error``."""
        return self.line(first, second).barrier(measure)

    def verdict(self, name: str) -> Critical:
        """Minimum, saddle or slope: what an end is."""
        return self.seen.points[[end.name for end in self.ends].index(name)]

    @cached_property
    def findings(self) -> tuple[Told, ...]:
        """What was found, the most important first."""
        return (*barriers(self.seen), flatness(self.seen), standing(self.seen), ways(self.seen))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the numbers without the pictures."""
        report = self.report
        return {
            "data": self.data,
            "task": self.task,
            "findings": [told.sentence for told in self.findings],
            "ends": [
                {"name": s.name, **s.settings, **s.numbers, "kind": s.verdict[0], "verdict": s.verdict[1]}
                for s in report.ends
            ],
            "start": {**report.starts[0].numbers, "kind": report.starts[0].verdict[0]},
            "barriers": [
                {"between": [way.first, way.second], "distance": way.distance,
                 **{name: {"height": height, "at": at} for name, (height, at) in way.heights.items()}}
                for way in report.lines
            ],
            "notes": list(self.notes),
        }  # fmt: skip

    def page(self, path: str | Path) -> None:
        """Writes the page. Raises ``InputError`` where the file cannot be written."""
        write(path, landscape_page(self.report))

    @cached_property
    def report(self) -> LandscapeReport:
        """What the page is told."""
        seen, names = self.seen, [end.name for end in self.ends]
        starts = ["start"] if one_start(self.ends) else [f"start of {name}" for name in names]
        return LandscapeReport(
            self.name,
            ends=[self._stand(index) for index in range(len(self.ends))],
            starts=[self._start(index, name) for index, name in enumerate(starts)],
            findings=self.findings,
            lines=[_between(names[a], names[b], found) for a, b, found in seen.lines],
            descents=[_between("start", name, found) for name, found in zip(names, seen.descents, strict=True)],
            plane=None if seen.plane is None else _field(seen.plane),
            task=self.task,
            data=self.data,
            model=self.model,
            created=self.created,
            notes=self.notes,
            about=self.about,
            seconds=self.seconds,
            version=thalweg.__version__,
        )

    def _stand(self, index: int) -> Stand:
        seen, end = self.seen, self.ends[index]
        point, cuts = seen.points[index], seen.slices[index]
        numbers = {name: float(values[-1]) for name, values in seen.descents[index].values.items()}
        numbers["from start"] = seen.descents[index].distance
        numbers |= _curvature(point) | {"rise": cuts.rise("train").mean}
        axes = None if seen.plane is None else seen.plane.axes
        return Stand(
            end.name,
            {key: value for key, value in end.settings.items() if value is not None},
            numbers,
            (point.kind, point.sentence),
            _place(seen.plane, end.point),
            () if axes is None else [axes.place(one)[:2] for one in end.path],
            math.nan if axes is None or len(end.path) < 3 else axes.share(end.path),
            cuts.at,
            cuts.values["train"],
            _field(seen.around[index]),
            _density(point),
        )

    def _start(self, index: int, name: str) -> Stand:
        """A start; its curvature is measured for the first alone."""
        end, (verdict, density) = self.ends[index], (("", ""), None)
        numbers = {name: float(values[0]) for name, values in self.seen.descents[index].values.items()}
        numbers["from start"] = 0.0
        if not index:
            numbers |= _curvature(self.seen.start)
            verdict, density = (self.seen.start.kind, self.seen.start.sentence), _density(self.seen.start)
        return Stand(name, {}, numbers, verdict, _place(self.seen.plane, end.start), density=density)


def one_start(ends: Sequence[End]) -> bool:
    """Whether all came from the same weights."""
    return all(torch.equal(end.start, ends[0].start) for end in ends)


def _curvature(point: Critical) -> dict[str, float]:
    found = point.spectrum
    return {
        "gradient": point.gradient, "sharpness": found.largest, "smallest": found.smallest, "trace": found.trace,
        "negative": point.negative,
    }  # fmt: skip


def _density(point: Critical) -> Density:
    found = point.spectrum
    width = WIDTH * max(found.reach, 1e-12)
    at = np.linspace(min(found.smallest, 0.0) - 4 * width, max(found.largest, 0.0) + 4 * width, 600)
    return Density(at, found.density(at, width=width))


def _place(plane: Plane | None, point: torch.Tensor) -> tuple[float, float, float] | None:
    return None if plane is None else plane.axes.place(point)


def _field(found: Plane) -> Field:
    return Field(found.x, found.y, found.values)


def _between(first: str, second: str, found: Line) -> Between:
    barriers = {name: found.barrier(name) for name in found.values}
    heights = {name: (one.height, one.at) for name, one in barriers.items()}
    return Between(first, second, found.at, found.values, heights, found.distance)
