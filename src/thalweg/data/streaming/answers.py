"""The target of rows that are never together in memory: one pass says whether they are classes or amounts, and which.

>>> answers = Answers.gather(source, task=None)
>>> answers.task, answers.classes
('binary', ('no', 'yes'))
>>> answers.encode(raw, source, span)             # int64 class numbers, or float64 amounts

The rules are those of data in memory (``targets``). They ask how many different values there are and how often each comes on
average, so they are asked about the different values, each repeated as often as it matters. Beyond 10,000 different values
nothing is kept but their number, mean, standard deviation and range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.data.sources.table import MISSING, typed
from thalweg.data.streaming.source import Source, Span
from thalweg.data.targets import as_series, read_targets
from thalweg.errors import InputError

if TYPE_CHECKING:
    import polars

MOST_VALUES = 10_000
OFTEN_ENOUGH = 20
"""A value that comes as often on average passes every rule of ``infer_task`` on how often values come."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What the targets of all rows are. Made by ``gather``."""

    task: str
    classes: tuple[str, ...] | None
    counts: np.ndarray | None
    """Rows of each class, int64; None for a regression."""
    moments: Moments
    _values: polars.Series
    _codes: np.ndarray

    @classmethod
    def gather(cls, source: Source, task: str | None) -> Answers:
        """One pass over the targets. Raises ``InputError`` naming the file and row of a target that is missing."""
        import polars as pl

        moments, tally, all_kept = Moments(), None, True
        for span in source.spans(row_bytes=64):
            series = _normal(source.answers(span), source, span)
            moments = moments.joined(series.cast(pl.Float64, strict=False).drop_nulls().to_numpy())
            if all_kept:
                found = pl.DataFrame({"value": series}).group_by("value", maintain_order=True).len("rows")
                tally = found if tally is None else pl.concat([tally, found], how="vertical_relaxed")
                tally = tally.group_by("value", maintain_order=True).agg(pl.col("rows").cast(pl.Int64).sum())
                all_kept = tally.height <= MOST_VALUES
        if tally is None:
            raise InputError(f"{source.name} has no rows: give data with rows")
        values = tally["value"]
        if not all_kept and task in ("binary", "multiclass"):
            raise InputError(
                f'the target "{source.target}" has more than {MOST_VALUES:,} different values, too many for classes: '
                f"choose another target, or a regression"
            )
        readable = typed(values)
        each = max(min(OFTEN_ENOUGH, source.rows // len(values)), 1)
        chosen, codes, classes = read_targets(pl.concat([readable] * each), name=source.target, task=task)
        if classes is None:
            return cls(chosen, None, None, moments, values, codes)
        codes = codes[: len(values)]
        counts = np.bincount(codes, weights=tally["rows"].to_numpy(), minlength=len(classes)).astype(np.int64)
        return cls(chosen, classes, counts, moments, values, codes)

    def encode(self, raw: Any, source: Source, span: Span) -> np.ndarray:
        """Targets ``(n,)`` as ``Data`` holds them. Raises ``InputError`` naming a row that is not as it was at first."""
        import polars as pl

        series = _normal(raw, source, span)
        if self.classes is None:
            known = series.cast(pl.Float64, strict=False)
        else:
            codes = pl.Series(self._codes, dtype=pl.Int64)
            known = series.replace_strict(self._values, codes, default=None, return_dtype=pl.Int64)
        if known.null_count():
            row = known.is_null().arg_true()[0]
            raise InputError(
                f'{source.where(span, row)}: the target "{source.target}" is {series[row]!r}, which is no '
                f"{'class of these data' if self.classes else 'number'}: correct it or remove the row"
            )
        return known.to_numpy()


@dataclass(frozen=True)
class Moments:
    """Number, mean, sum of squared differences from it, and range; of parts they join to those of the whole (Chan, Golub,
    LeVeque 1983)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf

    @property
    def sd(self) -> float:
        return math.sqrt(self.squares / max(self.count, 1))

    def joined(self, values: np.ndarray) -> Moments:
        if not len(values):
            return self
        count, mean = self.count + len(values), float(values.mean())
        between = (mean - self.mean) ** 2 * self.count * len(values) / count
        return Moments(
            count,
            self.mean + (mean - self.mean) * len(values) / count,
            self.squares + float(np.square(values - mean).sum()) + between,
            min(self.minimum, float(values.min())),
            max(self.maximum, float(values.max())),
        )


def _normal(raw: Any, source: Source, span: Span) -> polars.Series:
    """Numbers as Float64, texts stripped, yes/no values; raises ``InputError`` where one is missing or not finite."""
    import polars as pl

    series = as_series(raw, source.target).alias("value")
    if series.dtype == pl.String:
        series = series.str.strip_chars()
        series = series.set(series.is_in(MISSING), None)
    elif series.dtype != pl.Boolean:
        series = series.cast(pl.Float64).fill_nan(None)
    if series.null_count():
        row = series.is_null().arg_true()[0]
        raise InputError(
            f'{source.where(span, row)}: the target "{source.target}" has no value: remove such rows or fill them in'
        )
    if series.dtype == pl.Float64 and series.is_infinite().any():
        row = series.is_infinite().arg_true()[0]
        raise InputError(
            f'{source.where(span, row)}: the target "{source.target}" is infinite: remove such rows or correct them'
        )
    return series
