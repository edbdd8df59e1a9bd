"""Data that are at hand without a download: four sets of scikit-learn's, and Fashion-MNIST where its files are found."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.errors import InputError

NAMES = {
    "digits": "load_digits",
    "breast-cancer": "load_breast_cancer",
    "wine": "load_wine",
    "diabetes": "load_diabetes",
    "fashion-mnist": "",
}
FASHION_CLASSES = np.array(
    ["T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"], dtype=object
)


def read(name: str) -> tuple[Any, np.ndarray, np.ndarray | None]:
    """Inputs, targets and official test rows of a bundled set."""
    if name == "fashion-mnist":
        return _fashion_mnist()
    import sklearn.datasets

    found = getattr(sklearn.datasets, NAMES[name])()
    targets = found.target
    if name in ("breast-cancer", "wine"):
        targets = np.asarray(found.target_names, dtype=object)[targets]
    return found.data, targets, None


def _fashion_mnist() -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    from thalweg.data.arrays import is_idx_folder, read_idx

    for folder in places():
        if folder.is_dir() and is_idx_folder(folder):
            inputs, labels, official = read_idx(folder)
            return inputs, FASHION_CLASSES[labels], official
    raise InputError(
        "the files of fashion-mnist are not here: install Debian's package dataset-fashion-mnist "
        "(apt-get install dataset-fashion-mnist), or put the four IDX files into a folder fashion-mnist under $THALWEG_DATA"
    )


def places() -> list[Path]:
    """Where Fashion-MNIST is looked for, in this order."""
    named = os.environ.get("THALWEG_DATA")
    return [
        *([Path(named) / "fashion-mnist", Path(named)] if named else []),
        Path("/usr/share/datasets/fashion-mnist"),
        Path("/usr/share/dataset-fashion-mnist"),
        Path.home() / ".cache" / "thalweg" / "fashion-mnist",
    ]
