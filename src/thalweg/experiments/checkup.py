"""What a check before training found: the answers, and what the page draws of them.

>>> checkup.status, [check.name for check in checkup.checks if check.status == "failed"]
('failed', ['output and loss'])
>>> checkup.page("check.html")
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.diagnose.checks.check import Check, Status, gravest

if TYPE_CHECKING:
    from thalweg.diagnose.checks.one_batch import OneBatch
    from thalweg.diagnose.checks.rate import RangeTest
    from thalweg.diagnose.checks.signals import Layer


@dataclass(frozen=True)
class Suggestion:
    """Settings under which signals come through better, with the layers measured under them."""

    settings: dict[str, Any]
    layers: tuple[Layer, ...]
    sentence: str
    cures: bool
    """Whether nothing is left to remark about signals."""

    @property
    def words(self) -> str:
        return ", ".join(f"{name} = {value}" for name, value in self.settings.items())


@dataclass(frozen=True)
class Checkup:
    """``checks`` in the order they were made. What could not be measured is None, or empty."""

    data: str
    task: str
    model: str
    checks: tuple[Check, ...]
    layers: tuple[Layer, ...] = ()
    suggestion: Suggestion | None = None
    range_test: RangeTest | None = None
    one_batch: OneBatch | None = None
    seconds: float = 0.0

    @property
    def status(self) -> Status:
        """What the gravest check is."""
        return gravest(self.checks)

    @property
    def ok(self) -> bool:
        """Nothing failed; there may be warnings."""
        return self.status != "failed"

    def __getitem__(self, name: str) -> Check:
        """A check by its name."""
        return next(check for check in self.checks if check.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        found: dict[str, Any] = {
            "data": self.data, "task": self.task, "model": self.model, "status": self.status,
            "checks": [check.to_dict() for check in self.checks],
            "layers": [
                {name: getattr(layer, name) for name in (
                    "name", "kind", "mean", "sd", "spread", "zeros", "dead", "saturated", "gradient",
                )} for layer in self.layers
            ],
        }  # fmt: skip
        if self.suggestion is not None:
            found["suggestion"] = self.suggestion.settings
        return found

    def page(self, path: str | Path) -> None:
        """Writes the page. Raises ``InputError`` where the file cannot be written."""
        from thalweg.report.check import CheckReport, check_page
        from thalweg.report.page import write

        suggested = self.suggestion
        report = CheckReport(
            self.data, self.task, self.model, self.checks, self.layers,
            () if suggested is None else suggested.layers, "" if suggested is None else suggested.words,
            self.range_test, self.one_batch, self.seconds,
        )  # fmt: skip
        write(path, check_page(report))
