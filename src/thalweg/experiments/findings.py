"""What the doctor found, kept in the run's folder as ``findings.json``: the tests need not be made again for the page.

>>> write_findings(folder, verdict, history, tested=True)
>>> tested_verdict(folder, history, diagnose.examine(history, facts)).findings[0].kind
'lr_too_high'
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.experiments.folder import Folder
from thalweg.history import History

if TYPE_CHECKING:
    from thalweg.diagnose import Finding, Verdict

_FIELDS = ("kind", "sentence", "where", "evidence", "confidence", "remedy", "reference", "severity")


def path_of(folder: Folder) -> Path:
    return folder.path / "findings.json"


def plain(finding: Finding) -> dict[str, Any]:
    """A finding as plain data; a number that is not finite as its word, for JSON has none."""
    found = {name: getattr(finding, name) for name in _FIELDS}
    found["evidence"] = {
        name: value if isinstance(value, str) or math.isfinite(value) else str(value)
        for name, value in finding.evidence.items()
    }
    return found


def write_findings(folder: Folder, verdict: Verdict, history: History, *, tested: bool) -> dict[str, Any]:
    """Writes ``findings.json``, unless tests have said more of the run as it stands; returns what was to be written."""
    content = {
        "made": time.strftime("%Y-%m-%d %H:%M:%S"),
        "steps": steps_made(history),
        "tested": tested,
        "findings": [plain(finding) for finding in verdict.findings],
        "notes": [plain(note) for note in verdict.notes],
    }
    if tested or read_findings(folder, history) is None:
        folder.write_json(path_of(folder), content)
    return content


def read_findings(folder: Folder, history: History) -> Verdict | None:
    """What tests found of the run as it stands; None where none were made, or the run has gone on since."""
    from thalweg import diagnose

    if not path_of(folder).exists():
        return None
    content = folder.read_json(path_of(folder))
    if not content.get("tested") or content.get("steps") != steps_made(history):
        return None

    def made(key: str) -> tuple[Finding, ...]:
        return tuple(diagnose.Finding(**{name: one[name] for name in _FIELDS}) for one in content[key])

    return diagnose.Verdict(made("findings"), made("notes"))


def tested_verdict(folder: Folder, history: History, seen: Verdict) -> Verdict:
    """What tests found, with the charts of what was ``seen`` in the history; where no tests were made, what was seen."""
    found = read_findings(folder, history)
    if found is None:
        return seen
    charts = {finding.kind: finding.chart for finding in seen.findings}
    return replace(found, findings=tuple(replace(one, chart=charts.get(one.kind)) for one in found.findings))


def steps_made(history: History) -> int:
    """The last step that a history knows of."""
    known = (history.column(name).steps for name in ("batch/loss", "train/loss"))
    return max((int(steps[-1]) for steps in known if len(steps)), default=0)
