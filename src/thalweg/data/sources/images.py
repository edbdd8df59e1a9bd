"""A folder of class folders with PNG or JPEG images, as bytes ``(n, C, H, W)``.

>>> pictures = read_folder(Path("flowers"))           # flowers/rose/1.jpg, flowers/tulip/7.png …
>>> pictures.inputs.shape, set(pictures.labels)
((180, 3, 64, 64), {'rose', 'tulip'})

Images of other sizes are resized to the commonest one. They stay grey (one channel) if every one is grey; otherwise all
become RGB. A folder of ``train`` and ``test`` (and ``val``) with class folders in each has its own parts.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thalweg.data.dataset import DEV, TEST, TRAIN
from thalweg.data.sources import packed
from thalweg.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg")
MOST_PIXELS = 1 << 26
"""Of one image: 8,192 × 8,192."""
GREY = ("1", "L", "LA", "I;16", "I", "F")
PARTS = {"train": TRAIN, "val": DEV, "valid": DEV, "test": TEST}


@dataclass(frozen=True)
class Pictures:
    """``inputs`` uint8 ``(n, C, H, W)``, a label each, and the part of each (int8, as in ``Data``) if the folder has parts."""

    inputs: np.ndarray
    labels: list[str]
    assigned: np.ndarray | None = None


def read_folder(folder: Path, *, shape: tuple[int, ...] | None = None) -> Pictures:
    """Reads every image below the class folders; ``shape`` ``(C, H, W)`` is that of an image where it is given.

    Raises ``InputError`` where there are none, or one cannot be read.
    """
    tops = {path.name: path for path in _folders(folder)}
    divided = {"train", "test"} <= set(tops) <= set(PARTS)
    roots = [tops[part] for part in PARTS if part in tops] if divided else [folder]
    files: list[Path] = []
    labels: list[str] = []
    parts: list[int] = []
    for root in roots:
        for of_class in _folders(root):
            found = image_files(of_class)
            files += found
            labels += [of_class.name] * len(found)
            parts += [PARTS.get(root.name, TRAIN)] * len(found)
    if not files:
        raise InputError(
            f"{folder} has no class folders with {', '.join(SUFFIXES)} images: make one folder for each class, as "
            f"{folder.name}/cat and {folder.name}/dog"
        )
    return Pictures(read_images(files, shape=shape), labels, np.array(parts, np.int8) if divided else None)


def image_files(folder: Path) -> list[Path]:
    """The images in a folder and below it, sorted by path; hidden files are passed over."""
    return sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )


def read_images(files: Sequence[Path], *, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """uint8 ``(n, C, H, W)``; ``shape`` is that of one image, ``(C, H, W)``, where it is given and not the commonest."""
    for path in files:
        if not path.is_file():  # a pipe would be waited for
            raise InputError(f"{path} cannot be read as an image (it is no file): replace or remove it")
    with warnings.catch_warnings(), ThreadPoolExecutor(8) as pool:  # decoding and resizing release the interpreter
        warnings.filterwarnings("ignore", module="PIL")  # on odd EXIF and size, of which the second is checked
        if shape is None:
            heads = list(pool.map(_head, files))
            modes = {mode for mode, _ in heads}
            (width, height), _ = Counter(size for _, size in heads).most_common(1)[0]
            shape = (1 if modes <= set(GREY) else 3, height, width)
        if len(files) * math.prod(shape) > packed.room():
            raise InputError(
                f"{len(files):,} images of {shape[2]} × {shape[1]} pixels take more than half of this machine's memory: "
                f"make them smaller"
            )
        images = np.empty((len(files), *shape), np.uint8)

        def fill(index: int) -> None:
            images[index] = _pixels(files[index], shape)

        list(pool.map(fill, range(len(files))))
    return images


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _head(path: Path) -> tuple[str, tuple[int, int]]:
    """Mode and (width, height), without decoding the pixels."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            _check_size(path, image.size)
            return image.mode, image.size
    except InputError:
        raise
    except Exception as error:  # each format has errors of its own, and more in damaged files
        raise _unreadable(path, error) from None


def _pixels(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    from PIL import Image

    channels, height, width = shape
    try:
        with Image.open(path) as opened:
            image: Image.Image = opened
            _check_size(path, image.size)
            if image.mode.startswith(("I", "F")):  # deeper than a byte: PIL would cut, not scale
                image = Image.fromarray((np.asarray(image) / 257).clip(0, 255).astype(np.uint8))
            image = image.convert("L" if channels == 1 else "RGB")
            if image.size != (width, height):
                image = image.resize((width, height), Image.Resampling.BILINEAR)
            pixels = np.asarray(image)
    except InputError:
        raise
    except Exception as error:  # each format has errors of its own, and more in damaged files
        raise _unreadable(path, error) from None
    return pixels[None] if channels == 1 else np.moveaxis(pixels, 2, 0)


def _check_size(path: Path, size: tuple[int, int]) -> None:
    """A small file can unpack to an image of gigabytes."""
    if size[0] * size[1] > MOST_PIXELS:
        raise InputError(f"{path} has {size[0]:,} × {size[1]:,} pixels: make it smaller or remove it")


def _unreadable(path: Path, error: Exception) -> InputError:
    said = (str(error) or type(error).__name__).splitlines()[0]
    return InputError(f"{path} cannot be read as an image ({said}): replace or remove it")
