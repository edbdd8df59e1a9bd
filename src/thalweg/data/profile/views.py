"""Every column as one row of plain numbers, to look at and compare, not to train on.

>>> looks = views(data.inputs, rows)
>>> looks[0].name, looks[0].values[:3], looks[0].category
('town', array([0., 2., nan]), True)
>>> looks[0].bins(16)                                # int64: which of at most 16 bins each row lies in; missing is the last

Texts are numbered by how frequent they are, dates become days. An array ``(n, features)`` has a view for each feature; of an
image there are brightness, contrast and sharpness of each channel, of a sequence mean, spread and change of each feature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars

MOST_CATEGORIES = 200
DAY = 86_400e6
"""Microseconds."""


@dataclass(frozen=True, eq=False)
class View:
    """``values`` float64 ``(n,)``, NaN where missing; for a category numbers into ``labels``, the last of them the rest."""

    name: str
    values: np.ndarray
    labels: tuple[str, ...] = ()
    days: bool = False
    """Whether the numbers are days since 1970-01-01."""

    @property
    def category(self) -> bool:
        return bool(self.labels)

    def bins(self, most: int) -> np.ndarray:
        """int64 ``(n,)``: equally full bins of the values, or the categories; where missing, a bin of its own."""
        known = ~np.isnan(self.values)
        found = self.values[known]
        if self.category:
            codes = np.minimum(found, most - 1).astype(np.int64)
        else:
            distinct = np.unique(found)
            if len(distinct) > most:
                distinct = np.unique(np.quantile(found, np.arange(1, most) / most, method="closest_observation"))
            codes = np.searchsorted(distinct, found)
        binned = np.full(len(self.values), codes.max(initial=-1) + 1)
        binned[known] = codes
        return binned


def views(inputs: polars.DataFrame | np.ndarray, rows: np.ndarray) -> list[View]:
    """A view of each column (of each feature, of each channel) at ``rows``."""
    if not isinstance(inputs, np.ndarray):
        return [view(column) for column in inputs[rows].iter_columns()]
    taken = inputs[rows]
    if taken.ndim == 2:
        return [View(f"x{feature}", taken[:, feature].astype(np.float64)) for feature in range(taken.shape[1])]
    return _of_images(taken) if taken.ndim == 4 else _of_sequences(taken.reshape(len(taken), taken.shape[1], -1))


def view(column: polars.Series) -> View:
    """One column of a table."""
    import polars as pl

    if column.dtype == pl.Duration:
        column = column.dt.total_microseconds() / 1e6
    if column.dtype in (pl.Date, pl.Datetime):
        moments = column.cast(pl.Datetime("us")).to_physical().cast(pl.Float64).to_numpy() / DAY
        return View(column.name, moments, days=True)
    if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        return View(column.name, _finite(column.cast(pl.Float64).to_numpy()))
    texts = as_texts(column)
    counts = texts.drop_nulls().value_counts(name="rows").sort(["rows", column.name], descending=[True, False])
    labels = counts[column.name].head(MOST_CATEGORIES).to_list()
    number = {label: index for index, label in enumerate(labels)}
    codes = texts.replace_strict(number, default=len(labels), return_dtype=pl.Float64) if number else texts
    values = codes.cast(pl.Float64).to_numpy(writable=True)
    values[texts.is_null().to_numpy()] = np.nan
    return View(column.name, values, (*labels, "any other"))


def as_texts(column: polars.Series) -> polars.Series:
    """A column of texts, also of what has no plain text form, such as lists."""
    import polars as pl

    if column.dtype.is_nested() or column.dtype in (pl.Binary, pl.Object):
        return pl.Series(column.name, [None if value is None else repr(value) for value in column.to_list()], pl.String)
    return column.cast(pl.String)


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def _of_images(images: np.ndarray) -> list[View]:
    found = []
    for channel in range(images.shape[1]):
        pixels = images[:, channel].astype(np.float32)
        steps = np.diff(pixels, axis=1) if pixels.shape[1] > 1 else np.zeros_like(pixels)
        of = f" of channel {channel + 1}" * (images.shape[1] > 1)
        found += [
            View(f"brightness{of}", pixels.mean((1, 2), dtype=np.float64)),
            View(f"contrast{of}", pixels.std((1, 2), dtype=np.float64)),
            View(f"sharpness{of}", np.abs(steps).mean((1, 2), dtype=np.float64)),
        ]
    return found


def _of_sequences(sequences: np.ndarray) -> list[View]:
    found = []
    for feature in range(sequences.shape[2]):
        values = sequences[:, :, feature].astype(np.float64)
        of = f" of feature {feature + 1}" * (sequences.shape[2] > 1)
        found += [
            View(f"mean{of}", values.mean(1)),
            View(f"spread{of}", values.std(1)),
            View(f"change{of}", values[:, -1] - values[:, 0]),
        ]
    return found
