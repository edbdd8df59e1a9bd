"""Parquet files, one or a folder of them, read some rows at a time.

>>> source = ParquetSource(parquet_named("clicks/"), target="bought", drop=("session",))
>>> source.read(source.spans(row_bytes=200)[-1]).inputs.columns

A slice of a lazy frame reads the pages it needs and no more. Inside a row group it decodes what lies before it as well, so a
large group is cut into sixteen pieces at most: smaller ones would read the same bytes over and over (a group of a million
rows in 52 pieces takes eight times as long as in one).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from thalweg.data.streaming.footer import read_footer
from thalweg.data.streaming.source import SPAN_BYTES, Columns, Span, spans_of
from thalweg.data.wording import in_words, no_column
from thalweg.errors import InputError

if TYPE_CHECKING:
    import polars

PIECES = 16
"""Of one row group, at most."""


class ParquetSource:
    """Rows of files that have the same columns. Raises ``InputError`` where they do not, or one of them is broken."""

    def __init__(
        self, paths: Sequence[Path], *, name: str, target: str | None, weights: str | None, drop: Sequence[str]
    ) -> None:
        import polars as pl

        self.paths = list(paths)
        self.name = name
        footers = [read_footer(path) for path in self.paths]
        self._groups = [[group.rows for group in footer.groups] for footer in footers]
        self._digests = [footer.digest for footer in footers]
        self._frames = [pl.scan_parquet(path, glob=False, hive_partitioning=False) for path in self.paths]
        self.schema = self._agreed()
        self.rows = sum(map(sum, self._groups))
        decoded = sum(group.decoded_bytes for footer in footers for group in footer.groups)
        self.row_bytes = max(decoded // max(self.rows, 1), 4 * len(self.schema))
        where = str(self.paths[0])
        for column in (weights, *drop):
            if column is not None and column not in self.schema:
                raise InputError(no_column(column, list(self.schema), where=where))
        if target is None:
            raise InputError(
                f"{where}: which column is to be predicted? Name the target, one of {in_words(list(self.schema))}"
            )
        if target not in self.schema:
            raise InputError(no_column(target, list(self.schema), where=where))
        if target in drop or target == weights:
            raise InputError(f'the target "{target}" is also a column to leave out or of weights: name different ones')
        self.target, self.weights = target, weights
        self.inputs = [column for column in self.schema if column not in (target, weights, *drop)]
        self.numbers = len(self.inputs)
        if not self.inputs:
            raise InputError(f'{where} has no column beside the target "{target}": there is nothing to predict it from')
        apart = sorted({part for path in self.paths for part in path.parts[:-1] if "=" in part})
        self.notes = tuple(f"The folder name {part} is no column here." for part in apart[:1])

    def spans(self, row_bytes: int) -> list[Span]:
        largest = max((max(groups, default=0) for groups in self._groups), default=0)
        wanted = max(SPAN_BYTES // max(row_bytes, 1), -(-largest // PIECES), 1)
        return list(spans_of(self._groups, wanted))

    def read(self, span: Span) -> Columns:
        extra = [self.target] if self.weights is None else [self.target, self.weights]
        frame = self._slice(span, [*self.inputs, *extra])
        weights = None if self.weights is None else frame[self.weights]
        return Columns(frame.select(self.inputs), frame[self.target], weights)

    def answers(self, span: Span) -> polars.Series:
        return self._slice(span, [self.target])[self.target]

    def where(self, span: Span, row: int = 0) -> str:
        return f"{self.paths[span.file]}, row {span.first + row + 1:,}"

    def digest(self) -> str:
        digest = hashlib.sha256()
        for path, own in zip(self.paths, self._digests, strict=True):
            digest.update(f"{path.name} {path.stat().st_size} {own}\n".encode())
        digest.update(repr((self.inputs, self.target, self.weights)).encode())
        return digest.hexdigest()

    def _slice(self, span: Span, columns: list[str]) -> polars.DataFrame:
        import polars as pl

        try:
            frame = self._frames[span.file].select(columns).slice(span.first, span.rows).collect()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise InputError(
                f"{self.where(span)} to {span.first + span.rows:,} cannot be read ({_first_line(error)}): "
                f"write or copy the file again"
            ) from None
        if frame.height != span.rows:
            raise InputError(f"{self.paths[span.file]} changed while it was read: start again when it is complete")
        return frame

    def _agreed(self) -> dict[str, polars.DataType]:
        """The columns of the first file; the others have the same, of one kind."""
        import polars as pl

        first: dict[str, polars.DataType] = {}
        for path, frame in zip(self.paths, self._frames, strict=True):
            try:
                schema = dict(frame.collect_schema())
            except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
                raise InputError(f"{path} cannot be read as Parquet: {_first_line(error)}") from None
            first = first or schema
            for column in [*first, *schema]:
                if column not in schema or column not in first:
                    at = path if column not in schema else self.paths[0]
                    raise InputError(
                        f'{at} has no column "{column}", which other files beside it have: give files of one table'
                    )
                ours, theirs = first[column], schema[column]
                if len({_kind(ours), _kind(theirs), "null"}) > 2:
                    raise InputError(
                        f'{path}: the column "{column}" holds {theirs} values, and {ours} in {self.paths[0]}: '
                        f"write both with one type"
                    )
        return first


def _kind(dtype: polars.DataType) -> str:
    """Types of one kind may stand for one column in different files: pandas chooses by what a file happens to hold."""
    import polars as pl

    texts = isinstance(dtype, pl.String | pl.Categorical | pl.Enum)
    return "number" if dtype.is_numeric() else "text" if texts else str(dtype).lower()


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
