"""When runs reached the target, those that never did counted as what they are: cut off at the horizon.

>>> arrivals = kaplan_meier([310, 290, math.inf, 330, 300], horizon=1000)
>>> arrivals.steps, arrivals.reached
((290.0, 300.0, 310.0, 330.0), (0.2, 0.4, 0.6, 0.8))
>>> arrivals.median
Estimate(value=310.0, low=290.0, high=inf)

To leave them out would praise the rule that fails most. The share that has arrived is one minus Kaplan and Meier's estimate
(1958) of the share still on its way; a median is stated where at least half arrived.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from thalweg.compare.paired import Estimate
from thalweg.errors import InputError


@dataclass(frozen=True)
class Arrivals:
    """At each of ``steps`` where a run arrived, the share ``reached`` until then with its interval (``low``, ``high``);
    ``hits`` of ``seeds`` runs arrived; the ``median`` time, infinite where fewer than half did."""

    steps: tuple[float, ...]
    reached: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    hits: int
    seeds: int
    median: Estimate


def kaplan_meier(
    times: Sequence[float], *, horizon: float | Sequence[float] = math.inf, level: float = 0.95
) -> Arrivals:
    """The curve of these times to the target, infinite for a run that had not arrived at its ``horizon`` (one for all, or
    each its own: the last step at which it was seen).

    Intervals are Greenwood's on the scale of log(−log), the median's is where they hold one half (Brookmeyer & Crowley
    1982). Raises ``InputError`` for no runs, NaN, or an arrival after the horizon.
    """
    limits = [float(horizon)] * len(times) if isinstance(horizon, int | float) else [float(one) for one in horizon]
    if not times or len(limits) != len(times):
        raise InputError(
            f"arrivals want a time for each run and one horizon or as many, not {len(times)} and {len(limits)}"
        )
    for time, limit in zip(times, limits, strict=True):
        if math.isnan(time) or (math.isfinite(time) and time > limit):
            raise InputError(f"a run that arrived at {time:g} was seen until {limit:g} alone: give the horizon it had")
    z = NormalDist().inv_cdf((1 + level) / 2)
    left, greenwood = 1.0, 0.0
    rows: list[tuple[float, float, float, float]] = []
    for time in sorted({time for time in times if math.isfinite(time)}):
        at_risk = sum(min(one, limit) >= time for one, limit in zip(times, limits, strict=True))
        arrived = sum(one == time for one in times)
        left *= 1 - arrived / at_risk
        greenwood += arrived / (at_risk * (at_risk - arrived)) if at_risk > arrived else math.inf
        low, high = _band(left, greenwood, z)
        rows.append((time, 1 - left, 1 - high, 1 - low))
    hits = sum(math.isfinite(time) for time in times)
    steps, reached, lows, highs = (tuple(column) for column in zip(*rows, strict=True)) if rows else ((), (), (), ())
    crossings = [_first(steps, column) for column in (reached, highs, lows)]
    return Arrivals(steps, reached, lows, highs, hits, len(times), Estimate(*crossings))


def _band(left: float, greenwood: float, z: float) -> tuple[float, float]:
    """The interval of a share that is still on its way. Where all have arrived it is that share alone, as is usual."""
    if left <= 0.0:
        return 0.0, 0.0
    wide = math.exp(z * math.sqrt(greenwood) / abs(math.log(left)))
    return left**wide, left ** (1 / wide)


def _first(steps: Sequence[float], shares: Sequence[float]) -> float:
    """The first step at which the share is at least one half."""
    return next((step for step, share in zip(steps, shares, strict=True) if share >= 0.5 - 1e-12), math.inf)
