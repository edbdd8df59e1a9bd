"""Small plain PyTorch programs, each healthy or with one known fault, to hold the doctor against.

>>> program = PROGRAMS["digits lr 30"](seed=0)
>>> program.kind
'lr_too_high'
>>> run(program).findings()[0].kind
'lr_too_high'
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from sklearn import datasets
from torch import nn

import thalweg

FASHION = Path("/usr/share/datasets/fashion-mnist")
Pair = tuple[torch.Tensor, torch.Tensor]


@dataclass
class Program:
    kind: str | None
    model: nn.Module
    optimizer: torch.optim.Optimizer
    loss: Callable
    train: Pair
    dev: Pair
    epochs: int = 10
    batch: int = 32
    zero: bool = True
    shuffle: bool = True
    mode: str = "train"
    judge: str = "eval"
    schedule: Callable | None = None
    penalty: Callable | None = None
    train_dev: Pair | None = None
    seed: int = 0
    spoil: Callable | None = None


def run(p: Program) -> thalweg.doctor.Doctor:
    """The loop a user would write."""
    X, y = p.train
    generator = torch.Generator().manual_seed(p.seed)
    scheduler = p.schedule(p.optimizer) if p.schedule else None
    with thalweg.watch(p.model, p.optimizer, loss=p.loss, train=p.train, dev=p.dev, train_dev=p.train_dev) as doctor:
        for _epoch in range(p.epochs):
            getattr(p.model, p.mode)()
            order = torch.randperm(len(X), generator=generator) if p.shuffle else torch.arange(len(X))
            for rows in order.split(p.batch):
                if p.zero:
                    p.optimizer.zero_grad()
                value = p.loss(p.model(X[rows]), y[rows])
                if p.penalty:
                    value = value + p.penalty(p.model)
                value.backward()
                if p.spoil:
                    p.spoil(p.model)
                p.optimizer.step()
            if scheduler:
                scheduler.step()
            getattr(p.model, p.judge)()
            with torch.no_grad():
                p.model(p.dev[0])
            doctor.epoch_end()
    return doctor


@cache
def digits() -> tuple[Pair, Pair]:
    X, y = datasets.load_digits(return_X_y=True)
    return _split((X / 16 - 0.3) / 0.38, y, 0)


@cache
def cancer() -> tuple[Pair, Pair]:
    X, y = datasets.load_breast_cancer(return_X_y=True)
    (a, b), (c, d) = _split(X, y.astype(np.float32)[:, None], 0)
    mean, sd = a.mean(0), a.std(0)
    return ((a - mean) / sd, b), ((c - mean) / sd, d)


@cache
def diabetes() -> tuple[Pair, Pair]:
    X, y = datasets.load_diabetes(return_X_y=True)
    return _split(X * 21, ((y - 152) / 77).astype(np.float32)[:, None], 0)


@cache
def wine_raw() -> tuple[Pair, Pair]:
    return _split(*datasets.load_wine(return_X_y=True), 0)


@cache
def moons(noise: float = 0.15, n: int = 1000) -> tuple[Pair, Pair]:
    X, y = datasets.make_moons(n, noise=noise, random_state=1)
    return _split(X, y, 0)


@cache
def waves() -> tuple[Pair, Pair]:
    g = np.random.default_rng(0)
    X = g.normal(size=(1500, 5))
    y = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * g.normal(size=1500)
    return _split(X, y.astype(np.float32)[:, None], 0)


@cache
def fashion(n: int = 3000) -> tuple[Pair, Pair]:
    with gzip.open(FASHION / "train-images-idx3-ubyte.gz") as f:
        X = np.frombuffer(f.read(16 + 784 * (n + 1000)), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(FASHION / "train-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(8 + n + 1000), np.uint8, offset=8)
    X = (X / 255 - 0.286) / 0.353
    return (_t(X[:n]), _t(y[:n])), (_t(X[n:]), _t(y[n:]))


def _t(a: np.ndarray) -> torch.Tensor:
    return torch.tensor(np.asarray(a, np.float32 if a.dtype.kind == "f" else np.int64))


def _split(X: np.ndarray, y: np.ndarray, seed: int) -> tuple[Pair, Pair]:
    order = np.random.default_rng(seed).permutation(len(X))
    cut = int(0.75 * len(X))
    a, b = order[:cut], order[cut:]
    return (_t(X[a].astype(np.float32)), _t(y[a])), (_t(X[b].astype(np.float32)), _t(y[b]))


def mlp(*sizes: int, act: Callable[[], nn.Module] = nn.ReLU, norm: bool = False, drop: float = 0.0) -> nn.Sequential:
    parts: list[nn.Module] = []
    for a, b in pairwise(sizes[:-1]):
        parts += [nn.Linear(a, b)] + [nn.BatchNorm1d(b)] * norm + [act()] + [nn.Dropout(drop)] * (drop > 0)
    return nn.Sequential(*parts, nn.Linear(*sizes[-2:]))


def conv(norm: bool = False) -> nn.Sequential:
    n = [nn.BatchNorm2d(8)] * norm
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1), *n, nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(784, 10),
    )  # fmt: skip


CE, BCE, MSE = nn.CrossEntropyLoss(), nn.BCEWithLogitsLoss(), nn.MSELoss()
PROGRAMS: dict[str, Callable[[int], Program]] = {}


def program(make: Callable[[int], Program]) -> Callable[[int], Program]:
    def built(seed: int) -> Program:
        torch.manual_seed(seed)
        return replace(make(seed), seed=seed)

    PROGRAMS[make.__name__] = built
    return built


def sgd(m: nn.Module, lr: float = 0.1, momentum: float = 0.0, **more: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(m.parameters(), lr, momentum=momentum, **more)


def adam(m: nn.Module, lr: float = 1e-3, **more: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(m.parameters(), lr, **more)


def on_digits(kind: str | None, m: nn.Module, o: torch.optim.Optimizer, **more: object) -> Program:
    return Program(kind, m, o, CE, *digits(), **{"epochs": 15, **more})


def on_moons(kind: str | None, m: nn.Module, o: torch.optim.Optimizer, **more: object) -> Program:
    return Program(kind, m, o, CE, *moons(), **{"epochs": 40, **more})


def on_fashion(kind: str | None, m: nn.Module, o: torch.optim.Optimizer, **more: object) -> Program:
    return Program(kind, m, o, CE, *fashion(), **{"epochs": 4, "batch": 64, **more})


def on_waves(kind: str | None, m: nn.Module, o: torch.optim.Optimizer, **more: object) -> Program:
    return Program(kind, m, o, MSE, *waves(), **{"epochs": 40, **more})


def on_cancer(kind: str | None, m: nn.Module, o: torch.optim.Optimizer, **more: object) -> Program:
    return Program(kind, m, o, BCE, *cancer(), **{"epochs": 20, **more})
