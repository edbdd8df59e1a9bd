"""``thalweg diagnose`` and ``thalweg improve``: what is wrong with a run, and which remedy helps, in the terminal.

Sentences name columns and files of the user: they are printed without their control characters.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from thalweg.cli.show import NAMES, output
from thalweg.errors import plain
from thalweg.experiments.attempts import Attempt
from thalweg.experiments.diagnosing import Diagnosis
from thalweg.experiments.improving import Improvement
from thalweg.report.evidence import words


def show_diagnosis(found: Diagnosis) -> None:
    """Findings with their evidence and remedy, then the notes."""
    console = output()
    if not found.findings:
        said = "Tests on copies found nothing wrong." if found.tested else "Nothing in its history looks wrong."
        _line(console, said, "bold")
    for number, finding in enumerate(found.findings, 1):
        _line(console, f"{number}. {finding.title}", "bold", f"  {plain(finding.where)}, {finding.confidence:.0%} sure")
        _line(console, f"   {plain(finding.sentence)}")
        numbers = [
            f"{words(name)} {value:.4g}" for name, value in finding.evidence.items() if not isinstance(value, str)
        ]
        test = str(finding.evidence.get("test", ""))
        _line(console, "   " + ": ".join(part for part in (test, ", ".join(numbers)) if part), "dim")
        _line(console, f"   → {plain(finding.remedy)}")
    for note in found.notes:
        _line(console, f"note: {plain(note.sentence)}", "dim")
    if not found.tested:
        _line(console, "From the history alone: without --recorded causes are tested on copies of the run.", "dim")
    if found.findings:
        _line(console, f"try    thalweg improve {shlex.quote(str(found.folder.path))}")
    _line(console, f"page   {found.folder.page}")


def show_improvement(found: Improvement) -> None:
    """The changes tried, best first, and the command that trains with the one that helps."""
    console = output()
    if not found.kinds:
        _line(console, "The run is healthy: there is nothing to improve.", "bold")
        return
    if not found.attempts:
        _line(console, f"No setting is a remedy for {', '.join(found.kinds)}: see  thalweg diagnose", "bold")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("change")
    table.add_column("for")
    for name in (f"dev {NAMES.get(found.metric, found.metric)}", "gain", "95 % interval", "seeds"):
        table.add_column(name, justify="right")
    mean = _mean(found.original)
    table.add_row("the run as it was", "", f"{mean:.4f}", "", "", str(len(found.original)))
    for attempt in found.attempts:
        gain = attempt.gain
        interval = (
            f"{gain.low:+.4f} to {gain.high:+.4f}"
            if math.isfinite(gain.low)
            else plain(attempt.said or "one seed")[:60]
        )
        style = "bold" if attempt is found.best else ""
        table.add_row(
            Text(attempt.words), Text(attempt.kind), f"{_mean(attempt.scores):.4f}", f"{gain.mean:+.4f}", interval,
            str(len(attempt.scores)), style=style,
        )  # fmt: skip
    console.print(table)
    if found.best is None or found.improved is None:
        _line(console, _without_best(found), "bold")
        return
    _line(console, f"What helps: {found.best.words}.", "bold")
    _line(console, f"train  thalweg train {shlex.quote(str(found.improved))}")


def _without_best(found: Improvement) -> str:
    whole: list[Attempt] = [attempt for attempt in found.attempts if len(attempt.scores) > 1 and attempt.gain.mean > 0]
    if not whole:
        return "Nothing helped: no change made the dev part better."
    return (
        f"Nothing surely helped: {whole[0].words} gains {whole[0].gain.mean:.2g}, which may be chance; more seeds would "
        f"tell, as in --seeds {min(2 * len(whole[0].scores), 10)}."
    )


def _mean(scores: Mapping[int, float]) -> float:
    return sum(scores.values()) / max(len(scores), 1)


def _line(console: Console, text: str, style: str = "", more: str = "") -> None:
    console.print(Text.assemble((text, style), (more, "dim")), highlight=False)
