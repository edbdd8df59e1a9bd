"""What a range test says: where the loss falls, where it falls fastest, where it is lowest, where it breaks out.

>>> found = read(rates, losses, smoothed)
>>> judge(found, given=None).sentence
'Useful from 0.00012 to 0.031, steepest at 0.0024; diverges at 0.36.'

``valley`` is two thirds along the longest stretch that falls (as fastai's finder has it); ``steepest`` where the loss falls
most for a factor of the rate (Smith 2017); ``minimum`` where it is lowest, a tenth of which is the old rule of thumb.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from thalweg.diagnose.checks.check import Check, passed

FALLEN = 0.1
"""The share of its whole fall after which a loss has begun to fall."""
MOVED = 0.02
"""Of the first loss that a range test must take off to say anything."""


@dataclass(frozen=True)
class RangeTest:
    """Curves ``(n,)`` over rising ``rates``; ``diverges`` is NaN where no rate did."""

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    band: tuple[float, float]
    valley: float
    steepest: float
    minimum: float
    diverges: float
    blank: float = math.nan
    """The loss of an answer without inputs, NaN where it is not known: to fall as far as that takes no learning."""

    @property
    def falls(self) -> bool:
        known = self.smoothed[np.isfinite(self.smoothed)]
        begin = float(known[0]) if len(known) else math.nan
        begin = min(begin, self.blank) if math.isfinite(self.blank) else begin
        return len(known) > 1 and float(known.min()) < begin - MOVED * abs(begin)


def read(
    rates: np.ndarray, losses: np.ndarray, smoothed: np.ndarray, *, band: tuple[float, float], blank: float = math.nan
) -> RangeTest:
    """From the curves of ``search.sweep`` and ``search.find_band``."""
    last = int(np.isfinite(smoothed).sum())
    seen, lowest = smoothed[:last], int(np.nanargmin(smoothed))
    # Mini-batches have ups and downs of their own: it begins to fall where it is down for good.
    up = np.flatnonzero(seen[:lowest] > seen[0] - FALLEN * (seen[0] - seen[lowest]))
    band = (float(rates[min(int(up[-1]) + 1, lowest)]) if len(up) else band[0], band[1])
    slopes = np.gradient(seen[: lowest + 1], np.log(rates[: lowest + 1])) if lowest > 0 else np.zeros(1)
    slopes = np.where(rates[: len(slopes)] < band[0], np.inf, slopes)
    broken = band[1] < rates[-1] or last < len(rates)
    end = band[1] if band[1] < rates[last - 1] else float(rates[min(last, len(rates) - 1)])
    return RangeTest(
        rates,
        losses,
        smoothed,
        band,
        float(rates[_valley(seen)]),
        float(rates[int(np.argmin(slopes))]),
        float(rates[lowest]),
        end if broken else math.nan,
        blank,
    )


def _valley(values: np.ndarray) -> int:
    """Two thirds along the longest falling subsequence."""
    n = len(values)
    length, before = np.ones(n, dtype=int), np.full(n, -1)
    for i in range(1, n):
        for j in range(i):
            if values[i] < values[j] and length[j] + 1 > length[i]:
                length[i], before[i] = length[j] + 1, j
    end = int(np.argmax(length))
    start = end
    while before[start] >= 0:
        start = int(before[start])
    return start + int((end - start) * 2 / 3)


def judge(found: RangeTest, *, given: float | None, learns: bool = False) -> Check:
    """Whether there is a useful rate, and where the rate given stands. ``learns``: one mini-batch was learned by heart."""
    name = "rate"
    evidence = {
        "from": found.band[0], "to": found.minimum, "valley": found.valley, "steepest": found.steepest,
        "minimum": found.minimum,
    } | ({"diverges": found.diverges} if math.isfinite(found.diverges) else {})  # fmt: skip
    if not found.falls:
        known = found.smoothed[np.isfinite(found.smoothed)]
        first, low = float(known[0]), float(known.min())
        if learns:  # deep nets with dropout need more steps than a range test has
            said = f"{len(found.rates)} steps are too few to tell: the loss goes from {first:.4g} to {low:.4g}."
            return Check(name, "skipped", said, evidence={"first": first, "lowest": low})
        said = f"No rate from {found.rates[0]:.2g} to {found.rates[-1]:.2g} teaches it anything: "
        said += f"the loss goes from {first:.4g} to {low:.4g}."
        remedy = "Look at the checks above: gradients, output and loss, inputs; a rate alone does not help."
        return Check(name, "warned", said, "", "the learning rate", remedy, {"first": first, "lowest": low})
    ends = (
        f"diverges at {found.diverges:.2g}"
        if math.isfinite(found.diverges)
        else f"diverges nowhere below {found.rates[-1]:.2g}"
    )
    said = f"Useful from {found.band[0]:.2g} to {found.minimum:.2g}, steepest at {found.steepest:.2g}; {ends}."
    if given is None:
        return passed(name, said, **evidence)
    evidence["given"] = given
    if math.isfinite(found.diverges) and given >= found.diverges:
        return Check(
            name,
            "failed",
            f"The rate given is {given:.2g}. {said}",
            "lr_too_high",
            "the learning rate",
            evidence=evidence,
        )
    if given < found.band[0] / 10:
        return Check(
            name,
            "warned",
            f"The rate given is {given:.2g}. {said}",
            "lr_too_low",
            "the learning rate",
            evidence=evidence,
        )
    return passed(name, f"The rate given is {given:.2g}. {said}", **evidence)
