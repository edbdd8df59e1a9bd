"""The dev metrics of a history, followed as it grows: what a row of the list needs, read once each.

A history holds thousands of lines and a measurement every few hundred; only those are parsed, and of a file that has grown only
what is new. Three hundred finished runs are read in a fraction of the time that whole histories take.

>>> curve = Curve(Path("runs/digits-1/history.jsonl"))
>>> curve.refresh(); curve.values("accuracy")
(0.061, 0.836, …)
>>> curve.passes, curve.seconds
(8, 0.62)
"""

from __future__ import annotations

import json
import math
from pathlib import Path

from thalweg.view.tail import Tail

DEV, TIMED = b'"dev/', b'"seconds":'


class Curve:
    """What ``history.jsonl`` says of the dev part so far, by the metric's name; ``passes`` counts those after the start."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tail = Tail(path)
        self._forget()

    def _forget(self) -> None:
        self._columns: dict[str, list[float]] = {}
        self.passes = 0
        self.seconds = math.nan

    def values(self, metric: str) -> tuple[float, ...]:
        """The metric after each pass, the start before the first one left out."""
        return tuple(self._columns.get(metric, ()))

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of what has been measured."""
        return tuple(self._columns)

    def refresh(self) -> None:
        """Takes in what has been written since. Raises ``OSError``."""
        lines, anew = self._tail.lines()
        if anew:
            self._forget()
        timed = b""
        for line in lines:
            if DEV in line:
                self._take(line)
                timed = b"" if TIMED in line else timed
            elif TIMED in line:
                timed = line  # of many only the last is worth parsing
        if timed:
            self._take(timed)

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line.strip(b"\0 "))
            step = int(record["step"])
            numbers = {name: float(value) for name, value in record.items()}
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            return  # a line that is no record is for the page to complain about
        self.seconds = numbers.get("seconds", self.seconds)
        found = {name[4:]: value for name, value in numbers.items() if name.startswith("dev/")}
        if found and step > 0:
            self.passes += 1
            for name, value in found.items():
                self._columns.setdefault(name, []).append(value)
