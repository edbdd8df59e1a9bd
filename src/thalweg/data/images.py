"""A folder of class folders with PNG or JPEG images, as bytes ``(n, C, H, W)``.

>>> pictures = read_folder(Path("flowers"))           # flowers/rose/1.jpg, flowers/tulip/7.png …
>>> pictures.inputs.shape, set(pictures.labels)
((180, 3, 64, 64), {'rose', 'tulip'})

Images of other sizes are resized to the commonest one. They stay grey (one channel) if every one is grey; otherwise all
become RGB. A folder of ``train`` and ``test`` (and ``val``) with class folders in each has its own parts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thalweg.data.dataset import DEV, TEST, TRAIN
from thalweg.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg")
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
    with ThreadPoolExecutor(8) as pool:  # decoding and resizing release the interpreter
        if shape is None:
            heads = list(pool.map(_head, files))
            modes = {mode for mode, _ in heads}
            (width, height), _ = Counter(size for _, size in heads).most_common(1)[0]
            shape = (1 if modes <= set(GREY) else 3, height, width)
        images = np.empty((len(files), *shape), np.uint8)

        def fill(index: int) -> None:
            images[index] = _pixels(files[index], shape)

        list(pool.map(fill, range(len(files))))
    return images


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _head(path: Path) -> tuple[str, tuple[int, int]]:
    """Mode and (width, height), without decoding the pixels."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return image.mode, image.size
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise _unreadable(path, error) from None


def _pixels(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    channels, height, width = shape
    try:
        with Image.open(path) as opened:
            image: Image.Image = opened
            if image.mode.startswith(("I", "F")):  # deeper than a byte: PIL would cut, not scale
                image = Image.fromarray((np.asarray(image) / 257).clip(0, 255).astype(np.uint8))
            image = image.convert("L" if channels == 1 else "RGB")
            if image.size != (width, height):
                image = image.resize((width, height), Image.Resampling.BILINEAR)
            pixels = np.asarray(image)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise _unreadable(path, error) from None
    return pixels[None] if channels == 1 else np.moveaxis(pixels, 2, 0)


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} cannot be read as an image ({str(error).splitlines()[0]}): replace or remove it")
