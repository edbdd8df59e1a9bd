"""Any one source, read as it stands: a table, arrays, images or a pair, with its targets beside it.

>>> raw = read("houses.csv", target=("price",))
>>> raw.names, raw.inputs.columns
(('price',), ['size', 'town'])
>>> read((X, np.column_stack([width, height]))).names         # several columns of numbers are several outputs
('y0', 'y1')
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg.data.dataset import Data
from thalweg.data.sources import arrays, images, several, table
from thalweg.data.sources.bundled import BUNDLED, load_bundled
from thalweg.data.wording import in_words, no_column
from thalweg.errors import InputError
from thalweg.wording import nearest

if TYPE_CHECKING:
    import polars


@dataclass(frozen=True)
class Raw:
    """What a source holds, before any check that it can be learned from."""

    name: str
    where: str
    """How a sentence calls it."""
    inputs: polars.DataFrame | np.ndarray
    targets: tuple[Any, ...]
    """One column of n values for each output."""
    names: tuple[str, ...]
    """Of the targets."""
    assigned: np.ndarray | None = None
    """int8 ``(n,)``: the part of each row, as in ``Data``, where the source has parts of its own."""
    believe_text: bool = False
    """Whether texts are classes however many they are."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns of texts, which stay such in further files even where those hold numbers alone."""
        import polars as pl

        if isinstance(self.inputs, np.ndarray):
            return ()
        of_targets = [name for name, values in zip(self.names, self.targets, strict=True)
                      if isinstance(values, pl.Series) and values.dtype == pl.String]  # fmt: skip
        return (*of_targets, *(column.name for column in self.inputs.iter_columns() if column.dtype == pl.String))


def read(
    source: Any,
    *,
    target: str | Sequence[str] | None = None,
    delimiter: str | None = None,
    texts: Sequence[str] = (),
    shape: tuple[int, ...] | None = None,
) -> Raw:
    """Reads a path, a bundled name, a frame or a pair. ``texts`` names columns that stay text; ``shape`` is that which
    images of a folder are brought to. Raises ``InputError`` for what cannot be read, or has no such target."""
    if isinstance(source, Data):
        return _raw_again(source)
    if isinstance(source, str | Path):
        return _from_path(str(source), target, delimiter, texts, shape)
    if isinstance(source, tuple | list):
        if len(source) != 2:
            raise InputError(f"the data is a {type(source).__name__} of {len(source)}: give a pair (X, y)")
        refuse_target(target, "a pair (X, y)")
        return _from_pair(source[0], source[1], texts)
    if isinstance(source, np.ndarray | torch.Tensor):
        raise InputError("one array holds no targets: give a pair (X, y)")
    return _from_frame(table.as_frame(source, texts=texts), "data", target, where="the frame")


