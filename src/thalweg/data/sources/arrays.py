"""Arrays from memory and from files: NPZ archives and the IDX files of the MNIST family.

>>> as_array(torch.rand(5, 3), "X").shape
(5, 3)
>>> parts = read_npz(Path("numbers.npz"))                 # X and y, or x_train, y_train, x_test, y_test …
>>> images = read_idx(Path("train-images-idx3-ubyte.gz")) # LeCun's format, http://yann.lecun.com/exdb/mnist

Bytes of shape ``(n, H, W)`` are grey images and get a channel axis; bytes ``(n, H, W, 3)`` get their channels in front.
"""

from __future__ import annotations

import math
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from thalweg.data.dataset import DEV, TEST, TRAIN
from thalweg.data.sources import packed
from thalweg.errors import InputError

INPUTS = ("x", "data", "inputs", "images", "features")
TARGETS = ("y", "target", "targets", "labels", "label")
PARTS = {TRAIN: ("train",), DEV: ("val", "valid", "validation", "dev"), TEST: ("test",)}
IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_AXES = 32
IDX_NAME = re.compile(r"idx\d", re.IGNORECASE)


@dataclass(frozen=True)
class Arrays:
    """Raw inputs ``(n, …)`` and targets ``(n,)`` or ``(n, k)`` of a file, and the part of each row if it has parts."""

    inputs: np.ndarray
    targets: np.ndarray
    assigned: np.ndarray | None = None
    """int8 ``(n,)`` as in ``Data``."""

    @classmethod
    def joined(cls, parts: dict[int, Arrays]) -> Arrays:
        """The parts one below the other, each row marked with the key of its part."""
        arrays = parts.values()
        return cls(
            np.concatenate([part.inputs for part in arrays]),
            np.concatenate([part.targets for part in arrays]),
            np.repeat(np.array(list(parts), np.int8), [len(part.targets) for part in arrays]),
        )


def as_array(source: Any, name: str) -> np.ndarray:
    """A NumPy array of numbers with two axes or more from an array, a tensor or lists. Raises ``InputError``."""
    if isinstance(source, torch.Tensor):
        source = source.detach().cpu()
        array = (source.float() if source.dtype == torch.bfloat16 else source).numpy()
    else:
        try:
            array = np.asarray(source)
        except ValueError:
            raise InputError(f"{name} cannot be made an array: its rows have different lengths") from None
    if array.dtype.kind not in "fiub":
        raise InputError(
            f"{name} is of type {array.dtype}: give numbers, or a frame if its columns are of several types"
        )
    if array.ndim < 2 or 0 in array.shape[1:]:
        raise InputError(
            f"{name} has shape {array.shape}: give one row for each example, as (n, features) or (n, channels, height, width)"
        )
    if array.dtype.kind == "f" and np.isinf(array).any():
        row, *place = (np.argwhere(np.isinf(array))[0] + 1).tolist()
        where = f"column {place[0]}" if len(place) == 1 else f"place {tuple(place)}"
        raise InputError(f"{name} is infinite in row {row}, {where}: remove the row or correct the value")
    return as_images(array)


def as_images(array: np.ndarray) -> np.ndarray:
    """Bytes in the shape of images become ``(n, C, H, W)``; anything else stays as it is."""
    if array.dtype != np.uint8:
        return array
    if array.ndim == 3:
        return array[:, None]
    if array.ndim == 4 and array.shape[3] in (1, 3, 4) and array.shape[1] not in (1, 3, 4):
        return np.ascontiguousarray(np.moveaxis(array, 3, 1))
    return array


def read_npz(path: Path) -> Arrays:
    """Inputs and targets of an archive, with the parts it names joined. Raises ``InputError``."""
    arrays = _load_npz(path)
    whole = _pair(arrays, ())
    if whole is not None:
        return Arrays(as_array(whole[0], f"{path}: the inputs"), _flat(whole[1], path, several=True))
    pairs = {part: _pair(arrays, words) for part, words in PARTS.items()}
    if pairs[TRAIN] is None and pairs[DEV] is None:
        raise InputError(
            f"{path} holds {', '.join(arrays) or 'nothing'}: name its arrays X and y, or x_train, y_train, x_test and y_test"
        )
    parts = {
        part: Arrays(as_array(pair[0], f"{path}: the inputs"), _flat(pair[1], path, several=True))
        for part, pair in pairs.items()
        if pair is not None
    }
    if TRAIN not in parts:
        parts = {TRAIN: parts.pop(DEV), **parts}
    for part in parts.values():
        x, y = part.inputs, part.targets
        first = parts[TRAIN]
        if len(x) != len(y) or x.shape[1:] != first.inputs.shape[1:] or y.shape[1:] != first.targets.shape[1:]:
            raise InputError(
                f"{path}: inputs {x.shape} and targets {y.shape} do not fit each other or the part before: "
                f"every part needs one target for each row, and rows of one shape"
            )
    return Arrays.joined(parts) if len(parts) > 1 else parts[TRAIN]


def read_npz_inputs(path: Path) -> np.ndarray:
    """The inputs alone, to predict on: the only array, or the one with a name for inputs."""
    arrays = _load_npz(path)
    named = [value for key, value in arrays.items() if key.lower() in INPUTS]
    found = named or [value for key, value in arrays.items() if key.lower() in {f"{x}_test" for x in INPUTS}]
    found = found or (list(arrays.values()) if len(arrays) == 1 else [])
    if not found:
        raise InputError(f"{path} holds {', '.join(arrays) or 'nothing'}: name the array to predict on X")
    return as_array(found[0], f"{path}: the inputs")


