"""What is learned about one column of a table, and how its values become numbers.

Four kinds, each fitted on training rows and applied to any: ``Number`` (yes/no values too), ``Category``, ``Coded`` (categories
of many values) and ``Moment``; each has the names of its ``features`` and writes n values into ``(n, features)`` zeros.

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

from thalweg.data.scales import SCALES, Scale
from thalweg.data.sources.table import as_moments
from thalweg.errors import InputError

if TYPE_CHECKING:
    import polars

MOST_CATEGORIES = 50
"""Features of their own for as many values of one column, at most."""
FEW_CATEGORIES = 10
"""Values up to which each is a feature of its own. The first layer has a vector for each, as good as an embedding; with more
values the features of one column would outnumber all others, and few rows speak for each."""
MOST_CODES = 10_000
"""Values of one column that are told apart: a table of 10,000 vectors, less than the weights of two wide layers."""
DAY = 86_400e6
"""Microseconds."""


@dataclass(frozen=True)
class Number:
    """On a scale of its own; missing values become the mean (of ``robust`` and ``quantile`` scales the middle)."""

    kind: ClassVar[str] = "number"
    name: str
    scale: Scale
    missing: bool

    @classmethod
    def fit(cls, column: polars.Series, *, scale: str = "standard") -> Number:
        """``scale`` is one of ``SCALES``; yes/no values are standardised by any but ``none``."""
        import polars as pl

        values = _numbers(column)
        known = values[~np.isnan(values)]
        kind = "standard" if column.dtype == pl.Boolean and scale in SCALES[:3] else scale
        return cls(column.name, Scale.fit(known, kind), len(known) < len(values))

    @property
    def features(self) -> tuple[str, ...]:
        return (self.name, f"{self.name} missing") if self.missing else (self.name,)

    def write(self, column: polars.Series, encoded: np.ndarray) -> None:
        values = _numbers(column)
        encoded[:, 0] = self.scale.scaled(values)
        if self.missing:
            encoded[:, 1] = np.isnan(values)


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
        kept, different = _frequent(column, MOST_CATEGORIES)
        return cls(column.name, kept, len(kept) < different, column.null_count() > 0)

    @property
    def features(self) -> tuple[str, ...]:
        names = [f"{self.name}={value}" for value in self.values]
        names += [f"{self.name}=other"] * self.other + [f"{self.name} missing"] * self.missing
        return tuple(names)

    def write(self, column: polars.Series, encoded: np.ndarray) -> None:
        codes = _codes(column, self.values, other=len(self.values) if self.other else -1)
        codes[column.is_null().to_numpy()] = encoded.shape[1] - 1 if self.missing else -1
        rows = np.flatnonzero(codes >= 0)
        encoded[rows, codes[rows]] = 1


@dataclass(frozen=True)
class Coded:
    """A category of many values as one feature: the number of its value, to be looked up in an embedding.

    0 is a value that is rare or was never seen in training, 1 a missing one where training had such, then come ``values``.
    """

    kind: ClassVar[str] = "coded"
    name: str
    values: tuple[str, ...]
    missing: bool

    @classmethod
    def fit(cls, column: polars.Series) -> Coded | None:
        """None where few values are frequent enough to be learned: those are features of their own (``Category``)."""
        kept, _ = _frequent(column, MOST_CODES)
        return cls(column.name, kept, column.null_count() > 0) if len(kept) > FEW_CATEGORIES else None

    @property
    def features(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def size(self) -> int:
        """How many codes there are."""
        return 1 + self.missing + len(self.values)

    def write(self, column: polars.Series, encoded: np.ndarray) -> None:
        codes = _codes(column, self.values, other=-1) + 1
        codes[codes > 0] += self.missing
        codes[column.is_null().to_numpy()] = int(self.missing)
        encoded[:, 0] = codes


@dataclass(frozen=True)
class Moment:
    """Dates and times: the day as a standardised number, and its place in the year, the week and (for times) the day on
    circles, so that December lies beside January."""

    kind: ClassVar[str] = "moment"
    name: str
    scale: Scale
    """Of the days since 1970-01-01."""
    time: bool
    missing: bool
    trend: bool = True
    """Whether the day itself is a feature; not where rows are divided by it, for every later row lies outside."""

    @classmethod
    def fit(cls, column: polars.Series, *, trend: bool = True) -> Moment:
        days = _days(column)
        known = days[~np.isnan(days)]
        return cls(column.name, Scale.fit(known), bool((known % 1 != 0).any()), len(known) < len(days), trend)

    @property
    def features(self) -> tuple[str, ...]:
        circles = ("year", "week", "day") if self.time else ("year", "week")
        turning = [f"{self.name} {part} of {circle}" for circle in circles for part in ("sine", "cosine")]
        return (*[self.name] * self.trend, *turning, *[f"{self.name} missing"] * self.missing)

    def write(self, column: polars.Series, encoded: np.ndarray) -> None:
        days = _days(column)
        absent = np.isnan(days)
        known = np.where(absent, self.scale.center, days)
        if self.trend:
            encoded[:, 0] = self.scale.scaled(known)
        for circle, period in enumerate((365.2425, 7.0, 1.0) if self.time else (365.2425, 7.0)):
            angle = 2 * math.pi * np.remainder(known, period) / period
            encoded[:, 2 * circle + self.trend] = np.sin(angle)
            encoded[:, 2 * circle + self.trend + 1] = np.cos(angle)
        encoded[absent] = 0.0
        if self.missing:
            encoded[:, -1] = absent


Encoder = Number | Category | Coded | Moment
"""One column's way into the network."""
_ENCODERS: dict[str, type[Encoder]] = {kind.kind: kind for kind in (Number, Category, Coded, Moment)}


def encoder_to_dict(encoder: Encoder) -> dict[str, Any]:
    """Plain values from which ``encoder_from_dict`` makes the same encoder."""
    return {"kind": encoder.kind, **asdict(encoder)}


def encoder_from_dict(plain: dict[str, Any]) -> Encoder:
    """The encoder that ``encoder_to_dict`` wrote down."""
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in plain.items() if name != "kind"
    }
    if "scale" in fields:
        fields["scale"] = Scale.from_dict(fields["scale"])
    return _ENCODERS[plain["kind"]](**fields)


def _frequent(column: polars.Series, most: int) -> tuple[tuple[str, ...], int]:
    """The most frequent values that two rows or more hold, sorted; and how many different ones there are."""
    counts = sorted(column.drop_nulls().value_counts(name="rows").rows(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(sorted(value for value, rows in counts[:most] if rows > 1)), len(counts)


def _codes(column: polars.Series, values: tuple[str, ...], *, other: int) -> np.ndarray:
    """int64 ``(n,)``: the place of each value among ``values``."""
    import polars as pl

    return (
        _text(column)
        .replace_strict(
            pl.Series(values, dtype=pl.String), pl.Series(range(len(values)), dtype=pl.Int64), default=other,
            return_dtype=pl.Int64,
        )
        .to_numpy(writable=True)
    )  # fmt: skip


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
