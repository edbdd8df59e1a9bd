"""What was loaded: inputs, targets and what they are called, before any scaling or encoding.

>>> data = load("wine")
>>> data.task, data.classes, len(data)
('multiclass', ('class_0', 'class_1', 'class_2'), 178)
>>> data.profile()["columns"][0]
{'name': 'alcohol', 'type': 'number', 'missing': 0}
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.errors import InputError

if TYPE_CHECKING:
    import polars

FEWEST_ROWS = 10
FREE, TRAIN, DEV, TEST = -1, 0, 1, 2


@dataclass(frozen=True, eq=False)
class Data:
    """A data set, checked: no row without a target, at least ten rows, at least two classes.

    Raises ``InputError`` where inputs and targets do not fit each other, or there are too few rows to learn from.
    """

    name: str
    task: str
    """``binary``, ``multiclass`` or ``regression``."""
    inputs: polars.DataFrame | np.ndarray
    """A table of n rows, or an array: ``(n, features)``, images ``(n, C, H, W)``, sequences ``(n, T, features)``."""
    targets: np.ndarray
    """``(n,)``: for classes int64 numbers into ``classes``, for a regression float64 in the user's units; ``(n, k)`` for
    a regression of several outputs."""
    target_name: str = "target"
    classes: tuple[str, ...] | None = None
    target_names: tuple[str, ...] = ()
    """A name for each output of a regression; for one, and for classes, ``target_name`` alone."""
    weights: np.ndarray | None = None
    """float64 ``(n,)``, 0 or more: what each row counts in the cost."""
    groups: np.ndarray | None = None
    """int64 ``(n,)``: rows of one number belong together and stand in one part."""
    time: np.ndarray | None = None
    """float64 ``(n,)``, in which order rows came about; of dates the microseconds since 1970."""
    time_name: str | None = None
    """The column that ``time`` was read from; a date stays among the inputs, a number does not."""
    assigned: np.ndarray | None = None
    """int8 ``(n,)``: the part of a row that the user or the data set chose, one of ``FREE``, ``TRAIN``, ``DEV``, ``TEST``."""

    def __post_init__(self) -> None:
        if not self.target_names:
            object.__setattr__(self, "target_names", (self.target_name,))
        if len(self.inputs) != len(self.targets):
            raise InputError(
                f"{self.name}: the inputs have {len(self.inputs):,} rows and the targets {len(self.targets):,}: "
                f"give one target for each row"
            )
        if len(self.targets) < FEWEST_ROWS:
            raise InputError(
                f"{self.name} has {len(self.targets)} rows: at least {FEWEST_ROWS} are needed to train and measure"
            )

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: np.ndarray) -> Data:
        """Some rows as data of their own, free to be divided anew."""
        weights, groups, time = (None if v is None else v[rows] for v in (self.weights, self.groups, self.time))
        return replace(
            self,
            inputs=self.inputs[rows],
            targets=self.targets[rows],
            weights=weights,
            groups=groups,
            time=time,
            assigned=None,
        )

    def truth(self, rows: np.ndarray) -> polars.DataFrame:
        """The targets of some rows as the user knows them: columns ``true NAME`` of class names or amounts."""
        import polars as pl

        values = self.targets[rows]
        if self.classes is not None:
            return pl.DataFrame({f"true {self.target_name}": np.asarray(self.classes, dtype=object)[values].tolist()})
        columns = values.reshape(len(values), -1).T
        return pl.DataFrame({f"true {name}": column for name, column in zip(self.target_names, columns, strict=True)})

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all that is learned from or decides the parts: the same content gives the same, whatever it was
        read from."""
        digest = hashlib.sha256()
        if isinstance(self.inputs, np.ndarray):
            _add_array(digest, self.inputs)
        else:
            for column in self.inputs.iter_columns():
                _add_column(digest, column)
        _add_array(digest, self.targets)
        digest.update(repr((self.target_name, self.classes)).encode())
        if self.time_name is not None:
            digest.update(repr(self.time_name).encode())
        for name in ("weights", "groups", "time", "assigned"):
            values: np.ndarray | None = getattr(self, name)
            if values is not None:
                digest.update(name.encode())
                _add_array(digest, values)
        return digest.hexdigest()

    def profile(self) -> dict[str, Any]:
        """What a page says about the data; plain values that go into JSON.

        ``rows``; ``columns`` (name, type, missing values) of a table or ``shape`` and ``type`` of an array's examples;
        ``target``; and ``classes`` (label to count) or ``mean``, ``sd``, ``minimum`` and ``maximum`` of the target, lists of
        them for several outputs.
        """
        profile: dict[str, Any] = {"name": self.name, "task": self.task, "rows": len(self), "target": self.target_name}
        if isinstance(self.inputs, np.ndarray):
            profile["shape"] = list(self.inputs.shape[1:])
            profile["type"] = str(self.inputs.dtype)
        else:
            profile["columns"] = [
                {"name": column.name, "type": type_in_words(column), "missing": column.null_count()}
                for column in self.inputs.iter_columns()
            ]
        if self.classes is not None:
            counts = np.bincount(self.targets, minlength=len(self.classes))
            profile["classes"] = dict(zip(self.classes, counts.tolist(), strict=True))
        else:
            profile |= {
                "mean": self.targets.mean(0).tolist(),
                "sd": self.targets.std(0).tolist(),
                "minimum": self.targets.min(0).tolist(),
                "maximum": self.targets.max(0).tolist(),
            }
        return profile


def type_in_words(column: polars.Series) -> str:
    """``number``, ``yes or no``, ``text``, ``date``, ``date and time``, or the type's own name where none fits."""
    import polars as pl

    if column.dtype.is_numeric() or column.dtype == pl.Duration:
        return "number"
    words = {pl.Boolean: "yes or no", pl.String: "text", pl.Date: "date", pl.Datetime: "date and time"}
    return words.get(column.dtype.base_type(), str(column.dtype).lower())


def _add_array(digest: hashlib._Hash, array: np.ndarray) -> None:
    digest.update(f"{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)


def _add_column(digest: hashlib._Hash, column: polars.Series) -> None:
    import polars as pl

    digest.update(repr((column.name, str(column.dtype))).encode())
    if column.null_count():
        _add_array(digest, column.is_null().to_numpy())
    if column.dtype.is_temporal():
        column = column.to_physical()
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        _add_array(digest, column.drop_nulls().to_numpy())
        return
    text = (
        column.cast(pl.String, strict=False) if not column.dtype.is_nested() else pl.Series(map(repr, column.to_list()))
    )
    # The lengths keep "a", "bc" and "ab", "c" apart.
    _add_array(digest, text.drop_nulls().str.len_bytes().to_numpy())
    digest.update((text.drop_nulls().str.join("").item() or "").encode())
