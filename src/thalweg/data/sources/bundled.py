"""Data sets that are there without a download: four of scikit-learn's, and Fashion-MNIST where its files are found.

>>> load_bundled("breast-cancer").classes
('malignant', 'benign')
>>> load_bundled("fashion-mnist").inputs.shape
(70000, 1, 28, 28)

Class numbers are the ones each set is known by, so class 9 of Fashion-MNIST is the ankle boot (Xiao, Rasul, Vollgraf 2017,
https://arxiv.org/abs/1708.07747), and its own 10,000 test images are the test part.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from thalweg.data.dataset import Data
from thalweg.data.sources.arrays import find_idx, read_idx_folder
from thalweg.errors import InputError

if TYPE_CHECKING:
    import polars

CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
WINE = (
    "alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids", "nonflavanoid_phenols",
    "proanthocyanins", "color_intensity", "hue", "od280/od315_of_diluted_wines", "proline",
)  # fmt: skip
PATIENTS = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")
CELLS = tuple(
    f"{size}{what}{unit}"
    for size, unit in (("mean ", ""), ("", " error"), ("worst ", ""))
    for what in (
        "radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave points", "symmetry",
        "fractal dimension",
    )
)  # fmt: skip


def load_bundled(name: str) -> Data:
    """The data set of that name. Raises ``InputError`` where Fashion-MNIST's files are not found."""
    return BUNDLED[name]()


def _digits() -> Data:
    rows = np.loadtxt(_file("digits.csv.gz"), delimiter=",").astype(
        np.int64
    )  # 8 × 8 whole numbers from 0 to 16, and the digit
    return Data("digits", "multiclass", rows[:, :-1].astype(np.uint8), rows[:, -1], "digit", tuple(map(str, range(10))))


def _breast_cancer() -> Data:
    return _classes("breast-cancer", "breast_cancer.csv", CELLS, "diagnosis")


def _wine() -> Data:
    return _classes("wine", "wine_data.csv", WINE, "cultivar")


def _diabetes() -> Data:
    inputs, targets = (np.loadtxt(_file(f"diabetes_{part}.csv.gz")) for part in ("data_raw", "target"))
    return Data("diabetes", "regression", _frame(inputs, PATIENTS), targets, "progression")


def _classes(name: str, file: str, columns: tuple[str, ...], target: str) -> Data:
    """Its first line: how many rows, how many columns, and the classes; its last column: numbers of classes."""
    path = _file(file)
    with path.open(encoding="utf-8") as lines:
        classes = tuple(next(lines).strip().split(",")[2:])
    rows = np.loadtxt(path, delimiter=",", skiprows=1)
    task = "binary" if len(classes) == 2 else "multiclass"
    return Data(name, task, _frame(rows[:, :-1], columns), rows[:, -1].astype(np.int64), target, classes)


def _frame(values: np.ndarray, columns: tuple[str, ...]) -> polars.DataFrame:
    import polars as pl

    return pl.DataFrame({column: values[:, index] for index, column in enumerate(columns)})


def _file(name: str) -> Path:
    """One of scikit-learn's files; importing scikit-learn to open it would take longer than to train on it."""
    package = importlib.util.find_spec("sklearn")
    places = package.submodule_search_locations if package is not None else None
    path = Path(*(places or [""])[:1], "datasets", "data", name)
    if not path.is_file():
        raise InputError(
            f"scikit-learn's file {name} is not found in its folder datasets/data: install scikit-learn again"
        )
    return path


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
