"""Data sets that are there without a download: four of scikit-learn's, and Fashion-MNIST where its files are found.

>>> load_bundled("breast-cancer").classes
('malignant', 'benign')
>>> load_bundled("fashion-mnist").inputs.shape
(70000, 1, 28, 28)

Class numbers are the ones each set is known by, so class 9 of Fashion-MNIST is the ankle boot (Xiao, Rasul, Vollgraf 2017,
https://arxiv.org/abs/1708.07747), and its own 10,000 test images are the test part.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.data.dataset import Data
from thalweg.data.sources.arrays import find_idx, read_idx_folder
from thalweg.errors import InputError

CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def load_bundled(name: str) -> Data:
    """The data set of that name. Raises ``InputError`` where Fashion-MNIST's files are not found."""
    return BUNDLED[name]()


def _digits() -> Data:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = bunch.data.astype(np.uint8)  # 8 × 8, whole numbers from 0 to 16
    return Data("digits", "multiclass", pixels, bunch.target.astype(np.int64), "digit", tuple(map(str, range(10))))


def _breast_cancer() -> Data:
    from sklearn.datasets import load_breast_cancer

    return _table("breast-cancer", "binary", load_breast_cancer(), "diagnosis")


def _wine() -> Data:
    from sklearn.datasets import load_wine

    return _table("wine", "multiclass", load_wine(), "cultivar")


def _diabetes() -> Data:
    from sklearn.datasets import load_diabetes

    return _table("diabetes", "regression", load_diabetes(scaled=False), "progression")


def _table(name: str, task: str, bunch: Any, target: str) -> Data:
    import polars as pl

    frame = pl.DataFrame({column: bunch.data[:, index] for index, column in enumerate(bunch.feature_names)})
    if task == "regression":
        return Data(name, task, frame, bunch.target.astype(np.float64), target)
    return Data(name, task, frame, bunch.target.astype(np.int64), target, tuple(map(str, bunch.target_names)))


def _homes() -> list[Path]:
    """Where Fashion-MNIST may lie, itself or in a folder of its name: the user's word, Debian's package, the caches."""
    named = os.environ.get("THALWEG_DATA")
    cache = Path.home() / ".cache"
    return [
        *([Path(named)] if named else []),
        Path("/usr/share/datasets"),
        Path("/usr/share"),
        cache / "thalweg",
        cache,
    ]


def _fashion_mnist() -> Data:
    places = [home / name for home in _homes() for name in ("", "fashion-mnist", "dataset-fashion-mnist")]
    folder = next((place for place in places if find_idx(place, "train") and find_idx(place, "t10k")), None)
    if folder is None:
        raise InputError(
            "the files of fashion-mnist are not found: install Debian's package dataset-fashion-mnist, or put its four "
            "files (train-images-idx3-ubyte.gz and so on) into ~/.cache/fashion-mnist or the folder that $THALWEG_DATA names"
        )
    arrays = read_idx_folder(folder)
    return Data(
        "fashion-mnist",
        "multiclass",
        arrays.inputs,
        arrays.targets.astype(np.int64),
        "article",
        CLOTHES,
        assigned=arrays.assigned,
    )


BUNDLED: dict[str, Callable[[], Data]] = {
    "digits": _digits,
    "breast-cancer": _breast_cancer,
    "wine": _wine,
    "diabetes": _diabetes,
    "fashion-mnist": _fashion_mnist,
}
