"""``thalweg data``: what is in a file, what about it is suspicious, how it would be divided, and whether the parts are alike.

Names and values come out of foreign files: they are printed without their control characters, so none can write to the
terminal.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from thalweg.data import BUNDLED, Data, split
from thalweg.data.profile.mismatch import Mismatch, mismatches
from thalweg.data.profile.profile import Array, Column, Profile, Target, profile
from thalweg.data.sources.table import is_table, read_table
from thalweg.errors import plain
from thalweg.experiments.reading import read_whole
from thalweg.experiments.spec import Spec

if TYPE_CHECKING:
    import polars

WIDEST = 140
NARROW, VERY_NARROW = 110, 80
"""Columns of the terminal below which tables say less."""
MOST_ROWS = 60
"""Of a table; ``--json`` has all."""


def describe(spec: Spec) -> dict[str, Any]:
    """Shows the profile of the data of ``spec`` and returns it as plain data. Without a target, a table is shown as it stands.

    Raises ``InputError`` as ``load`` and ``split`` do.
    """
    path = Path(spec.data).expanduser()
    width = min(shutil.get_terminal_size((120, 24)).columns, WIDEST)
    console = Console(width=width, highlight=False, markup=False, emoji=False)
    if spec.target is None and spec.data not in BUNDLED and is_table(path) and path.is_file():
        frame = read_table(path, delimiter=spec.delimiter)
        return _untargeted(console, frame.drop(spec.drop or (), strict=False), path.name)
    data = read_whole(spec)
    parts = split(data, seed=spec.seed, fractions=spec.split)
    found = profile(data, split=parts, seed=spec.seed)
    compared = mismatches(data, parts, seed=spec.seed)
    rule = _rule(data)
    _show_head(console, found)
    for one in found.targets:
        _show_target(console, one)
    _show_suspicions(console, found)
    sizes = {name: len(rows) for name, rows in parts._asdict().items()}
    console.print(f"\nparts  {', '.join(f'{name} {rows:,}' for name, rows in sizes.items())}: {rule}.")
    _show_mismatches(console, compared)
    return {
        **found.to_dict(),
        "split": {**sizes, "rule": rule},
        "mismatch": [asdict(one) for one in compared],
    }


def _untargeted(console: Console, frame: polars.DataFrame, name: str) -> dict[str, Any]:
    found = profile(frame)
    _show_head(console, found, name)
    _show_suspicions(console, found)
    odd = {column for suspicion in found.suspicions for column in suspicion.columns}
    likely = [column for column in frame.columns if column not in odd] or frame.columns
    hint = f"Name the target to see what tells of it, and the parts: --target {shlex.quote(plain(likely[-1]))}, for example."
    console.print(f"\n{hint}")
    return {**found.to_dict(), "name": plain(name), "hint": hint}


def _rule(data: Data) -> str:
    """By what the rows are divided, in words."""
    own = "as the data set or you assigned them" if data.assigned is not None else ""
    if data.time is not None:
        rule = "by time, the latest rows last" + ", groups kept whole" * (data.groups is not None)
    elif data.groups is not None:
        rule = "by group, at random, no group in two parts"
    else:
        rule = "at random" + ", each class evenly" * (data.classes is not None)
    return f"{own}, the rest {rule}" if own else rule


def _show_head(console: Console, found: Profile, name: str = "") -> None:
    what = f"{found.rows:,} rows"
    if found.array is not None:
        what += f" of {' × '.join(map(str, found.array.shape))} {found.array.type}"
    else:
        what += f", {len(found.columns):,} columns"
    console.print(f"{plain(found.name or name)}: {what}" + (f", {found.task}" if found.task else ""), style="bold")
    if found.array is not None:
        _show_array(console, found.array)
    else:
        _show_columns(console, found.columns)


def _show_array(console: Console, array: Array) -> None:
    console.print(
        f"values from {array.minimum:.4g} to {array.maximum:.4g}, mean {array.mean:.4g}, sd {array.sd:.4g}; "
        f"{array.missing:,} missing; {len(array.constant):,} features the same in every row"
    )


def _show_columns(console: Console, columns: Sequence[Column]) -> None:
    width = console.width
    table = _table()
    table.add_column("column", overflow="fold", min_width=6)
    table.add_column("type")
    table.add_column("missing", justify="right")
    if width >= VERY_NARROW:
        table.add_column("different", justify="right")
        table.add_column("min · median · max", no_wrap=True)
    if width >= NARROW:
        table.add_column("mean ± sd", no_wrap=True)
        table.add_column("most frequent", overflow="ellipsis", no_wrap=True, max_width=40)
    for column in columns[:MOST_ROWS]:
        cells = [plain(column.name), column.type, f"{column.missing:,}" if column.missing else ""]
        if width >= VERY_NARROW:
            cells += [f"{column.distinct:,}", _range(column.minimum, column.quartiles, column.maximum)]
        if width >= NARROW:
            cells.append("" if column.mean is None else f"{column.mean:.4g} ± {column.sd:.3g}")
            cells.append(", ".join(f"{plain(value)} ({rows:,})" for value, rows in column.frequent[:3]))
        table.add_row(*map(_cell, cells))
    console.print(table)
    if len(columns) > MOST_ROWS:
        console.print(f"and {len(columns) - MOST_ROWS:,} more columns: see --json")


def _range(low: float | str | None, quartiles: tuple[float, float, float] | None, high: float | str | None) -> str:
    if low is None:
        return ""
    values = [low, *([quartiles[1]] if quartiles else []), high]
    return " · ".join(value if isinstance(value, str) else f"{value:.4g}" for value in values)


def _show_target(console: Console, target: Target) -> None:
    console.print()
    if target.classes is None:
        console.print(
            f"target {plain(target.name)}: {_range(target.minimum, target.quartiles, target.maximum)} "
            f"(min · median · max), mean {target.mean:.4g} ± {target.sd:.3g}, skew {target.skew:.2g}, "
            f"{target.outliers:,} far out"
        )
        return
    console.print(
        f"target {plain(target.name)}: {len(target.classes)} classes; always guessing the largest is right in "
        f"{100 * (target.majority or 0):.3g} %, and it has {target.ratio:.3g} times the rows of the smallest"
    )
    table = _table()
    table.add_column("class", overflow="fold")
    table.add_column("rows", justify="right")
    table.add_column("share", justify="right")
    total = sum(target.classes.values())
    for label, rows in list(target.classes.items())[:MOST_ROWS]:
        table.add_row(_cell(plain(label)), f"{rows:,}", f"{100 * rows / total:.3g} %")
    console.print(table)
    if len(target.classes) > MOST_ROWS:
        console.print(f"and {len(target.classes) - MOST_ROWS:,} more classes: see --json")


def _show_suspicions(console: Console, found: Profile) -> None:
    if not found.suspicions:
        console.print("\nNothing suspicious was found.")
        return
    console.print()
    for suspicion in found.suspicions[:MOST_ROWS]:
        console.print(f"{suspicion.kind}: {plain(suspicion.sentence)}")
    if len(found.suspicions) > MOST_ROWS:
        console.print(f"and {len(found.suspicions) - MOST_ROWS:,} more suspicions: see --json")


def _show_mismatches(console: Console, compared: Sequence[Mismatch]) -> None:
    for one in compared:
        console.print(one.sentence, style="bold" if one.differs else "")
        for telling in one.columns[:10]:
            console.print(f"  AUC {telling.auc:.2f}  {plain(telling.text)}")
        if len(one.columns) > 10:
            console.print(f"  and {len(one.columns) - 10:,} more columns: see --json")


def _table() -> Table:
    return Table(box=None, pad_edge=False, header_style="bold")


def _cell(text: str) -> Text:
    """Never markup: a column may be called [red]."""
    return Text(text)
