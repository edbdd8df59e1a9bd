"""Which steps are looked at: all of the first ones, then ever fewer, evenly on a logarithmic axis.

A network changes most at the start, and a long run must not cost more per step than a short one. With ``dense=32``
every step up to 32 is looked at, then every 2nd up to 64, every 4th up to 128, and so on: 16 in each doubling, 270 in a
million steps.

>>> plan = Plan(dense=4)
>>> [step for step in range(1, 33) if plan.samples(step)]
[1, 2, 3, 4, 6, 8, 12, 16, 24, 32]
>>> Plan(dense=32).samples(48), Plan(dense=32).samples(49)
(True, False)
"""

from __future__ import annotations

from dataclasses import dataclass

from thalweg.errors import InputError


@dataclass(frozen=True)
class Plan:
    """Samples each of the first ``dense`` steps (a power of two), then ``dense/2`` in each doubling of the step."""

    dense: int

    def __post_init__(self) -> None:
        if self.dense < 1 or self.dense & (self.dense - 1):
            raise InputError(f"dense is {self.dense}: a sampling plan needs a power of two, as in 32")

    def samples(self, step: int) -> bool:
        """Whether ``step`` (from 1) is looked at."""
        return step % self._stride(step) == 0

    def after(self, step: int) -> int:
        """The first step beyond ``step`` (from 0) that is looked at."""
        stride = self._stride(step + 1)
        return step // stride * stride + stride

    def _stride(self, step: int) -> int:
        return max(1, 1 << (step - 1).bit_length() >> self.dense.bit_length() - 1)


ALWAYS = Plan(dense=1 << 62)
DENSE = Plan(dense=128)
"""For what costs next to nothing to look at."""
SPARSE = Plan(dense=16)
"""For what costs about as much as a step."""
