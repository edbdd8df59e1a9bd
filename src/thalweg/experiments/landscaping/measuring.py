"""What of a landscape is measured, how finely, and the measuring.

>>> plan = Plan.fitting(each=5.2e4, weights=26_122, ends=2, rows=(1024, 359), device=torch.device("cpu"))
>>> plan.points, plan.products
(1916, 900)
>>> seen = survey(experiment, ends, plan, watcher=Silent())
>>> seen.lines[0].barrier("train")
Barrier(height=0.83, at=0.5)

How finely is decided by counting operations, not by a clock: the same network gets the same picture on any machine.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import torch

from thalweg.errors import InputError
from thalweg.experiments.experiment import Experiment
from thalweg.experiments.watcher import Watcher
from thalweg.surfaces.critical import Critical, critical
from thalweg.surfaces.curvature import differentiable_twice
from thalweg.surfaces.landscape import Landscape, Line, Plane, Slices, around, line, plane, slices

if TYPE_CHECKING:
    from thalweg.experiments.landscaping.ends import End
    from thalweg.experiments.parts import Pair

BUDGET, ACCELERATED = 2e11, 100
"""Floating-point operations for the pictures, some ten seconds of a core; the factor of an accelerator."""
MOST_ROWS, FEWEST_ROWS = 1024, 128
"""Training rows on which the loss is measured."""
CURVED_ROWS = 512
"""Training rows on which curvature is measured."""
PRODUCT = 6
"""Forward passes that take as long as a product with the Hessian."""
BASIS_BYTES = 1 << 30
"""For the vectors that Lanczos holds."""


@dataclass(frozen=True)
class Plan:
    """Points on each side of the plane, on a line, on a slice and on each side of the field around an end; directions of
    slices; rows of the training and dev part, and of the training part for curvature; products with the Hessian from each of
    ``starts`` vectors."""

    ends: int
    plane: int = 31
    line: int = 25
    slice: int = 17
    around: int = 19
    directions: int = 6
    rows: tuple[int, int] = (MOST_ROWS, MOST_ROWS)
    curved: int = CURVED_ROWS
    iterations: int = 50
    starts: int = 3

    @classmethod
    def fitting(
        cls,
        *,
        each: float,
        weights: int,
        ends: int,
        rows: tuple[int, int],
        device: torch.device,
        points: int | None = None,
    ) -> Plan:
        """As fine as the budget allows, for ``each`` operations of a forward pass for one row and so many ``weights``.

        ``points`` is the user's own choice for each side of the plane.
        """
        check_points(points)
        budget = BUDGET * (1 if device.type == "cpu" else ACCELERATED)
        most = (min(rows[0], MOST_ROWS), min(rows[1], MOST_ROWS))
        plan = cls(ends, rows=most, curved=min(rows[0], CURVED_ROWS))
        share = budget / (plan.points * each * sum(most))
        if share < 1:  # first fewer rows, then fewer points
            fewer = max(share, FEWEST_ROWS / max(most))
            few = (
                max(min(most[0], FEWEST_ROWS), int(most[0] * fewer)),
                max(min(most[1], FEWEST_ROWS), int(most[1] * fewer)),
            )
            plan = replace(plan, rows=few, curved=min(plan.curved, few[0]))
            share = budget / (plan.points * each * sum(few))
        if share < 1:
            side = share**0.5
            plan = replace(
                plan,
                plane=max(11, int(plan.plane * side)),
                around=max(7, int(plan.around * side)),
                line=max(11, _odd(plan.line * side)),
                slice=max(7, _odd(plan.slice * side)),
                directions=3,
                iterations=25,
                starts=2,
            )
        plan = replace(plan, iterations=max(4, min(plan.iterations, BASIS_BYTES // (8 * weights))))
        return plan if points is None else replace(plan, plane=points, around=max(5, points * 3 // 5))

    @property
    def points(self) -> int:
        """Points at which the loss is measured."""
        pairs = self.ends * (self.ends - 1) // 2
        at_each = self.directions * (self.slice - 1) + 1 + self.around**2
        return self.plane**2 + (pairs + self.ends) * self.line + self.ends * at_each

    @property
    def products(self) -> int:
        """Products with the Hessian, at most: at each end and at the start."""
        return (self.ends + 1) * (self.starts + 1) * self.iterations

    @property
    def work(self) -> int:
        """Rows that go through the network, at most."""
        return self.points * sum(self.rows) + self.products * PRODUCT * self.curved

    @property
    def words(self) -> str:
        train, dev = self.rows
        return (
            f"{self.points:,} points on {train:,} training and {dev:,} dev rows, {self.products:,} products with the Hessian "
            f"on {self.curved:,} training rows"
        )


def check_points(points: int | None) -> None:
    """Raises ``InputError`` for points on each side of the plane that no plane takes."""
    if points is not None and not (isinstance(points, int) and 5 <= points <= 201):
        raise InputError(f"points is {points!r}: the plane takes 5 to 201 points on each side")


@dataclass(frozen=True)
class Seen:
    """What was measured. ``lines`` between each two ends, ``descents`` from each end's start to it, the ``plane`` through three
    points; for each end its ``slices``, the field ``around`` it and the ``critical`` verdict. ``begin`` is the start."""

    plan: Plan
    ends: Sequence[End]
    begin: Mapping[str, float]
    lines: Sequence[tuple[int, int, Line]]
    descents: Sequence[Line]
    plane: Plane | None
    slices: Sequence[Slices]
    around: Sequence[Plane]
    points: Sequence[Critical]
    start: Critical
    seconds: float


def survey(experiment: Experiment, ends: Sequence[End], plan: Plan, *, watcher: Watcher) -> Seen:
    """Everything in the plan, on the rows of the experiment."""
    began = time.perf_counter()
    done = 0

    def tick(rows: int) -> None:
        nonlocal done
        done += rows
        watcher.advance(done)

    seed = experiment.spec.seed
    inputs, targets = _some(experiment.parts.train, plan.rows[0], seed)
    beside, answers = _some(experiment.parts.dev, plan.rows[1], seed)
    every = torch.cat([inputs, beside])
    objective = experiment.objective
    errs = "accuracy" in objective.metrics(experiment.model.eval()(inputs[:2]).detach(), targets[:2])

    def measure(net: torch.nn.Module) -> dict[str, torch.Tensor]:
        if landscape.outputs is None:
            here, there = net(every).split([len(targets), len(answers)])
        else:
            here, there = landscape.outputs, net(beside)
        told = {"train": objective(here, targets), "dev": objective(there, answers)}
        if errs:
            told["dev error"] = torch.tensor(1 - objective.metrics(there, answers)["accuracy"])
        return told

    landscape = Landscape(experiment.model, measure, rows=inputs, told=lambda: tick(sum(plan.rows)))
    points = [end.point for end in ends]
    watcher.stage(f"measuring {plan.words}", plan.work)
    clock = time.perf_counter()
    lines = [
        (a, b, line(landscape, points[a], points[b], points=plan.line)) for a, b in combinations(range(len(ends)), 2)
    ]
    if (each := (time.perf_counter() - clock) / (plan.line * len(lines))) * plan.points > 60:
        watcher.note(f"The pictures take about {each * plan.points / 60:.0f} minutes; fewer points take less.")
    descents = [line(landscape, end.start, end.point, points=plan.line) for end in ends]
    seen = _plane(landscape, ends, plan)
    cuts = [slices(landscape, point, directions=plan.directions, points=plan.slice, seed=seed) for point in points]
    fields = [around(landscape, point, points=plan.around, seed=seed) for point in points]
    begin = {name: float(values[0]) for name, values in descents[0].values.items()}

    rows, wanted = inputs[: plan.curved], targets[: plan.curved]

    def verdict(point: torch.Tensor, scale: float) -> Critical:
        net = landscape.go(point)
        with differentiable_twice(net):
            return critical(
                lambda: objective(net(rows), wanted),
                net.parameters(),
                iterations=plan.iterations,
                starts=plan.starts,
                scale=scale,
                seed=seed,
                told=lambda: tick(PRODUCT * plan.curved),
            )

    found = [verdict(end.point, max(begin["train"] - float(way.values["train"][-1]), 1e-12)) for end, way in
             zip(ends, descents, strict=True)]  # fmt: skip
    start = verdict(ends[0].start, begin["train"])
    return Seen(plan, ends, begin, lines, descents, seen, cuts, fields, found, start, time.perf_counter() - began)


def _plane(landscape: Landscape, ends: Sequence[End], plan: Plan) -> Plane | None:
    """Through the start and two ends, or through three ends; None where they lie on one line."""
    corners = [end.point for end in ends] if len(ends) > 2 else [ends[0].start, *(end.point for end in ends)]
    beside = [end.start for end in ends] + [place for end in ends for place in end.path]
    try:
        return plane(landscape, corners[0], corners[1], corners[2], points=plan.plane, around=beside)
    except InputError:  # an end that is the start, or the other end
        return None


def _some(pair: Pair, rows: int, seed: int) -> Pair:
    """Rows drawn from a part."""
    if rows >= len(pair[1]):
        return pair
    drawn = torch.randperm(len(pair[1]), generator=torch.Generator().manual_seed(seed))[:rows].to(pair[1].device)
    return pair[0][drawn], pair[1][drawn]


def _odd(number: float) -> int:
    return int(number) // 2 * 2 + 1
