"""A table's columns side by side as one array of numbers, and which columns are left out.

>>> encoder, notes = TableEncoder.fit(frame, rows)
>>> encoder.encode(other_frame)                # float32 (n, features); columns in any order, unknown ones ignored
>>> notes
['The column "id" numbers the rows and is left out.']

Left out are columns that say nothing about a new row: those that number the rows and have a name for that, and texts that are
different in most rows (identifiers, names, free text). A text of few values is one feature for each of them; of many values one
feature, a whole number to be embedded (``embedded``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from thalweg.data.columns import (
    Category,
    Coded,
    Encoder,
    Moment,
    Number,
    encoder_from_dict,
    encoder_to_dict,
)
from thalweg.data.sources.table import as_frame
from thalweg.data.wording import in_words
from thalweg.errors import InputError
from thalweg.wording import nearest

if TYPE_CHECKING:
    import polars


ROW_NUMBERS = ("", "#", "id", "index", "idx", "no", "nr", "row", "row_id", "unnamed: 0", "level_0")
"""What a column is called that numbers the rows (a frame's index, written without a name, is one)."""


class Embedded(NamedTuple):
    """A feature of the encoded table that holds whole numbers from 0 to ``size`` (without it), to be embedded."""

    name: str
    feature: int
    """Its place among the features."""
    size: int


@dataclass(frozen=True)
class TableEncoder:
    """The encoders of all columns that are used, in the order of the training table."""

    kind: ClassVar[str] = "table"
    columns: tuple[Encoder, ...]

    @classmethod
    def fit(
        cls,
        frame: polars.DataFrame,
        rows: np.ndarray,
        *,
        scale: str = "standard",
        embed: bool = True,
        time_name: str | None = None,
    ) -> tuple[TableEncoder, list[str]]:
        """Learns every column from ``rows``; the second value are sentences on what was left out.

        Numbers come on the ``scale``; with ``embed`` texts of many values become codes. ``time_name`` is the column by whose
        order rows are divided.
        """
        import polars as pl

        encoders: list[Encoder] = []
        notes: list[str] = []
        constant = []
        for column in frame[rows].iter_columns():
            reason = _useless(column, rows)
            if not reason and _counts_rows(column, rows):
                notes.append(
                    f'The column "{column.name}" rises by one from row to row: remove it if it only numbers them.'
                )
            if reason:
                notes.append(f'The column "{column.name}" {reason} and is left out.')
            elif column.dtype == pl.String:
                encoders.append((Coded.fit(column) if embed else None) or Category.fit(column))
            elif column.dtype in (pl.Date, pl.Datetime):
                encoders.append(Moment.fit(column, trend=column.name != time_name))
            else:
                number = Number.fit(column, scale=scale)
                encoders.append(number)
                constant += [column.name] * (number.scale.spread == 0)
        if time_name is not None:
            used = "only its place in the year and the week is" if time_name in frame.columns else "it is not"
            notes.append(
                f'The column "{time_name}" says when a row came: {used} learned from, for later rows lie outside of the rest.'
            )
        if constant:
            notes.append(f"The same in every training row, and therefore set to 0: {in_words(constant)}.")
        if not encoders:
            raise InputError(f"no column is left to learn from: {' '.join(notes)}")
        return cls(tuple(encoders)), notes

    @property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(name for column in self.columns for name in column.features)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (len(self.feature_names),)

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns whose values are texts, even where a new file has numbers alone in them."""
        return tuple(column.name for column in self.columns if isinstance(column, Category | Coded))

    @property
    def embedded(self) -> tuple[Embedded, ...]:
        """The features that are codes."""
        found, feature = [], 0
        for column in self.columns:
            if isinstance(column, Coded):
                found.append(Embedded(column.name, feature, column.size))
            feature += len(column.features)
        return tuple(found)

    def encode(self, source: Any) -> np.ndarray:
        """float32 ``(n, features)``."""
        if isinstance(source, np.ndarray):
            raise InputError("the model was trained on a table with named columns: give a frame or a file, no array")
        frame = as_frame(source, texts=self.texts)
        encoded = np.zeros((frame.height, *self.input_shape), np.float32)
        start = 0
        for column in self.columns:
            if column.name not in frame.columns:
                raise InputError(_missing_column(column.name, frame.columns))
            end = start + len(column.features)
            column.write(frame[column.name], encoded[:, start:end])
            start = end
        return encoded

    def to_dict(self) -> dict[str, Any]:
        return {"columns": [encoder_to_dict(column) for column in self.columns]}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> TableEncoder:
        return cls(tuple(encoder_from_dict(column) for column in plain["columns"]))


def _useless(column: polars.Series, rows: np.ndarray) -> str:
    """Why a column cannot help with new rows; empty if it may."""
    import polars as pl

    if column.dtype == pl.String:
        known = len(column) - column.null_count()
        different = column.drop_nulls().n_unique()
        if different > max(20, known / 2):
            numbers = column.str.contains(r"^[+-]?\d{1,3}([.,]\d{3})*,\d+$|^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$").sum()
            if numbers * 2 > known:
                return "holds numbers with a decimal comma or separated thousands, which are not guessed at: it is text"
            return f"is text with {different:,} different values in {known:,} rows"
    elif column.name.lower() in ROW_NUMBERS and _counts_rows(column, rows):
        return "numbers the rows"
    elif not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Date, pl.Datetime, pl.Duration, pl.Null)):
        return f"holds values of type {column.dtype}, which no encoding is known for,"
    return ""


def _counts_rows(column: polars.Series, rows: np.ndarray) -> bool:
    import polars as pl

    if not column.dtype.is_integer() or column.null_count() or len(column) < 2:
        return False
    return bool((column.cast(pl.Int64, strict=False).to_numpy() - rows == column[0] - rows[0]).all())


def _missing_column(name: str, there: list[str]) -> str:
    near = nearest(name, there)
    hint = f'is "{near}" meant?' if near else f"there are {in_words(there)}"
    return f'the column "{name}", which the model was trained on, is missing: {hint}'
