"""From a column of answers to a task: are these classes, or amounts?

>>> infer_task(["cat", "dog", "cat", "cow"])
'multiclass'
>>> infer_task([1.5, 2.25, 9.0])
'regression'

The rules, in their order; ``task=`` overrules them:

1. Texts and yes/no values are classes.
2. Numbers of which one has a fraction are amounts: a regression.
3. Whole numbers (``3`` or ``3.0``) of two different values are classes (binary).
4. Whole numbers of at most 20 different values, each held by two rows or more on average, are classes; so are up to 100
   different values if they make at most 5 % of the rows. All other whole numbers are amounts.

Two classes make a ``binary`` task (one output, a logistic loss), more a ``multiclass`` one. Several columns are several outputs
of one regression.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.data.wording import rows_in_words
from thalweg.errors import InputError

if TYPE_CHECKING:
    import polars

TASKS = ("binary", "multiclass", "regression")
MOST_CLASSES = 100
"""More classes than this are believed of a text only if the user says that it is one."""


def infer_task(targets: Any) -> str:
    """``binary``, ``multiclass`` or ``regression`` for ``(n,)`` targets without missing values, by the rules above."""
    import polars as pl

    values = as_series(targets, "target")
    distinct = values.n_unique()
    if values.dtype in (pl.Boolean, pl.String):
        return "binary" if distinct == 2 else "multiclass"
    if values.dtype.is_float() and not (values == values.round()).all():
        return "regression"
    if distinct == 2:
        return "binary"
    few = distinct <= 20 and distinct * 2 <= len(values)
    many_rows_each = distinct <= MOST_CLASSES and distinct <= 0.05 * len(values)
    return "multiclass" if few or many_rows_each else "regression"


def as_series(values: Any, name: str) -> polars.Series:
    """A polars column of numbers, texts or booleans; raises ``InputError`` for anything else, such as dates or lists."""
    import polars as pl

    if isinstance(values, pl.Series):
        series = values
    else:
        array = np.asarray(values)
        if array.ndim != 1:
            raise InputError(
                f"{name} has shape {array.shape}: give one number or label for each row, shape ({len(array)},)"
                if array.ndim
                else f"{name} is a single value: give one for each row"
            )
        if array.dtype == np.float16:
            array = array.astype(np.float32)
        try:
            series = pl.Series(name, array.tolist() if array.dtype.kind in "OUST" else array)
        except (TypeError, ValueError, pl.exceptions.PolarsError):
            raise InputError(f"{name} mixes values of several types: give numbers only, or texts only") from None
    if series.dtype in (pl.Categorical, pl.Enum):
        series = series.cast(pl.String)
    if isinstance(series.dtype, pl.Decimal):
        series = series.cast(pl.Float64)
    if not (series.dtype.is_numeric() or series.dtype in (pl.Boolean, pl.String, pl.Null)):
        raise InputError(f'the target "{name}" is of type {series.dtype}: give numbers or labels')
    return series


def read_targets(
    values: Any, *, name: str, task: str | None = None, believe_text: bool = False
) -> tuple[str, np.ndarray, tuple[str, ...] | None]:
    """The task, targets ``(n,)`` as ``Data`` holds them, and class names in their natural order (None for a regression).

    With ``believe_text`` texts of any number are classes. Raises ``InputError`` for values that are missing or not
    finite, one class alone, or a task that the values do not allow.
    """
    if task is not None and task not in TASKS:
        raise InputError(f'there is no task "{task}": choose among {", ".join(TASKS)}')
    series = as_series(values, name)
    _refuse_missing(series, name)
    chosen = task or infer_task(series)
    if chosen == "regression":
        return chosen, _amounts(series, name), None
    return (chosen, *_classes(series, name, chosen, believe=believe_text or task is not None))


def read_outputs(columns: Sequence[Any], *, names: Sequence[str], task: str | None = None) -> np.ndarray:
    """float64 ``(n, k)`` from k columns of amounts. Raises ``InputError`` for a task that is no regression, and as
    ``read_targets`` does."""
    if task not in (None, "regression"):
        raise InputError(
            f"{len(names)} targets cannot be a {task} task: several targets are a regression, or choose one"
        )
    return np.column_stack(
        [read_targets(values, name=name, task="regression")[1] for values, name in zip(columns, names, strict=True)]
    )


def read_more(values: Any, *, name: str, classes: tuple[str, ...] | None, where: str) -> np.ndarray:
    """Targets ``(n,)`` of further rows, in the classes (or as amounts) that the training rows have.

    Raises ``InputError`` naming the row with a value that is missing, or of a class that no training row has.
    """
    import polars as pl

    try:
        series = as_series(values, name)
        _refuse_missing(series, name)
        if classes is None:
            return _as_numbers(series, name)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    labels = pl.Series([label_of(value) for value in series], dtype=pl.String)
    known = labels.is_in(classes)
    if not known.all():
        row = known.arg_min() or 0
        raise InputError(
            f'{where}: the target "{name}" is {labels[row]!r} in row {row + 1}, a class that no training row has: '
            f"remove the row, or add such rows to the training data"
        )
    return labels.replace_strict(list(classes), list(range(len(classes))), return_dtype=pl.Int64).to_numpy()


def label_of(value: Any) -> str:
    """The name of a class: ``3`` for 3 and 3.0, ``true`` for True, a text as it is."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    return str(value)


