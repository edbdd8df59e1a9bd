"""Does the network fit one mini-batch? What cannot learn 32 rows by heart has a fault that no setting cures.

>>> judge(OneBatch(rows=32, blank=2.3, floor=0.0, trials=(Trial(1e-2, losses),), …)).sentence
'The loss of 32 rows falls from 2.31 to 0.021 in 60 steps.'

What it may be is asked in this order: another check that failed, labels that contradict each other, a rate that does
not suit, parameters that are frozen, gradients that are none, a network too small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from thalweg.diagnose.checks.check import Check, passed

REACHED = 0.02
"""Of the way from an answer without inputs to none left: R² 0.98."""
NOISE = 0.02
"""Of all rows: contradictory ones beyond it are worth a word."""


@dataclass(frozen=True)
class Trial:
    """One attempt at one rate; ``losses`` ``(steps,)``, before each step."""

    rate: float
    losses: np.ndarray
    what: str = ""

    @property
    def lowest(self) -> float:
        known = self.losses[np.isfinite(self.losses)]
        return float(known.min()) if len(known) else float("inf")


@dataclass(frozen=True)
class OneBatch:
    """``blank``: the loss of an answer without inputs on these rows; ``floor``: the least that contradictory labels leave;
    ``contradictory`` rows have the inputs of another and not its target (of the batch, of all rows looked at);
    ``suspicions``: failed checks that would explain a failure, likeliest first."""

    rows: int
    blank: float
    floor: float
    trials: tuple[Trial, ...]
    given: float | None = None
    contradictory: int = 0
    contradictory_all: int = 0
    looked: int = 0
    asked: int = 300
    unfrozen: Trial | None = None
    weights: int = 0
    outputs: int = 1
    gradient: float = 1.0
    suspicions: Sequence[Check] = field(default=())

    @property
    def goal(self) -> float:
        return self.floor + REACHED * (self.blank - self.floor)

    @property
    def best(self) -> Trial:
        return min(self.trials, key=lambda trial: trial.lowest)

    def reached(self, trial: Trial) -> bool:
        return trial.lowest <= self.goal


def judge(found: OneBatch) -> Check:
    """Learnt by heart, or why not."""
    name, best = "one batch", found.best
    begun = float(found.trials[0].losses[0])
    evidence: dict[str, float | str] = {"start": begun, "lowest": best.lowest, "goal": found.goal, "rate": best.rate}
    if found.reached(best):
        steps = int(np.argmax(best.losses <= found.goal))
        said = f"The loss of {found.rows} rows falls from {begun:.3g} to {best.lowest:.2g} in {steps} steps "
        said += f"(rate {best.rate:.2g})."
        first = found.trials[0]
        if found.given is not None and not found.reached(first) and best is not first:
            kind = "lr_too_high" if best.rate < first.rate else "lr_too_low"
            said = f"{said[:-1]}, not at the rate given, {first.rate:.2g}."
            return Check(name, "warned", said, kind, "the learning rate", evidence=evidence)
        if found.floor > 0 or found.contradictory_all > NOISE * found.looked:
            return _contradicted(found, said, evidence)
        return passed(name, said, **evidence)
    tried = ", ".join(f"{trial.rate:.2g}" for trial in found.trials)
    ends = f"The loss of {found.rows} rows gets from {begun:.3g} to {best.lowest:.3g} in {len(best.losses)} steps"
    ends += f" (rates {tried})"
    if len(best.losses) < min(found.asked, 100) and best.lowest < 0.9 * begun:
        return passed(
            name, f"{ends}: so far it falls, and more steps of a network of this size would take too long.", **evidence
        )
    if found.suspicions:
        cause = found.suspicions[0]
        return Check(name, "failed", f"{ends}. {cause.sentence}", cause.kind, cause.where, cause.remedy, evidence)
    if found.unfrozen is not None and found.reached(found.unfrozen):
        said = f"{ends}; with every parameter free it reaches {found.unfrozen.lowest:.2g}."
        return Check(name, "failed", said, "frozen_params", evidence=evidence)
    if found.floor > 0:
        return _contradicted(found, f"{ends}.", evidence)
    if found.weights < found.rows * found.outputs:
        return passed(name, f"{ends}: {found.weights:,} weights cannot do more for so many rows.", **evidence)
    if found.gradient == 0:
        return Check(
            name, "failed", f"{ends}: no gradient reaches the weights.", "vanishing_gradient", evidence=evidence
        )
    if best.lowest > 0.98 * begun:
        said = f"{ends}: it does not move at any of these rates."
        return Check(name, "failed", said, "vanishing_gradient", evidence=evidence)
    said = f"{ends}: it falls and stops short; {found.weights:,} weights may be too few to tell these rows apart."
    return Check(name, "warned", said, "high_bias", evidence=evidence)


def _contradicted(found: OneBatch, said: str, evidence: dict[str, float | str]) -> Check:
    rows = f"{found.contradictory_all:,} of {found.looked:,} training rows have the inputs of another row and not its target"
    return Check(
        "one batch", "warned", f"{said} {rows}: no network fits both.", "label_noise", "the targets", evidence=evidence
    )
