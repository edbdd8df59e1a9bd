"""What is to be predicted, inferred from the target: two classes, several classes, or a number.

* words and booleans are classes;
* numbers with a fraction are a regression;
* whole numbers are classes where few different ones stand often: at most 20 of them, or at most 5 % of the rows (but never
  more than 200 classes from numbers); otherwise a count, a year or a price: a regression.

``task=`` overrules it.
"""

from __future__ import annotations

import numpy as np

from thalweg.errors import InputError

TASKS = ("binary", "multiclass", "regression")
FEW = 20
MOST_WORDS = 200


def infer_task(targets: np.ndarray, name: str = "the target") -> str:
    """``binary``, ``multiclass`` or ``regression`` for a target ``(n,)``. Raises ``InputError`` where it can be none."""
    distinct = len(np.unique(targets.astype(str) if targets.dtype == object else targets))
    if distinct < 2:
        raise InputError(f"{name} has only one value, {targets[0]!s}: there is nothing to learn")
    if targets.dtype.kind not in "if":
        if distinct > MOST_WORDS or (distinct > FEW and distinct > 0.5 * len(targets)):
            raise InputError(
                f"{name} is text with {distinct} different values in {len(targets)} rows: too many to be classes; "
                f"is it the right column?"
            )
        return "binary" if distinct == 2 else "multiclass"
    whole = targets.dtype.kind == "i" or bool(np.all(targets == np.round(targets)))
    if not whole or (distinct > FEW and (distinct > 0.05 * len(targets) or distinct > MOST_WORDS)):
        return "regression"
    return "binary" if distinct == 2 else "multiclass"


def class_names(targets: np.ndarray) -> tuple[str, ...]:
    """The classes in order: numbers by size, words by alphabet."""
    if targets.dtype.kind in "if":
        return tuple(_plain(value) for value in np.unique(targets))
    return tuple(sorted({str(value) for value in targets}, key=_sortable))


def class_numbers(targets: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
    """Targets as int64 positions in ``classes``."""
    if targets.dtype.kind in "if":
        values, inverse = np.unique(targets, return_inverse=True)
        names = [_plain(value) for value in values]
    else:
        names, inverse = np.unique(targets.astype(str), return_inverse=True)  # type: ignore[assignment]
    position = {name: index for index, name in enumerate(classes)}
    try:
        return np.array([position[str(name)] for name in names], dtype=np.int64)[inverse]
    except KeyError as error:
        raise InputError(
            f"the class {error.args[0]} was not among those trained on: {', '.join(classes[:10])}"
        ) from None


def _plain(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _sortable(text: str) -> tuple[int, float, str]:
    try:
        return (0, float(text), text)
    except ValueError:
        return (1, 0.0, text)
