"""Images in class folders: ``images/cat/1.png``, ``images/dog/7.jpg``: the folder is the class.

All are brought to one size, the commonest one, and to one mode: grey where all are grey, colour otherwise.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from thalweg.errors import InputError

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
GREY = {"1", "L", "LA", "I", "I;16", "F"}


def read_folder(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """``(n, C, H, W)`` uint8 and the class of each, from a folder of class folders. Raises ``InputError`` naming what is wrong."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    files = [(path, each.name) for each in classes for path in _files(each)]
    if not classes or not files:
        raise InputError(f"{folder} holds no class folders with images: expected {folder.name}/CLASS/IMAGE.png")
    for each in classes:
        if not _files(each):
            raise InputError(f"{each} holds no images ({', '.join(sorted(ENDINGS))})")
    return stack([path for path, _ in files]), np.array([name for _, name in files], dtype=object)


def read_images(folder: Path, *, shape: tuple[int, ...] | None) -> np.ndarray:
    """All images below a folder, in the order of their paths, in the shape ``(C, H, W)`` a model was trained on."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
    if not files:
        raise InputError(f"{folder} holds no images ({', '.join(sorted(ENDINGS))})")
    return stack(files, shape=shape)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)


def stack(files: list[Path], *, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Images as one array ``(n, C, H, W)`` of uint8."""
    from PIL import Image, UnidentifiedImageError

    def opened(path: Path) -> Image.Image:
        try:
            image = Image.open(path)
            image.load()
            return image
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
            raise InputError(f"{path} is no readable image: {str(error).splitlines()[0]}") from None

    if shape is None:
        sizes: Counter[tuple[int, int]] = Counter()
        modes = set()
        for path in files:
            image = opened(path)
            sizes[image.size] += 1
            modes.add(image.mode)
        (width, height), _ = max(sizes.items(), key=lambda item: (item[1], item[0]))
        channels = 1 if modes <= GREY else 3
    else:
        channels, height, width = shape
    found = np.empty((len(files), channels, height, width), dtype=np.uint8)
    for index, path in enumerate(files):
        image = opened(path).convert("L" if channels == 1 else "RGB")
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        pixels = np.asarray(image)
        found[index] = pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
    return found
