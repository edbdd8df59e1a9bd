"""A chosen learning rate with the evidence for it, as the page draws it and JSON keeps it.

>>> choice.rate, choice.reason
(0.0021, 'lowest dev loss (0.131) of 6 short runs with rates from 0.0007 to 0.019, each 50 of 850 steps …')
>>> RateChoice.from_dict(json.loads(json.dumps(choice.to_dict()))).rate
0.0021
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Candidate:
    """One confirming run: mini-batch ``losses`` ``(steps,)`` and the dev loss at its end (infinite where it diverged)."""

    rate: float
    """The rate it stands for in the whole run."""
    run_at: float
    """The higher rate at which the short run was made."""
    steps: int
    losses: np.ndarray
    score: float


@dataclass(frozen=True)
class RateChoice:
    """The chosen rate and how it was found."""

    rate: float
    band: tuple[float, float]
    """From the rate where the range test's loss has begun to fall to the one where it breaks out."""
    rates: np.ndarray
    """Rates of the range test ``(n,)``, rising."""
    losses: np.ndarray
    """Its mini-batch losses ``(n,)``, mean over the repeats; NaN where one had diverged."""
    smoothed: np.ndarray
    """The same smoothed ``(n,)``."""
    candidates: tuple[Candidate, ...]
    """The confirming runs, rates rising; the chosen rate is that of one of them."""
    reason: str
    """One sentence."""
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
                {
                    "rate": candidate.rate,
                    "run_at": candidate.run_at,
                    "steps": candidate.steps,
                    "losses": _plain(candidate.losses),
                    "score": _plain([candidate.score])[0],
                }
                for candidate in self.candidates
            ],
            "reason": self.reason,
            "steps": self.steps,
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> RateChoice:
        """What ``to_dict`` gave; None becomes NaN in a curve, infinity as a score."""
        return cls(
            rate=record["rate"],
            band=(record["band"][0], record["band"][1]),
            rates=_curve(record["rates"]),
            losses=_curve(record["losses"]),
            smoothed=_curve(record["smoothed"]),
            candidates=tuple(
                Candidate(
                    rate=candidate["rate"],
                    run_at=candidate["run_at"],
                    steps=candidate["steps"],
                    losses=_curve(candidate["losses"]),
                    score=math.inf if candidate["score"] is None else candidate["score"],
                )
                for candidate in record["candidates"]
            ),
            reason=record["reason"],
            steps=record["steps"],
        )


def _plain(values: Iterable[float]) -> list[float | None]:
    return [float(value) if math.isfinite(value) else None for value in values]


def _curve(values: Iterable[float | None]) -> np.ndarray:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
