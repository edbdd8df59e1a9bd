"""What about the columns themselves should make one wonder; each suspicion is a sentence with its evidence.

>>> [suspicion.sentence for suspicion in of_inputs(frame)]
['"country" is "DE" in every row: it says nothing.',
 '"customer" is different in every row: it names rows and cannot help with new ones.']

A suspicion is no verdict: nothing is left out because of it. Thresholds are set so that a table without the fault stays
without the sentence: the bundled sets raise none, nor do tables drawn at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thalweg.data.profile.views import as_texts
from thalweg.data.tabular import ROW_NUMBERS
from thalweg.data.wording import in_words

if TYPE_CHECKING:
    import polars

NEARLY_ALL = 0.95
FEWEST = 20
"""Rows below which being different in each says nothing."""
FAR = 50
"""Interquartile ranges from the median: no usual distribution goes so far in a million rows, save those with tails like a
Cauchy's."""
FAR_IN_LOGS = 5
"""Where all values are positive, the same for their logarithms: of a lognormal distribution, 5 are seven deviations."""
STAND_INS = (-1.0, -9.0, -99.0, -999.0, -9999.0, -99999.0, 99.0, 999.0, 9999.0, 99999.0, 999999.0)
"""Numbers that people write where a value is missing."""


@dataclass(frozen=True)
class Suspicion:
    """``kind`` is one of a few words, to be sorted by; ``columns`` are those it is about."""

    kind: str
    columns: tuple[str, ...]
    sentence: str


def of_inputs(inputs: polars.DataFrame | np.ndarray) -> tuple[Suspicion, ...]:
    """What can be seen without a target: constant, identifying, missing, mixed, far-out and repeated columns."""
    if isinstance(inputs, np.ndarray):
        return ()
    found = [suspicion for column in inputs.iter_columns() if (suspicion := _of_column(column)) is not None]
    dates = [column.name for column in inputs.iter_columns() if column.dtype.is_temporal()]
    if dates:
        sentence = (
            f"{in_words(dates)} {'says' if len(dates) == 1 else 'say'} when a row was: if the model is to predict "
            f"later rows, split by time (--time)."
        )
        found.append(Suspicion("dates", tuple(dates), sentence))
    return (*found, *_repeated_columns(inputs))


def _of_column(column: polars.Series) -> Suspicion | None:
    """The gravest suspicion of one column."""
    import polars as pl

    name, rows = column.name, len(column)
    missing = column.null_count()
    if missing == rows:
        return _said("constant", name, "has no value in any row: it says nothing.")
    if missing > NEARLY_ALL * rows:
        return _said("missing", name, f"is missing in {missing:,} of {rows:,} rows: what is left says little.")
    if column.dtype.is_nested() or column.dtype in (pl.Object, pl.Binary):
        return None
    known = column.drop_nulls()
    distinct = known.n_unique()
    if distinct == 1 and not missing:
        return _said("constant", name, f"is {_shown(known[0])} in every row: it says nothing.")
    if column.dtype == pl.String:
        return _of_text(known, distinct)
    if column.dtype.is_integer() and (identifying := _identifier(column, distinct)):
        return identifying
    if not column.dtype.is_numeric():
        return None
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is no suspicion
        return _of_number(known.cast(pl.Float64).to_numpy(), name)


def _of_text(known: polars.Series, distinct: int) -> Suspicion | None:
    import polars as pl

    name, rows = known.name, len(known)
    numbers = known.cast(pl.Float64, strict=False)
    readable = rows - numbers.null_count()
    if rows > readable >= 0.8 * rows:
        odd = known.filter(numbers.is_null()).unique(maintain_order=True).head(3).to_list()
        words = ", ".join(_shown(value) for value in odd)
        return _said(
            "mixed types",
            name,
            f"holds {readable:,} numbers and {rows - readable:,} texts, such as {words}: it is text.",
        )
    if distinct == rows >= FEWEST and known.str.len_chars().max() <= 64 and not known.str.contains(r"\s").any():  # type: ignore[operator]
        return _said("identifier", name, "is different in every row: it names rows and cannot help with new ones.")
    if distinct > max(20, rows / 2):
        return _said(
            "many categories", name, f"is text with {distinct:,} different values in {rows:,} rows: few of them repeat."
        )
    return None


def _identifier(column: polars.Series, distinct: int) -> Suspicion | None:
    import polars as pl

    if column.null_count() or distinct < len(column) or len(column) < FEWEST:
        return None
    name, values = column.name, column.cast(pl.Float64).to_numpy()
    if abs(np.diff(values)).max() == 1 and len(set(np.sign(np.diff(values)))) == 1:
        return _said("row numbers", name, "counts the rows one by one: it says nothing about a new one.")
    words = name.lower().replace("-", "_").split("_")
    if name.lower() in ROW_NUMBERS or "id" in words or "uuid" in words or name.endswith(("Id", "ID")):
        return _said("identifier", name, "is different in every row: it names rows and cannot help with new ones.")
    return None


def _of_number(values: np.ndarray, name: str) -> Suspicion | None:
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    width = high - low
    if not width or not np.isfinite(width):
        return None
    for number in STAND_INS:
        held = values == number
        rest = values[~held]
        if 3 <= held.sum() < len(values) / 2 and not (rest.min() - width <= number <= rest.max() + width):
            return _said(
                "stand-in",
                name,
                f"is {number:g} in {held.sum():,} rows, far from all others: does it mean a missing value?",
            )
    far = np.abs(values - middle) > FAR * width
    if values.min() > 0:  # amounts over several powers of ten are no mistakes
        low_log, high_log = np.log(low), np.log(high)
        far &= np.abs(np.log(values) - np.log(middle)) > FAR_IN_LOGS * (high_log - low_log)
    if far.any():
        most = values[np.abs(values - middle).argmax()]
        count = f"in {far.sum():,} rows, as far as {most:g}" if far.sum() > 1 else f"once, at {most:g}"
        return _said(
            "outliers",
            name,
            f"lies {count}, while half of its values lie between {low:g} and {high:g}: is that a mistake?",
        )
    return None


def _repeated_columns(frame: polars.DataFrame) -> list[Suspicion]:
    """Columns with the values of another one; one of a pair with a few values may be so by nature."""
    import polars as pl

    seen: dict[tuple[object, ...], str] = {}
    found = []
    for column in frame.iter_columns():
        plain = as_texts(column) if column.dtype.is_nested() or column.dtype == pl.Object else column
        if plain.drop_nulls().n_unique() < 3:
            continue
        key = (str(plain.dtype), plain.null_count(), int(plain.hash().sum()), *plain.head(3).to_list())
        if key in seen and frame[seen[key]].equals(column, null_equal=True):
            found.append(_said("repeated column", column.name, f'holds the same values as "{seen[key]}".'))
        else:
            seen[key] = column.name
    return found


def _said(kind: str, name: str, what: str) -> Suspicion:
    return Suspicion(kind, (name,), f'"{name}" {what}')


def _shown(value: object) -> str:
    """A value in a sentence: short, and texts in quotation marks."""
    if isinstance(value, str):
        return f'"{value if len(value) <= 40 else value[:39] + "…"}"'
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
