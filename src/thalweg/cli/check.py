"""``thalweg check``: what would go wrong with a run, as a table, before it begins.

Names and values come out of foreign files: they are printed without their control characters and never as markup.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thalweg.cli.leaving import Told, print_object
from thalweg.cli.options import with_settings
from thalweg.cli.source import Source, spec_of
from thalweg.errors import plain

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from thalweg.diagnose.checks.check import Check
    from thalweg.diagnose.checks.signals import Layer
    from thalweg.experiments.checkup import Checkup

MARKS = {
    "passed": ("✓", "+", "green"),
    "warned": ("!", "!", "yellow"),
    "failed": ("✗", "x", "bold red"),
    "skipped": ("–", "-", "dim"),
}
WIDEST, NARROW = 140, 80
MOST_LAYERS = 24


@with_settings
def check(
    source: Source,
    settings: dict[str, Any],
    page: Annotated[
        str | None, typer.Option("--page", metavar="FILE.html", help="Write a page with the pictures, too.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on the last line of standard output.")
    ] = False,
) -> None:
    """Check data, network and settings before training, in seconds: the settings are those of train. Status 1 if one fails.

    \b
    thalweg check digits
    thalweg check mymodel.py:build --data digits --lr 0.1
    thalweg check runs/digits-1/spec.toml --page check.html
    """
    from thalweg.cli.progress import watcher
    from thalweg.experiments.checking import check_spec

    found = check_spec(spec_of(source, settings, "check"), watcher())
    show(found)
    if page is not None:
        found.page(page)
        print(f"page  {Path(page)}")
    if as_json:
        print_object(found.to_dict() | ({"page": page} if page is not None else {}))
    if not found.ok:
        raise Told(1)


def show(found: Checkup) -> None:
    """The checks as a table, the layers below it, one line for what came of it all."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else WIDEST)
    width = min(console.width, WIDEST)
    ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
    table = Table(box=None, pad_edge=False, header_style="bold", width=width)
    table.add_column("")
    table.add_column("check", no_wrap=True)
    table.add_column("what was found, and what to do", overflow="fold", ratio=1)
    for check in found.checks:
        mark, letter, style = MARKS[check.status]
        table.add_row(Text(letter if ascii_only else mark, style=style), Text(check.name), _said(check))
    console.print(table)
    if found.layers:
        console.print()
        console.print(_layers(found.layers, width))
    console.print(f"\n{summary(found)}", style="bold")


def summary(found: Checkup) -> str:
    """How many passed, warned and failed, in one line."""
    counts = {status: sum(check.status == status for check in found.checks) for status in MARKS}
    shown = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    return f"{plain(found.data)}, {plain(found.model)}: {shown} ({found.seconds:.1f} s)"


def _said(check: Check) -> Text:
    from rich.text import Text

    text = Text(plain(check.sentence))
    if check.status in ("warned", "failed"):
        kind = f" [{check.kind}]" if check.kind else ""
        text.append(kind, style="dim")
        if check.remedy:
            text.append(f"\n{plain(check.remedy)}", style="italic")
    return text


def _layers(layers: tuple[Layer, ...], width: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("layer", overflow="ellipsis", no_wrap=True, max_width=40)
    names = ("mean", "sd", "zeros", "rails", "gradient") if width >= NARROW else ("sd", "gradient")
    for name in names:
        table.add_column(name, justify="right")
    shown = layers if len(layers) <= MOST_LAYERS else layers[: MOST_LAYERS // 2] + layers[-MOST_LAYERS // 2 :]
    for number, layer in enumerate(shown):
        if number == MOST_LAYERS // 2 and len(layers) > MOST_LAYERS:
            table.add_row(f"and {len(layers) - MOST_LAYERS} between: see --json")
        values = {
            "mean": _number(layer.mean), "sd": _number(layer.sd), "zeros": _share(layer.zeros),
            "rails": _share(layer.saturated),
            "gradient": f"{layer.gradient:.1e}" if math.isfinite(layer.gradient) else "",
        }  # fmt: skip
        table.add_row(Text(plain(layer.label)), *(values[name] for name in names))
    return table


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else str(value)


def _share(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else ""
