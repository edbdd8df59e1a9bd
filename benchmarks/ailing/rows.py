"""The data sets, each split into training and dev rows, and what is done on each: loss, epochs, mini-batches.

>>> on_digits("lr_too_high", model, optimizer, epochs=5).data
'digits'
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn import datasets
from torch import nn

from ailing.program import Pair, Program

FASHION = Path("/usr/share/datasets/fashion-mnist")
CE, BCE, MSE = nn.CrossEntropyLoss(), nn.BCEWithLogitsLoss(), nn.MSELoss()
Change = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def tensor(a: np.ndarray) -> torch.Tensor:
    return torch.tensor(np.asarray(a, np.float32 if a.dtype.kind == "f" else np.int64))


def split(X: np.ndarray, y: np.ndarray, *, scale: bool = False) -> tuple[Pair, Pair]:
    """Three quarters for training. ``scale``: by the training rows' mean and spread."""
    order = np.random.default_rng(0).permutation(len(X))
    cut = int(0.75 * len(X))
    a, b = X[order[:cut]], X[order[cut:]]
    if scale:
        mean, spread = a.mean(0), a.std(0)
        a, b = (a - mean) / spread, (b - mean) / spread
    return (tensor(a), tensor(y[order[:cut]])), (tensor(b), tensor(y[order[cut:]]))


def column(y: np.ndarray) -> np.ndarray:
    return ((y - y.mean()) / y.std()).astype(np.float32)[:, None]


@cache
def digits() -> tuple[Pair, Pair]:
    X, y = datasets.load_digits(return_X_y=True)
    return split((X / 16 - 0.3) / 0.38, y)


@cache
def cancer(scale: bool = True) -> tuple[Pair, Pair]:
    X, y = datasets.load_breast_cancer(return_X_y=True)
    return split(X, y.astype(np.float32)[:, None], scale=scale)


@cache
def diabetes() -> tuple[Pair, Pair]:
    X, y = datasets.load_diabetes(return_X_y=True)
    return split(X * 21, ((y - 152) / 77).astype(np.float32)[:, None])


@cache
def wine(scale: bool = True) -> tuple[Pair, Pair]:
    return split(*datasets.load_wine(return_X_y=True), scale=scale)


@cache
def iris() -> tuple[Pair, Pair]:
    return split(*datasets.load_iris(return_X_y=True), scale=True)


@cache
def moons(noise: float = 0.15, n: int = 1000) -> tuple[Pair, Pair]:
    return split(*datasets.make_moons(n, noise=noise, random_state=1))


@cache
def circles() -> tuple[Pair, Pair]:
    return split(*datasets.make_circles(800, noise=0.1, factor=0.4, random_state=0))


@cache
def blobs() -> tuple[Pair, Pair]:
    X, y = datasets.make_blobs(900, centers=4, cluster_std=2.5, random_state=3)
    return split((X - X.mean(0)) / X.std(0), y)


@cache
def spirals(noise: float = 0.08, arms: int = 3) -> tuple[Pair, Pair]:
    g = np.random.default_rng(3)
    y = np.arange(1200) % arms
    r = g.uniform(0.1, 1, 1200)
    angle = 2 * np.pi * y / arms + 4 * r + noise * g.normal(size=1200)
    return split(1.7 * np.stack([r * np.cos(angle), r * np.sin(angle)], 1), y)


@cache
def table() -> tuple[Pair, Pair]:
    return split(*datasets.make_classification(
        1500, 20, n_informative=8, n_classes=3, flip_y=0.03, class_sep=1.2, random_state=0))  # fmt: skip


@cache
def table2() -> tuple[Pair, Pair]:
    X, y = datasets.make_classification(
        1200, 20, n_informative=10, n_redundant=4, class_sep=1.5, flip_y=0.01, random_state=7
    )
    return split(X, y.astype(np.float32)[:, None], scale=True)


@cache
def waves() -> tuple[Pair, Pair]:
    g = np.random.default_rng(0)
    X = g.normal(size=(1500, 5))
    y = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * g.normal(size=1500)
    return split(X, y.astype(np.float32)[:, None])


@cache
def sine(noise: float = 0.1) -> tuple[Pair, Pair]:
    g = np.random.default_rng(5)
    X = g.uniform(-1, 1, (800, 1))
    return split(1.7 * X, (np.sin(5 * X) + noise * g.normal(size=(800, 1))).astype(np.float32))


@cache
def friedman() -> tuple[Pair, Pair]:
    X, y = datasets.make_friedman1(1000, noise=1.0, random_state=0)
    return split((X - 0.5) * 3.46, column(y))


