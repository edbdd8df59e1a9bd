"""A run as it goes, on the whole width of a terminal: how far, the loss as a line, the numbers, and what can be changed.

    ── digits-1 ─────────────────────────────────────────────
    epoch 12/50  ━━━━━━━━╺━━━━━━━━━━━━━━━━━━  1,940/s  0:41 left
    2.31 ┤⠑⠢⣀                              train loss  0.1123
         │   ⠑⠢⣀                           dev loss    0.1345
    0.11 ┤      ⠑⠢⢄⣀⣀                      dev accuracy 96.4 %
    thalweg steer digits-1 --set lr=0.01 …

It is drawn from the history alone, twice a second. Where there is no terminal, plain lines say the same.
"""

from __future__ import annotations

import atexit
import sys
import time
from collections import deque
from math import isinf, log10
from typing import TYPE_CHECKING

from thalweg.averages import ewa
from thalweg.cli.chart import chart
from thalweg.cli.progress import Follower, Lines, clock
from thalweg.errors import InputError
from thalweg.experiments.watcher import Watcher
from thalweg.history import History
from thalweg.train import State

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

REFRESH = 0.5
HEIGHT = 8
MANY = 20
"""Largest loss by smallest from which the curve is logarithmic."""
LAST_NOTES = 5


def live_watcher() -> Watcher:
    """The live view where standard error is a terminal, else lines."""
    return View() if sys.stderr.isatty() else Lines()


class View(Follower):
    """The live view. ``console`` is where it is drawn: standard error when not given."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console

        super().__init__()
        self.console = console or Console(stderr=True)
        self.notes: deque[str] = deque(maxlen=LAST_NOTES)
        self.settable: dict[str, str] = {}
        self._live: Live | None = None

    def stage(self, name: str, total: int = 0) -> None:
        self.console.print(f"{name} …", style="dim", markup=False, highlight=False)

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)
        if self._live is None:
            self.console.print(f"note: {sentence}", style="dim", markup=False, highlight=False)

    def follow(self, history: History, *, epochs: int, steps_per_epoch: int) -> None:
        from rich.live import Live

        super().follow(history, epochs=epochs, steps_per_epoch=steps_per_epoch)
        self.settable = _settable(history)
        if self._live is None:
            self._live = Live(console=self.console, auto_refresh=False, transient=False)
            self._live.start()
            atexit.register(self.close)  # a run that ends otherwise leaves the terminal as it was

    def on_step(self, state: State) -> None:
        if self.first_step is None or time.monotonic() - self.shown >= REFRESH:
            self._draw(state)

    def on_epoch(self, state: State) -> None:
        if state.epoch >= self.epochs or state.stop:
            self._draw(state)
            self.close()

    def close(self) -> None:
        """Leaves the last state of the view on the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self, state: State) -> None:
        self.shown = time.monotonic()
        if self._live is not None:
            self._live.update(self.view(state), refresh=True)

    def view(self, state: State) -> RenderableType:
        """All that is shown of a state of the run."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.rule import Rule
        from rich.table import Table
        from rich.text import Text

        name = self._name()
        total = max(self.epochs * self.steps_per_epoch, 1)
        head = Table.grid(padding=(0, 2), expand=True)
        head.add_column()
        head.add_column(ratio=1)
        head.add_column(justify="right")
        head.add_row(
            f"epoch {min(state.epoch + 1, self.epochs)}/{self.epochs}",
            ProgressBar(total=total, completed=state.step),
            f"{self.throughput(state):,.0f}/s  {clock(self.left(state))} left",
        )
        numbers = Table.grid(padding=(0, 2))
        for word, value in self.numbers(state).items():
            numbers.add_row(word, Text(value, style="bold"))
        body = Table.grid(padding=(0, 3), expand=True)
        body.add_column(ratio=1)
        body.add_column()
        wide = max(self.console.width - 36, 30)
        body.add_row(Text("\n".join(self._loss(wide)), no_wrap=True, overflow="crop"), numbers)
        parts: list[RenderableType] = [Rule(name, align="left", style="dim"), head, body]
        parts += [Text(f"· {note}", style="dim") for note in self.notes]
        if self.settable:
            can = "  ".join(f"{key} {self._set(key) or value}" for key, value in self.settable.items())
            parts.append(Text(f"thalweg steer {name} --set NAME=VALUE · {can}", style="dim"))
            parts.append(Text("or --pause, --resume, --back-to EPOCH, --stop", style="dim"))
        return Group(*parts)

    def _loss(self, width: int) -> list[str]:
        """The mini-batch loss over all steps so far, averaged over a fiftieth of them."""
        steps, values = self.history.column("batch/loss")
        if len(steps) < 2:
            return ["the loss is drawn from the second step on"]
        smooth = ewa(values, max(0.0, 1.0 - 50.0 / len(values)), steps=steps)
        log = bool(smooth.min() > 0 and smooth.max() > MANY * smooth.min())
        plain = not (self.console.encoding or "").lower().startswith("utf")

        def at(step: int) -> float:
            loss = float(smooth[min(max(int(steps.searchsorted(step + 1)), 0), len(steps) - 1)])
            return log10(loss) if log else loss

        try:
            drawn = chart(at, int(steps[-1]), width=width, height=HEIGHT, plain=plain)
            return ["log10 of the mini-batch loss" if log else "loss of the mini-batches", *drawn]
        except InputError:
            return ["the loss is no longer finite"]

    def _set(self, name: str) -> str:
        """What a setting was set to by hand; empty where it was not."""
        columns = [n for n in self.history.columns if n == f"steer/{name}" or n.startswith(f"steer/{name}/")]
        return ",".join("none" if isinf(value := self.history.last(column)) else f"{value:.6g}" for column in columns)

    def _name(self) -> str:
        return self.history.path.parent.name if self.history.path is not None else "run"


def _settable(history: History) -> dict[str, str]:
    """What can be changed in the run of this history, and what it was at the start."""
    from thalweg.experiments.interventions import settable, worded
    from thalweg.experiments.spec import Spec

    if history.path is None or not (history.path.parent / "spec.toml").exists():
        return {}
    return {name: worded(value) for name, value in settable(Spec.read(history.path.parent / "spec.toml")).items()}
