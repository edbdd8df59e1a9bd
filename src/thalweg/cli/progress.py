"""How a run looks while it goes: a live bar on a terminal, plain lines elsewhere. Both write to standard error.

The bar shows epoch, losses, metric, rate, throughput and time left; plain lines come at most once a second, and always for
the last epoch, so that a log stays readable.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from thalweg.experiments.watcher import Watcher
from thalweg.history import History
from thalweg.train import State

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

REFRESH = 0.1
PAUSE = 3.0
"""Seconds between two lines about a stage that is not training."""
METRICS = ("accuracy", "r2")


def watcher() -> Watcher:
    """A bar where standard error is a terminal, else lines."""
    return Bar() if sys.stderr.isatty() else Lines()


class Follower(Watcher):
    """What both share: where the run stands, in words."""

    def __init__(self) -> None:
        self.history = History()
        self.epochs = self.steps_per_epoch = self.total = 0
        self.began = self.shown = time.monotonic()
        self.first_step: int | None = None

    def stage(self, name: str, total: int = 0) -> None:
        self.total = total
        self.began = self.shown = time.monotonic()

    def words(self, done: int) -> str:
        """How much of a stage is left; nothing where its length is not known."""
        if not 0 < done <= self.total:
            return ""
        left = (self.total - done) * (time.monotonic() - self.began) / done
        return f"{100 * done // self.total} %  {clock(left)} left"

    def follow(self, history: History, *, epochs: int, steps_per_epoch: int) -> None:
        self.history, self.epochs, self.steps_per_epoch = history, epochs, steps_per_epoch
        self.began = self.shown = time.monotonic()
        self.first_step = None

    def numbers(self, state: State) -> dict[str, str]:
        """The newest numbers, formatted, by name."""
        found = {
            "train loss": f"{self.history.last('train/loss'):.4f}",
            "dev loss": f"{self.history.last('dev/loss'):.4f}",
        }
        for metric in METRICS:
            if f"dev/{metric}" in self.history:
                value = self.history.last(f"dev/{metric}")
                found[f"dev {metric}"] = f"{100 * value:.2f} %" if metric == "accuracy" else f"{value:.4f}"
        found["lr"] = f"{state.optimizer.param_groups[0]['lr']:.2e}"
        return found

    def throughput(self, state: State) -> float:
        """Examples a second since this process began to train."""
        if self.first_step is None:
            self.first_step = state.step - 1
        steps = state.step - self.first_step
        mean_batch = state.examples / max(state.step, 1)
        return steps * mean_batch / max(time.monotonic() - self.began, 1e-9)

    def left(self, state: State) -> float:
        """Seconds until the last epoch, should the run go that far."""
        steps = self.epochs * self.steps_per_epoch - state.step
        done = state.step - (self.first_step or 0)
        return steps * (time.monotonic() - self.began) / max(done, 1)


class Lines(Follower):
    """Plain lines for logs and pipes."""

    def stage(self, name: str, total: int = 0) -> None:
        super().stage(name, total)
        print(f"{name} …", file=sys.stderr, flush=True)

    def note(self, sentence: str) -> None:
        print(f"note: {sentence}", file=sys.stderr, flush=True)

    def advance(self, done: int) -> None:
        if time.monotonic() - self.shown >= PAUSE and (words := self.words(done)):
            self.shown = time.monotonic()
            print(words, file=sys.stderr, flush=True)

    def on_epoch(self, state: State) -> None:
        speed = self.throughput(state)
        if time.monotonic() - self.shown < 1.0 and state.epoch < self.epochs and not state.stop:
            return
        self.shown = time.monotonic()
        words = "  ".join(f"{name} {value}" for name, value in self.numbers(state).items())
        line = f"epoch {state.epoch}/{self.epochs}  {words}  {speed:,.0f}/s  {clock(self.left(state))} left"
        print(line, file=sys.stderr, flush=True)

    def on_step(self, state: State) -> None:
        if self.first_step is None:
            self.throughput(state)


class Bar(Follower):
    """A live bar on a terminal."""

    def __init__(self) -> None:
        super().__init__()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def _new(self, name: str, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self.close()
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[words]}"),
            console=Console(stderr=True), refresh_per_second=10, auto_refresh=False,
        )  # fmt: skip
        self._task = self._progress.add_task(name, total=total or None, words="")
        self._progress.start()

    def close(self) -> None:
        """Leaves the last state of the bar on the screen."""
        if self._progress is not None:
            self._progress.refresh()
            self._progress.stop()
            self._progress = None

    def stage(self, name: str, total: int = 0) -> None:
        super().stage(name, total)
        self._new(name, total)

    def note(self, sentence: str) -> None:
        from rich.console import Console

        console = self._progress.console if self._progress is not None else Console(stderr=True)
        console.print(f"note: {sentence}", style="dim", markup=False, highlight=False)

    def advance(self, done: int) -> None:
        if self._progress is not None and self._task is not None and time.monotonic() - self.shown >= REFRESH:
            self.shown = time.monotonic()
            self._progress.update(self._task, completed=done, words=self.words(done), refresh=True)

    def follow(self, history: History, *, epochs: int, steps_per_epoch: int) -> None:
        super().follow(history, epochs=epochs, steps_per_epoch=steps_per_epoch)
        self._new("training", epochs * steps_per_epoch)

    def on_step(self, state: State) -> None:
        if self.first_step is None or time.monotonic() - self.shown >= REFRESH:
            self._draw(state)

    def on_epoch(self, state: State) -> None:
        if state.epoch == self.epochs or state.stop:
            self._draw(state)
            self.close()

    def _draw(self, state: State) -> None:
        if self._progress is None or self._task is None:
            return
        self.shown = time.monotonic()
        speed = self.throughput(state)
        words = "  ".join(f"{name} [bold]{value}[/bold]" for name, value in self.numbers(state).items())
        epoch = min(state.epoch + 1, self.epochs)
        words = f"{words}  {speed:,.0f}/s  {clock(self.left(state))} left"
        self._progress.update(
            self._task, description=f"epoch {epoch}/{self.epochs}", completed=state.step, words=words, refresh=True
        )


def clock(seconds: float) -> str:
    whole = round(seconds)
    return (
        f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}" if whole >= 3600 else f"{whole // 60}:{whole % 60:02}"
    )
