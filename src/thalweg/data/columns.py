"""What is learned about one column of a table, and how its values become numbers.

Three kinds, each fitted on training rows and applied to any: ``Number`` (yes/no values too), ``Category`` and ``Moment``; each
has the names of its ``features`` and writes a column of n values into ``(n, features)`` zeros.

>>> column = Number.fit(pl.Series("age", [20, 40, None]))
>>> column.features
('age', 'age missing')
>>> encoded = np.zeros((2, 2), np.float32)
>>> column.write(pl.Series("age", [40, None]), encoded)      # (value - mean) / sd, then 1 where it was missing
>>> encoded
array([[1., 0.],
       [0., 1.]], dtype=float32)

A missing number becomes the mean (0 after scaling); where numbers were missing in training, a feature of its own says so.
A value that cannot be read as in training raises ``InputError`` with the column, its row and the value.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from thalweg.data.table import as_moments
from thalweg.errors import InputError

if TYPE_CHECKING:
    import polars

MOST_CATEGORIES = 50
DAY = 86_400e6
"""Microseconds."""


@dataclass(frozen=True)
class Number:
    """Standardised: ``(x - mean) / sd``; an ``sd`` of 0 marks a constant, which becomes 0 whatever comes later."""

    kind: ClassVar[str] = "number"
    name: str
    mean: float
    sd: float
    missing: bool

    @classmethod
    def fit(cls, column: polars.Series) -> Number:
        values = _numbers(column)
        known = values[~np.isnan(values)]
        mean, sd = mean_and_sd(known) if len(known) else (0.0, 0.0)
        return cls(column.name, mean, sd, len(known) < len(values))

    @property
    def features(self) -> tuple[str, ...]:
        return (self.name, f"{self.name} missing") if self.missing else (self.name,)

    def write(self, column: polars.Series, encoded: np.ndarray) -> None:
        values = _numbers(column)
        absent = np.isnan(values)
        encoded[:, 0] = np.where(absent, 0.0, standardised(values, self.mean, self.sd))
        if self.missing:
            encoded[:, 1] = absent


@dataclass(frozen=True)
class Category:
    """One feature for each of the most frequent values, 1 where it holds; ``other`` and ``missing`` if training had such.

    A value never seen in training is ``other`` where that exists, else it is none of them: all zeros.
    """

    kind: ClassVar[str] = "category"
    name: str
    values: tuple[str, ...]
    other: bool
    missing: bool

    @classmethod
    def fit(cls, column: polars.Series) -> Category:
        known = column.drop_nulls()
        counts = sorted(known.value_counts(name="rows").rows(), key=lambda pair: (-pair[1], pair[0]))
        kept = tuple(sorted(value for value, rows in counts[:MOST_CATEGORIES] if rows > 1))
        return cls(column.name, kept, len(kept) < len(counts), len(known) < len(column))

    @property
    def features(self) -> tuple[str, ...]:
        names = [f"{self.name}={value}" for value in self.values]
        names += [f"{self.name}=other"] * self.other + [f"{self.name} missing"] * self.missing
        return tuple(names)

    def write(self, column: polars.Series, encoded: np.ndarray) -> None:
        import polars as pl

        text = _text(column)
        codes = text.replace_strict(
            pl.Series(self.values, dtype=pl.String),
            pl.Series(range(len(self.values)), dtype=pl.Int64),
            default=pl.Series([len(self.values) if self.other else -1], dtype=pl.Int64),
        ).to_numpy(writable=True)
        codes[text.is_null().to_numpy()] = encoded.shape[1] - 1 if self.missing else -1
        rows = np.flatnonzero(codes >= 0)
        encoded[rows, codes[rows]] = 1


@dataclass(frozen=True)
class Moment:
    """Dates and times: the day as a standardised number, and its place in the year, the week and (for times) the day on
    circles, so that December lies beside January."""

    kind: ClassVar[str] = "moment"
    name: str
    mean: float
    """Days since 1970-01-01."""
    sd: float
    time: bool
    missing: bool

    @classmethod
    def fit(cls, column: polars.Series) -> Moment:
        days = _days(column)
        known = days[~np.isnan(days)]
        mean, sd = mean_and_sd(known) if len(known) else (0.0, 0.0)
        return cls(column.name, mean, sd, bool((known % 1 != 0).any()), len(known) < len(days))

    @property
    def features(self) -> tuple[str, ...]:
        circles = ("year", "week", "day") if self.time else ("year", "week")
        turning = [f"{self.name} {part} of {circle}" for circle in circles for part in ("sine", "cosine")]
        return (self.name, *turning, *([f"{self.name} missing"] if self.missing else []))

    def write(self, column: polars.Series, encoded: np.ndarray) -> None:
        days = _days(column)
        absent = np.isnan(days)
        known = np.where(absent, self.mean, days)
        encoded[:, 0] = standardised(known, self.mean, self.sd)
        for circle, period in enumerate((365.2425, 7.0, 1.0) if self.time else (365.2425, 7.0)):
            angle = 2 * math.pi * np.remainder(known, period) / period
            encoded[:, 2 * circle + 1] = np.sin(angle)
            encoded[:, 2 * circle + 2] = np.cos(angle)
        encoded[absent] = 0.0
        if self.missing:
            encoded[:, -1] = absent


Encoder = Number | Category | Moment
"""One column's way into the network."""
_ENCODERS: dict[str, type[Encoder]] = {kind.kind: kind for kind in (Number, Category, Moment)}


