"""Arrays: NPZ, the IDX files of the MNIST family, and pairs of arrays or tensors from Python."""

from __future__ import annotations

import gzip
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.errors import InputError

Read = tuple[np.ndarray, np.ndarray, np.ndarray | None]
IDX_TYPES = {
    8: np.uint8,
    9: np.int8,
    11: np.dtype(">i2"),
    12: np.dtype(">i4"),
    13: np.dtype(">f4"),
    14: np.dtype(">f8"),
}
INPUT_NAMES, TARGET_NAMES = ("X", "x", "inputs", "data", "images"), ("y", "Y", "targets", "target", "labels")


def pair(inputs: Any, targets: Any) -> tuple[Any, np.ndarray]:
    """``(X, y)`` from Python: arrays, tensors or a frame with an array."""
    if type(inputs).__module__.split(".")[0] in ("polars", "pandas", "pyarrow"):
        from thalweg.data.tables import from_frame

        return from_frame(inputs), _array(targets)
    return as_inputs(_array(inputs), "X"), _array(targets)


def _array(values: Any) -> np.ndarray:
    if type(values).__module__.split(".")[0] == "torch":
        values = values.detach().cpu().numpy()
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InputError(f"the data are no array: {error}") from None


def as_inputs(inputs: np.ndarray, where: str) -> np.ndarray:
    """Inputs of numbers with at least one feature; images ``(n, H, W)`` become ``(n, 1, H, W)``."""
    if inputs.dtype.kind not in "iufb":
        raise InputError(f"{where} holds {inputs.dtype}, not numbers; give text and categories as a table")
    if inputs.ndim < 2 or 0 in inputs.shape[1:]:
        raise InputError(
            f"{where} has the shape {inputs.shape}: rows of at least one input are needed, as in (n, features)"
        )
    return inputs[:, None] if inputs.ndim == 3 else inputs


def read_npz(path: Path) -> Read:
    """``X`` and ``y``, or ``x_train, y_train, x_test, y_test``, from a NumPy archive. Objects (pickles) are refused."""
    arrays = _archive(path)
    lower = {name.lower(): name for name in arrays}
    if {"x_train", "y_train"} <= lower.keys():
        parts = [(lower["x_train"], lower["y_train"])]
        if {"x_test", "y_test"} <= lower.keys():
            parts.append((lower["x_test"], lower["y_test"]))
        inputs = np.concatenate([as_inputs(arrays[x], f"{path}: {x}") for x, _ in parts])
        targets = np.concatenate([arrays[y] for _, y in parts])
        first = len(arrays[parts[0][0]])
        return inputs, targets, np.arange(first, len(inputs)) if len(parts) > 1 else None
    x, y = _named(arrays, INPUT_NAMES), _named(arrays, TARGET_NAMES)
    if x is None or y is None:
        raise InputError(f"{path} holds {', '.join(arrays)}: it needs X and y (or x_train, y_train, x_test, y_test)")
    return as_inputs(arrays[x], f"{path}: {x}"), arrays[y], None


def read_npz_inputs(path: Path) -> np.ndarray:
    """The inputs of an archive that need not hold targets."""
    arrays = _archive(path)
    name = _named(arrays, INPUT_NAMES) or (next(iter(arrays)) if len(arrays) == 1 else None)
    if name is None:
        raise InputError(f"{path} holds {', '.join(arrays)}: the inputs must be called X")
    return as_inputs(arrays[name], f"{path}: {name}")


def _named(arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in arrays), None)


def _archive(path: Path) -> dict[str, np.ndarray]:
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        what = (
            "holds Python objects, which could run code when read" if "pickle" in str(error).lower() else "is damaged"
        )
        raise InputError(f"{path} {what}: save plain arrays with numpy.savez") from None


def is_idx(path: Path) -> bool:
    """Whether a file's name or content says IDX."""
    name = path.name.lower()
    return (
        name.endswith((".idx", ".idx.gz")) or "idx1-ubyte" in name or "idx3-ubyte" in name or name.endswith("ubyte.gz")
    )


def is_idx_folder(path: Path) -> bool:
    return any(is_idx(other) for other in path.iterdir())


def read_idx(path: Path) -> Read:
    """Images and labels of the MNIST family: a folder of the four files, or an images file beside its labels file."""
    if path.is_dir():
        train = _find(path, "train", "images"), _find(path, "train", "labels")
        test = _find(path, "t10k", "images") or _find(path, "test", "images"), _find(path, "t10k", "labels") or _find(path, "test", "labels")  # fmt: skip
        if train[0] is None or train[1] is None:
            raise InputError(f"{path} has no train-images and train-labels files in IDX format")
        inputs, targets = idx(train[0]), idx(train[1])
        if test[0] is None or test[1] is None:
            return as_inputs(inputs, str(train[0])), targets, None
        held, held_targets = idx(test[0]), idx(test[1])
        both = np.concatenate([inputs, held]), np.concatenate([targets, held_targets])
        return as_inputs(both[0], str(train[0])), both[1], np.arange(len(inputs), len(both[0]))
    labels = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    if labels == path or not labels.exists():
        raise InputError(f"{path}: its labels file {labels.name} is not beside it")
    return as_inputs(idx(path), str(path)), idx(labels), None


def read_idx_inputs(path: Path) -> np.ndarray:
    """The images of one IDX file."""
    if path.is_dir():
        return read_idx(path)[0]
    return as_inputs(idx(path), str(path))


def _find(folder: Path, part: str, kind: str) -> Path | None:
    return next(
        (path for path in sorted(folder.iterdir()) if is_idx(path) and part in path.name and kind in path.name), None
    )


def idx(path: Path) -> np.ndarray:
    """One IDX file, packed or not. The format is LeCun's: two zero bytes, type, dimensions, sizes, values, big-endian."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise InputError(f"{path} cannot be unpacked: {error}") from None
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in IDX_TYPES:
        raise InputError(f"{path} is no IDX file: it starts with {data[:4].hex() or 'nothing'}")
    shape = struct.unpack(f">{data[3]}I", data[4 : 4 + 4 * data[3]])
    kind = np.dtype(IDX_TYPES[data[2]])
    if len(data) - 4 - 4 * data[3] != int(np.prod(shape)) * kind.itemsize:
        raise InputError(f"{path} is cut short: {shape} values were promised")
    values = np.frombuffer(data, kind, offset=4 + 4 * data[3]).reshape(shape)
    return values.astype(kind.newbyteorder("="))
