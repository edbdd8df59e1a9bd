"""``load``: whatever holds data, into ``Data``.

>>> load("digits")                                   # a bundled set
>>> load("houses.csv", target="price")               # CSV, TSV, Parquet; also NPZ, IDX, a folder of class folders
>>> load((X, y))                                     # NumPy arrays, tensors
>>> load(frame, target="price")                      # polars, pandas, Arrow, or a dictionary of columns

The target of a table is never guessed: taking the wrong column would train a network without complaint.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg.data import arrays, images, table
from thalweg.data.bundled import BUNDLED, load_bundled
from thalweg.data.dataset import Data
from thalweg.data.preprocess import Preprocessor
from thalweg.data.tabular import TableEncoder
from thalweg.data.targets import read_targets
from thalweg.data.wording import in_words, nearest, rows_in_words
from thalweg.errors import InputError

if TYPE_CHECKING:
    import polars


def load(source: Any, *, target: str | None = None, task: str | None = None, delimiter: str | None = None) -> Data:
    """Reads and checks data. ``target`` names the column to predict of a table; ``task`` overrules what the target
    suggests; ``delimiter`` separates the columns of a text file (a comma, in ``.tsv`` files a tab).

    Raises ``InputError``, one sentence, for whatever cannot be trained on.
    """
    if isinstance(source, Data):
        return source
    if isinstance(source, str | Path):
        return _from_path(str(source), target, task, delimiter)
    if isinstance(source, tuple | list):
        if len(source) != 2:
            raise InputError(f"the data is a {type(source).__name__} of {len(source)}: give a pair (X, y)")
        _refuse_target(target, "a pair (X, y)")
        return _from_pair(source[0], source[1], task)
    if isinstance(source, np.ndarray | torch.Tensor):
        raise InputError("one array holds no targets: give a pair (X, y)")
    return _from_frame(table.as_frame(source), "data", target, task, where="the frame")


def load_inputs(
    source: str | Path, *, like: Preprocessor, delimiter: str | None = None
) -> polars.DataFrame | np.ndarray:
    """Rows to predict on, from a file or folder like the one ``like`` was fitted on; no target is needed.

    Raises ``InputError`` where the source is of another kind.
    """
    name, path = str(source), Path(source)
    if name in BUNDLED:
        return load_bundled(name).inputs
    _check_there(path)
    tabular = isinstance(like.encoder, TableEncoder)
    if tabular != (path.is_file() and table.is_table(path)):
        kind = "a table" if tabular else f"arrays or images of shape {like.input_shape}"
        raise InputError(f"{path} cannot be predicted on: the model was trained on {kind}; give the same kind of file")
    if isinstance(like.encoder, TableEncoder):
        return table.read_table(path, delimiter=delimiter, texts=like.encoder.texts)
    if path.is_dir() or path.suffix.lower() in images.SUFFIXES:
        files = images.image_files(path) if path.is_dir() else [path]
        if not files:
            raise InputError(f"{path} has no {', '.join(images.SUFFIXES)} images: give images to predict on")
        if len(like.input_shape) != 3 or like.input_shape[0] not in (1, 3):
            raise InputError(f"{path} holds images: the model was trained on arrays of shape {like.input_shape}")
        return images.read_images(files, shape=like.input_shape)
    if arrays.is_idx(path):
        return arrays.as_array(arrays.read_idx(path), str(path))
    if path.suffix.lower() == ".npz":
        return arrays.read_npz_inputs(path)
    raise _unknown_kind(path)


def _from_path(name: str, target: str | None, task: str | None, delimiter: str | None) -> Data:
    if name in BUNDLED:
        _refuse_target(target, f"the bundled set {name}")
        bundled = load_bundled(name)
        if task is not None and task != bundled.task:
            raise InputError(f'the bundled set {name} is a {bundled.task} task, not "{task}": leave task out')
        return bundled
    path = Path(name).expanduser()
    _check_there(path)
    if path.is_file() and table.is_table(path):
        frame = table.read_table(path, delimiter=delimiter)
        return _from_frame(frame, path.name.split(".")[0], target, task, where=str(path))
    _refuse_target(target, f"{path}, which is no table")
    if path.is_dir():
        if arrays.find_idx(path, "train"):
            return _from_arrays(arrays.read_idx_folder(path), path.name, task)
        pictures = images.read_folder(path)
        return _with_targets(
            path.resolve().name, pictures.inputs, pictures.labels, "class", task, pictures.test_from, believe_text=True
        )
    if arrays.is_idx(path):
        return _from_arrays(arrays.read_idx_pair(path), path.name.split("-images")[0].split(".")[0], task)
    if path.suffix.lower() == ".npz":
        return _from_arrays(arrays.read_npz(path), path.stem, task)
    raise _unknown_kind(path)


def _from_frame(frame: polars.DataFrame, name: str, target: str | None, task: str | None, *, where: str) -> Data:
    if target is None:
        raise InputError(f"{where}: which column is to be predicted? Name the target, one of {in_words(frame.columns)}")
    if target not in frame.columns:
        near = nearest(target, frame.columns)
        hint = f'did you mean "{near}"?' if near else f"choose among {in_words(frame.columns)}"
        raise InputError(f'{where} has no column "{target}": {hint}')
    inputs = frame.drop(target)
    if not inputs.width:
        raise InputError(f'{where} has no column beside the target "{target}": there is nothing to predict it from')
    data = _with_targets(name, inputs, frame[target], target, task)
    for column in inputs.iter_columns():
        if column.null_count() == len(column):
            raise InputError(f'{where}: the column "{column.name}" has no value in any row: remove this column')
        if column.dtype.is_float() and column.is_infinite().any():
            rows = column.is_infinite().arg_true().to_list()
            raise InputError(
                f'{where}: the column "{column.name}" is infinite in {rows_in_words(rows)}: '
                f"correct the values or leave them empty"
            )
    return data


def _from_pair(inputs: Any, targets: Any, task: str | None) -> Data:
    """Inputs may be an array or a frame; targets an array, a tensor or a list."""
    if isinstance(targets, torch.Tensor):
        targets = targets.detach().cpu()
        targets = (targets.float() if targets.dtype == torch.bfloat16 else targets).numpy()
    flat = np.asarray(targets)
    if flat.ndim == 2 and flat.shape[1] == 1:
        flat = flat[:, 0]
    if isinstance(inputs, np.ndarray | torch.Tensor | list):
        return _with_targets("data", arrays.as_array(inputs, "X"), flat, "y", task)
    frame = table.as_frame(inputs)
    name = "y" if "y" not in frame.columns else "the second of the pair"
    if len(flat) != frame.height:
        raise InputError(f"X has {frame.height:,} rows and y {len(flat):,}: give one target for each row")
    from polars import Series

    return _from_frame(frame.with_columns(Series(name, flat)), "data", name, task, where="X")


def _from_arrays(found: arrays.Arrays, name: str, task: str | None) -> Data:
    return _with_targets(name, found.inputs, found.targets, "target", task, found.test_from)


def _with_targets(
    name: str,
    inputs: polars.DataFrame | np.ndarray,
    values: Any,
    target: str,
    task: str | None,
    test_from: int | None = None,
    *,
    believe_text: bool = False,
) -> Data:
    if len(inputs) != len(values):
        raise InputError(
            f"{name}: the inputs have {len(inputs):,} rows and the targets {len(values):,}: give one target for each row"
        )
    chosen, targets, classes = read_targets(values, name=target, task=task, believe_text=believe_text)
    official = None if test_from is None else np.arange(test_from, len(targets))
    return Data(name, chosen, inputs, targets, target, classes, official)


def _refuse_target(target: str | None, what: str) -> None:
    if target is not None:
        raise InputError(f'the target "{target}" cannot be chosen: {what} has its own; leave target out')


def _check_there(path: Path) -> None:
    if path.exists():
        return
    neighbours = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    by_stem = {other.split(".")[0]: other for other in [*neighbours, *BUNDLED]}
    near = nearest(path.name.split(".")[0], by_stem)
    hint = f"did you mean {by_stem[near]}?" if near else f"give a file, a folder or one of {', '.join(BUNDLED)}"
    raise InputError(f"{path} does not exist: {hint}")


def _unknown_kind(path: Path) -> InputError:
    return InputError(
        f"{path} is of a kind that cannot be read: give CSV, TSV, Parquet, NPZ, IDX, or a folder of class folders with images"
    )