def encoder_to_dict(encoder: Encoder) -> dict[str, Any]:
    """Plain values from which ``encoder_from_dict`` makes the same encoder."""
    return {"kind": encoder.kind, **asdict(encoder)}


def encoder_from_dict(plain: dict[str, Any]) -> Encoder:
    """The encoder that ``encoder_to_dict`` wrote down."""
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in plain.items() if name != "kind"
    }
    return _ENCODERS[plain["kind"]](**fields)


def mean_and_sd(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation; the deviation is 0 where it is rounding error alone."""
    mean = float(values.mean())
    sd = float(values.std())
    return mean, 0.0 if sd <= 1e-12 * abs(mean) or values.min() == values.max() else sd


def standardised(values: np.ndarray, mean: float | np.ndarray, sd: float | np.ndarray) -> np.ndarray:
    """float32 ``(values - mean) / sd``, 0 where ``sd`` is 0; the difference is taken in float64, lest digits vanish."""
    scale = np.divide(1.0, sd, out=np.zeros_like(sd, dtype=np.float64), where=np.asarray(sd) != 0)
    with np.errstate(over="ignore"):  # more than float32 can hold is as far away as it can be
        scaled = ((values - mean) * scale).astype(np.float32)
    return np.clip(scaled, *_FINITE, out=scaled)


_FINITE = (np.finfo(np.float32).min, np.finfo(np.float32).max)


def _numbers(column: polars.Series) -> np.ndarray:
    """float64 with NaN where missing."""
    import polars as pl

    numbers = column
    if column.dtype == pl.String:
        numbers = column.cast(pl.Float64, strict=False)
        if numbers.null_count() > column.null_count():
            _refuse(column, numbers, "no number")
    elif column.dtype == pl.Duration:
        numbers = column.dt.total_microseconds() / 1e6
    elif not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
        raise InputError(f'the column "{column.name}" holds {column.dtype} values where numbers were in training')
    values = numbers.cast(pl.Float64).to_numpy()
    if np.isinf(values).any():
        row = int(np.isinf(values).argmax())
        raise InputError(
            f'the column "{column.name}" is infinite in row {row + 1}: remove the row or correct the value'
        )
    return values


def _days(column: polars.Series) -> np.ndarray:
    """Days since 1970-01-01 as float64, NaN where missing."""
    import polars as pl

    moments = as_moments(column) if column.dtype == pl.String else column
    if moments.dtype == pl.Null:
        return np.full(len(column), np.nan)
    if moments.dtype == pl.String:
        worst = column.filter([as_moments(column[row : row + 1]).dtype == pl.String for row in range(len(column))])
        row = (column == worst[0]).arg_true()[0]
        raise InputError(
            f'the column "{column.name}" holds {worst[0]!r} in row {row + 1}, which is no date like the others: '
            f"write dates as 2026-03-01"
        )
    if moments.dtype not in (pl.Date, pl.Datetime):
        raise InputError(f'the column "{column.name}" holds {moments.dtype} values where dates were in training')
    return moments.cast(pl.Datetime("us")).to_physical().cast(pl.Float64).to_numpy() / DAY


def _text(column: polars.Series) -> polars.Series:
    """Values as the texts that a table holds: 3.0 read from a column with gaps is the 3 of training."""
    import polars as pl

    if column.dtype.is_float() and (column == column.round()).all():
        column = column.cast(pl.Int64, strict=False)
    if column.dtype.is_nested():
        raise InputError(f'the column "{column.name}" holds {column.dtype} values where texts were in training')
    return column.cast(pl.String)


def _refuse(column: polars.Series, read: polars.Series, what: str) -> None:
    row = (read.is_null() & column.is_not_null()).arg_true()[0]
    raise InputError(
        f'the column "{column.name}" holds {column[row]!r} in row {row + 1}, which is {what}: '
        f"correct it, or leave it empty if it is missing"
    )
