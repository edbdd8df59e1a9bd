"""``thalweg diagnose``: what is wrong with a run, in the terminal.

Sentences name columns and files of the user: they are printed without their control characters.
"""

from __future__ import annotations

import shlex

from rich.console import Console
from rich.text import Text

from thalweg.cli.show import _console
from thalweg.errors import plain
from thalweg.experiments.diagnosing import Diagnosis


def show_diagnosis(found: Diagnosis) -> None:
    """Findings with their evidence and remedy, then the notes."""
    console = _console()
    if not found.findings:
        said = "Tests on copies found nothing wrong." if found.tested else "Nothing in its history looks wrong."
        _line(console, said, "bold")
    for number, finding in enumerate(found.findings, 1):
        _line(console, f"{number}. {finding.title}", "bold", f"  {plain(finding.where)}, {finding.confidence:.0%} sure")
        _line(console, f"   {plain(finding.sentence)}")
        numbers = [f"{name} {value:.4g}" for name, value in finding.evidence.items() if not isinstance(value, str)]
        test = str(finding.evidence.get("test", ""))
        _line(console, "   " + ": ".join(part for part in (test, "  ".join(numbers)) if part), "dim")
        _line(console, f"   → {plain(finding.remedy)}")
    for note in found.notes:
        _line(console, f"note: {plain(note.sentence)}", "dim")
    if not found.tested:
        _line(console, "From the history alone: without --recorded causes are tested on copies of the run.", "dim")
    if found.findings:
        _line(console, f"try    thalweg improve {shlex.quote(str(found.folder.path))}")
    _line(console, f"page   {found.folder.page}")


def _line(console: Console, text: str, style: str = "", more: str = "") -> None:
    console.print(Text.assemble((text, style), (more, "dim")), highlight=False)