def is_idx(path: Path) -> bool:
    """Whether the file's name says that it is in the IDX format."""
    return bool(IDX_NAME.search(path.name))


def read_idx(path: Path) -> np.ndarray:
    """One IDX file, compressed or not: two zero bytes, the type, the number of axes, their lengths, the numbers."""
    head = packed.content(path, most=4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in IDX_TYPES or not 0 < head[3] <= MOST_AXES:
        raise InputError(f"{path} is no IDX file: it begins with {head.hex(' ') or 'nothing'}, not with 00 00 08 …")
    kind, start = np.dtype(IDX_TYPES[head[2]]), 4 + 4 * head[3]
    lengths = packed.content(path, most=start)[4:]
    shape = tuple(np.frombuffer(lengths, ">u4").tolist()) if len(lengths) == start - 4 else (-1,)
    size = math.prod(shape) * kind.itemsize
    if size > packed.room():
        raise InputError(f"{path} announces shape {shape}, which is more than half of this machine's memory")
    content = packed.content(path, most=start + size + 1)[start:] if size >= 0 else b""
    if len(content) != size:
        held = "more numbers" if len(content) > size else f"{len(content) // kind.itemsize:,} numbers"
        raise InputError(f"{path} is cut short: its header announces shape {shape}, and {held} follow")
    numbers = np.frombuffer(content, kind)
    return numbers.reshape(shape).astype(numbers.dtype.newbyteorder("="), copy=False)


def read_idx_pair(images: Path) -> Arrays:
    """An images file with the labels file beside it, whose name says labels where this one says images."""
    labels = images.with_name(re.sub(r"(?i)idx\d", "idx1", images.name.replace("images", "labels")))
    if labels == images:
        raise InputError(f"{images} is no images file: give the one whose name has images in it, beside its labels")
    if not labels.exists():
        raise InputError(f"{images} has no labels beside it: put the file {labels.name} into {images.parent}")
    return Arrays(as_array(read_idx(images), str(images)), _flat(read_idx(labels), labels))


def find_idx(folder: Path, part: str) -> Path | None:
    """The images file of a part (``train``, ``t10k`` or ``test``) in a folder."""
    found = sorted(path for path in folder.glob(f"{part}*images*") if is_idx(path))
    return found[0] if found else None


def read_idx_folder(folder: Path) -> Arrays:
    """The four files of an MNIST-like set: 60,000 to learn from and the 10,000 of its own test part."""
    train, test = find_idx(folder, "train"), find_idx(folder, "t10k") or find_idx(folder, "test")
    if train is None:
        raise InputError(f"{folder} has no train-images-idx3-ubyte file: put the images and labels files there")
    first = read_idx_pair(train)
    if test is None:
        return first
    second = read_idx_pair(test)
    for part in (first, second):
        if len(part.inputs) != len(part.targets):
            raise InputError(
                f"{folder}: {len(part.inputs):,} images and {len(part.targets):,} labels do not fit each other"
            )
    return Arrays.joined({TRAIN: first, TEST: second})


def _load_npz(path: Path) -> dict[str, np.ndarray]:
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} cannot be read as NPZ: it is no such archive; write it with numpy.savez")
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > packed.room():
            raise InputError(
                f"{path} unpacks to {size:,} bytes, more than half of this machine's memory: save fewer rows"
            )
        with np.load(path, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}
    except InputError:
        raise
    except Exception as error:  # a damaged archive or header meets every kind, from a bad zip to Python's tokenizer
        if "pickle" in str(error).lower():
            raise InputError(
                f"{path} holds Python objects, which could run code when read: save arrays of numbers or texts instead"
            ) from None
        raise InputError(f"{path} cannot be read as NPZ: {error or type(error).__name__}") from None


def _pair(arrays: dict[str, np.ndarray], part: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray] | None:
    """Inputs and targets of one part: ``x_train``, ``train_images``, ``X`` where no part is named …"""
    by_name = {key.lower(): value for key, value in arrays.items()}

    def first(words: tuple[str, ...]) -> np.ndarray | None:
        names = (
            [form for word in words for end in part for form in (f"{word}_{end}", f"{end}_{word}")] if part else words
        )
        return next((by_name[name] for name in names if name in by_name), None)

    inputs, targets = first(INPUTS), first(TARGETS)
    return None if inputs is None or targets is None else (inputs, targets)


def refuse_one_hot(targets: np.ndarray, name: str) -> None:
    """Raises ``InputError`` for targets ``(n, k)`` with a single 1 in every row."""
    if targets.ndim == 2 and targets.shape[1] > 1 and np.isin(targets, (0, 1)).all() and (targets.sum(1) == 1).all():
        raise InputError(f"{name} is one-hot, shape {targets.shape}: give class numbers, as y.argmax(1)")


def _flat(targets: np.ndarray, path: Path, *, several: bool = False) -> np.ndarray:
    """Targets ``(n,)``; a column ``(n, 1)`` is one too, and with ``several`` numbers ``(n, k)`` are k of them."""
    if targets.ndim == 2 and targets.shape[1] == 1:
        return targets[:, 0]
    refuse_one_hot(targets, f"{path}: y")
    if targets.ndim != 1 and not (several and targets.ndim == 2 and targets.shape[1] and targets.dtype.kind in "fiub"):
        raise InputError(
            f"{path}: the targets have shape {targets.shape}: give one for each row, shape ({len(targets)},)"
        )
    return targets
