"""``thalweg landscape``: where rules end that begin together, or runs that are done, and what lies between.

>>> own_of(["sgd.lr=0.5", "sgd.momentum=0.9"])
{'sgd': {'lr': 0.5, 'momentum': 0.9}}
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thalweg.cli.leaving import print_object
from thalweg.cli.options import value_of, with_settings
from thalweg.cli.source import spec_of
from thalweg.errors import InputError, plain

if TYPE_CHECKING:
    from thalweg.experiments.landscaping import Landscaped

RULES = "sgd,adam"


@with_settings
def landscape(
    sources: Annotated[
        list[str], typer.Argument(metavar="DATA|RUN RUN [RUN]", help="Data as in train, or two or three finished runs.")
    ],
    settings: dict[str, Any],
    rules: Annotated[
        str | None,
        typer.Option("--rules", metavar="A,B[,C]", help=f"The rules that begin together; {RULES} if not given."),
    ] = None,
    own: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="RULE.NAME=VALUE", help="A setting of one rule, as in sgd.lr=0.5 (repeatable)."),
    ] = None,
    points: Annotated[
        int | None,
        typer.Option(
            "--points", metavar="INTEGER", help="Points on each side of the plane; by the size of the net if not given."
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE.html", help="The page; in a folder under runs if not given.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on the last line of standard output.")
    ] = False,
) -> None:
    """Train rules from one start and draw the loss between their ends: barrier, plane, slices, curvature; or of runs.

    \b
    thalweg landscape digits --rules sgd,adam
    thalweg landscape digits --rules sgd,momentum,adam --set sgd.lr=0.5
    thalweg landscape digits-1 digits-2
    """
    from thalweg.cli.progress import watcher
    from thalweg.data import BUNDLED
    from thalweg.experiments.landscaping import landscape_of_runs, landscape_of_spec

    folder = settings.get("runs", "runs")
    if out is not None and (Path(out).is_dir() or not Path(out).parent.is_dir()):  # known before minutes of training
        raise InputError(f"{out} cannot be written: name a file in a folder that exists")
    trains = (
        len(sources) == 1 and rules is not None and sources[0] in BUNDLED
    )  # also where a run is named like the data
    if len(sources) > 1 or (not trains and _is_run(sources[0], folder)):
        given = [
            *(["rules"] if rules is not None else []),
            *(["set"] if own else []),
            *(name for name in settings if name != "runs"),
        ]
        if given:
            raise InputError(f"--{given[0].replace('_', '-')} is for training, and the runs are trained: leave it out")
        found = landscape_of_runs(sources, folder=folder, points=points, watcher=watcher())
    else:
        for name in ("rule", "folds", "shard"):
            if name in settings:
                raise InputError(
                    f"--{name} has no meaning here: name two or three rules with --rules, as in --rules {RULES}"
                )
        named = [rule.strip() for rule in (RULES if rules is None else rules).split(",") if rule.strip()]
        spec = spec_of(sources[0], settings, "train")
        found = landscape_of_spec(spec, named, own=own_of(own or []), points=points, watcher=watcher())
    page = _write(found, out, folder, settings.get("name"))
    show(found)
    print(f"page  {page}")
    if as_json:
        print_object(found.to_dict() | {"page": str(page)})


def own_of(words: list[str]) -> dict[str, dict[str, Any]]:
    """Settings by rule; a value is a number, numbers with commas between, or a word."""
    found: dict[str, dict[str, Any]] = {}
    for word in words:
        place, equals, value = word.partition("=")
        rule, _, name = place.strip().partition(".")
        if not equals or not rule or not name or not value:
            raise InputError(f"--set {word}: write it as RULE.NAME=VALUE, as in sgd.lr=0.5")
        name = name.replace("-", "_")
        if name in found.setdefault(rule, {}):
            raise InputError(f"--set gives {rule}.{name} two values: give one")
        found[rule][name] = value_of(value)
    return found


def _is_run(source: str, folder: str) -> bool:
    return any(
        (path / name).is_file()
        for path in (Path(source), Path(folder) / source)
        for name in ("spec.toml", "study.toml")
    )


def _write(found: Landscaped, out: str | None, runs: str, name: str | None) -> Path:
    from thalweg.experiments import Folder

    if out is not None:
        found.page(out)
        return Path(out)
    folder = Folder.create(runs, name, f"{found.data}-landscape")
    folder.write_json(folder.result, {"status": "finished", "seconds": found.seconds, **found.to_dict()})
    found.page(folder.page)
    return folder.page


def show(found: Landscaped) -> None:
    """The ends as a table, the findings below it."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 120)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("end")
    names = ("train", "dev", "from start", "sharpness", "smallest", "trace", "rise")
    for name in names:
        table.add_column(name, justify="right")
    for stand in (*found.report.ends, *found.report.starts):
        table.add_row(
            plain(stand.name), *(f"{stand.numbers[name]:.3g}" if name in stand.numbers else "–" for name in names)
        )
    console.print(table)
    for told in found.findings:
        console.print(f"\n{plain(told.title)}", style="bold")
        console.print(plain(told.sentence))
    for note in found.notes:
        console.print(f"\nnote: {plain(note)}", style="dim")