def array_of(values: Any) -> np.ndarray:
    """A NumPy array of an array, a tensor on any device, a column of a frame or a list."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    try:
        return np.asarray(values)
    except ValueError:
        raise InputError("the values have different lengths: give an array") from None


def refuse_target(target: str | Sequence[str] | None, what: str) -> None:
    """Raises ``InputError`` where a target was named for something that has its own."""
    if target is not None:
        name = target if isinstance(target, str) else ",".join(target)
        raise InputError(f'the target "{name}" cannot be chosen: {what} has its own; leave target out')


def check_there(path: Path) -> None:
    """Raises ``InputError``, with a name that is near, where nothing lies."""
    try:
        if path.is_file() or path.is_dir():
            return
        if path.exists():
            raise InputError(f"{path} is neither a file nor a folder: give one that can be read more than once")
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror}") from None
    neighbours = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    by_stem = {other.split(".")[0]: other for other in [*neighbours, *BUNDLED]}
    near = nearest(path.name.split(".")[0], by_stem)
    hint = f"did you mean {by_stem[near]}?" if near else f"give a file, a folder or one of {', '.join(BUNDLED)}"
    raise InputError(f"{path} does not exist: {hint}")


def unknown_kind(path: Path) -> InputError:
    """The sentence for a file whose name says nothing."""
    return InputError(
        f"{path} is of a kind that cannot be read: give CSV, TSV, Parquet, NPZ, IDX, or a folder of class folders with images"
    )


def _from_path(
    name: str,
    target: str | Sequence[str] | None,
    delimiter: str | None,
    texts: Sequence[str],
    shape: tuple[int, ...] | None,
) -> Raw:
    if name in BUNDLED:
        refuse_target(target, f"the bundled set {name}")
        return _raw_again(load_bundled(name))
    path = Path(name).expanduser()
    files, pair = several.parquet_named(name), several.npy_pair(name)
    if files and not path.is_file():
        return _from_frame(several.read_parquets(files, texts=texts), path.name.split(".")[0], target, where=str(path))
    if pair is not None:
        refuse_target(target, f"{name}, which is no table")
        return _from_arrays(several.read_npy_pair(*pair), path.name if path.is_dir() else pair[0].stem, path)
    check_there(path)
    if path.is_file() and table.is_table(path):
        frame = table.read_table(path, delimiter=delimiter, texts=texts)
        return _from_frame(frame, path.name.split(".")[0], target, where=str(path))
    refuse_target(target, f"{path}, which is no table")
    if path.is_dir():
        if arrays.find_idx(path, "train"):
            return _from_arrays(arrays.read_idx_folder(path), path.name, path)
        pictures = images.read_folder(path, shape=shape)
        name = path.resolve().name
        return Raw(
            name, str(path), pictures.inputs, (pictures.labels,), ("class",), pictures.assigned, believe_text=True
        )
    if arrays.is_idx(path):
        return _from_arrays(arrays.read_idx_pair(path), path.name.split("-images")[0].split(".")[0], path)
    if path.suffix.lower() == ".npz":
        return _from_arrays(arrays.read_npz(path), path.stem, path)
    raise unknown_kind(path)


def _from_frame(frame: polars.DataFrame, name: str, target: str | Sequence[str] | None, *, where: str) -> Raw:
    if target is None or not target:
        raise InputError(f"{where}: which column is to be predicted? Name the target, one of {in_words(frame.columns)}")
    names = _names(target, frame.columns)
    for one in names:
        if one not in frame.columns:
            raise InputError(no_column(one, frame.columns, where=where))
    if len(set(names)) < len(names):
        raise InputError(f"{where}: the targets {in_words(names)} name a column twice: name each once")
    return Raw(name, where, frame.drop(names), tuple(frame[one] for one in names), names)


def _names(target: str | Sequence[str], there: Sequence[str]) -> tuple[str, ...]:
    """The targets that are meant: a name that holds a comma itself goes before two names."""
    if not isinstance(target, str):
        if not isinstance(target, list | tuple) or not all(isinstance(name, str) for name in target):
            raise InputError(f"the target {target!r} is no name of a column: give a text, or a list of texts")
        return tuple(target)
    parts = [part.strip() for part in target.split(",")]
    return (target,) if target in there or "" in parts else tuple(parts)


def _from_pair(inputs: Any, targets: Any, texts: Sequence[str]) -> Raw:
    """Inputs may be an array or a frame; targets an array, a tensor or a list."""
    values = array_of(targets)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    arrays.refuse_one_hot(values, "y")
    columns, names = _columns(values, "y")
    if isinstance(inputs, np.ndarray | torch.Tensor | list):
        return Raw("data", "X", arrays.as_array(inputs, "X"), columns, names)
    frame = table.as_frame(inputs, texts=texts)
    if len(values) != frame.height:
        raise InputError(f"X has {frame.height:,} rows and y {len(values):,}: give one target for each row")
    return Raw("data", "X", frame, columns, names)


def _from_arrays(found: arrays.Arrays, name: str, path: Path) -> Raw:
    columns, names = _columns(found.targets, "target")
    return Raw(name, str(path), found.inputs, columns, names, found.assigned)


def _columns(values: np.ndarray, name: str) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """Targets ``(n, k)`` as k columns with a name each."""
    if values.ndim != 2 or values.dtype.kind not in "fiub" or not values.shape[1]:
        return (values,), (name,)
    return tuple(values.T), tuple(f"{name}{output}" for output in range(values.shape[1]))


def _raw_again(data: Data) -> Raw:
    if data.classes is not None:
        columns: tuple[Any, ...] = (np.asarray(data.classes)[data.targets],)
    else:
        columns = tuple(data.targets.T) if data.targets.ndim == 2 else (data.targets,)
    return Raw(data.name, data.name, data.inputs, columns, data.target_names, data.assigned)
