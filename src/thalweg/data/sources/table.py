"""Tables as people keep them: CSV, TSV, Parquet or a frame in memory, made into one polars frame with sound types.

>>> frame = read_table(Path("houses.csv"))
>>> frame = as_frame({"rooms": [3, 4], "town": ["Ulm", "?"]})       # "?" is missing

A word of ``MISSING`` is a missing value. A text column of numbers or ISO dates alone becomes one of numbers or dates.
Numbers with thousands separators or a decimal comma are not guessed at: they stay text. Rows are counted from 1, below
the header; lines are those of the file.
"""

from __future__ import annotations

import csv
import importlib
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.data.sources import packed
from thalweg.errors import InputError

if TYPE_CHECKING:
    import polars

MISSING = ("", "NA", "N/A", "n/a", "<NA>", "#N/A", "NaN", "nan", "NAN", "NULL", "Null", "null", "None", "?")
SUFFIXES = (".csv", ".tsv", ".tab", ".txt", ".parquet")
DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}


def is_table(path: Path) -> bool:
    """Whether the file's name says that it holds a table."""
    return path.name.lower().removesuffix(".gz").endswith(SUFFIXES)


def read_table(path: Path, *, delimiter: str | None = None, texts: Sequence[str] = ()) -> polars.DataFrame:
    """Reads a CSV, TSV or Parquet file; ``texts`` names columns that stay text whatever they look like.

    Raises ``InputError`` for a file that is empty, has a header alone, is not UTF-8, has rows of different length, the
    same column twice, or another delimiter than said.
    """
    import polars as pl

    if path.name.lower().endswith(".parquet"):
        try:
            return tidy(pl.read_parquet(path), str(path), texts=texts)
        except pl.exceptions.PolarsError as error:
            raise InputError(f"{path} cannot be read as Parquet: {_first_line(error)}") from None
    content = _content(path)
    separator = delimiter or ("\t" if path.name.lower().removesuffix(".gz").endswith((".tsv", ".tab")) else ",")
    if separator in ("\\t", "tab"):
        separator = "\t"
    if len(separator) != 1 or not separator.isascii():
        raise InputError(f"the delimiter {separator!r} cannot be used: it is one character, as ; or \\t")
    names = _names(content, separator, path)
    try:
        frame = _parsed(content, separator, names, texts)
    except pl.exceptions.PolarsError as error:
        _check_lines(content, separator, len(names), path)
        raise InputError(f"{path} cannot be read as a table: {_first_line(error)}") from None
    if frame.height == 0:
        raise InputError(f"{path} has a header and no rows: give rows below it")
    frame.columns = names
    # Polars refuses a row that is too long and fills up one that is too short: then its last value is missing.
    if frame[names[-1]].null_count() and not _rectangular(content, separator, frame.shape):
        blank = _check_lines(content, separator, len(names), path)
        frame = frame.with_row_index("").filter(~pl.col("").is_in(blank)).drop("") if blank else frame
    return tidy(frame, str(path), texts=texts)


def as_frame(source: Any, *, texts: Sequence[str] = ()) -> polars.DataFrame:
    """A polars frame from one of polars, pandas or Arrow, or from a dictionary of columns. Raises ``InputError``."""
    import polars as pl

    if isinstance(source, pl.DataFrame):
        frame = source
    elif isinstance(source, pl.LazyFrame):
        frame = source.collect()
    elif isinstance(source, dict):
        try:
            frame = pl.DataFrame(source)
        except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
            raise InputError(f"the dictionary is no table: {_first_line(error)}") from None
    else:
        frame = _from_other_library(source)
    return tidy(frame, "the frame", texts=texts)


def tidy(frame: polars.DataFrame, where: str, *, texts: Sequence[str] = ()) -> polars.DataFrame:
    """Missing words and NaN become null, texts that are all numbers or dates become such."""
    import polars as pl

    if frame.height == 0:
        raise InputError(f"{where} has no rows: only a header was found")
    columns = []
    for column in frame.iter_columns():
        if column.dtype in (pl.Categorical, pl.Enum):
            column = column.cast(pl.String)
        if column.dtype == pl.String:
            column = column.str.strip_chars()
            column = column.set(column.is_in(MISSING), None)
            column = column if column.name in texts else typed(column)
        elif column.dtype.is_float():
            column = column.fill_nan(None)
        columns.append(column)
    return pl.DataFrame({column.name: column for column in columns})


def typed(column: polars.Series) -> polars.Series:
    """A text column as numbers, yes/no values, dates or times where every value is one; else as it is."""
    import polars as pl

    known = column.drop_nulls()
    if not len(known) or known.dtype != pl.String:
        return column
    if known[0][:1].isdigit() or known[0][:1] in "+-.iInN":
        for dtype in (pl.Int64, pl.Float64):
            if not known.cast(dtype, strict=False).null_count():
                return column.cast(dtype)
    if known[0].lower() in ("true", "false") and known.str.to_lowercase().is_in(["true", "false"]).all():
        return column.str.to_lowercase() == "true"
    return as_moments(column) if known[0][:4].isdigit() and known[0][4:5] == "-" else column


def as_moments(column: polars.Series) -> polars.Series:
    """ISO dates (``2026-03-01``) or times (``2026-03-01 12:30:00``, with T, fractions, Z) if all are; else as it is."""

    missing = column.null_count()
    dates = column.str.to_date("%Y-%m-%d", strict=False)
    if dates.null_count() == missing:
        return dates
    text = column.str.replace("T", " ", literal=True).str.strip_suffix("Z")
    for pattern in ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"):
        times = text.str.to_datetime(pattern, strict=False, time_unit="us")
        if times.null_count() == missing:
            return times
    return column


