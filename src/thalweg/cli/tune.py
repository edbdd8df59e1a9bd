"""``thalweg tune``: the words of the command, and what they mean.

>>> space_of(None, ["lr=1e-4..1:log", "hidden=[64, 128]"])["hidden"]
Choices(values=(64, 128))
>>> plan_of(trials=64, members="auto", …).members is None
True
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thalweg.cli.leaving import Told, print_object
from thalweg.cli.options import with_settings
from thalweg.cli.source import Source, spec_of
from thalweg.errors import InputError

if TYPE_CHECKING:
    from thalweg.search.space import Space

Many = typer.Option


@with_settings
def tune(
    source: Source,
    settings: dict[str, Any],
    space: Annotated[str | None, Many("--space", metavar="FILE.toml", help="What is searched: ranges by name.")] = None,
    vary: Annotated[
        list[str] | None,
        Many("--vary", metavar="NAME=RANGE", help="A range, as in lr=1e-4..1:log or 'hidden=[64, 128]' (repeatable)."),
    ] = None,
    trials: Annotated[int, Many("--trials", metavar="INTEGER", help="How many points are tried.")] = 64,
    members: Annotated[
        str, Many("--members", metavar="INTEGER|auto", help="Candidates that train together; measured if auto.")
    ] = "auto",
    sampler: Annotated[
        str,
        Many("--sampler", metavar="TEXT", help="random, grid, coarse, importance, tpe, gp, cmaes, sobol or nsga2."),
    ] = "random",
    points: Annotated[int, Many("--points", metavar="INTEGER", help="Points of each range in a grid.")] = 5,
    objectives: Annotated[
        str | None,
        Many(
            "--objectives",
            metavar="NAME,NAME",
            help="What is made good at once: a dev metric, then others, size (weights) or time (to predict).",
        ),
    ] = None,
    prune: Annotated[
        str | None,
        Many(
            "--prune",
            metavar="TEXT",
            help="How bad candidates end early: halving (the default of one objective), median or none (of several).",
        ),
    ] = None,
    workers: Annotated[
        int | None, Many("--workers", metavar="INTEGER", help="Processes that train; as many as pay if not given.")
    ] = None,
    engine: Annotated[str, Many("--engine", metavar="TEXT", help="local, or ray for a cluster.")] = "local",
    address: Annotated[str | None, Many("--address", metavar="TEXT", help="The address of a Ray cluster.")] = None,
    storage: Annotated[
        str | None,
        Many(
            "--storage",
            metavar="URL",
            help="Where trials are kept: sqlite:///FILE, postgresql://…; a file if not given.",
        ),
    ] = None,
    confirm: Annotated[
        int, Many("--confirm", metavar="INTEGER", help="Fresh seeds on which the best trial is trained again.")
    ] = 3,
    as_json: Annotated[bool, Many("--json", help="Print one JSON object on the last line of standard output.")] = False,
) -> None:
    """Search for good hyperparameters: many candidates train as one program where that pays. Again with --name: go on.

    \b
    thalweg tune digits
    thalweg tune digits --vary lr=1e-4..1:log --vary 'hidden=[64, 128]' --trials 64 --epochs 20
    thalweg tune digits --objectives accuracy,size,time --sampler nsga2
    thalweg tune houses.csv --target price --space space.toml --sampler tpe --name houses
    """
    from thalweg.cli.study import show_study, study_watcher
    from thalweg.experiments.tuning import Plan, StudyStopped, start_study

    plan = Plan(
        space=space_of(space, vary or []),
        trials=trials,
        members=_members(members),
        sampler=sampler,
        points=points,
        prune=prune,
        workers=workers,
        engine=engine,
        address=address,
        storage=storage,
        confirm=confirm,
        objectives=tuple(name.strip() for name in objectives.split(",")) if objectives is not None else (),
    )
    looking = study_watcher()
    try:
        folder, result = start_study(spec_of(source, settings, "train"), plan, looking, looking.follow_study)
    except StudyStopped as stopped:
        typer.echo(f"thalweg: {stopped}", err=True)
        if as_json:
            print_object({"study": str(stopped.folder.path), "status": "stopped by the user"})
        raise Told(130) from None
    show_study(folder, result)
    if as_json:
        print_object({"study": str(folder.path), **result})


def space_of(file: str | None, varied: list[str]) -> Space | None:
    """The space of ``--space FILE`` and ``--vary name=range``, which wins; None where neither is given."""
    from thalweg.search import Space

    texts: dict[str, Any] = {} if file is None else Space.read(Path(file)).to_dict()
    seen: set[str] = set()
    for item in varied:
        name, equals, text = item.partition("=")
        if not equals or not text.strip():
            raise InputError(f'--vary "{item}" says no range: write --vary lr=1e-4..1:log or --vary "hidden=[64, 128]"')
        name = name.strip().replace("-", "_")
        if name in seen:
            raise InputError(f"--vary gives {name} two ranges: give one")
        seen.add(name)
        texts[name] = text
    return Space.parse(texts) if texts else None


def _members(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal():
        raise InputError(f"--members {text}: give how many candidates train together, 1 or more, or auto")
    return int(text)
