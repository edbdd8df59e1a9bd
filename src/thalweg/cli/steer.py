"""``thalweg steer``: what a person in another terminal says to a run that goes.

    thalweg steer digits-1 --set lr=0.01 --set dropout=0.2
    thalweg steer digits-1 --back-to 12 --set lr=0.001

A command is a file in the run's folder; the run does it between two steps and answers, and its answer is shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from thalweg.cli.options import number_of
from thalweg.errors import InputError

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="Change a setting from the next step on, as in lr=0.01 (repeatable)."
    ),
]
BackTo = Annotated[
    int | None, typer.Option("--back-to", metavar="EPOCH", min=1, help="Go back to the end of an epoch that is kept.")
]
Pause = Annotated[bool, typer.Option("--pause", help="Wait, between two steps, until told to resume.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on after a pause.")]
Stop = Annotated[bool, typer.Option("--stop", help="End the run now: the best weights so far are measured and kept.")]


def steer_run(
    run: str,
    *,
    settings: Iterable[str],
    back_to: int | None,
    pause: bool,
    resume: bool,
    stop: bool,
    runs: str,
) -> dict[str, Any]:
    """Gives a run one command; returns what became of it as plain data.

    Raises ``InputError`` for a value that makes no sense and for a run that cannot be steered.
    """
    from thalweg.experiments import Folder
    from thalweg.experiments.interventions import Command, send

    if pause and resume:
        raise InputError("a run cannot be paused and go on: give --pause or --resume")
    command = Command(back_to=back_to, settings=dict(map(setting, settings)), pause=pause, resume=resume, stop=stop)
    folder = Folder.open(run, runs)
    said = send(folder, command)
    return {"run": str(folder.path), "done": said is not None, "said": said or ""}


def setting(text: str) -> tuple[str, Any]:
    """``lr=0.01`` as a name and a value: a number, several with commas, or none."""
    name, equals, value = text.partition("=")
    if not equals or not value.strip():
        raise InputError(f"--set {text}: write it as NAME=VALUE, as in lr=0.01")
    name = name.strip().replace("-", "_")
    if value.strip().lower() == "none":
        return name, None
    try:
        numbers = [number_of(word, "set") for word in value.replace(" ", "").split(",")]
    except InputError:
        raise InputError(f'--set {text}: "{value}" is not a number') from None
    return name, numbers if len(numbers) > 1 else numbers[0]
