"""Rows of a further source below those there are: a dev or test part that lies in a file of its own.

>>> data = joined(data, read("new-houses.csv", target=("price",), texts=raw.texts), TEST)
>>> data.assigned[-1]
2

Both need the same columns, in any order, or rows of one shape; others are ignored. Values are read as in the first source.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from thalweg.data.dataset import DEV, TRAIN, Data, type_in_words
from thalweg.data.sources.reading import Raw
from thalweg.data.targets import read_more
from thalweg.data.wording import in_words
from thalweg.errors import InputError
from thalweg.wording import nearest

if TYPE_CHECKING:
    import polars


def joined(data: Data, more: Raw, part: int) -> Data:
    """The data with the rows of ``more`` at its end, assigned to ``part`` (as in ``Data``).

    Raises ``InputError`` where ``more`` is of another kind, lacks a column, holds what cannot be read as in training, or a
    class that no training row has; or where such a part is there already.
    """
    word = "dev" if part == DEV else "test"
    assigned = np.full(len(data), TRAIN, np.int8) if data.assigned is None else data.assigned
    if (assigned == part).any():
        raise InputError(f"{data.name} has a {word} part of its own: leave {word} out")
    names = data.target_names
    if len(more.names) != len(names):
        raise InputError(
            f"{more.where} has {len(more.names)} targets and the training data {len(names)}: give the same"
        )
    columns = [
        read_more(values, name=name, classes=data.classes, where=more.where)
        for values, name in zip(more.targets, names, strict=True)
    ]
    targets = np.column_stack(columns) if len(names) > 1 else columns[0]
    if len(targets) != len(more.inputs):
        raise InputError(
            f"{more.where}: the inputs have {len(more.inputs):,} rows and the targets {len(targets):,}: "
            f"give one target for each row"
        )
    return replace(
        data,
        inputs=_below(data.inputs, more),
        targets=np.concatenate([data.targets, targets]),
        assigned=np.concatenate([assigned, np.full(len(targets), part, np.int8)]),
    )


def _below(inputs: polars.DataFrame | np.ndarray, more: Raw) -> polars.DataFrame | np.ndarray:
    import polars as pl

    if isinstance(inputs, np.ndarray):
        if not isinstance(more.inputs, np.ndarray):
            raise InputError(f"{more.where} is a table and the training data an array: give the same kind")
        if more.inputs.shape[1:] != inputs.shape[1:]:
            raise InputError(
                f"{more.where} has rows of shape {more.inputs.shape[1:]} and the training data {inputs.shape[1:]}: "
                f"give rows of one shape"
            )
        return np.concatenate([inputs, more.inputs])
    if isinstance(more.inputs, np.ndarray):
        raise InputError(f"{more.where} is an array and the training data a table: give the same kind")
    columns = []
    for like in inputs.iter_columns():
        if like.name not in more.inputs.columns:
            near = nearest(like.name, more.inputs.columns)
            hint = f'is "{near}" meant?' if near else f"there are {in_words(more.inputs.columns)}"
            raise InputError(f'{more.where}: the column "{like.name}" of the training data is missing: {hint}')
        columns.append(_alike(more.inputs[like.name], like, more.where))
    return pl.concat([inputs, pl.DataFrame(columns)], how="vertical_relaxed")


def _alike(column: polars.Series, like: polars.Series, where: str) -> polars.Series:
    """The column in the type of the training rows; numbers of another kind are left for a common one."""
    import polars as pl

    if column.dtype == like.dtype or (column.dtype.is_numeric() and like.dtype.is_numeric()):
        return column
    dates = {column.dtype.base_type(), like.dtype.base_type()} <= {pl.Date, pl.Datetime}
    if dates or like.dtype == pl.String or column.null_count() == len(column):
        return column.cast(like.dtype, strict=False)
    kind = type_in_words(like)
    if column.dtype == pl.String:
        read = column.cast(like.dtype, strict=False) if like.dtype.is_numeric() else column.clear(len(column))
        row = (read.is_null() & column.is_not_null()).arg_max() or 0
        raise InputError(
            f'{where}: the column "{column.name}" holds {column[row]!r} in row {row + 1}, and in training values of type '
            f"{kind}: correct it, or leave it empty if it is missing"
        )
    raise InputError(
        f'{where}: the column "{column.name}" holds values of type {column.dtype}, and in training {like.dtype}: '
        f"give the same"
    )
