"""Two-sided differences of a loss along directions and entries, and what to make of kinks.

Works on named float64 arrays and one function: the loss with one of them replaced. Torch and NumPy meet here.

>>> probe = Probe(lambda array: float(np.sum(np.abs(array))), np.array([0.0, 2.0]), loss=2.0, step=1e-6)
>>> probe.slope(np.array([0.0, 1.0]), given=1.0).measured          # away from the kink
1.0
>>> probe.slope(np.array([1.0, 0.0]), given=0.3).defined           # at it: −1 on one side, 1 on the other
False
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from thalweg.gradcheck.verdict import GOOD, Entry, ParameterCheck

ROUNDING = 50 * np.finfo(np.float64).eps
"""Relative error that a loss is granted: its sums and products round some tens of times."""
SMALLER = (0.1, 0.01)
"""Steps tried, relative to the first, where a difference and the gradient disagree."""


@dataclass(frozen=True)
class Slope:
    """A directional derivative. ``noise`` is what rounding alone can do to ``measured``.

    ``kink``: the loss has a kink here. ``defined`` is False where it lies at the very point, so that there is no derivative.
    """

    given: float
    measured: float
    one_sided: float
    noise: float
    kink: bool = False
    defined: bool = True

    @property
    def resolved(self) -> bool:
        """Whether rounding leaves enough to tell the two apart."""
        return _distance(self) > self.noise or abs(self.given) > self.noise / GOOD

    @property
    def agrees(self) -> bool:
        return abs(self.measured - self.given) <= GOOD * (abs(self.measured) + abs(self.given)) + self.noise


class Probe:
    """The loss around one point of one parameter: ``evaluate(array)`` with ``at`` in the middle, ``loss`` there."""

    def __init__(self, evaluate: Callable[[np.ndarray], float], at: np.ndarray, *, loss: float, step: float) -> None:
        self.evaluate, self.at, self.loss, self.step = evaluate, at, loss, step

    def slope(self, direction: np.ndarray, given: float) -> Slope:
        """The derivative along ``direction`` (shape of ``at``); where it disagrees with ``given``, looks for a kink.

        A kink *near* the point is stepped over by the first step and not by a smaller one, which then agrees. *At* the
        point (ReLU of exactly 0) the slopes on the two sides differ however small the step: no difference can say
        whether the gradient is right there.
        """
        # A step far below the spacing of floating-point numbers around a large entry would be rounded away.
        scale = self.step * max(1.0, float(np.abs(self.at[direction != 0]).max(initial=0.0)))
        first, low, high = self._differences(direction, scale, given)
        if first.agrees:
            return first
        jumps = [high - low]
        for factor in SMALLER:
            closer, below, above = self._differences(direction, scale * factor, given)
            jumps.append(above - below)
            if closer.agrees and abs(closer.measured - first.measured) > closer.noise:
                return Slope(given, closer.measured, closer.one_sided, closer.noise, kink=True)
        # Curvature opens a gap between the two sides too, but one that shrinks with the step.
        tolerance = 2 * first.noise + GOOD * (abs(low) + abs(high))
        if jumps[0] > 10 * tolerance and jumps[1] > jumps[0] / 2:
            return replace(first, kink=True, defined=False)
        return first

    def _differences(self, direction: np.ndarray, step: float, given: float) -> tuple[Slope, float, float]:
        """The two-sided difference, and the lower and the higher of the two one-sided ones."""
        above = self.evaluate(self.at + step * direction)
        below = self.evaluate(self.at - step * direction)
        forward, backward = (above - self.loss) / step, (self.loss - below) / step
        noise = ROUNDING * max(abs(self.loss), abs(above), abs(below)) / step
        slope = Slope(given, (above - below) / (2 * step), forward, noise)
        return slope, min(forward, backward), max(forward, backward)


def examine(
    parameter: str,
    probe: Probe,
    gradient: np.ndarray,
    *,
    directions: int,
    entries: int | None,
    generator: np.random.Generator,
) -> ParameterCheck:
    """Checks one parameter: ``directions`` random directions, ``entries`` sampled entries (None for all)."""
    size, shape = gradient.size, gradient.shape
    # Unit length would leave a large parameter's differences to rounding, entries of ±1 would cross kinks: between the two.
    signs = generator.choice((-1.0, 1.0), size=(directions, *shape)) / size**0.25
    along = [probe.slope(direction, float(np.sum(direction * gradient))) for direction in signs]
    count = size if entries is None else min(entries, size)
    slopes: dict[int, Slope] = {
        index: _entry(probe, gradient, index) for index in np.sort(generator.permutation(size)[:count]).tolist()
    }
    if not (_agreement(along) and _agreement(list(slopes.values()))):
        index = _locate(probe, gradient, generator)
        slopes[index] = _entry(probe, gradient, index)
    one_by_one = list(slopes.values())
    worst = max(slopes, key=lambda index: (slopes[index].defined, _distance(slopes[index])))
    defined = [slope for slope in along + one_by_one if slope.defined]
    return ParameterCheck(
        parameter=parameter,
        shape=shape,
        ratio=max(_ratio(along), _ratio(one_by_one)),
        one_sided=max(_ratio(along, one_sided=True), _ratio(one_by_one, one_sided=True)),
        worst=Entry(
            parameter,
            tuple(int(i) for i in np.unravel_index(worst, shape)),
            slopes[worst].given,
            slopes[worst].measured,
        ),
        differences=len(along) + len(one_by_one),
        kinks=sum(slope.kink for slope in along + one_by_one),
        resolved=any(slope.resolved for slope in defined),
        defined=bool(defined),
    )


def _entry(probe: Probe, gradient: np.ndarray, index: int) -> Slope:
    direction = np.zeros(gradient.shape)
    direction.flat[index] = 1.0
    return probe.slope(direction, float(gradient.flat[index]))


def _locate(probe: Probe, gradient: np.ndarray, generator: np.random.Generator) -> int:
    """The entry that is off most, by halving: of two halves, the one whose derivative along random signs is off more."""
    candidates = np.arange(gradient.size)
    while len(candidates) > 1:
        halves = np.array_split(candidates, 2)
        off = []
        for half in halves:
            direction = np.zeros(gradient.shape)
            direction.flat[half] = generator.choice((-1.0, 1.0), size=len(half))
            off.append(_distance(probe.slope(direction, float(np.sum(direction * gradient)))))
        candidates = halves[int(np.argmax(off))]
    return int(candidates[0])


def _distance(slope: Slope) -> float:
    distance = abs(slope.measured - slope.given)
    return distance if np.isfinite(distance) else np.inf


def _agreement(slopes: list[Slope]) -> bool:
    return _ratio(slopes) <= GOOD or all(_distance(slope) <= slope.noise for slope in slopes if slope.defined)


def _ratio(slopes: list[Slope], *, one_sided: bool = False) -> float:
    defined = [slope for slope in slopes if slope.defined]
    if not any(slope.resolved for slope in defined):  # entries that are 0 but for rounding say nothing
        return 0.0
    given = np.array([slope.given for slope in defined])
    measured = np.array([slope.one_sided if one_sided else slope.measured for slope in defined])
    length = float(np.linalg.norm(measured) + np.linalg.norm(given))
    ratio = float(np.linalg.norm(measured - given)) / length if length else 0.0
    return ratio if np.isfinite(ratio) else float("inf")
