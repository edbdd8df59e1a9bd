"""A learning rate for a run whose user gives none: a band from a range test, then short runs side by side.

A range test alone (raise the rate exponentially for a hundred steps, look at the loss) suggests a good rate in half of the
cases at most: its curve depends on the batches it happened to see, on the smoothing and on how far the network has come by
then. What it does tell reliably is the *band* between the rate where the loss begins to fall and the one where it
breaks out. Inside it, short whole runs, each with its own warm-up and decay to zero, say by their dev loss which rate trains best.

>>> choice = choose_rate(make, steps_per_epoch=17, epochs=50, rule="adam")
>>> choice.rate, choice.band
(0.0032, (0.00025, 0.13))

``make(rate, steps, order)`` builds a fresh model and optimizer, the same ones each time:

>>> trial = make(1e-3, steps=200, order=0)         # a schedule over 200 steps; with steps=0 the rate stays where it is set
>>> losses, score = trial.run(200), trial.score()

All is counted in steps and nothing in seconds, so the choice depends on the seed alone. How good it is: ``benchmarks/rate.py``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from thalweg.errors import InputError


class Trial(Protocol):
    """A fresh model with its optimizer, trained for a short while."""

    def set_rate(self, rate: float) -> None:
        """The rate of the steps to come (times the schedule's factor, where there is one)."""
        ...

    def run(self, steps: int) -> np.ndarray:
        """Makes ``steps`` updates; mini-batch losses ``(steps,)``, NaN from where the loss is not finite."""
        ...

    def score(self) -> float:
        """Loss on the dev part as the model stands; lower is better, infinite where it is not finite."""
        ...


class MakeTrial(Protocol):
    def __call__(self, rate: float, steps: int = 0, order: int = 0) -> Trial:
        """A trial at ``rate`` with warm-up and decay over ``steps`` (0: none), its batches in the ``order``-th order."""
        ...


@dataclass(frozen=True)
class Candidate:
    """One confirming run: mini-batch ``losses`` ``(steps,)`` and the dev loss at its end."""

    rate: float
    steps: int
    losses: np.ndarray
    score: float


@dataclass(frozen=True)
class RateChoice:
    """The chosen rate and all the evidence for it."""

    rate: float
    band: tuple[float, float]
    """From the rate where the range test's loss has begun to fall to the one where it breaks out."""
    rates: np.ndarray
    """Rates of the range test ``(n,)``, rising."""
    losses: np.ndarray
    """Its mini-batch losses, mean over the repeats ``(n,)``; NaN where it had diverged."""
    smoothed: np.ndarray
    """The same smoothed ``(n,)``."""
    candidates: tuple[Candidate, ...]
    reason: str
    steps: int
    """Updates that all of this cost."""

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, for JSON; what is not finite becomes None."""
        return {
            "rate": self.rate,
            "band": list(self.band),
            "rates": _plain(self.rates),
            "losses": _plain(self.losses),
            "smoothed": _plain(self.smoothed),
            "candidates": [
                {"rate": c.rate, "steps": c.steps, "losses": _plain(c.losses), "score": _plain([c.score])[0]}
                for c in self.candidates
            ],
            "reason": self.reason,
            "steps": self.steps,
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> RateChoice:
        """What ``to_dict`` gave; None becomes NaN in a curve, infinity in a score."""
        return cls(
            rate=record["rate"],
            band=(record["band"][0], record["band"][1]),
            rates=_curve(record["rates"]),
            losses=_curve(record["losses"]),
            smoothed=_curve(record["smoothed"]),
            candidates=tuple(
                Candidate(c["rate"], c["steps"], _curve(c["losses"]), math.inf if c["score"] is None else c["score"])
                for c in record["candidates"]
            ),
            reason=record["reason"],
            steps=record["steps"],
        )


def _plain(values: Any) -> list[float | None]:
    return [float(value) if math.isfinite(value) else None for value in values]


def _curve(values: list[float | None]) -> np.ndarray:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


SPANS = {
    "sgd": (1e-4, 100.0),
    "momentum": (1e-5, 30.0),
    "nesterov": (1e-5, 30.0),
    "adagrad": (1e-5, 30.0),
    "adadelta": (1e-2, 1e3),
}
ADAPTIVE = (1e-6, 3.0)
UNKNOWN = (1e-6, 100.0)
"""Where the range test looks. Rules that divide by the gradient's size move each weight by about the rate itself."""
NORMALISING = frozenset({"adam", "adamw", "amsgrad", "nadam", "rmsprop", "swats"})
SAFETY = {"sgd": 2.0, "momentum": 4.0, "nesterov": 4.0}
"""The rate at the minimum of the range test, divided by this, is near the best one; 10 for every other rule."""
SWEEP = 100
REPEATS = 2
FALLEN = 0.1
"""The band begins where the loss has made this share of its whole fall."""
BROKEN = 4.0
"""It ends where the loss is this many times its lowest."""


def choose_rate(
    make: MakeTrial,
    *,
    steps_per_epoch: int,
    epochs: int,
    rule: str = "",
    span: tuple[float, float] | None = None,
) -> RateChoice:
    """Chooses the rate for a run of ``epochs`` passes of ``steps_per_epoch`` updates each.

    ``rule`` is the name of the update rule, which says where to look; ``span`` (lowest, highest) overrides that. Costs
    about a tenth of the run. Raises ``InputError`` where the loss falls at no rate.
    """
    total = steps_per_epoch * epochs
    if steps_per_epoch < 1 or epochs < 1:
        raise InputError("a rate is chosen for a run of at least 1 epoch of at least 1 step")
    lowest, highest = span if span is not None else SPANS.get(rule, ADAPTIVE if rule in NORMALISING else UNKNOWN)
    if not 0 < lowest < highest < math.inf:
        raise InputError(f"the span of rates must rise from above 0, not {lowest:g}…{highest:g}")
    rates = np.geomspace(lowest, highest, SWEEP)
    losses, spent = sweep(make, rates)
    smoothed = smooth(losses)
    band = find_band(rates, smoothed)
    at_minimum = float(rates[int(np.nanargmin(smoothed))])
    guess = min(max(at_minimum / SAFETY.get(rule, 10.0), band[0]), band[1])
    steps = min(total, max(60, total // 50))
    tried: dict[float, Candidate] = {}

    def confirm(rate: float) -> None:
        nonlocal spent
        if rate not in tried:
            trial = make(rate, steps=steps)
            curve = trial.run(steps)
            tried[rate] = Candidate(rate, steps, curve, trial.score() if np.isfinite(curve).all() else math.inf)
            spent += steps

    for rate in spread(guess, band):
        confirm(rate)
    best = min(tried.values(), key=lambda candidate: candidate.score)
    for factor in (3**-0.5, 3**0.5):
        confirm(best.rate * factor)
    best = min(tried.values(), key=lambda candidate: candidate.score)
    if not math.isfinite(best.score):
        raise InputError(
            f"no learning rate between {band[0]:.1e} and {band[1]:.1e} trains for {steps} steps without diverging: "
            "look for extreme inputs or a faulty loss, or give lr"
        )
    reason = (
        f"lowest dev loss ({best.score:.3g}) of {len(tried)} runs of {steps} steps with rates from {min(tried):.1e} to "
        f"{max(tried):.1e}, where a range test saw the loss fall"
    )
    return RateChoice(
        best.rate, band, rates, losses, smoothed, tuple(tried[rate] for rate in sorted(tried)), reason, spent
    )


def sweep(make: MakeTrial, rates: np.ndarray) -> tuple[np.ndarray, int]:
    """The range test: one update at each rate, rising; the mean loss before each over repeats with other orders.

    A repeat ends where its loss is not finite or has broken out; NaN from there. Returns the losses and the updates made.
    """
    curves = np.full((REPEATS, len(rates)), np.nan)
    spent = 0
    for order in range(REPEATS):
        trial = make(float(rates[0]), steps=0, order=order)
        lowest = math.inf
        for index, rate in enumerate(rates):
            trial.set_rate(float(rate))
            loss = float(trial.run(1)[0])
            spent += 1
            lowest = min(lowest, loss)
            if not math.isfinite(loss) or loss > 10 * max(lowest, float(curves[order, 0])):
                break
            curves[order, index] = loss
    return curves.mean(axis=0), spent


def smooth(losses: np.ndarray, beta: float = 0.6) -> np.ndarray:
    """Bias-corrected exponential averages run over the curve both ways, so that neither end lags; NaN stays NaN."""
    finite = np.isfinite(losses)
    values = np.where(finite, losses, 0.0)
    total, weight = np.zeros(len(losses)), np.zeros(len(losses))
    for order in (slice(None), slice(None, None, -1)):
        sums = counts = 0.0
        for index in range(len(losses))[order]:
            sums = beta * sums + values[index]
            counts = beta * counts + finite[index]
            total[index] += sums
            weight[index] += counts
    return np.where(finite, (total - values) / np.maximum(weight - finite, 1e-12), np.nan)


def find_band(rates: np.ndarray, smoothed: np.ndarray) -> tuple[float, float]:
    """From where the loss has made a tenth of its whole fall to where it breaks out after its minimum."""
    if not np.isfinite(smoothed[0]):
        raise InputError("the loss is not finite at the first steps: look for extreme or missing values in the data")
    lowest = int(np.nanargmin(smoothed))
    fall = float(smoothed[0] - smoothed[lowest])
    begun = int(np.argmax(smoothed <= smoothed[0] - FALLEN * fall))
    after = smoothed[lowest:]
    broken = ~np.isfinite(after) | (after > BROKEN * smoothed[lowest]) | (after > smoothed[0])
    end = lowest + int(np.argmax(broken)) if broken.any() else len(rates) - 1
    return float(rates[begun]), float(rates[end])


def spread(guess: float, band: tuple[float, float], factor: float = 3.0, most: int = 6) -> list[float]:
    """Rates a ``factor`` apart inside the band, the ``most`` nearest to the guess, which is one of them."""
    low, high = band
    reach = range(-most, most + 1)
    inside = [guess * factor**k for k in sorted(reach, key=abs) if low <= guess * factor**k <= high]
    return sorted(inside[:most])
