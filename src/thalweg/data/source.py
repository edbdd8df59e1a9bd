"""``Data``: what was read, before anything is learned from it; and ``load``, which reads whatever a user has.

>>> load("digits").task
'multiclass'
>>> load("houses.csv", target="price")
>>> load((X, y), task="regression")
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.data.task import TASKS, class_names, infer_task
from thalweg.errors import InputError

if TYPE_CHECKING:
    pass

Inputs = Any  # polars.DataFrame for tables; numpy (n, features) or (n, C, H, W) for arrays and images
FEWEST_ROWS = 10


@dataclass(frozen=True)
class Data:
    """Inputs and targets as they were read.

    ``inputs`` is a Polars frame (tables) or an array ``(n, features)`` or ``(n, C, H, W)``; ``targets`` is ``(n,)``;
    ``classes`` are the names of the classes in order, None for a regression; ``official_test`` are rows that the data
    themselves set apart for testing.
    """

    name: str
    task: str
    inputs: Inputs
    targets: np.ndarray
    target_name: str = "target"
    classes: tuple[str, ...] | None = None
    official_test: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def fingerprint(self) -> str:
        """A digest of the content: two runs with the same one saw the same data."""
        digest = sha256()
        if isinstance(self.inputs, np.ndarray):
            digest.update(np.ascontiguousarray(self.inputs).data)
        else:
            digest.update(repr(self.inputs.schema).encode())
            digest.update(self.inputs.hash_rows(seed=0).to_numpy().tobytes())
        targets = self.targets if self.targets.dtype.kind in "if" else np.array([str(value) for value in self.targets])
        digest.update(np.ascontiguousarray(targets).tobytes())
        return digest.hexdigest()[:32]

    def profile(self) -> dict[str, Any]:
        """A short description for the page: size, columns with type and missing values, the target's distribution."""
        found: dict[str, Any] = {"name": self.name, "rows": len(self), "target": self.target_name}
        if isinstance(self.inputs, np.ndarray):
            found["inputs"] = "×".join(map(str, self.inputs.shape[1:])) + f" {self.inputs.dtype}"
        else:
            found["columns"] = [
                {"name": name, "type": str(column.dtype), "missing": column.null_count(), "distinct": column.n_unique()}
                for name, column in zip(self.inputs.columns, self.inputs.iter_columns(), strict=True)
            ]
        if self.classes is not None:
            names, counts = np.unique(self.targets.astype(str), return_counts=True)
            found["classes"] = {str(name): int(count) for name, count in zip(names, counts, strict=True)}
        else:
            values = self.targets.astype(float)
            found["target_mean"], found["target_sd"] = float(values.mean()), float(values.std())
            found["target_min"], found["target_max"] = float(values.min()), float(values.max())
        return found


def load(source: Any, *, target: str | None = None, task: str | None = None, delimiter: str | None = None) -> Data:
    """Reads data from a bundled name, a file, a folder of class folders, an ``(X, y)`` pair or a frame.

    ``target`` names the column to predict in a table; ``task`` overrules what the target suggests; ``delimiter`` separates the
    columns of a text table. Raises ``InputError``, naming file, column and row, for whatever cannot be learned from.
    """
    from thalweg.data import arrays, bundled, images, tables

    official: np.ndarray | None = None
    target_name = target or "target"
    if isinstance(source, tuple | list) and len(source) == 2:
        name, inputs, targets = "arrays", *arrays.pair(*source)
    elif not isinstance(source, str | Path):
        name = "frame"
        inputs, targets = tables.split_target(tables.from_frame(source), target, "the frame")
    elif str(source) in bundled.NAMES:
        name = str(source)
        inputs, targets, official = bundled.read(name)
    else:
        path = Path(source)
        name = path.name.split(".")[0] or "data"
        if not path.exists():
            _refuse_missing(path, bundled.NAMES)
        if path.is_dir() and not arrays.is_idx_folder(path):
            inputs, targets = images.read_folder(path)
            target_name = "folder"
        elif path.is_dir() or arrays.is_idx(path):
            inputs, targets, official = arrays.read_idx(path)
        elif path.suffix.lower() == ".npz":
            inputs, targets, official = arrays.read_npz(path)
        else:
            inputs, targets = tables.split_target(tables.read(path, delimiter=delimiter), target, str(path))
    return _checked(Data(name, task or "", inputs, targets, target_name, None, official), task)


