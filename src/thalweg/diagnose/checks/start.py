"""Where the loss stands before training, and what the doctor's causes say to it.

>>> shapes(facts), start(facts)
(Check('shapes', 'passed', …), Check('start', 'passed', 'The loss is 2.31; ln 10 = 2.30 is …'))
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from thalweg.diagnose.checks.check import Check, Status, passed

HIGH, VERY_HIGH = 3.0, 30.0
"""Times the loss of an answer without inputs at which a start is worth a word, and at which it is wrong."""


@dataclass(frozen=True)
class Start:
    """``loss`` before training, ``blank`` that of the best answer without inputs (the entropy of the class shares, the
    variance of the targets), ``uniform`` that of equal shares (ln C; NaN for a regression)."""

    task: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    rows: int
    finite: float
    loss: float
    blank: float
    uniform: float
    class_shares: tuple[float, ...] = ()


def shapes(s: Start) -> Check:
    """The model takes the inputs, gives what the loss takes, and all of it is finite."""

    def size(shape: Sequence[int]) -> str:
        return " × ".join(map(str, shape)) or "1"

    said = f"{size(s.inputs)} inputs, {size(s.outputs)} outputs a row"
    if s.finite < 1:
        share = f"{1 - s.finite:.1%}".replace("%", " %")
        return Check("shapes", "failed", f"{said}; {share} of the outputs are NaN or infinite before training.", "nan")
    return passed("shapes", f"{said}, all finite ({s.rows:,} rows).")


def start(s: Start) -> Check:
    """The loss at step 0 against that of an answer that ignores the inputs."""
    if math.isnan(s.blank):
        if math.isfinite(s.loss):
            return passed("start", f"The loss before training is {s.loss:.4g}.", loss=s.loss)
        return Check("start", "failed", f"The loss before training is {s.loss}.", "nan", evidence={"loss": s.loss})
    what = "the targets' variance"
    if not math.isnan(s.uniform):
        even = abs(s.uniform - s.blank) < 0.005 * s.uniform
        what = f"ln {len(s.class_shares)}" if even else "the entropy of the class shares"
    evidence = {"loss": s.loss, "blank": s.blank} | ({} if math.isnan(s.uniform) else {"uniform": s.uniform})
    if not math.isfinite(s.loss):
        return Check("start", "failed", f"The loss before training is {s.loss}.", "nan", evidence=evidence)
    said = f"The loss before training is {s.loss:.4g}; an answer without inputs has {s.blank:.4g} ({what})."
    if s.loss > HIGH * max(s.blank, s.uniform if math.isfinite(s.uniform) else 0.0):
        status: Status = "failed" if s.loss > VERY_HIGH * s.blank else "warned"
        return Check("start", status, said[:-1] + f", {s.loss / s.blank:.3g} times less.", "bad_init", "the output",
                     evidence=evidence)  # fmt: skip
    return passed("start", said, **evidence)
