"""What is said while a race goes and at its end.

>>> show_race(folder, result)
rule       steps to 0.964       got there   accuracy                 test     as it comes   good rates   settings
adam       153 [136, 170]       10 of 10    0.978 [0.976, 0.98]      0.975    0.951         1.4 decades  lr 0.0041  beta1 0.92
…
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from rich.table import Table

from thalweg.cli.meter import Meter
from thalweg.cli.progress import clock
from thalweg.cli.show import output
from thalweg.experiments.watcher import Watcher
from thalweg.wording import rounded

if TYPE_CHECKING:
    from thalweg.experiments.racing.folder import RaceFolder
    from thalweg.experiments.racing.pacing import Ahead


def watcher() -> Lines:
    """A bar where standard error is a terminal, else lines."""
    return Bar() if sys.stderr.isatty() else Lines()


class Lines(Watcher):
    """Plain lines for logs and pipes, one every few seconds."""

    every = 3.0

    def __init__(self) -> None:
        self.shown = 0.0

    def note(self, sentence: str) -> None:
        print(f"note: {sentence}", file=sys.stderr, flush=True)

    def follow_race(self, ahead: Ahead) -> None:
        """Shows how far the race is, now and then."""
        if time.monotonic() - self.shown >= self.every:
            self.shown = time.monotonic()
            left = f"  {clock(ahead.left)} left" if ahead.left == ahead.left else ""
            self.show(ahead, f"{ahead.problem}  {ahead.stage}{left}")

    def show(self, ahead: Ahead, words: str) -> None:
        print(f"{ahead.done:,}/{ahead.total:,} passes  {words}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leaves the last state on the screen."""


class Bar(Lines):
    """A live bar on a terminal."""

    every = 0.1

    def __init__(self) -> None:
        super().__init__()
        self.meter = Meter()

    def note(self, sentence: str) -> None:
        self.meter.note(sentence)

    def show(self, ahead: Ahead, words: str) -> None:
        self.meter.draw(ahead.done, ahead.total, f"{100 * ahead.done / max(ahead.total, 1):3.0f} %", words)

    def close(self) -> None:
        self.meter.close()


def show_race(folder: RaceFolder, result: dict[str, Any]) -> None:
    """A table of each problem with its verdicts, the scores over all, and where the page is."""
    console = output()
    problems = result["problems"]
    for problem in problems:
        if len(problems) > 1:
            console.print(f"[bold]{problem['name']}[/bold]", highlight=False)
        console.print(_table(problem))
        for sentence in problem["verdicts"]:
            console.print(sentence, markup=False, highlight=False)
        console.print()
    if len(problems) > 1:
        console.print(_overview(problems, result["scores"]))
        console.print(result["score_note"] or "the score is AlgoPerf's: 1 solves every problem first", highlight=False)
    console.print(f"page  {folder.page}", highlight=False, markup=False)


def _table(problem: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    target = problem["target"]
    steps = "steps" if target is None else f"steps to {problem['metric']} {target:.4g}"
    for name in (
        "rule",
        steps,
        "got there",
        "seconds",
        f"best {problem['metric']}",
        "test",
        "as it comes",
        "good rates",
    ):
        table.add_column(name, justify="left" if name == "rule" else "right")
    table.add_column("settings")
    for racer in problem["racers"]:
        arrival = racer["arrival"] or {"median": [None] * 3, "hits": 0, "seeds": 0, "seconds": None}
        width = racer["decades"]
        table.add_row(
            racer["rule"],
            _interval(arrival["median"], 3),
            f"{arrival['hits']} of {arrival['seeds']}",
            _number(arrival["seconds"], 2),
            _interval(racer["dev"], 4),
            _number(racer["test"][0], 4),
            _number(racer["untuned"][0], 4),
            "–" if width is None else f"{width:.1f} decades",
            "  ".join(
                f"{name} {_number(value, 3)}{' at the edge' if name in racer['edges'] else ''}"
                for name, value in racer["settings"].items()
                if not (name == "weight_decay" and value == 0)
            ),
        )
    return table


def _overview(problems: list[dict[str, Any]], scores: dict[str, float]) -> Table:
    """Each rule's place on each problem, and its score over all."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("rule")
    for problem in problems:
        table.add_column(problem["name"], justify="right")
    table.add_column("score", justify="right")
    rules = list(scores) or [racer["rule"] for racer in problems[0]["racers"]]
    for rule in rules:
        places = [[racer["rule"] for racer in problem["racers"]].index(rule) + 1 for problem in problems]
        score = f"{scores[rule]:.2f}" if rule in scores else "–"
        table.add_row(rule, *map(str, places), score)
    return table


def _interval(values: list[float | None], digits: int) -> str:
    value, low, high = values
    if value is None:
        return "–"
    return (
        _number(value, digits)
        if low is None
        else f"{_number(value, digits)} [{_number(low, digits)}, {_number(high, digits)}]"
    )


def _number(value: Any, digits: int) -> str:
    if not isinstance(value, float | int):
        return "–" if value is None else str(value)
    return rounded(value, digits)


def short(result: dict[str, Any]) -> dict[str, Any]:
    """The result without curves."""
    kept = ("learning", "after_k", "rates")
    problems = [
        problem
        | {
            "racers": [
                {name: value for name, value in racer.items() if name not in kept} for racer in problem["racers"]
            ]
        }
        for problem in result["problems"]
    ]
    return result | {"problems": problems}