def _content(path: Path) -> bytes:
    content = packed.content(path)
    if not content.isascii():
        try:
            content.decode("utf-8")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise InputError(
                f"{path} is not UTF-8: byte {error.start} (line {line}) is 0x{content[error.start]:02x}; "
                f"save the file in the encoding UTF-8"
            ) from None
    content = content.removeprefix(b"\xef\xbb\xbf")
    if not content.strip():
        raise InputError(f"{path} is empty: give a table with a header and rows")
    return content


def _names(content: bytes, separator: str, path: Path) -> list[str]:
    """The names in the header, which polars would change where they are not unique."""
    line, header = next((line, record) for line, record in _records(content, path) if record.strip())
    try:
        names = [name.strip() for name in _fields(header, separator)]
    except csv.Error:
        raise InputError(f"{path}: the header in line {line} cannot be read: check its quotation marks") from None
    others = [other for other in DELIMITERS if other != separator and other in names[0]]
    if len(names) == 1 and others:
        best = max(others, key=names[0].count)
        written = "\\t" if best == "\t" else best
        raise InputError(
            f"{path} seems to be separated by {DELIMITERS[best]}, not by {DELIMITERS.get(separator, separator)}: "
            f"say --delimiter '{written}'"
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(f'{path}: the header names the column "{twice[0]}" more than once: rename one of them')
    return names


def _parsed(content: bytes, separator: str, names: list[str], texts: Sequence[str]) -> polars.DataFrame:
    """The table as polars reads it; types from the first rows if all others agree, else from all (ten times slower)."""
    import polars as pl

    def read(rows: int | None) -> polars.DataFrame:
        return pl.read_csv(
            content,
            separator=separator,
            null_values=list(MISSING),
            infer_schema_length=rows,
            schema_overrides={name: pl.String for name in names if name in texts} or None,
        )

    try:
        return read(10_000)
    except pl.exceptions.ComputeError:
        return read(None)


def _rectangular(content: bytes, separator: str, shape: tuple[int, int]) -> bool:
    """Whether there are as many delimiters as a full table has; known only where none can stand in a quotation."""
    rows, columns = shape
    return columns > 1 and b'"' not in content and content.count(separator.encode()) == (rows + 1) * (columns - 1)


def _check_lines(content: bytes, separator: str, columns: int, path: Path) -> list[int]:
    """Raises ``InputError`` for the first line that has not as many fields as the header; returns the rows that are
    blank lines, which polars takes for rows of missing values."""
    mark, blank, row = separator.encode(), [], -1
    for line, record in _records(content, path):
        if not record.strip():
            blank += [row] * (row >= 0)
            row += row >= 0
            continue
        row += 1
        try:
            count = len(_fields(record, separator)) if b'"' in record else record.count(mark) + 1
        except csv.Error:
            raise InputError(
                f"{path}: line {line} has a quotation mark inside a field: put the field into quotation marks and double it"
            ) from None
        if count != columns:
            raise InputError(
                f"{path}: line {line} has {count} field{'s' * (count != 1)} and the header {columns}: "
                f"correct the line, or put a text that holds the delimiter into quotation marks"
            )
    return blank


def _records(content: bytes, path: Path) -> Iterator[tuple[int, bytes]]:
    """(number of the first line, bytes) of every record; a record goes on over lines while a quotation is open."""
    open_record, start = b"", 0
    for number, line in enumerate(io.BytesIO(content), 1):
        if open_record or line.count(b'"') % 2:
            start = start if open_record else number
            open_record += line
            if open_record.count(b'"') % 2 == 0:
                yield start, open_record
                open_record = b""
        else:
            yield number, line
    if open_record:
        raise InputError(
            f"{path}: a quotation mark opened in line {start} is never closed: close it, or double it if it belongs to the text"
        )


def _fields(record: bytes, separator: str) -> list[str]:
    return next(csv.reader([record.decode().rstrip("\r\n")], delimiter=separator))


def _from_other_library(source: Any) -> polars.DataFrame:
    import polars as pl

    for read in (pl.DataFrame, _by_columns, _by_interchange):  # the first takes whatever speaks Arrow
        try:
            return read(source)
        except Exception:  # each foreign library has errors of its own
            continue
    raise InputError(
        f"{type(source).__name__} is no data that can be read: give a file, a frame with a target column, "
        f"or a pair (X, y) of arrays"
    )


def _by_columns(source: Any) -> polars.DataFrame:
    """From a frame like pandas', where Arrow is not installed."""
    import polars as pl

    return pl.DataFrame({str(name): _foreign_column(source[name].to_numpy()) for name in source.columns})


def _by_interchange(source: Any) -> polars.DataFrame:
    """From the protocol before Arrow's (``__dataframe__``), which Arrow still reads where it is installed."""
    import polars as pl

    return pl.DataFrame(importlib.import_module("pyarrow.interchange").from_dataframe(source))


def _foreign_column(values: np.ndarray) -> Any:
    """Without Arrow, pandas hands over objects: None, NaN and NA among them are missing."""
    if values.dtype != object:
        return values

    def known(value: Any) -> bool:
        try:
            return bool(value == value) and value is not None
        except TypeError:  # pandas' NA is neither equal nor unequal to itself
            return False

    return [value if known(value) else None for value in values]


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
