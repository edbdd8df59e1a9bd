"""The narrow place of the evidence river: an append-only table of numbers, on disk as it grows.

A run says what happened by recording numbers under names at a step; nothing is ever changed or taken back. Monitors
write it, the doctor and the page read it, and neither knows the other.

>>> history = History()
>>> history.record(1, {"batch/loss": 2.31, "lr": 0.001})
>>> history.record(2, {"batch/loss": 2.25})
>>> history.column("batch/loss").values.tolist()
[2.31, 2.25]

On disk it is one JSON object a line (``history.jsonl``), so ``tail -f`` and any other program can follow a run while it
goes; a reader takes whole lines only, so a line half written is never misread::

    reader = History.read("runs/digits-1/history.jsonl")
    reader.refresh()            # takes in what another process has written since

**Names** are paths: ``batch/loss`` (one mini-batch), ``train/loss``, ``dev/accuracy`` (a pass over a part), ``lr``,
``grad_norm/LAYER.weight``, ``update_ratio/LAYER.weight``, ``seconds`` (since the run began). **Steps** count optimizer
updates from 1; 0 is the state before the first update. Values are float64; NaN and infinity are kept, for they are
evidence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from thalweg.errors import InputError


class Column(NamedTuple):
    """One quantity over a run: ``steps`` int64 ``(n,)`` in the order recorded, ``values`` float64 ``(n,)``."""

    steps: np.ndarray
    values: np.ndarray


class _Growing(NamedTuple):
    """A column while it grows. ``key`` is the name as JSON, made once: recording happens in the training loop."""

    key: str
    steps: list[int]
    values: list[float]


_NONE = _Growing("", [], [])


class History:
    """An append-only table of numbers; with a ``path`` it grows on disk, without one in memory alone.

    An existing file is continued: what it holds is read first. ``History.read`` opens one without writing to it.
    """

    def __init__(self, path: str | Path | None = None, *, _writable: bool = True) -> None:
        self.path = None if path is None else Path(path)
        self._columns: dict[str, _Growing] = {}
        self._offset = 0
        self._file: BinaryIO | None = None
        if self.path is not None:
            if self.path.exists():
                self.refresh()
            elif not _writable:
                raise InputError(f"{self.path} does not exist: name the history.jsonl of a run")
            if _writable:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("ab")
                self._file.truncate(self._offset)  # a line half written by a killed process is not a record

    @classmethod
    def read(cls, path: str | Path) -> History:
        """Opens the history of a run, finished or still going, for reading."""
        return cls(path, _writable=False)

    def record(self, step: int, values: Mapping[str, float]) -> None:
        """Appends numbers under their names at ``step``. It reaches the disk at the next ``flush``."""
        record = [(self._append(name, step, number := float(value)), number) for name, value in values.items()]
        if self._file is not None:
            # repr is the shortest text that reads back as the same number; JSON has other words for what is not finite
            numbers = [f",{key}:{n!r}" if n - n == 0.0 else f",{key}:{json.dumps(n)}" for key, n in record]
            self._file.write(f'{{"step":{step:d}{"".join(numbers)}}}\n'.encode())

    def flush(self) -> int:
        """Hands everything recorded to the operating system; returns the length in bytes, which ``rewind`` takes."""
        if self._file is None:
            return 0
        self._file.flush()
        return self._file.tell()

    def rewind(self, offset: int) -> None:
        """Goes back to the length a checkpoint remembers: a resumed run records what follows again, once.

        A file that is shorter by now (a machine that lost power writes less than it was handed) stays as it is.
        """
        if self._file is None:
            raise InputError("only a history that is open for writing can be rewound")
        self._file.flush()
        self._file.truncate(min(offset, self._file.seek(0, 2)))
        self._columns, self._offset = {}, 0
        self.refresh()
        self._file.truncate(self._offset)
        self._file.seek(0, 2)

    def refresh(self) -> int:
        """Takes in what has been written since; returns the number of new records. For readers of a live run.

        Where the writer has gone back to a checkpoint in the meantime, all is read anew.
        """
        if self.path is None:
            return 0
        with self.path.open("rb") as file:
            file.seek(max(self._offset - 1, 0))
            data = file.read()
        if self._offset and not data.startswith(b"\n"):  # the file is shorter now, or its lines lie otherwise
            self._columns, self._offset = {}, 0
            return self.refresh()
        data = data[1:] if self._offset else data
        whole = data[: data.rfind(b"\n") + 1]
        # A machine that lost power can leave zero bytes where a record should be: they say nothing, and stop nothing.
        lines = [line for line in whole.splitlines() if line.strip(b"\0 ")]
        for number, line in enumerate(lines):
            try:
                record = json.loads(line)
                step = int(record.pop("step"))
                numbers = {name: float(value) for name, value in record.items()}
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                raise InputError(
                    f"{self.path}: record {number + 1} after byte {self._offset} is not a history record; "
                    f"the file was changed by something else"
                ) from error
            for name, value in numbers.items():
                self._append(name, step, value)
        self._offset += len(whole)
        return len(lines)

    def close(self) -> None:
        """Writes what is left and closes the file. Reading goes on working."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, name: str, step: int, value: float) -> str:
        column = self._columns.get(name)
        if column is None:
            if name == "step":
                raise InputError('"step" is the name of a record\'s step: record the number under another name')
            column = self._columns[name] = _Growing(json.dumps(name), [], [])
        column.steps.append(step)
        column.values.append(value)
        return column.key

    @property
    def columns(self) -> tuple[str, ...]:
        """The names recorded so far, in the order of their first appearance."""
        return tuple(self._columns)

    def __contains__(self, name: str) -> bool:
        return name in self._columns

    def column(self, name: str) -> Column:
        """The numbers recorded under ``name``; an empty column where there are none."""
        _, steps, values = self._columns.get(name, _NONE)
        return Column(np.asarray(steps, dtype=np.int64), np.asarray(values, dtype=np.float64))

    def last(self, name: str, default: float = float("nan")) -> float:
        """The newest number under ``name``."""
        column = self._columns.get(name)
        return column.values[-1] if column is not None else default

    def under(self, prefix: str) -> dict[str, Column]:
        """All columns below a path: ``under("grad_norm")`` gives ``{"0.weight": Column, …}``."""
        start = prefix.rstrip("/") + "/"
        return {name[len(start) :]: self.column(name) for name in self._columns if name.startswith(start)}
