"""What is said about rows beside their inputs: what they count, which belong together, when they came, where they go.

>>> data = marked(data, where="visits.csv", weights="importance", groups="patient", time="day")
>>> data.weights, data.groups, data.time                 # float64, int64 codes, float64; one of each row
>>> marked(data, where="X", split_column=["train"] * 80 + ["test"] * 20).assigned

A text names a column of the table, which is then no input; anything else holds the values themselves. A date that orders the
rows stays among the inputs, for its place in the year and the week; a number that orders them does not: later rows lie
outside of what was learned.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.data.dataset import DEV, FREE, TEST, TRAIN, Data
from thalweg.data.sources.reading import array_of
from thalweg.data.sources.table import typed
from thalweg.data.wording import in_words, no_column, rows_in_words
from thalweg.errors import InputError

if TYPE_CHECKING:
    import polars

PARTS = {
    "train": TRAIN, "training": TRAIN, "dev": DEV, "val": DEV, "valid": DEV, "validation": DEV, "test": TEST,
}  # fmt: skip


def without(data: Data, names: Sequence[str], *, where: str) -> Data:
    """The data without these columns. Raises ``InputError`` for a column that is not there, or is the target."""
    names = (names,) if isinstance(names, str) else tuple(names)
    if not names:
        return data
    if isinstance(data.inputs, np.ndarray):
        raise InputError(f"{where} has no named columns: {in_words(names)} cannot be dropped; leave drop out")
    for name in names:
        _check_column(name, data, where, "drop")
    return replace(data, inputs=data.inputs.drop(names))


def marked(
    data: Data, *, where: str, weights: Any = None, groups: Any = None, time: Any = None, split_column: Any = None
) -> Data:
    """The data with what is said about its rows; see ``load`` for the values. Raises ``InputError`` naming the row."""
    gone = [given for given in (weights, groups, split_column) if isinstance(given, str)]
    if weights is not None:
        data = replace(data, weights=_weights(_series(data, weights, where, "weights")))
    if groups is not None:
        named = isinstance(groups, str)
        values = _series(data, groups, where, "groups").to_list() if named else groups
        data = replace(data, groups=_codes(values, data, where, groups if named else "groups"))
    if split_column is not None:
        if data.assigned is not None:
            raise InputError(f"{where} has parts already: give a split column, or parts apart, not both")
        data = replace(data, assigned=_parts(_series(data, split_column, where, "split_column")))
    if time is not None:
        series = _series(data, time, where, "time")
        data = replace(data, time=_moments(series), time_name=time if isinstance(time, str) else None)
        gone += [time] if isinstance(time, str) and series.dtype.is_numeric() else []
    if not isinstance(data.inputs, np.ndarray) and gone:
        data = replace(data, inputs=data.inputs.drop(set(gone)))
    return data


def _check_column(name: str, data: Data, where: str, what: str) -> None:
    if name in data.target_names:
        raise InputError(f'{where}: "{name}" is the target: {what} is another column')
    columns: list[str] = [] if isinstance(data.inputs, np.ndarray) else data.inputs.columns
    if name not in columns:
        raise InputError(no_column(name, columns, where=where))


def _series(data: Data, given: Any, where: str, what: str) -> polars.Series:
    """The values as a column named as the user knows it: of the table, or those handed over."""
    import polars as pl

    if isinstance(given, str):
        if isinstance(data.inputs, np.ndarray):
            raise InputError(
                f'{where} has no named columns: give {what} as an array of {len(data):,} values, not "{given}"'
            )
        _check_column(given, data, where, what)
        return data.inputs[given]
    array = array_of(given)
    if array.shape != (len(data),):
        raise InputError(f"{what} has shape {array.shape}: give one value for each row, shape ({len(data)},)")
    try:
        return pl.Series(what, array.tolist() if array.dtype.kind in "OUST" else array)
    except (TypeError, ValueError, pl.exceptions.PolarsError):
        raise InputError(f"{what} mixes values of several types: give values of one") from None


def _weights(series: polars.Series) -> np.ndarray:
    import polars as pl

    if not (series.dtype.is_numeric() or series.dtype == pl.Boolean):
        raise InputError(f'the weights "{series.name}" are of type {series.dtype}: give numbers')
    weights = series.cast(pl.Float64).fill_null(np.nan).to_numpy()
    wrong = ~np.isfinite(weights) | (weights < 0)
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f'the weights "{series.name}" hold {weights[row]:g} in row {row + 1}: give finite numbers from 0 up'
        )
    if not weights.any():
        raise InputError(f'the weights "{series.name}" are 0 in every row: give those that count more than 0')
    return weights


def _codes(values: Any, data: Data, where: str, name: str) -> np.ndarray:
    """Numbers in the order in which the values first appear, so any values that can be told apart will do."""
    given: list[Hashable] = list(values) if isinstance(values, list | tuple) else array_of(values).reshape(-1).tolist()
    if len(given) != len(data):
        raise InputError(f"groups has {len(given):,} values and {where} {len(data):,} rows: give one for each row")
    missing = [row for row, value in enumerate(given) if value is None or value != value]
    if missing:
        raise InputError(
            f'the groups "{name}" have no value in {rows_in_words(missing)}: fill them in or remove the rows'
        )
    numbers: dict[Hashable, int] = {}
    try:
        return np.array([numbers.setdefault(value, len(numbers)) for value in given], np.int64)
    except TypeError:
        raise InputError("groups has lists for values: give one number or text for each row") from None


def _moments(series: polars.Series) -> np.ndarray:
    """float64: numbers as they are, dates and times as microseconds (since 1970), which a float64 holds exactly."""
    import polars as pl

    if series.null_count():
        rows = rows_in_words(series.is_null().arg_true().to_list())
        raise InputError(f'the time "{series.name}" has no value in {rows}: fill it in or remove the rows')
    times = typed(series) if series.dtype == pl.String else series
    if times.dtype == pl.Date:
        times = times.cast(pl.Datetime("us"))
    elif isinstance(times.dtype, pl.Datetime | pl.Duration):
        times = times.dt.cast_time_unit("us")
    elif not (times.dtype.is_numeric() or times.dtype == pl.Time):
        raise InputError(f'the time "{series.name}" holds {series[0]!r}: give numbers, or dates as 2026-03-01')
    values = times.to_physical().cast(pl.Float64).to_numpy()
    if not np.isfinite(values).all():
        row = int((~np.isfinite(values)).argmax())
        raise InputError(f'the time "{series.name}" is {values[row]} in row {row + 1}: correct it or remove the row')
    return values


def _parts(series: polars.Series) -> np.ndarray:
    import polars as pl

    if series.dtype.is_nested():
        raise InputError(f'the split column "{series.name}" holds {series.dtype} values: write train, dev or test')
    texts = series.cast(pl.String, strict=False).str.strip_chars().str.to_lowercase()
    unknown = texts.is_not_null() & ~texts.is_in(list(PARTS))
    if unknown.any():
        row = unknown.arg_max() or 0
        raise InputError(
            f'the split column "{series.name}" holds {series[row]!r} in row {row + 1}: '
            f"write train, dev or test, or leave it empty to have the row divided"
        )
    known = texts.replace_strict(list(PARTS), list(PARTS.values()), default=FREE, return_dtype=pl.Int8)
    assigned = known.to_numpy()
    if not (assigned <= TRAIN).any():
        raise InputError(f'the split column "{series.name}" names no training row: write train in some')
    return assigned
