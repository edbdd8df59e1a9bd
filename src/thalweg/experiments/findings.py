"""What the doctor found, kept in the run's folder as ``findings.json``: the tests need not be made again for the page.

>>> write_findings(folder, verdict, history, tested=True)
>>> read_findings(folder, history).findings[0].kind
'lr_too_high'
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.experiments.folder import Folder
from thalweg.history import History

if TYPE_CHECKING:
    from thalweg.diagnose import Chart, Finding, Verdict

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
    content: dict[str, Any] = {
        "made": time.strftime("%Y-%m-%d %H:%M:%S"),
        "steps": steps_made(history),
        "tested": tested,
        "findings": [plain(finding) for finding in verdict.findings],
        "notes": [plain(note) for note in verdict.notes],
    }
    if tested or read_findings(folder, history) is None:
        drawn = [
            one | {"chart": _plain_chart(f.chart)} for one, f in zip(content["findings"], verdict.findings, strict=True)
        ]
        folder.write_json(path_of(folder), content | {"findings": drawn})
    return content


def _plain_chart(chart: Chart | None) -> dict[str, Any] | None:
    if chart is None:
        return None
    lines = [{"label": one.label, "steps": one.steps.tolist(), "values": _words(one.values)} for one in chart.series]
    plainly = {"y": chart.y, "log": chart.log, "mark": chart.mark, "level": chart.level, "ticks": list(chart.ticks)}
    return plainly | {"series": lines}


def _words(values: np.ndarray) -> list[float | str]:
    return [value if math.isfinite(value) else str(value) for value in values.tolist()]


def _chart(found: Mapping[str, Any] | None) -> Chart | None:
    from thalweg import diagnose

    if found is None:
        return None
    lines = tuple(
        diagnose.Series(one["label"], np.asarray(one["steps"]), np.array([float(value) for value in one["values"]]))
        for one in found["series"]
    )
    return diagnose.Chart(
        lines, found["y"], log=found["log"], mark=found["mark"], level=found["level"], ticks=tuple(found["ticks"])
    )


def read_findings(folder: Folder, history: History) -> Verdict | None:
    """What tests found of the run as it stands; None where none were made, or the run has gone on since."""
    from thalweg import diagnose

    if not path_of(folder).exists():
        return None
    content = folder.read_json(path_of(folder))
    if not content.get("tested") or content.get("steps") != steps_made(history):
        return None

    def made(key: str) -> tuple[Finding, ...]:
        return tuple(
            diagnose.Finding(**{name: one[name] for name in _FIELDS}, chart=_chart(one.get("chart")))
            for one in content[key]
        )

    return diagnose.Verdict(made("findings"), made("notes"), tested=True)


def what_helped(folder: Folder) -> list[str]:
    """What ``thalweg improve`` found, as a sentence for the page; nothing where nobody asked."""
    path = folder.path / "improve.json"
    if not path.exists():
        return []
    found = folder.read_json(path)
    if not found["attempts"]:
        return []
    best = found["best"]
    if best is None:
        return [f"Of {len(found['attempts'])} remedies tried none surely helped."]
    metric = found["metric"].replace("_", " ")
    interval = "" if best["low"] is None else f" (95 % interval {best['low']:+.4f} to {best['high']:+.4f})"
    return [
        f"Of {len(found['attempts'])} remedies tried the best is {best['words']}: dev {metric} {best['mean']:+.4f}{interval} "
        f"over {len(best['scores'])} seeds. Train with it: thalweg train {found['improved']}"
    ]


def steps_made(history: History) -> int:
    """The last step that a history knows of."""
    known = (history.column(name).steps for name in ("batch/loss", "train/loss"))
    return max((int(steps[-1]) for steps in known if len(steps)), default=0)
