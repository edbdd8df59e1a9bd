"""Tables: CSV, TSV, Parquet, and any frame. Polars reads them; what it cannot read becomes one sentence.

Values such as ``NA``, ``null``, ``?`` and the empty string count as missing. Decimal commas are not guessed.
"""

from __future__ import annotations

import csv
import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.errors import InputError

if TYPE_CHECKING:
    import polars

MISSING = ["", "NA", "N/A", "na", "n/a", "NaN", "nan", "null", "NULL", "None", "?"]
SEPARATORS = {";": "a semicolon", "\t": "a tab", "|": "a bar", ",": "a comma", " ": "a space"}
PARQUET = b"PAR1"


def read(path: Path, *, delimiter: str | None = None) -> polars.DataFrame:
    """A table from a file. Raises ``InputError`` naming the file and line for what is not one."""
    import polars as pl

    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty")
    with path.open("rb") as file:
        start = file.read(4)
    if start == PARQUET or path.suffix.lower() in (".parquet", ".pq"):
        try:
            frame = pl.read_parquet(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputError(f"{path} is no readable Parquet file: {_first_line(error)}") from None
        return _checked(frame, path)
    separator = {"\\t": "\t", None: "\t" if path.suffix.lower() in (".tsv", ".tab") else ","}.get(delimiter, delimiter)
    assert separator is not None
    _check_text(path, separator, given=delimiter is not None)
    try:
        frame = pl.read_csv(
            path, separator=separator, null_values=MISSING, infer_schema_length=None, try_parse_dates=True, rechunk=True
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path} cannot be read as a table: {_first_line(error)}") from None
    return _checked(frame, path)


def _check_text(path: Path, separator: str, *, given: bool) -> None:
    """Finds what Polars would not say well: bytes that are not UTF-8, duplicate names, ragged rows, another separator."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}, line {line}: the byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None
    lines = text.splitlines()
    if not lines or not lines[0].strip():
        raise InputError(f"{path}: the first line is empty, but it should hold the names of the columns")
    header = next(csv.reader([lines[0]], delimiter=separator))
    if len(header) == 1:
        other = next((mark for mark in SEPARATORS if mark not in (separator, " ") and mark in lines[0]), None)
        if other is not None:
            shown = "\\t" if other == "\t" else other
            raise InputError(f"{path} seems to be separated by {SEPARATORS[other]}: add --delimiter '{shown}'")
    seen: set[str] = set()
    for name in header:
        if name in seen:
            raise InputError(f'{path}: two columns are called "{name}"; give each its own name')
        seen.add(name)
    if len([line for line in lines if line.strip()]) < 2:
        raise InputError(f"{path} has column names but no rows")
    if '"' in text:  # quoted fields may hold separators and line ends: count as a reader does
        for number, row in enumerate(csv.reader(text.splitlines(keepends=True), delimiter=separator), start=1):
            if row and len(row) != len(header):
                _refuse_ragged(path, number, len(row), len(header))
        return
    expected = len(header) - 1
    for number, line in enumerate(lines, start=1):
        if line.count(separator) != expected and line.strip():
            _refuse_ragged(path, number, line.count(separator) + 1, len(header))


def _refuse_ragged(path: Path, line: int, found: int, expected: int) -> None:
    raise InputError(f"{path}, line {line}: {found} values, but there are {expected} columns")


def _checked(frame: polars.DataFrame, path: Path) -> polars.DataFrame:
    import polars as pl

    if frame.height == 0:
        raise InputError(f"{path} has column names but no rows")
    for column in frame.iter_columns():
        if column.null_count() == frame.height:
            raise InputError(f'{path}: the column "{column.name}" has no values at all; drop it')
        if column.dtype.is_float() and column.is_infinite().any():
            row = int(column.is_infinite().arg_max() or 0)
            raise InputError(f'{path}: the column "{column.name}" is infinite in row {row + 1}; fill or drop it')
        if isinstance(column.dtype, pl.List | pl.Struct | pl.Array) or column.dtype == pl.Object:
            raise InputError(f'{path}: the column "{column.name}" holds {column.dtype}, not single values; drop it')
    return frame


def from_frame(frame: Any) -> polars.DataFrame:
    """A Polars frame from a Polars, pandas or Arrow one, or anything with a dataframe protocol."""
    import polars as pl

    if isinstance(frame, pl.DataFrame):
        return _checked(frame, Path("the frame"))
    if isinstance(frame, pl.LazyFrame):
        return _checked(frame.collect(), Path("the frame"))
    try:
        made = pl.DataFrame(frame) if isinstance(frame, dict) else pl.from_dataframe(frame)
    except Exception as error:  # whatever a foreign protocol raises
        raise InputError(f"data of type {type(frame).__name__} are no table: {_first_line(error)}") from None
    return _checked(made, Path("the frame"))


def split_target(frame: polars.DataFrame, target: str | None, where: str) -> tuple[polars.DataFrame, np.ndarray]:
    """The table without its target, and the target. Raises ``InputError`` where it is missing, not named, or not whole."""
    if target is None:
        raise InputError(f"{where} needs --target, the column to predict: one of {_names(frame.columns)}")
    if target not in frame.columns:
        near = difflib.get_close_matches(target, frame.columns, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"there are {_names(frame.columns)}"
        raise InputError(f'{where} has no column "{target}": {hint}')
    if frame.width < 2:
        raise InputError(f'{where} has no column besides the target "{target}" to predict it from')
    column = frame[target]
    if column.null_count():
        row = int(column.is_null().arg_max() or 0)
        raise InputError(
            f'the target "{target}" is missing in row {row + 1} of {where} ({column.null_count()} such rows): drop those rows'
        )
    values = column.to_numpy()
    if column.dtype.is_decimal():
        values = column.cast(float).to_numpy()
    elif values.dtype.kind not in "iufb":
        values = np.array([str(value) for value in column], dtype=object)
    return frame.drop(target), values


def _names(columns: list[str]) -> str:
    return ", ".join(columns[:12]) + (f" … ({len(columns)} in all)" if len(columns) > 12 else "")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
