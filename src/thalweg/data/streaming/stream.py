"""Data that stay in their files: what they are, and what a training run needs of them.

>>> stream = open_stream("clicks/", target="bought")            # a folder of Parquet files; nothing but targets was read
>>> stream.task, stream.classes, len(stream)
('binary', ('no', 'yes'), 50000000)
>>> streamed = stream.prepare(seed=0, batch_size=256)           # one pass: parts held out, scales and categories
>>> for inputs, targets in streamed.batches.epoch(0): ...       # tensors, shuffled, a bounded number of rows in memory

What is learned about the inputs comes from a uniform sample of the training rows, 200,000 at most; classes come from all rows.
Parts that are held out are uniform samples too, and are kept in memory: 50,000 rows at most, which measure an accuracy
to a quarter of a per cent. Nothing of it grows with the data; only Parquet footers do, by some kilobytes for a row group.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from thalweg.data.dataset import FEWEST_ROWS, Data, type_in_words
from thalweg.data.preprocess import Preprocessor
from thalweg.data.sources.table import tidy
from thalweg.data.split import check_fractions, sizes
from thalweg.data.streaming.answers import Answers
from thalweg.data.streaming.batches import Rows, StreamBatches
from thalweg.data.streaming.parts import DEV, SAMPLE, TEST, Parts
from thalweg.data.streaming.source import Columns, Source, Span
from thalweg.data.tabular import ROW_NUMBERS
from thalweg.data.wording import in_words
from thalweg.errors import InputError

MOST_HELD = 50_000
"""Rows of the dev part, and of the test part."""
MOST_SAMPLED = 200_000
FEWEST_MEASURED = 1000
MOST_NUMBERS = 1 << 25
"""Of a part in memory: 128 MB encoded, and as raw rows 256 MB at most."""


@dataclass(frozen=True, eq=False)
class Streamed:
    """What a run trains on. A part is a pair ``(inputs, targets)`` as a loss takes them, float32 ``(n, …)`` and int64 or
    float32 ``(n,)``; with a column of weights the targets are float32 ``(n, 2)``, each with its weight over the mean
    weight beside it. So are the targets of batches."""

    preprocessor: Preprocessor
    dev: Rows
    test: Rows
    sample: Rows
    """Training rows to measure on, as many as the dev part has, 1,000 at least."""
    batches: StreamBatches
    rows_train: int
    notes: tuple[str, ...]
    """Sentences for the user: what was sampled, what was left out."""


@dataclass(frozen=True)
class Encoding:
    """From raw rows to what a loss takes."""

    preprocessor: Preprocessor
    mean_weight: float

    def rows(self, columns: Columns) -> Rows:
        nothing = np.zeros((0, *self.preprocessor.input_shape), np.float32)
        inputs = self.preprocessor.inputs(columns.inputs) if len(columns.answers) else nothing
        targets = self.preprocessor.targets(columns.answers)
        if columns.weights is not None:
            targets = np.column_stack([targets, columns.weights / self.mean_weight]).astype(np.float32)
        return inputs, targets


class Stream:
    """Rows in files, and what their targets are. Made by ``open_stream``."""

    def __init__(self, source: Source, *, task: str | None = None) -> None:
        if source.rows < 2 * FEWEST_ROWS:
            raise InputError(
                f"{source.name} has {source.rows} rows: at least {2 * FEWEST_ROWS} are needed to train and measure"
            )
        self.source = source
        self.answers = Answers.gather(source, task)
        self.name, self.target_name = source.name, source.target
        self.task, self.classes = self.answers.task, self.answers.classes

    def __len__(self) -> int:
        return self.source.rows

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the files' names, sizes and rows, and of the columns used; of Parquet the footers too, which hold
        places and statistics of every column; of arrays their headers and 16 blocks of 64 KiB. A change that leaves all that
        as it was is not seen."""
        return hashlib.sha256(f"{self.source.digest()} {len(self)} {self.task} {self.classes!r}".encode()).hexdigest()

    def profile(self) -> dict[str, Any]:
        """As ``Data.profile``; missing values of a table are counted in one pass."""
        profile: dict[str, Any] = {
            "name": self.name,
            "task": self.task,
            "rows": len(self),
            "target": self.target_name,
            **self._inputs(),
        }
        if self.classes is not None and self.answers.counts is not None:
            return profile | {"classes": dict(zip(self.classes, self.answers.counts.tolist(), strict=True))}
        moments = self.answers.moments
        return profile | {
            "mean": moments.mean,
            "sd": moments.sd,
            "minimum": moments.minimum,
            "maximum": moments.maximum,
        }

    def prepare(
        self,
        *,
        seed: int,
        batch_size: int,
        fractions: Sequence[float] | None = None,
        scale: str = "standard",
        scale_target: str = "standard",
        embed: bool = True,
    ) -> Streamed:
        """One pass, which collects the parts that are held out and the sample that preprocessing is learned from.

        ``fractions`` of train, dev and test sum to 1; dev and test are cut to 50,000 rows, fewer where rows are wide.
        Raises ``InputError`` for what the pass finds wrong, naming file and row, and as ``Preprocessor.fit`` does.
        """
        parts, notes = self._divide(seed, fractions)
        found = self._collect(parts)
        raw, sampled = found[SAMPLE]
        rows_train = len(self) - len(found[TEST][1]) - len(found[DEV][1])
        inputs = raw.inputs
        if not isinstance(inputs, np.ndarray):
            inputs = tidy(inputs, self.name)
            numbering = _numbering(inputs, sampled)
            inputs = inputs.drop(numbering)
            notes += [f"Numbers the rows and is left out: {in_words(numbering)}."] * bool(numbering)
        data = Data(self.name, self.task, inputs, raw.answers, self.target_name, self.classes)
        every = np.arange(len(sampled))
        preprocessor = Preprocessor.fit(data, every, scale=scale, scale_target=scale_target, embed=embed)
        notes.append(
            f"Scales and categories come from {len(sampled):,} training rows, drawn uniformly from all {rows_train:,}."
        )
        encoding = Encoding(preprocessor, 1.0 if raw.weights is None else float(raw.weights.mean()) or 1.0)

        def training_rows(span: Span) -> Rows:
            columns = self._read(span)
            try:
                inputs, targets = encoding.rows(columns)
            except InputError as error:
                raise InputError(f"{self.source.where(span)} and below, counted from there: {error}") from None
            kept = parts.of(span.start, span.rows) >= SAMPLE
            return inputs[kept], targets[kept]

        row_bytes = 4 * int(np.prod(preprocessor.input_shape)) + 8
        batches = StreamBatches(
            spans=self.source.spans(row_bytes),
            read=training_rows,
            rows=rows_train,
            row_bytes=row_bytes,
            batch_size=batch_size,
            seed=seed,
        )
        dev, test = (encoding.rows(found[part][0]) for part in (DEV, TEST))
        measured = evenly(len(sampled), max(len(dev[0]), FEWEST_MEASURED))
        sample = encoding.rows(Columns(*(None if column is None else column[measured] for column in raw)))
        return Streamed(preprocessor, dev, test, sample, batches, rows_train, (*self.source.notes, *notes))

    def _inputs(self) -> dict[str, Any]:
        spans = self.source.spans(self.source.row_bytes)
        first = self.source.read(Span(*spans[0][:2], min(spans[0].rows, 1000), 0)).inputs
        if isinstance(first, np.ndarray):
            return {"shape": list(first.shape[1:]), "type": str(first.dtype)}
        texts = [column.name for column in first.iter_columns() if type_in_words(column) == "text"]
        missing = np.zeros(first.width, np.int64)
        for span in spans:
            frame = tidy(self.source.read(span).inputs, self.name, texts=texts)
            missing += [column.null_count() for column in frame.iter_columns()]
        return {
            "columns": [
                {"name": column.name, "type": type_in_words(column), "missing": int(count)}
                for column, count in zip(first.iter_columns(), missing, strict=True)
            ]
        }

    def _divide(self, seed: int, fractions: Sequence[float] | None) -> tuple[Parts, list[str]]:
        rows = len(self)
        if fractions is not None:
            check_fractions(fractions)
        wanted = sizes(rows) if fractions is None else (round(rows * fractions[1]), round(rows * fractions[2]))
        fit = max(min(MOST_NUMBERS // self.source.numbers, 8 * MOST_NUMBERS // self.source.row_bytes), 10 * FEWEST_ROWS)
        most = min(MOST_HELD, fit)
        dev, test = (min(part, most) for part in wanted)
        notes = []
        if (dev, test) != tuple(wanted) and fractions is not None:
            notes.append(f"The dev and test part are held in memory and cut to {most:,} rows each.")
        sample = min(MOST_SAMPLED, fit, rows - dev - test)
        return Parts.choose(rows, test=test, dev=dev, sample=sample, seed=seed), notes

    def _collect(self, parts: Parts) -> dict[int, tuple[Columns, np.ndarray]]:
        """The rows of each part but the last, and their row numbers."""
        pieces: dict[int, list[tuple[Columns, np.ndarray]]] = {TEST: [], DEV: [], SAMPLE: []}
        for span in self.source.spans(self.source.row_bytes):
            part = parts.of(span.start, span.rows)
            if part.min() > SAMPLE:
                continue
            columns = self._read(span)
            for which, found in pieces.items():
                rows = np.flatnonzero(part == which)
                if len(rows) or not found:
                    taken = Columns(*(None if column is None else _own(column[rows]) for column in columns))
                    found.append((taken, span.start + rows))
        return {
            part: (_joined([columns for columns, _ in found]), np.concatenate([rows for _, rows in found]))
            for part, found in pieces.items()
        }

    def _read(self, span: Span) -> Columns:
        """Raw inputs, targets as ``Data`` holds them, float32 weights."""
        raw = self.source.read(span)
        weights = None
        if raw.weights is not None:
            weights = raw.weights.cast(float, strict=False).fill_null(float("nan")).to_numpy().astype(np.float32)
            wrong = ~(weights >= 0) | np.isinf(weights)
            if wrong.any():
                raise InputError(
                    f"{self.source.where(span, int(wrong.argmax()))}: the weight is missing, negative or not finite: "
                    f"correct it, or remove the row"
                )
        return Columns(raw.inputs, self.answers.encode(raw.answers, self.source, span), weights)


def evenly(rows: int, wanted: int) -> np.ndarray:
    """At most ``wanted`` row numbers at equal distances, for rows stand in the order of the files."""
    count = min(rows, wanted)
    return np.arange(count) * rows // count


def _own(rows: Any) -> Any:
    """The same rows with texts of their own: rows taken from a frame refer to all the texts of that frame."""
    if isinstance(rows, np.ndarray):
        return rows
    import polars as pl

    texts = [column for column in rows.iter_columns() if column.dtype in (pl.String, pl.Binary)]
    return rows.with_columns(pl.Series(column.name, column.to_list(), column.dtype) for column in texts)


def _joined(pieces: list[Columns]) -> Columns:
    def together(columns: list[Any]) -> Any:
        if columns[0] is None or isinstance(columns[0], np.ndarray):
            return None if columns[0] is None else np.concatenate(columns)
        import polars as pl

        return pl.concat(columns, how="vertical_relaxed", rechunk=True)

    return Columns(*(together(list(columns)) for columns in zip(*pieces, strict=True)))


def _numbering(frame: Any, rows: np.ndarray) -> list[str]:
    """Columns that number the rows and have a name for that; ``rows`` are the row numbers in the files."""
    return [
        column.name
        for column in frame.iter_columns()
        if column.name.lower() in ROW_NUMBERS
        and column.dtype.is_integer()
        and not column.null_count()
        and len(np.unique(column.to_numpy().astype(np.int64) - rows)) == 1
    ]
