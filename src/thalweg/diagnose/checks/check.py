"""One question asked before training, and its answer.

>>> Check("one batch", FAILED, "The loss of 32 rows stays at 1.46 after 400 steps.", kind="wrong_activation")
>>> check.remedy
'Leave the last activation to the loss, …'
>>> passed("shapes", "64 inputs, 10 outputs, all finite.").status
'passed'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from thalweg.diagnose.kinds import KINDS

Status = Literal["passed", "warned", "failed", "skipped"]
STATUSES: tuple[Status, ...] = ("failed", "warned", "passed", "skipped")
"""Gravest first."""


@dataclass(frozen=True)
class Check:
    """``sentence`` says what was found with its numbers; of a check that did not pass, ``kind`` is one of ``diagnose.KINDS``
    (empty where none fits), ``remedy`` says what to do, ``where`` names layer, parameter or column. ``evidence``: the numbers.
    """

    name: str
    status: Status
    sentence: str
    kind: str = ""
    where: str = ""
    remedy: str = ""
    evidence: Mapping[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind and not self.remedy:
            object.__setattr__(self, "remedy", KINDS[self.kind].remedy)

    @property
    def reference(self) -> str:
        """Where the rule is from; empty where the kind has none."""
        return KINDS[self.kind].reference if self.kind else ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "name": self.name, "status": self.status, "sentence": self.sentence, "kind": self.kind, "where": self.where,
            "remedy": self.remedy, "evidence": dict(self.evidence),
        }  # fmt: skip


def passed(name: str, sentence: str, **evidence: float | str) -> Check:
    """Nothing is wrong."""
    return Check(name, "passed", sentence, evidence=evidence)


def gravest(checks: tuple[Check, ...]) -> Status:
    """What the worst of them is; passed where there is none."""
    return next((status for status in STATUSES if any(check.status == status for check in checks)), "passed")
