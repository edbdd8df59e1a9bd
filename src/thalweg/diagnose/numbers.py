"""What the watcher wrote, ready for the questions the causes ask.

>>> n = Numbers(history)
>>> n("train/error"), n.first("train/error")
(0.31, 0.9)
>>> n.short                                     # fits its own rows worse, or the dev rows, than these data allow
True

A number that was not recorded is NaN, and every comparison with NaN is false: a cause without its evidence stays silent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from thalweg.history import History

FAR_OFF = 0.03
"""Of rows beyond six robust spreads: a normal spread has none, Student's with three degrees of freedom 0.3 %."""


@dataclass(frozen=True)
class Suspicion:
    """One cause as the numbers suggest it: ``sentence`` says it, ``test`` which test decided."""

    kind: str
    where: str
    sentence: str
    confidence: float
    test: str
    evidence: dict[str, float]
    note: bool = False


class Numbers:
    """Reads a history by name."""

    def __init__(self, history: History) -> None:
        self.history = history

    def __call__(self, name: str, default: float = math.nan) -> float:
        return self.history.last(name, default)

    def first(self, name: str) -> float:
        values = self.history.column(name).values
        return float(values[0]) if len(values) else math.nan

    def under(self, prefix: str) -> dict[str, tuple[float, float]]:
        """First and last number of every column below a path."""
        return {name: (float(c.values[0]), float(c.values[-1])) for name, c in self.history.under(prefix).items()}

    def flag(self, name: str) -> bool:
        return self(name) == 1.0

    def these(self, *names: str) -> dict[str, float]:
        """The recorded ones among these, as evidence."""
        return {name: self(name) for name in names if name in self.history}

    @property
    def broken(self) -> bool:
        """Whether the run met numbers that are none."""
        return "loop/first_bad" in self.history or (
            "train/loss" in self.history and not math.isfinite(self("train/loss"))
        )

    @property
    def wrong_labels(self) -> bool:
        """Whether targets contradict rows like theirs; where classes overlap, the sure ones are hardly contradicted. Half as
        much is enough where dev rows of the same kind are contradicted less than training rows beyond chance."""
        share, here, there = self("reference/clear_disagreement"), self("reference/train"), self("reference/dev")
        rows = 1 / max(min(self("n/train"), 600.0), 1.0) + 1 / max(min(self("n/dev"), 1000.0), 1.0)
        worse = here - there > 3 * math.sqrt(max(here * (1 - here), 0.0) * rows) and self("domain/auc") < 0.65
        return (share > 0.06 and share > (0.3 if worse else 0.6) * here) or self("reference/far_off") > FAR_OFF

    @cached_property
    def allowed(self) -> float:
        """The error these data allow, as far as is known, whichever is less: what each row's answer from the others makes, or
        what a trial makes of training rows and dev rows both, one standard error added."""
        reach = self("reference/train")
        if self.wrong_labels:  # a trial that learns them by heart shows nothing
            return reach
        rows = min(self("n/dev"), self("n/train"), 1000.0)
        for name in (
            "same",
            "slow",
            "slower",
            "fast",
            "faster",
            "standardised",
            "redrawn",
            "unfrozen",
            "adam",
            "more",
            "free",
        ):
            held = self(f"trial/{name}/dev_error")
            if math.isfinite(held) and rows > 0:
                chance = max(held * (1 - min(held, 1.0)), 1 / rows)
                held = max(held + math.sqrt(chance / rows), self(f"trial/{name}/error"))
                reach = held if math.isnan(reach) else min(reach, held)
        return reach

    @property
    def unfit(self) -> float:
        """By how much the error on its own rows exceeds what these data allow."""
        return self("train/error") - self.allowed

    @property
    def unheld(self) -> float:
        """The same for the dev rows."""
        return self("dev/error") - self("reference/dev")

    @property
    def span(self) -> float:
        """From the error the data allow to that of an answer without inputs."""
        return self("chance") - self.allowed

    @property
    def underfits(self) -> bool:
        least = 0.05 if self.flag("task/numbers") else 0.03
        learned = self("train/error") < 0.95 * self("chance")  # who knows no more than chance has no slack to be given
        slack = 0.2 * min(self.allowed, 0.5) if learned or "reference/train" in self.history else 0.0
        return self.broken or self.unfit > max(least, slack)

    @property
    def short(self) -> bool:
        return self.underfits or self.unheld > max(0.04, 0.25 * min(self("reference/dev"), 0.5))

    def closes(self, trial: str, control: str = "same") -> float:
        """The share of the gap between the control and what the data allow that a trial closed; negative if it widened."""
        own, other = self(f"trial/{control}/error"), self(f"trial/{trial}/error")
        reach = min(self.allowed, other)
        return (own - other) / max(own - reach, 0.02) if math.isfinite(own + other) else self._by_loss(trial, control)

    @property
    def resumed(self) -> float:
        """The share of what is missing that more steps of the same brought."""
        return (self("train/error") - self("trial/more/error")) / max(self.unfit, 0.02)

    def gained(self, trial: str) -> float:
        """By what share a trial's error lies below the run's own, on training and dev rows both; the lesser of the two."""
        pairs = [("train/error", f"trial/{trial}/error"), ("dev/error", f"trial/{trial}/dev_error")]
        return min(((self(a) - self(b)) / max(self(a), 1e-12) for a, b in pairs), default=math.nan)

    def _by_loss(self, trial: str, control: str) -> float:
        own, other = self(f"trial/{control}/loss"), self(f"trial/{trial}/loss")
        if not math.isfinite(other):
            return 0.0
        return 1.0 if not math.isfinite(own) else 1 - other / own if own > 0 else math.nan