def load_inputs(source: Any, *, like: Any = None, delimiter: str | None = None) -> Inputs:
    """Reads inputs alone, for prediction; a target that stands in the file is left out where it is known as one."""
    from thalweg.data import arrays, bundled, images, tables

    if isinstance(source, str | Path):
        path = Path(source)
        if str(source) in bundled.NAMES:
            return bundled.read(str(source))[0]
        if not path.exists():
            _refuse_missing(path, bundled.NAMES)
        if path.is_dir() and not arrays.is_idx_folder(path):
            return images.read_images(path, shape=getattr(like, "input_shape", None))
        if path.is_dir() or arrays.is_idx(path):
            return arrays.read_idx_inputs(path)
        if path.suffix.lower() == ".npz":
            return arrays.read_npz_inputs(path)
        return tables.read(path, delimiter=delimiter)
    if isinstance(source, np.ndarray):
        return source
    return tables.from_frame(source)


def _refuse_missing(path: Path, bundled: Mapping[str, Any]) -> None:
    beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(str(path), list(bundled), n=1) or difflib.get_close_matches(path.name, beside, n=1)
    hint = f"did you mean {near[0]}?" if near else f"give a file, a folder, or one of {', '.join(bundled)}"
    raise InputError(f"{path} does not exist: {hint}")


def _checked(data: Data, task: str | None) -> Data:
    """Whatever the source, the same faults are found here."""
    rows = len(data.inputs)
    if rows != len(data.targets):
        raise InputError(f"{data.name}: there are {rows} rows of inputs but {len(data.targets)} targets")
    if rows < FEWEST_ROWS:
        raise InputError(f"{data.name} has {rows} rows: at least {FEWEST_ROWS} are needed to train, tune and test")
    targets = _checked_targets(data)
    found = infer_task(targets, f"the target {data.target_name}")
    if task is not None:
        if task not in TASKS:
            raise InputError(f'there is no task "{task}": choose among {", ".join(TASKS)}')
        if task == "regression" and targets.dtype.kind not in "if":
            raise InputError(f"the target {data.target_name} is text ({targets[0]}): a regression needs numbers")
        found = task
    classes = None if found == "regression" else class_names(targets)
    if classes is not None and (found == "binary") != (len(classes) == 2):
        raise InputError(f"the target {data.target_name} has {len(classes)} classes: the task cannot be {found}")
    if isinstance(data.inputs, np.ndarray) and data.inputs.dtype.kind == "f" and not np.isfinite(data.inputs).all():
        row, *where = np.argwhere(~np.isfinite(data.inputs))[0]
        raise InputError(
            f"{data.name}: the input at row {row}, column {where[0] if where else 0} is {data.inputs[(row, *where)]}: "
            f"fill or drop it (arrays cannot have missing values; tables can)"
        )
    return Data(data.name, found, data.inputs, targets, data.target_name, classes, data.official_test)


def _checked_targets(data: Data) -> np.ndarray:
    targets = np.asarray(data.targets)
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.ndim != 1:
        raise InputError(f"{data.name}: targets of shape {targets.shape} are not one value for each row")
    if targets.dtype.kind in "ub":
        targets = targets.astype(np.int64)
    if targets.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(targets))
        if len(bad):
            raise InputError(
                f"the target {data.target_name} is {targets[bad[0]]} in row {bad[0] + 1} ({len(bad)} such rows): "
                f"a target must be a finite number; drop those rows"
            )
    return targets
