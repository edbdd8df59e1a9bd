"""A learning rate for a run whose user gives none: a band from a range test, then short runs side by side.

A range test alone (raise the rate exponentially for a hundred steps and look at the loss) suggests a good rate in half of
the cases at most: its curve depends on the batches it happened to see, on the smoothing and on how far the network has
come by then. What it does tell is the *band* between the rate where the loss begins to fall and the one where it breaks
out, and so where to begin. From there, short whole runs, each with its own warm-up and decay to zero, climb towards the
rate with the lowest dev loss: a factor of 3 at a time until both neighbours are worse, then once more with half that
stride.

>>> choice = choose_rate(make, steps_per_epoch=17, epochs=50, rule="adam")
>>> choice.rate, choice.band
(0.0021, (0.00025, 0.13))

A short run wants a higher rate than a long one: over horizons, the best rate falls like ``steps^-0.32`` (measured on language
models by Bjorck et al. 2025, arXiv 2409.19913; the same exponent serves small networks, ``benchmarks/rate.py``). So a
candidate rate for a run of 850 steps is tried in 50 steps at ``(850/50)^0.32`` times itself, and what is compared is
what each candidate would come to.

``make(rate, steps, order)`` builds a fresh model and optimizer, the same ones each time:

>>> trial = make(1e-3, steps=200, order=0)         # a schedule over 200 steps; with steps=0 the rate stays where it is set
>>> losses, score = trial.run(200), trial.score()

All is counted in steps and nothing in seconds, so the choice depends on the seed alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from thalweg.errors import InputError
from thalweg.search.choice import Candidate, RateChoice

NORMALISING = frozenset({
    "adam", "adamw", "amsgrad", "adamax", "nadam", "nadamw", "radam", "adabelief", "adan", "yogi", "lion", "lamb", "muon",
    "rmsprop", "swats", "schedule_free_adamw",
})  # fmt: skip
"""Rules that divide by the gradient's size: each weight moves by about the rate itself."""
SPANS = {
    "sgd": (1e-4, 1e2),
    "momentum": (1e-5, 1e1),
    "nesterov": (1e-5, 1e1),
    "adagrad": (1e-5, 1e1),
    "adadelta": (1e-2, 1e3),
}
"""Where the range test looks, by rule; the climb may leave it."""
SPAN_OF_NORMALISING = (1e-6, 3.0)
SPAN_OF_OTHERS = (1e-6, 1e2)
SWEEP, REPEATS = 60, 2
"""Updates in a range test, and how many of them, each with another order of the batches."""
SMOOTHING = 0.6
FALLEN = 0.1
"""The band begins where the loss has made this share of its whole fall …"""
BROKEN = 4.0
"""… and ends where it is this many times its lowest, or above where it started."""
SHORT, SHARE = 50, 75
"""A confirming run has SHORT steps, or one in SHARE of the whole run's where that is more."""
HORIZON = 0.32
STRIDE = 3.0
MOST = 7
"""Confirming runs made before the climb ends where it stands; two with half the stride follow."""


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


