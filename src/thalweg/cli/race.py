"""``thalweg race``: which update rule suits this problem, with error bars."""

from __future__ import annotations

from collections.abc import Container
from typing import Annotated, Any

import typer

from thalweg.cli.leaving import Told, print_object
from thalweg.cli.options import with_settings
from thalweg.cli.source import spec_of
from thalweg.errors import InputError
from thalweg.experiments.spec import Spec

Many = typer.Option


@with_settings
def race(
    settings: dict[str, Any],
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA|SPEC.toml|MODEL.py:FUNCTION]",
            help="As in train; or quadratic, noisy-quadratic, ravine, rosenbrock, shakespeare.",
        ),
    ] = None,
    rules: Annotated[
        str | None,
        Many("--rules", metavar="A,B,…", help="The update rules that race; eight well-known ones if not given."),
    ] = None,
    trials: Annotated[
        int | None, Many("--trials", metavar="INTEGER", help="Settings tried for each rule; 16, in a suite 8.")
    ] = None,
    seeds: Annotated[
        int | None,
        Many("--seeds", metavar="INTEGER", help="Fresh seeds that decide; 10, or as many as so many rules need."),
    ] = None,
    goal: Annotated[
        float | None,
        Many(
            "--goal", metavar="NUMBER", help="The dev metric to reach; what the best tuned baseline does if not given."
        ),
    ] = None,
    schedules: Annotated[
        str | None,
        Many("--schedules", metavar="A,B,…", help="Schedules with which each rule races; cosine if not given."),
    ] = None,
    decay: Annotated[bool, Many("--decay", help="Search weight decay too; without it nobody decays.")] = False,
    suite: Annotated[
        str | None, Many("--suite", metavar="NAME", help="Race on a bundled set of problems instead: small.")
    ] = None,
    as_json: Annotated[bool, Many("--json", help="Print one JSON object on the last line of standard output.")] = False,
) -> None:
    """Race update rules on a problem: each is tuned with the same budget, fresh seeds judge. Again with --name: go on.

    \b
    thalweg race digits --rules sgd,momentum,adam
    thalweg race houses.csv --target price --rules adam,nadam,adamw --epochs 30
    thalweg race mymodel.py:build --data digits --rules sgd,adam --goal 0.97
    thalweg race ravine --rules sgd,momentum
    thalweg race --suite small
    """
    from thalweg.cli.racing import short, show_race, watcher
    from thalweg.experiments.racing import RaceStopped
    from thalweg.experiments.racing.named import WORDS, race_named

    looking = watcher()
    try:
        folder, result = race_named(
            _what(source, settings, WORDS),
            settings,
            rules=_words(rules),
            trials=trials,
            seeds=seeds,
            goal=goal,
            schedules=_words(schedules),
            decay=decay,
            suite=suite,
            watcher=looking,
            follow=looking.follow_race,
        )
    except RaceStopped as stopped:
        looking.close()
        typer.echo(f"thalweg: {stopped}", err=True)
        if as_json:
            print_object({"race": str(stopped.folder.path), "status": "stopped by the user"})
        raise Told(130) from None
    finally:
        looking.close()
    show_race(folder, result)
    if as_json:
        print_object({"race": str(folder.path), **short(result)})


def _what(source: str | None, settings: dict[str, Any], words: Container[str]) -> Spec | str | None:
    """A function's name as it is, data and a model as the settings of a run; by default gradients are left alone."""
    if source is None or source in words:
        return source
    return spec_of(source, {"clip_norm": None} | settings, "race")


def _words(text: str | None) -> list[str] | None:
    if text is None:
        return None
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise InputError("a list of names is empty: give them with commas between, as in sgd,adam")
    return words
