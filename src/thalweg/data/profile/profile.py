"""What is in a data set, column by column, and what about it should make one wonder.

>>> found = profile(load("houses.csv", target="price"))
>>> found.columns[0]
Column(name='rooms', type='number', missing=0, distinct=9, minimum=1.0, quartiles=(3.0, 4.0, 5.0), maximum=12.0, …)
>>> [suspicion.sentence for suspicion in found.suspicions]
['"price_eur" is the target "price" times 1000: it gives the answer away; leave it out.']

``profile(frame)`` tells of a table for which no target is chosen yet. ``split`` lets duplicates across parts be seen.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.data.dataset import Data, type_in_words
from thalweg.data.profile.leakage import of_target
from thalweg.data.profile.suspicions import Suspicion, of_inputs
from thalweg.data.profile.views import as_texts
from thalweg.data.split import Split

if TYPE_CHECKING:
    import polars

MOST_FREQUENT = 5


@dataclass(frozen=True)
class Column:
    """One column of a table. Numbers have a range and moments; dates and times a range, as ISO texts; texts neither."""

    name: str
    type: str
    """``number``, ``yes or no``, ``text``, ``date``, ``date and time``, or the type's own name."""
    missing: int
    distinct: int
    """Different values, without the missing."""
    minimum: float | str | None = None
    quartiles: tuple[float, float, float] | None = None
    maximum: float | str | None = None
    mean: float | None = None
    sd: float | None = None
    frequent: tuple[tuple[str, int], ...] = ()
    """The most frequent values with their rows; empty where no value is there twice."""


@dataclass(frozen=True)
class Array:
    """Inputs that are an array; ``shape`` is that of one example."""

    shape: tuple[int, ...]
    type: str
    minimum: float
    maximum: float
    mean: float
    sd: float
    missing: int
    """Numbers that are NaN."""
    constant: tuple[int, ...]
    """Features of the flattened example that are the same in every row."""


@dataclass(frozen=True)
class Target:
    """What is to be predicted: classes with their rows, or how the amounts are distributed."""

    name: str
    classes: dict[str, int] | None = None
    majority: float | None = None
    """The share of the largest class: what guessing it always would reach."""
    ratio: float | None = None
    """Rows of the largest class for each of the smallest."""
    minimum: float | None = None
    quartiles: tuple[float, float, float] | None = None
    maximum: float | None = None
    mean: float | None = None
    sd: float | None = None
    skew: float | None = None
    """The third standardised moment: 0 for a symmetric distribution, 2 for an exponential one."""
    outliers: int | None = None
    """Rows further than three interquartile ranges outside the quartiles (Tukey 1977: far out)."""


@dataclass(frozen=True)
class Profile:
    """``columns`` of a table, or ``array``; a target or more, if one is chosen."""

    name: str
    task: str | None
    rows: int
    columns: tuple[Column, ...]
    array: Array | None
    targets: tuple[Target, ...]
    suspicions: tuple[Suspicion, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def profile(data: Data | polars.DataFrame, *, split: Split | None = None, seed: int = 0) -> Profile:
    """Looks at every row of the columns; what is searched for among them (copies of the target) at a sample of the rows."""
    if not isinstance(data, Data):
        columns = tuple(_column(column) for column in data.iter_columns())
        return Profile("", None, data.height, columns, None, (), of_inputs(data))
    columns, array = (), None
    if isinstance(data.inputs, np.ndarray):
        array = _array(data.inputs)
    else:
        columns = tuple(_column(column) for column in data.inputs.iter_columns())
    suspicions = of_inputs(data.inputs) + of_target(data, split=split, seed=seed)
    return Profile(data.name, data.task, len(data), columns, array, _targets(data), suspicions)


def _column(column: polars.Series) -> Column:
    import polars as pl

    known, kind = column.drop_nulls(), type_in_words(column)
    texts = as_texts(column).drop_nulls() if column.dtype.is_nested() or column.dtype == pl.Object else known
    distinct = texts.n_unique() if len(texts) else 0
    first = Column(column.name, kind, column.null_count(), distinct, frequent=_frequent(texts, distinct))
    if not len(known):
        return first
    if column.dtype in (pl.Date, pl.Datetime):
        return replace(first, minimum=str(known.min()), maximum=str(known.max()))
    if kind != "number":
        return first
    if column.dtype == pl.Duration:
        known = known.dt.total_microseconds() / 1e6
    values = known.cast(pl.Float64).to_numpy()
    return replace(first, **_spread(values[np.isfinite(values)]))


def _spread(values: np.ndarray) -> dict[str, Any]:
    if not len(values):
        return {}
    with np.errstate(over="ignore", invalid="ignore"):
        low, *quartiles, high = (float(value) for value in np.quantile(values, (0, 0.25, 0.5, 0.75, 1)))
        mean, sd = float(values.mean()), float(values.std())
    return {"minimum": low, "quartiles": tuple(quartiles), "maximum": high, "mean": mean, "sd": sd}


def _frequent(known: polars.Series, distinct: int) -> tuple[tuple[str, int], ...]:
    if distinct == len(known):
        return ()
    counts = known.alias("value").value_counts(name="rows").sort(["rows", "value"], descending=[True, False])
    return tuple((_text(value), rows) for value, rows in counts.head(MOST_FREQUENT).rows())


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _array(inputs: np.ndarray) -> Array:
    flat = inputs.reshape(len(inputs), -1)
    absent = int(np.isnan(flat).sum()) if flat.dtype.kind == "f" else 0
    low, high = (np.fmin.reduce(flat), np.fmax.reduce(flat)) if flat.dtype.kind == "f" else (flat.min(0), flat.max(0))
    floats = flat.dtype.kind == "f"
    mean = float((np.nanmean if floats else np.mean)(flat, dtype=np.float64))
    sd = float((np.nanstd if floats else np.std)(flat, dtype=np.float64))
    constant = tuple(int(feature) for feature in np.flatnonzero(low == high))
    extremes = float(np.fmin.reduce(low)), float(np.fmax.reduce(high))
    return Array(tuple(inputs.shape[1:]), str(inputs.dtype), *extremes, mean, sd, absent, constant)


def _targets(data: Data) -> tuple[Target, ...]:
    if data.classes is not None:
        counts = np.bincount(data.targets, minlength=len(data.classes))
        classes = dict(zip(data.classes, counts.tolist(), strict=True))
        ratio = float(counts.max() / max(counts.min(), 1))
        return (Target(data.target_name, classes, float(counts.max() / counts.sum()), ratio),)
    amounts = data.targets.reshape(len(data.targets), -1)
    names = data.target_names or (data.target_name,)
    return tuple(_amounts(name, amounts[:, number]) for number, name in enumerate(names))


def _amounts(name: str, values: np.ndarray) -> Target:
    found = _spread(values)
    low, _, high = found["quartiles"]
    reach = 3 * (high - low)
    scaled = (values - found["mean"]) / (found["sd"] or 1.0)
    outliers = int(((values < low - reach) | (values > high + reach)).sum()) if reach else 0
    return Target(name, **found, skew=float((scaled**3).mean()), outliers=outliers)