def choose_rate(
    make: MakeTrial,
    *,
    steps_per_epoch: int,
    epochs: int,
    rule: str = "",
    span: tuple[float, float] | None = None,
) -> RateChoice:
    """Chooses the rate for a run of ``epochs`` passes of ``steps_per_epoch`` updates each.

    ``rule`` is the name of the update rule, which says where to look first; ``span`` (lowest, highest) overrides that.
    Costs 120 updates and about six confirming runs, at most nine, of which each has 50 updates or 1/75 of the run.
    Raises ``InputError`` where no rate trains without diverging.
    """
    total = steps_per_epoch * epochs
    if steps_per_epoch < 1 or epochs < 1:
        raise InputError("a rate is chosen for a run of at least 1 epoch of at least 1 step")
    rates = np.geomspace(*_span(rule, span), SWEEP)
    losses = sweep(make, rates)
    smoothed = smooth(losses)
    band = find_band(rates, smoothed)
    steps = min(total, max(SHORT, total // SHARE))
    lengthening = (total / steps) ** HORIZON
    begin = float(rates[int(np.nanargmin(smoothed))]) / lengthening

    def confirm(strides: float) -> Candidate:
        rate = float(f"{begin * STRIDE**strides:.2g}")
        trial = make(rate * lengthening, steps=steps)
        curve = trial.run(steps)
        score = trial.score() if np.isfinite(curve).all() else math.inf
        return Candidate(rate, rate * lengthening, steps, curve, score if math.isfinite(score) else math.inf)

    tried = climb(confirm)
    best = min(tried, key=lambda candidate: candidate.score)
    if not math.isfinite(best.score):
        raise InputError(
            f"no learning rate from {tried[0].rate:g} to {tried[-1].rate:g} trains for {steps} steps without diverging: "
            "look for extreme values in the inputs, or give lr"
        )
    reason = (
        f"lowest dev loss ({best.score:.3g}) of {len(tried)} short runs with rates from {tried[0].rate:g} to "
        f"{tried[-1].rate:g}"
    )
    if steps < total:
        reason += f", each {steps} of {total} steps at {lengthening:.2g} times its rate, as a shorter run wants"
    spent = int(np.isfinite(losses).sum()) * REPEATS + sum(int(np.isfinite(c.losses).sum()) for c in tried)
    return RateChoice(best.rate, band, rates, losses, smoothed, tuple(tried), reason, spent)


def climb(confirm: Callable[[float], Candidate]) -> list[Candidate]:
    """Goes to the better neighbour until there is none, then looks half a stride to both sides. Rates rise in the result.

    ``confirm(k)`` tries the rate ``k`` strides above the first. Of equal scores the lower rate wins: the loss rises gently
    below the best rate and steeply above it.
    """
    tried = {0.0: confirm(0.0)}

    def best() -> float:
        return min(sorted(tried), key=lambda strides: tried[strides].score)

    def look(*places: float) -> None:
        for place in places:
            if place not in tried:
                tried[place] = confirm(place)

    here = math.nan
    while here != best() and len(tried) < MOST:
        here = best()
        look(here - 1, here + 1)
    here = best()
    look(here - 0.5, here + 0.5)
    return [tried[strides] for strides in sorted(tried)]


def sweep(make: MakeTrial, rates: np.ndarray) -> np.ndarray:
    """The range test: one update at each rate ``(n,)``; the loss before each ``(n,)``, mean over the repeats.

    NaN from where the loss of any repeat is not finite.
    """
    curves = np.full((REPEATS, len(rates)), np.nan)
    for order in range(REPEATS):
        trial = make(float(rates[0]), steps=0, order=order)
        for index, rate in enumerate(rates):
            trial.set_rate(float(rate))
            loss = float(trial.run(1)[0])
            if not math.isfinite(loss):
                break
            curves[order, index] = loss
    return curves.mean(axis=0)


def smooth(losses: np.ndarray) -> np.ndarray:
    """Exponentially weighted average with bias correction, about the last 2.5 losses; light, for all smoothing shifts."""
    weights = 1 - SMOOTHING ** np.arange(1, len(losses) + 1)
    average = np.empty(len(losses))
    value = 0.0
    for index, loss in enumerate(losses):
        value = SMOOTHING * value + (1 - SMOOTHING) * loss
        average[index] = value
    return average / weights


def find_band(rates: np.ndarray, smoothed: np.ndarray) -> tuple[float, float]:
    """From where the loss has made a tenth of its whole fall to where it breaks out after its minimum."""
    if not np.isfinite(smoothed[0]):
        raise InputError(
            "the loss is not finite before the first update: look for extreme or missing values in the data"
        )
    lowest = int(np.nanargmin(smoothed))
    fallen = smoothed <= smoothed[0] - FALLEN * (smoothed[0] - smoothed[lowest])
    after = smoothed[lowest:]
    broken = ~(after <= min(max(BROKEN * smoothed[lowest], 0.0), smoothed[0]))
    end = lowest + int(np.argmax(broken)) if broken.any() else len(rates) - 1
    return float(rates[int(np.argmax(fallen))]), float(rates[end])


def _span(rule: str, span: tuple[float, float] | None) -> tuple[float, float]:
    if span is None:
        return SPANS.get(rule, SPAN_OF_NORMALISING if rule in NORMALISING else SPAN_OF_OTHERS)
    lowest, highest = span
    if not 0 < lowest < highest < math.inf:
        raise InputError(f"the span of rates must rise from above 0, not from {lowest:g} to {highest:g}")
    return lowest, highest
