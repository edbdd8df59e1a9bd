"""How a run looks while it goes: a live bar on a terminal, plain lines elsewhere. Both write to standard error.

The bar shows epoch, losses, metric, rate, throughput and time left; plain lines come at most once a second, and always for
the last epoch, so that a log stays readable.
"""

from __future__ import annotations

import sys
import time

from thalweg.cli.meter import Meter
from thalweg.experiments.watcher import Watcher
from thalweg.history import History
from thalweg.train import State

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
        self.meter = Meter()
        self.name = ""

    def close(self) -> None:
        """Leaves the last state of the bar on the screen."""
        self.meter.close()

    def stage(self, name: str, total: int = 0) -> None:
        super().stage(name, total)
        self.name = name
        self.meter.close()
        self.meter.draw(0, total or None, name)

    def note(self, sentence: str) -> None:
        self.meter.note(sentence)

    def advance(self, done: int) -> None:
        if self.meter.drawn and time.monotonic() - self.shown >= REFRESH:
            self.shown = time.monotonic()
            self.meter.draw(done, self.total or None, self.name, self.words(done))

    def follow(self, history: History, *, epochs: int, steps_per_epoch: int) -> None:
        super().follow(history, epochs=epochs, steps_per_epoch=steps_per_epoch)
        self.meter.close()
        self.meter.draw(0, epochs * steps_per_epoch, "training")

    def on_step(self, state: State) -> None:
        if self.first_step is None or time.monotonic() - self.shown >= REFRESH:
            self._draw(state)

    def on_epoch(self, state: State) -> None:
        if state.epoch == self.epochs or state.stop:
            self._draw(state)
            self.close()

    def _draw(self, state: State) -> None:
        if not self.meter.drawn:
            return
        self.shown = time.monotonic()
        speed = self.throughput(state)
        words = "  ".join(f"{name} [bold]{value}[/bold]" for name, value in self.numbers(state).items())
        words = f"{words}  {speed:,.0f}/s  {clock(self.left(state))} left"
        epoch = min(state.epoch + 1, self.epochs)
        self.meter.draw(state.step, self.epochs * self.steps_per_epoch, f"epoch {epoch}/{self.epochs}", words)


def clock(seconds: float) -> str:
    whole = round(seconds)
    return (
        f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}" if whole >= 3600 else f"{whole // 60}:{whole % 60:02}"
    )
