"""What a gradient check found, for reading and for printing.

>>> found = check(loss, model)
>>> found.ok, found.ratio, found.worst.parameter
(False, 0.061, '2.weight')
"""

from __future__ import annotations

import math
from dataclasses import dataclass

GREAT, GOOD, WRONG = 1e-7, 1e-5, 1e-3
"""Bounds of the ratio: at most GREAT, at most GOOD, beyond that worth a look, beyond WRONG a fault."""


def verdict_of(ratio: float) -> str:
    """The ratio in a word: great, good, look, wrong. NaN is wrong."""
    for bound, word in ((GREAT, "great"), (GOOD, "good"), (WRONG, "look")):
        if ratio <= bound:
            return word
    return "wrong"


@dataclass(frozen=True)
class Entry:
    """One partial derivative: ``given`` by the gradient under test, ``measured`` by two-sided differences."""

    parameter: str
    index: tuple[int, ...]
    given: float
    measured: float

    @property
    def error(self) -> float:
        """Distance of the two."""
        return abs(self.given - self.measured)

    def __str__(self) -> str:
        return f"{self.index}: {self.given:.6g} given, {self.measured:.6g} measured"


@dataclass(frozen=True)
class ParameterCheck:
    """One parameter. ``one_sided`` is the same ratio with ``(J(θ+ε) − J(θ)) / ε``, for comparison."""

    parameter: str
    shape: tuple[int, ...]
    ratio: float
    one_sided: float
    worst: Entry
    differences: int
    """Directions and entries examined."""
    kinks: int
    """Those among them that met a kink of the loss, told from a fault by smaller steps."""
    resolved: bool
    """False where both gradients are too small for differences to tell them apart; such a parameter passes."""
    defined: bool
    """False where the loss has a kink at the very point whichever way one goes: nothing can be said there."""

    @property
    def ok(self) -> bool:
        return not self.resolved or self.ratio <= GOOD


@dataclass(frozen=True)
class GradientCheck:
    """The whole check. ``print`` shows the verdict and each parameter that fails with the entry that is off."""

    loss: float
    parameters: tuple[ParameterCheck, ...]

    @property
    def ratio(self) -> float:
        """The largest ratio of any parameter that differences can resolve."""
        return self._largest([check.ratio for check in self.parameters if check.resolved])

    @property
    def one_sided(self) -> float:
        """The same with one-sided differences."""
        return self._largest([check.one_sided for check in self.parameters if check.resolved])

    @staticmethod
    def _largest(ratios: list[float]) -> float:
        return math.nan if any(math.isnan(ratio) for ratio in ratios) else max(ratios, default=0.0)

    @property
    def ok(self) -> bool:
        """No parameter's ratio is above 1e-5."""
        return all(check.ok for check in self.parameters)

    @property
    def verdict(self) -> str:
        """great, good, look or wrong."""
        return verdict_of(self.ratio)

    @property
    def worst(self) -> Entry:
        """The entry furthest off, in the parameter with the largest ratio."""
        return max(self.parameters, key=lambda check: (check.resolved, math.isnan(check.ratio), check.ratio)).worst

    def __str__(self) -> str:
        lines = [
            f"gradient check: {self.verdict}, ratio {self.ratio:.1e} (one-sided differences: {self.one_sided:.1e})"
        ]
        lines += [
            f"  {check.parameter}: ratio {check.ratio:.1e}, worst at {check.worst}"
            for check in self.parameters
            if not check.ok
        ]
        lines += [
            f"  {check.parameter}: not decided, the loss has a kink at this very point; move the parameters a little"
            for check in self.parameters
            if not check.defined
        ]
        return "\n".join(lines)
