"""How one column of a table becomes features: learned from the training rows, applied to any rows.

* a number: ``(x − mean)/sd``, the mean where it is missing, and an indicator where training rows had missing ones;
* a word or a boolean: one feature for each of the commonest values, one for ``other``; missing is a value of its own;
* a date: years since 2000 as a number, and sine and cosine of the day in the year;
* text that is nearly always different (a name, an identifier): nothing, with a note.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.errors import InputError

if TYPE_CHECKING:
    import polars

MOST_VALUES = 50
OTHER, ABSENT = "(other)", "(missing)"


@dataclass(frozen=True)
class Column:
    """One column of a table. ``kind`` is number, category, date or left out."""

    name: str
    kind: str
    mean: float = 0.0
    sd: float = 1.0
    indicator: bool = False
    values: tuple[str, ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its features."""
        if self.kind == "number":
            return (self.name, *([f"{self.name} is missing"] if self.indicator else []))
        if self.kind == "category":
            return tuple(f"{self.name}={value}" for value in self.values)
        if self.kind == "date":
            return (
                self.name,
                f"{self.name} sin(year)",
                f"{self.name} cos(year)",
                *([f"{self.name} is missing"] if self.indicator else []),
            )
        return ()

    @property
    def width(self) -> int:
        return len(self.features)

    def apply(self, column: polars.Series) -> np.ndarray:
        """float32 ``(n, width)``. Raises ``InputError`` naming the column and its first value of another kind."""
        if self.kind == "number":
            numbers = as_numbers(column, self.name)
            return self._standardised(numbers, np.isnan(numbers))
        if self.kind == "date":
            return self._of_dates(column)
        words = as_words(column)
        position = {value: index for index, value in enumerate(self.values)}
        other = position.get(OTHER, -1)
        where = np.array([position.get(word, other) for word in words], dtype=np.int64)
        found = np.zeros((len(words), self.width), dtype=np.float32)
        rows = np.flatnonzero(where >= 0)
        found[rows, where[rows]] = 1.0
        return found

    def _standardised(self, numbers: np.ndarray, missing: np.ndarray, *more: np.ndarray) -> np.ndarray:
        scaled = np.where(missing, 0.0, (numbers - self.mean) / (self.sd or 1.0))
        parts = [scaled, *(np.where(missing, 0.0, part) for part in more), *([missing] if self.indicator else [])]
        return np.stack(parts, axis=1).astype(np.float32)

    def _of_dates(self, column: polars.Series) -> np.ndarray:
        years, angle = as_years(column, self.name)
        return self._standardised(years, np.isnan(years), np.sin(angle), np.cos(angle))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"values": list(self.values)}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Column:
        return cls(**(saved | {"values": tuple(saved["values"])}))


def learn_column(column: polars.Series) -> tuple[Column, str]:
    """How a column of the training part becomes features, and a note for the user where it does not."""
    name, rows = column.name, len(column)
    if column.null_count() == rows:
        return Column(name, "left out"), f'the column "{name}" has no values in the training part and is left out'
    if column.dtype.is_numeric():
        numbers = as_numbers(column, name)
        return _number(name, "number", numbers)
    if column.dtype.is_temporal():
        return _number(name, "date", as_years(column, name)[0])
    words = as_words(column)
    values, counts = np.unique(words, return_counts=True)
    if len(values) > MOST_VALUES and len(values) > 0.5 * rows:
        note = f'the column "{name}" is text that is nearly always different ({len(values)} values in {rows} rows) and is left out'
        return Column(name, "left out"), note
    if len(values) == 1:
        return Column(name, "left out"), f'the column "{name}" is constant in the training part and is left out'
    common = values[np.lexsort((values, -counts))][:MOST_VALUES]
    kept = [str(value) for value in sorted(common)]
    if ABSENT not in kept and column.null_count():
        kept.append(ABSENT)
    kept.append(OTHER)
    return Column(name, "category", values=tuple(kept)), ""


def _number(name: str, kind: str, numbers: np.ndarray) -> tuple[Column, str]:
    there = numbers[~np.isnan(numbers)]
    mean, sd = float(there.mean()), float(there.std())
    if sd <= 1e-12 * max(abs(mean), 1e-300):
        sd = 0.0
    note = f'the column "{name}" is constant in the training part' if sd == 0 and len(there) == len(numbers) else ""
    return Column(name, kind, mean=mean, sd=sd, indicator=len(there) < len(numbers)), note


def as_numbers(column: polars.Series, name: str) -> np.ndarray:
    """float64 with NaN for missing. Words that are numbers are read; others are refused with row and value."""
    import polars as pl

    if column.dtype == pl.Boolean or column.dtype.is_numeric():
        found = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    else:
        read = column.cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)
        bad = read.is_null() & column.is_not_null()
        if bad.any():
            row = int(bad.arg_max() or 0)
            raise InputError(f'the column "{name}" held numbers in training, but row {row + 1} is "{column[row]}"')
        found = read.fill_null(float("nan")).to_numpy()
    if np.isinf(found).any():
        raise InputError(
            f'the column "{name}" is infinite in row {int(np.argmax(np.isinf(found))) + 1}: fill or drop it'
        )
    return np.asarray(found, dtype=np.float64)


def as_words(column: polars.Series) -> np.ndarray:
    """Each value as text; missing ones as ``(missing)``. Whole numbers read as floats keep the text of whole numbers."""
    import polars as pl

    if column.dtype.is_float():
        column = column.cast(pl.Int64, strict=False) if (column.drop_nulls() % 1 == 0).all() else column
    return column.cast(pl.String).fill_null(ABSENT).to_numpy().astype(str)


def as_years(column: polars.Series, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Years since 2000 with NaN for missing, and the angle of the day in the year."""
    import polars as pl

    if column.dtype == pl.Time or column.dtype == pl.Duration:
        seconds = column.cast(pl.Int64).cast(pl.Float64).fill_null(float("nan")).to_numpy()
        day = seconds / (86_400e9 if column.dtype == pl.Time else 1e6)
        return np.asarray(day), 2 * np.pi * np.asarray(day)
    if not column.dtype.is_temporal():
        parsed = column.cast(pl.String).str.to_datetime(strict=False)
        bad = parsed.is_null() & column.is_not_null()
        if bad.any():
            row = int(bad.arg_max() or 0)
            raise InputError(f'the column "{name}" held dates in training, but row {row + 1} is "{column[row]}"')
        column = parsed
    days = column.cast(pl.Datetime("us")).cast(pl.Int64).cast(pl.Float64).fill_null(float("nan")).to_numpy() / 86_400e6
    years = (np.asarray(days) - 10_957) / 365.2425
    return years, 2 * np.pi * years


def columns_from(raw: Any, columns: tuple[Column, ...]) -> polars.DataFrame:
    """A frame with all the columns that are needed. Raises ``InputError`` naming the first that is missing."""
    import polars as pl

    if not isinstance(raw, pl.DataFrame):
        from thalweg.data.tables import from_frame

        raw = from_frame(raw)
    for column in columns:
        if column.width and column.name not in raw.columns:
            raise InputError(
                f'the column "{column.name}" is missing: this model was trained with it; there are {", ".join(raw.columns)}'
            )
    return raw
