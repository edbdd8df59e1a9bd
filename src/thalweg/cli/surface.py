"""``thalweg surface``: rules on a test function, as a table and as a page that walks."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thalweg.cli.leaving import print_object
from thalweg.errors import InputError, plain

if TYPE_CHECKING:
    from thalweg.experiments.surveying import Survey


def surface(
    on: Annotated[
        str, typer.Argument(metavar="SURFACE|FORMULA", help="A test function by name, or a formula of x and y.")
    ] = "ravine",
    rules: Annotated[str, typer.Option("--rules", metavar="A,B,…", help="The rules that walk.")] = "sgd,momentum,adam",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="RULE.NAME=NUMBER", help="A hyperparameter of a rule; as often as wanted."),
    ] = None,
    start: Annotated[str | None, typer.Option("--start", metavar="X,Y", help="Where all begin.")] = None,
    steps: Annotated[int, typer.Option("--steps", metavar="INTEGER", help="How many steps each takes.")] = 60,
    noise: Annotated[
        float | None, typer.Option("--noise", metavar="NUMBER", help="Standard deviation of noise in every gradient.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="INTEGER", help="Of the noise, the same for all rules.")] = 0,
    out: Annotated[str, typer.Option("--out", metavar="FILE.html", help="The page.")] = "surface.html",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on the last line of standard output.")
    ] = False,
) -> None:
    """Draw how rules walk over a test function, on a page with a slider for each number of theirs.

    Surfaces are ravine, Beale, Rosenbrock, Rastrigin, saddle, plateau and noisy. A rule without a rate gets the best.

    \b
    thalweg surface ravine --rules sgd,momentum,nesterov,adam --set sgd.lr=0.95
    thalweg surface 'x**4 - x**2 + y**2' --rules sgd,adam --start 0.01,2
    thalweg surface noisy --steps 200
    """
    from thalweg.experiments.surveying import surface as walked

    survey = walked(
        on,
        rules=[name.strip() for name in rules.split(",") if name.strip()],
        settings=_settings(settings or []),
        start=None if start is None else _point(start),
        steps=steps,
        noise=noise,
        seed=seed,
    )
    _show(survey)
    survey.page(out)
    print(f"page  {Path(out)}")
    if as_json:
        print_object(survey.to_dict() | {"page": out})


def _settings(words: list[str]) -> dict[str, dict[str, float]]:
    """``sgd.lr=0.95`` → ``{"sgd": {"lr": 0.95}}``."""
    found: dict[str, dict[str, float]] = {}
    for word in words:
        place, _, value = word.partition("=")
        rule, _, name = place.rpartition(".")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not rule or not name or math.isnan(number):
            raise InputError(f"--set {word}: write it as RULE.NAME=NUMBER, as in sgd.lr=0.95")
        if name in found.setdefault(rule, {}):
            raise InputError(f"--set gives {place} two values: give one")
        found[rule][name] = number
    return found


def _point(word: str) -> tuple[float, float]:
    try:
        x, y = map(float, word.split(","))
    except ValueError:
        raise InputError(f"--start {word}: write it as two numbers, as in --start=-7,2") from None
    return x, y


def _show(survey: Survey) -> None:
    """What came of it, a line for each rule."""
    from rich.console import Console
    from rich.table import Table

    report = survey.report
    bowl = report.centre is not None
    console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 120)
    table = Table(box=None, pad_edge=False, header_style="bold")
    heads = ["lr", f"loss after {report.steps}", "near from step"]
    heads += ["limit", "measured", "contraction", "measured"] * bowl
    table.add_column("rule")
    for head in heads:
        table.add_column(head, justify="right")
    for walker in report.walkers:
        cells = [f"{walker.numbers['lr']:.4g}" if "lr" in walker.numbers else "–", f"{walker.final:.3g}"]
        cells.append("–" if walker.arrived is None else str(walker.arrived))
        known = (walker.exact_limit, walker.measured_limit, walker.predicted, walker.contraction)
        cells += ["–" if value is None else f"{value:.4g}" for value in known] * bowl
        table.add_row(plain(walker.name), *cells)
    console.print(table)
    console.print(report.sentence)
