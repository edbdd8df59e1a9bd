"""The commands, a function each: read what is given, call the switchboard, show what came of it."""

from __future__ import annotations

import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from thalweg.cli import steer as steering
from thalweg.cli.check import check
from thalweg.cli.landscape import landscape
from thalweg.cli.leaving import Told, print_object
from thalweg.cli.options import with_settings
from thalweg.cli.race import race
from thalweg.cli.source import Source, spec_of
from thalweg.cli.surface import surface
from thalweg.cli.tune import tune
from thalweg.cli.view import view
from thalweg.errors import InputError

app = typer.Typer(
    name="thalweg",
    help="How should this network be trained, and why does it not train? Answers with evidence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on the last line of standard output.")]
Runs = Annotated[str, typer.Option("--runs", help="The folder that holds all runs.")]
OF_DATA = (
    "target", "task", "delimiter", "drop", "dev", "test", "split", "split_column", "groups", "time", "weights", "seed",
)  # fmt: skip
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run: its folder, or its name under runs/.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")]


def _version(wanted: bool) -> None:
    if wanted:
        import thalweg

        print(f"thalweg {thalweg.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
@with_settings
def train(
    source: Source,
    settings: dict[str, Any],
    live: Annotated[
        bool, typer.Option("--live", help="Show the run as it goes on the whole terminal; see thalweg steer.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a network on a table, images, arrays or bundled data; leaves a page that explains the run.

    \b
    thalweg train digits
    thalweg train houses.csv --target price
    thalweg train images/
    thalweg train mymodel.py:build --data digits
    thalweg train runs/digits-1/spec.toml
    """
    from thalweg.experiments import start

    _finish(start, spec_of(source, settings, "train"), as_json=as_json, live=live)


app.command()(check)
app.command()(tune)
app.command()(race)
app.command()(surface)
app.command()(landscape)
app.command()(view)


@app.command()
def resume(
    run: Run,
    runs: Runs = "runs",
    live: Annotated[bool, typer.Option("--live", help="Show the run as it goes on the whole terminal.")] = False,
    as_json: AsJson = False,
) -> None:
    """Go on with a run that was stopped or killed; the result is the same as if it never had been."""
    from thalweg.experiments import resume as go_on

    _finish(go_on, run, as_json=as_json, live=live, runs=runs)


@app.command()
def steer(
    run: Run,
    settings: steering.Settings = None,
    back_to: steering.BackTo = None,
    pause: steering.Pause = False,
    resume: steering.Resume = False,
    stop: steering.Stop = False,
    runs: Runs = "runs",
    as_json: AsJson = False,
) -> None:
    """Change a run while it goes, from another terminal; what was done is recorded and can be repeated.

    \b
    thalweg steer digits-1 --set lr=0.01
    thalweg steer digits-1 --back-to 12 --set lr=0.001
    thalweg steer digits-1 --pause
    """
    done = steering.steer_run(
        run, settings=settings or (), back_to=back_to, pause=pause, resume=resume, stop=stop, runs=runs
    )
    print(done["said"] or "left for the run, which has not come to its next step yet")
    if as_json:
        print_object(done)


def _finish(train_it: Any, what: Any, *, as_json: bool, live: bool, **where: str) -> None:
    """Trains, as one process or as one of several under torchrun, of which the first speaks."""
    from thalweg.cli.live import live_watcher
    from thalweg.cli.progress import watcher
    from thalweg.cli.show import show_folds, show_result
    from thalweg.experiments import Silent
    from thalweg.experiments.run import Interrupted
    from thalweg.train.parallel import Ranks

    ranks = Ranks.of_environment()
    try:
        with ranks.group():
            onlooker = Silent() if not ranks.first else live_watcher() if live else watcher()
            folder, result = train_it(what, onlooker, ranks=ranks, **where)
        if not ranks.first:
            return
    except InputError:
        if not ranks.first:  # the first has met the same and says it
            raise Told(2) from None
        raise
    except Interrupted as stopped:
        if not ranks.first:
            raise Told(130) from None
        print(f"thalweg: {stopped}", file=sys.stderr)
        if as_json:
            print_object({"run": str(stopped.folder.path), "status": "stopped by the user"})
        raise Told(130) from None
    if "folds" in result:
        show_folds(folder, result)
    else:
        show_result(folder, result)
    if as_json:
        kept = {name: result[name] for name in ("task", "metrics", "mean", "sd", "folds") if name in result}
        print_object({"run": str(folder.path), **kept})


@app.command()
def predict(
    run: Run,
    table: Annotated[
        str, typer.Argument(metavar="DATA", help="Rows to predict: a file or folder like the one trained on.")
    ],
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="Where to write; DATA with .predictions.csv when not given.")
    ] = None,
    delimiter: Annotated[str | None, typer.Option("--delimiter", help="The separator of a text table.")] = None,
    overwrite: Overwrite = False,
    runs: Runs = "runs",
    as_json: AsJson = False,
) -> None:
    """Write predictions, with the probability of each class, for new rows."""
    from thalweg.experiments import load
    from thalweg.experiments.export import written_whole

    predictor = load(run, runs=runs)
    path = Path(out) if out else _beside(table)
    first, rows = None, 0
    with written_whole(path, overwrite=overwrite) as beside, beside.open("wb") as file:
        for frame in predictor.stream(table, delimiter=delimiter):
            frame.write_csv(file, include_header=first is None)
            first = first if first is not None else frame
            rows += frame.height
    from thalweg.cli.show import show_predictions

    assert first is not None
    show_predictions(first, rows, path)
    if as_json:
        print_object({"run": str(predictor.source), "predictions": str(path), "rows": rows})


def _beside(table: str) -> Path:
    """``houses.csv`` gives ``houses.predictions.csv``; a folder named ``.`` or ``..`` has its own name only once resolved."""
    path = Path(table)
    if path.name in ("", ".."):
        path = Path((path.resolve().name or "root") + ".folder")
    return path.with_suffix(".predictions.csv")


@app.command()
def export(
    run: Run,
    onnx: Annotated[bool, typer.Option("--onnx", help="A graph for any ONNX runtime; needs the extra onnx.")] = False,
    safetensors: Annotated[
        bool, typer.Option("--safetensors", help="Weights, settings and preprocessing in one file.")
    ] = False,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="Where to write; the run's name with .onnx or .safetensors.")
    ] = None,
    overwrite: Overwrite = False,
    runs: Runs = "runs",
    as_json: AsJson = False,
) -> None:
    """Write the model of a run as one file for another program or machine, the preprocessing in it.

    \b
    thalweg export digits-1 --onnx
    thalweg export digits-1 --safetensors --out digits.safetensors
    """
    from thalweg.experiments import load
    from thalweg.experiments.export import export_onnx, export_safetensors

    if onnx == safetensors:
        raise InputError("say in which format to export: --onnx or --safetensors, one of them")
    predictor = load(run, runs=runs)
    path = Path(out or predictor.name + (".onnx" if onnx else ".safetensors"))
    (export_onnx if onnx else export_safetensors)(predictor, path, overwrite=overwrite)
    print(f"model  {path}")
    if as_json:
        print_object({"run": str(predictor.source), "model": str(path), "format": "onnx" if onnx else "safetensors"})


@app.command(name="runs")
def list_runs(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="The folder that holds all runs.")] = "runs",
    as_json: AsJson = False,
) -> None:
    """List all runs: when, what, how good."""
    from thalweg.cli.show import show_runs, summaries

    rows = summaries(folder)
    show_runs(rows, folder)
    if as_json:
        print_object({"runs": rows})


@app.command()
def report(run: Run, runs: Runs = "runs", as_json: AsJson = False) -> None:
    """Make the page of a run anew, also of one that is still going."""
    from thalweg.experiments import Folder
    from thalweg.experiments.page import write_page
    from thalweg.experiments.tuning.folder import StudyFolder
    from thalweg.experiments.tuning.record import write_study_page

    study = StudyFolder.there(run, runs)
    folder = Folder.open(run, runs) if study is None else study
    if study is not None:
        write_study_page(study)
    else:
        write_page(folder)
    print(f"page  {folder.page}")
    if as_json:
        print_object({"run": str(folder.path), "page": str(folder.page)})


@app.command()
def diagnose(
    run: Run,
    recorded: Annotated[bool, typer.Option("--recorded", help="Read the history alone; test nothing.")] = False,
    runs: Runs = "runs",
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with a run, finished or not: what its numbers show, and tests of causes on copies of it."""
    from thalweg.cli.doctor import show_diagnosis
    from thalweg.cli.progress import watcher
    from thalweg.experiments.diagnosing import diagnose_run

    found = diagnose_run(run, runs=runs, recorded=recorded, watcher=watcher())
    show_diagnosis(found)
    if as_json:
        print_object({"run": str(found.folder.path), **found.content})


@app.command()
def improve(
    run: Run,
    seeds: Annotated[int, typer.Option("--seeds", help="Seeds for each change that gains something, 2 to 10.")] = 3,
    runs: Runs = "runs",
    as_json: AsJson = False,
) -> None:
    """Try the remedies of what is wrong with a run, and write the spec of the one that helps."""
    from thalweg.cli.doctor import show_improvement
    from thalweg.cli.progress import watcher
    from thalweg.experiments import Folder
    from thalweg.experiments.improving import Stopped, improve_run

    try:
        found = improve_run(run, runs=runs, seeds=seeds, watcher=watcher())
    except (Stopped, KeyboardInterrupt):
        folder = Folder.open(run, runs).path
        print(f"thalweg: stopped; go on with: thalweg improve {shlex.quote(str(folder))}", file=sys.stderr)
        if as_json:
            print_object({"run": str(folder), "status": "stopped by the user"})
        raise Told(130) from None
    show_improvement(found)
    if as_json:
        print_object({"run": str(found.folder.path), **found.to_dict()})


@app.command(name="schedule")
def draw_schedule(
    text: Annotated[
        str | None, typer.Argument(metavar="[SCHEDULE]", help="An expression; without one, the words there are.")
    ] = None,
    lr: Annotated[float, typer.Option("--lr", metavar="NUMBER", help="The rate that it multiplies.")] = 1.0,
    steps: Annotated[
        int | None,
        typer.Option("--steps", metavar="INTEGER", help="How far to draw; as far as it goes if not given."),
    ] = None,
    page: Annotated[
        str | None, typer.Option("--page", metavar="FILE.html", help="Write a page with the chart, too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw a schedule: what it does to the rate, step by step.

    \b
    thalweg schedule 'warmup(500) >> cosine(10000)' --lr 0.1
    thalweg schedule 'wsd(10000)' --page schedule.html
    """
    from thalweg.cli.schedule import draw, list_words

    if text is None:
        list_words()
        return
    found = draw(text, lr=lr, steps=steps, page=page)
    if as_json:
        print_object(found)


@app.command(name="data")
@partial(with_settings, only=OF_DATA)
def describe_data(
    source: Annotated[str, typer.Argument(metavar="DATA", help="A file, a folder or a bundled set, as in train.")],
    settings: dict[str, Any],
    as_json: AsJson = False,
) -> None:
    """Show what is in data, what about it is suspicious, the parts it would be divided into, and whether they are alike.

    \b
    thalweg data houses.csv
    thalweg data houses.csv --target price --test new-houses.csv
    """
    from thalweg.cli.data import describe
    from thalweg.experiments.spec import Spec

    found = describe(Spec(data=source, **settings))
    if as_json:
        print_object(found)
