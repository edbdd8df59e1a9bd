"""``load``: whatever holds data, into ``Data``.

>>> load("digits")                                   # a bundled set
>>> load("houses.csv", target="price")               # CSV, TSV, Parquet; also NPZ, IDX, a folder of class folders
>>> load("houses.csv", target="price,rent", test="new-houses.csv", groups="owner", drop=["id"])
>>> load((X, y), weights=w)                          # NumPy arrays, tensors
>>> load(frame, target="price")                      # polars, pandas, Arrow, or a dictionary of columns

The target of a table is never guessed: taking the wrong column would train a network without complaint.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.data.dataset import DEV, TEST, TRAIN, Data
from thalweg.data.preprocess import Preprocessor
from thalweg.data.sources import arrays, images, several, table
from thalweg.data.sources.bundled import BUNDLED, load_bundled
from thalweg.data.sources.joining import joined
from thalweg.data.sources.marks import marked, without
from thalweg.data.sources.reading import Raw, check_there, read, refuse_target, unknown_kind
from thalweg.data.tabular import TableEncoder
from thalweg.data.targets import read_outputs, read_targets
from thalweg.data.wording import in_words, rows_in_words
from thalweg.errors import InputError

if TYPE_CHECKING:
    import polars


def load(
    source: Any,
    *,
    target: str | Sequence[str] | None = None,
    task: str | None = None,
    delimiter: str | None = None,
    dev: Any = None,
    test: Any = None,
    weights: Any = None,
    groups: Any = None,
    time: Any = None,
    split_column: Any = None,
    drop: Sequence[str] = (),
) -> Data:
    """Reads and checks data.

    ``target`` names the column of a table to predict, or several numeric ones (``"price,rent"`` or a list); ``task``
    overrules what the target suggests; ``delimiter`` separates the columns of a text file (a comma, in ``.tsv`` files a
    tab); ``drop`` names columns to ignore. ``dev`` and ``test`` are sources like the first, whose rows are those parts.

    Four say something about the rows, each the name of a column or an array of n values (of the rows of ``dev`` and
    ``test`` too, behind the others): ``weights`` (finite, 0 or more, not all 0) what a row counts in the cost; ``groups``
    (any values) which rows belong together and may not be parted; ``time`` (numbers, dates, times) in which order they
    came; ``split_column`` (train, dev or val, test, or empty) the part of each. See ``split`` for what follows from them.

    Raises ``InputError``, one sentence, for whatever cannot be trained on.
    """
    raw: Raw | None = None
    if isinstance(source, Data):
        data = source
    elif isinstance(source, str) and source in BUNDLED:
        refuse_target(target, f"the bundled set {source}")
        data = load_bundled(source)
        if task is not None and task != data.task:
            raise InputError(f'the bundled set {source} is a {data.task} task, not "{task}": leave task out')
    else:
        raw = read(source, target=target, delimiter=delimiter)
        data = _with_targets(raw, task)
    where = data.name if raw is None else raw.where
    data = without(data, drop, where=where)
    for part, more in ((DEV, dev), (TEST, test)):
        if more is not None:
            like = None if isinstance(data.inputs, np.ndarray) else raw
            shape = data.inputs.shape[1:] if isinstance(data.inputs, np.ndarray) else None
            named = None if raw is None or not _is_table(more) else raw.names
            further = read(more, target=named, delimiter=delimiter, texts=like.texts if like else (), shape=shape)
            data = joined(data, further, part)
    data = marked(data, where=where, weights=weights, groups=groups, time=time, split_column=split_column)
    _check(data, where)
    return data


def load_inputs(
    source: str | Path, *, like: Preprocessor, delimiter: str | None = None
) -> polars.DataFrame | np.ndarray:
    """Rows to predict on, from a file or folder like the one ``like`` was fitted on; no target is needed.

    Raises ``InputError`` where the source is of another kind.
    """
    name, path = str(source), Path(source)
    if name in BUNDLED:
        return load_bundled(name).inputs
    check_there(path)
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
    raise unknown_kind(path)


def _is_table(source: Any) -> bool:
    """Whether a source has its target among its columns."""
    if isinstance(source, str | Path):
        return str(source) not in BUNDLED and (table.is_table(Path(source)) or bool(several.parquet_named(str(source))))
    return not isinstance(source, tuple | list | Data)


def _with_targets(raw: Raw, task: str | None) -> Data:
    if not isinstance(raw.inputs, np.ndarray) and not raw.inputs.width:
        raise InputError(
            f"{raw.where} has no column beside the target {in_words(raw.names)}: there is nothing to predict it from"
        )
    rows = len(raw.targets[0])
    if len(raw.inputs) != rows:
        raise InputError(
            f"{raw.name}: the inputs have {len(raw.inputs):,} rows and the targets {rows:,}: give one target for each row"
        )
    if len(raw.names) > 1:
        targets = read_outputs(raw.targets, names=raw.names, task=task)
        return Data(
            raw.name, "regression", raw.inputs, targets, ",".join(raw.names), None, raw.names, assigned=raw.assigned
        )
    name = raw.names[0]
    chosen, targets, classes = read_targets(raw.targets[0], name=name, task=task, believe_text=raw.believe_text)
    return Data(raw.name, chosen, raw.inputs, targets, name, classes, assigned=raw.assigned)


def _check(data: Data, where: str) -> None:
    """Raises ``InputError`` for inputs without a value, infinite ones, or a class that no training row has."""
    if data.assigned is not None and data.classes is not None:
        learned = np.unique(data.targets[data.assigned <= TRAIN])
        unseen = [name for number, name in enumerate(data.classes) if number not in learned]
        if unseen:
            raise InputError(
                f"{where}: no training row has the class {in_words(unseen)}: remove its rows, or learn from some of them"
            )
    if isinstance(data.inputs, np.ndarray):
        return
    if not data.inputs.width:
        raise InputError(f"{where} has no column left to predict from: leave fewer columns out")
    for column in data.inputs.iter_columns():
        if column.null_count() == len(column):
            raise InputError(f'{where}: the column "{column.name}" has no value in any row: remove this column')
        if column.dtype.is_float() and column.is_infinite().any():
            rows = column.is_infinite().arg_true().to_list()
            raise InputError(
                f'{where}: the column "{column.name}" is infinite in {rows_in_words(rows)}: '
                f"correct the values or leave them empty"
            )