def naturally(labels: Iterable[str]) -> list[str]:
    """Sorted with the numbers in them taken as numbers: ``-1, 2, 10`` and ``level 2, level 10``."""
    labels = list(labels)
    try:
        return sorted(labels, key=lambda label: (float(label), label))
    except ValueError:
        return sorted(labels, key=lambda label: ([(not part.isdecimal(), int(part) if part.isdecimal() else 0, part)
                                                  for part in re.split(r"(\d+)", label)], label))  # fmt: skip


def _refuse_missing(series: polars.Series, name: str) -> None:
    missing = series.is_null()
    if series.dtype.is_float():
        missing = missing | series.is_nan().fill_null(False)
    if missing.any():
        raise InputError(
            f'the target "{name}" has no value in {rows_in_words(missing.arg_true().to_list())}: '
            f"remove these rows or fill them in"
        )
    if series.dtype.is_float() and series.is_infinite().any():
        raise InputError(
            f'the target "{name}" is infinite in {rows_in_words(series.is_infinite().arg_true().to_list())}: '
            f"remove these rows or correct them"
        )


def _amounts(series: polars.Series, name: str) -> np.ndarray:
    amounts = _as_numbers(series, name)
    if (amounts == amounts[0]).all():
        raise InputError(f'the target "{name}" is {amounts[0]:g} in every row: there is nothing to learn')
    with np.errstate(over="ignore"):
        if not np.isfinite(amounts.std()):
            raise InputError(f'the target "{name}" holds amounts too large to be squared: give it in larger units')
    return amounts


def _as_numbers(series: polars.Series, name: str) -> np.ndarray:
    import polars as pl

    if series.dtype == pl.String:
        numbers = series.str.strip_chars().cast(pl.Float64, strict=False)
        if numbers.null_count():
            row = numbers.is_null().arg_true()[0]
            raise InputError(
                f'the target "{name}" holds {series[row]!r} in row {row + 1}, which is no number: '
                f"correct it, or leave the task to be classes"
            )
        series = numbers
    return series.cast(pl.Float64).to_numpy()


def _classes(series: polars.Series, name: str, task: str, *, believe: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    import polars as pl

    label_of_value = {value: label_of(value) for value in series.unique()}
    classes = naturally(set(label_of_value.values()))
    if len(classes) == 1:
        raise InputError(f'the target "{name}" is {classes[0]!r} in every row: at least two classes are needed')
    if task == "binary" and len(classes) != 2:
        raise InputError(
            f'the target "{name}" has {len(classes):,} different values: a binary task has two; choose multiclass'
        )
    if len(classes) > MOST_CLASSES and not believe:
        raise InputError(_too_many_texts(series, name, len(classes)))
    number = {label: index for index, label in enumerate(classes)}
    codes = series.replace_strict(
        pl.Series(list(label_of_value), dtype=series.dtype),
        pl.Series([number[label] for label in label_of_value.values()], dtype=pl.Int64),
    )
    return codes.to_numpy(), tuple(classes)


def _too_many_texts(series: polars.Series, name: str, classes: int) -> str:
    import polars as pl

    no_number = series.cast(pl.Float64, strict=False).is_null()
    if no_number.sum() * 2 < len(series):
        row = no_number.arg_true()[0]
        return (
            f'the target "{name}" holds {series[row]!r} in row {row + 1} among numbers: '
            f"correct it or remove the row ({int(no_number.sum()):,} values are no numbers)"
        )
    return (
        f'the target "{name}" has {classes:,} different texts, too many for classes: choose another target, '
        f'or say task = "multiclass" if they are classes indeed'
    )
