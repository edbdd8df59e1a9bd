"""A study while it goes and at its end: a bar or lines with the best so far and the time left, then a table.

>>> looking = watcher()
>>> start_study(spec, plan, looking, looking.follow_study)
>>> show_study(folder, result)
"""

from __future__ import annotations

import shlex
import sys
import time
from typing import TYPE_CHECKING, Any

from rich.table import Table

from thalweg.cli.meter import Meter
from thalweg.cli.progress import REFRESH, clock
from thalweg.cli.show import NAMES, output, shown
from thalweg.experiments.tuning.folder import StudyFolder
from thalweg.experiments.tuning.study import Study
from thalweg.experiments.tuning.trainer import Event
from thalweg.experiments.watcher import Watcher
from thalweg.wording import counted

HEADINGS = {"size": "weights", "time": "ms for 1,000 rows"}

if TYPE_CHECKING:
    pass


def study_watcher() -> Lines:
    """A bar where standard error is a terminal, else lines."""
    return Bar() if sys.stderr.isatty() else Lines()


class Lines(Watcher):
    """Plain lines for logs and pipes, at most one a second."""

    def __init__(self) -> None:
        self.shown = 0.0

    def follow_study(self, event: Event, study: Study) -> None:
        """Shows where the study stands after something happened to a trial."""
        done, trials = len(study.results), study.trials
        share = study.progress()
        left = (time.monotonic() - study.began) * (1 - share) / share if share > 0.02 else float("nan")
        words = (
            [f"best dev {study.watch} {shown(study.watch, study.best['metrics']['dev'][study.watch])}"]
            if study.best
            else []
        )
        words += [f"{clock(left)} left"] if left == left and done < trials else []
        self.show(done, trials, "  ".join(words), last=done == trials)

    def stage(self, name: str, total: int = 0) -> None:
        print(f"{name} …", file=sys.stderr, flush=True)

    def note(self, sentence: str) -> None:
        print(f"note: {sentence}", file=sys.stderr, flush=True)

    def show(self, done: int, trials: int, words: str, *, last: bool) -> None:
        if last or time.monotonic() - self.shown >= 1.0:
            self.shown = time.monotonic()
            print(f"trials {done}/{trials}  {words}", file=sys.stderr, flush=True)


class Bar(Lines):
    """A live bar on a terminal."""

    def __init__(self) -> None:
        super().__init__()
        self.meter = Meter()

    def note(self, sentence: str) -> None:
        self.meter.note(sentence)

    def show(self, done: int, trials: int, words: str, *, last: bool) -> None:
        if not last and time.monotonic() - self.shown < REFRESH:
            return
        self.shown = time.monotonic()
        self.meter.draw(done, trials, f"trial {done}/{trials}", words)
        if last:
            self.meter.close()


MOST = 12
"""Rows of a front on a terminal."""


def _show_front(folder: StudyFolder, result: dict[str, Any]) -> None:
    """The trials that no other beats in all objectives, the best by the first first."""
    console, front = output(), result["front"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("front")
    for name in result["objectives"]:
        table.add_column(HEADINGS.get(name, f"dev {NAMES.get(name, name)}"), justify="right")
    for one in front[:MOST]:
        table.add_row(f"trial {one['number']}", *(shown(name, value) for name, value in one["scores"].items()))
    console.print(table)
    more = f" of {len(front)}, the others are on the page" if len(front) > MOST else ""
    console.print(
        f"{counted(min(len(front), MOST), 'trial')}{more}; any of them: thalweg train "
        f"{shlex.quote(str(folder.trials))}/NUMBER/spec.toml", highlight=False, markup=False,
    )  # fmt: skip


def show_study(folder: StudyFolder, result: dict[str, Any]) -> None:
    """The best trial, what came of training it again, and what to do with it."""
    console = output()
    best = result["best"]
    if best is None:
        console.print("no trial finished: look at the reasons on the page", highlight=False)
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("best trial")
        table.add_column(f"{best['number']}", justify="right")
        for name, value in best["values"].items():
            table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
        for name, value in best["metrics"]["dev"].items():
            table.add_row(f"dev {NAMES.get(name, name)}", shown(name, value))
        console.print(table)
        if "front" in result:
            _show_front(folder, result)
        if "confirmed" in result:
            console.print(result["confirmed"]["sentence"], highlight=False, markup=False)
        test = result.get("metrics", {}).get("test", {})
        if test:
            words = "  ".join(f"{NAMES.get(name, name)} {shown(name, value)}" for name, value in test.items())
            console.print(f"test  {words}", highlight=False, markup=False)
    counts = "  ".join(f"{count} {status}" for status, count in result["counts"].items())
    console.print(
        f"{counted(result['trials'], 'trial')}: {counts}; {result['seconds']:.1f} s", highlight=False, markup=False
    )
    if best is not None:
        console.print(f"again thalweg train {shlex.quote(str(folder.best))}", highlight=False, markup=False)
        console.print(
            f"use   thalweg predict {shlex.quote(str(folder.winner.path))} DATA", highlight=False, markup=False
        )
    console.print(f"page  {folder.page}", highlight=False, markup=False)