@cache
def housing() -> tuple[Pair, Pair]:
    """Eight columns like those of a census of houses: skewed amounts, a position, a price that bends."""
    g = np.random.default_rng(11)
    income, age = g.lognormal(1.2, 0.45, 1600), g.integers(1, 52, 1600).astype(float)
    rooms, people = g.lognormal(1.6, 0.3, 1600), g.lognormal(1.0, 0.25, 1600)
    beds, crowd = 0.2 * rooms * g.uniform(0.9, 1.1, 1600), g.lognormal(7, 0.7, 1600)
    north, west = g.uniform(32, 42, 1600), g.uniform(-124, -114, 1600)
    price = np.log(income) + 0.6 * np.sin(north) * np.cos(0.5 * west) + 0.02 * np.sqrt(age) - 0.3 * np.log(people)
    X = np.stack([income, age, rooms, beds, crowd, people, north, west], 1)
    return split(X, column(price + 0.15 * g.normal(size=1600)), scale=True)


@cache
def three() -> tuple[Pair, Pair]:
    X, y = datasets.make_regression(600, 12, n_targets=3, noise=20, random_state=0)
    return split(X, (y / y.std(0)).astype(np.float32))


@cache
def labels() -> tuple[Pair, Pair]:
    X, y = datasets.make_multilabel_classification(1400, 16, n_classes=5, n_labels=2, length=60, random_state=2)
    return split(X, y.astype(np.float32), scale=True)


@cache
def tokens() -> tuple[Pair, Pair]:
    """Twelve tokens out of twenty; the class is which of four kinds of token is the most frequent."""
    g = np.random.default_rng(8)
    y = g.integers(0, 4, 2000)
    kinds = np.where(g.random((2000, 12)) < 0.45, y[:, None], g.integers(0, 4, (2000, 12)))
    return split(kinds * 5 + g.integers(0, 5, (2000, 12)), y)


@cache
def sequences() -> tuple[Pair, Pair]:
    """Sixteen moments of a noisy oscillation, two columns; the class is its frequency."""
    g = np.random.default_rng(9)
    y = g.integers(0, 4, 1400)
    t = np.arange(16) + g.uniform(0, 8, (1400, 1))
    phase = (0.3 + 0.35 * y[:, None]) * t
    return split(np.stack([np.sin(phase), np.cos(phase)], 2) + 0.3 * g.normal(size=(1400, 16, 2)), y)


@cache
def fashion(n: int = 3000) -> tuple[Pair, Pair]:
    with gzip.open(FASHION / "train-images-idx3-ubyte.gz") as f:
        X = np.frombuffer(f.read(16 + 784 * (n + 1000)), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(FASHION / "train-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + n + 1000), np.uint8, offset=8)
    X = (X / 255 - 0.286) / 0.353
    return (tensor(X[:n]), tensor(y[:n])), (tensor(X[n:]), tensor(y[n:]))


def on(data: Callable[[], tuple[Pair, Pair]], loss: Callable = CE, **usual: Any) -> Callable[..., Program]:
    """Programs on one data set; ``loss`` and all that is ``usual`` may be given anew."""

    def make(kind: str | None, model: nn.Module, optimizer: torch.optim.Optimizer, **more: Any) -> Program:
        given = {
            "loss": loss,
            "train": data()[0],
            "dev": data()[1],
            "data": data.__name__,
            "epochs": 30,
            **usual,
            **more,
        }
        return Program(kind, model, optimizer, **given)

    return make


def noisier(noise: float, n: int = 1000) -> Callable[..., Program]:
    """Moons that overlap."""
    train, dev = moons(noise, n)
    return partial(on_moons, train=train, dev=dev)


def unscaled(data: Callable[[bool], tuple[Pair, Pair]], loss: Callable) -> Callable[..., Program]:
    train, dev = data(False)
    return partial(on(data, loss), train=train, dev=dev)


def altered(make: Callable[..., Program], *, train: Change | None = None, dev: Change | None = None,
            both: Change | None = None) -> Callable[..., Program]:  # fmt: skip
    """The same with rows changed: ``(X, y) → (X, y)``."""

    def other(*given: Any, **more: Any) -> Program:
        p = make(*given, **more)
        for change, names in ((train, ("train",)), (dev, ("dev",)), (both, ("train", "dev"))):
            for name in names if change else ():
                assert change is not None
                setattr(p, name, change(*getattr(p, name)))
        return p

    return other


on_digits = on(digits, epochs=15)
on_moons = on(moons, epochs=40)
on_circles, on_blobs, on_table, on_iris, on_wine = on(circles), on(blobs), on(table), on(iris), on(wine)
on_spirals = on(spirals, epochs=80)
on_fashion = on(fashion, epochs=4, batch=64)
on_cancer = on(cancer, BCE, epochs=20)
on_table2 = on(table2, BCE, epochs=20)
on_waves = on(waves, MSE, epochs=40)
on_diabetes, on_friedman, on_three = on(diabetes, MSE), on(friedman, MSE), on(three, MSE)
on_sine = on(sine, MSE, epochs=80)
on_housing = on(housing, MSE)
on_labels = on(labels, BCE)
on_tokens, on_sequences = on(tokens, epochs=15), on(sequences, epochs=15)
