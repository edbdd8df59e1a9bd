"""Data, nets and rules of the programs by a second hand: splits and rows change with the seed.

>>> @ill("lr_too_high")
... def too_fast(seed):
...     (train, dev), net = digits(seed), mlp(64, 32, 10)
...     return fitted(net, Adam(net.parameters(), 0.3), CE, train, dev, 12)
>>> run(PROGRAMS["hand too fast"](0)).findings()[0].kind
'lr_too_high'
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from sklearn import datasets
from torch import nn
from torch.nn import functional as F

from ailing.program import NEW, PROGRAMS, Pair, Program
from ailing.rows import FASHION

Parts = tuple[Pair, Pair]
CE = nn.CrossEntropyLoss()
LR = torch.optim.lr_scheduler
SGD, Adam, AdamW, RMS = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop


def ill(kind: str | None) -> Callable[[Callable[[int], Program]], Callable[[int], Program]]:
    """Enters a program of this fault under its function's name."""

    def enter(build: Callable[[int], Program]) -> Callable[[int], Program]:
        def make(seed: int) -> Program:
            torch.manual_seed(seed)
            return replace(build(seed), kind=kind, seed=seed)

        name = f"hand {build.__name__.replace('_', ' ')}"
        assert name not in PROGRAMS, name
        PROGRAMS[name] = make
        NEW.add(name)
        return build

    return enter


well = ill(None)


def fitted(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable,
    train: Pair,
    dev: Pair,
    epochs: int,
    batch: int = 32,
    *,
    clip: float | None = None,
    sched: Any = None,
    jitter: float = 0.0,
    **more: Any,
) -> Program:
    """``more`` as in ``Program``; the shape of a row stands for the data set's name."""

    def clipped(net: nn.Module) -> None:
        nn.utils.clip_grad_norm_(net.parameters(), clip or 1.0)

    def shaken(X: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return X + jitter * torch.randn(X.shape, generator=generator)

    return Program(
        None,
        model,
        optimizer,
        loss,
        train,
        dev,
        data=str(tuple(train[0].shape[1:])),
        epochs=epochs,
        batch=batch,
        schedule=(lambda _: sched) if sched else None,
        spoil=clipped if clip else None,
        augment=shaken if jitter else None,
        **more,
    )


def squared(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (outputs - targets).square().mean()


def by_number(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return F.mse_loss(outputs[:, 0], targets.float())


def split(X: torch.Tensor, y: torch.Tensor, seed: int) -> Parts:
    g = torch.Generator().manual_seed(seed + 77)
    p = torch.randperm(len(X), generator=g)
    k = len(X) // 4
    return (X[p[k:]], y[p[k:]]), (X[p[:k]], y[p[:k]])


def digits(seed: int, n: int | None = None, scale: float = 16.0) -> Parts:
    X, y = datasets.load_digits(return_X_y=True)
    X = torch.tensor(X, dtype=torch.float32) / scale
    y = torch.tensor(y)
    tr, dv = split(X, y, seed)
    return (tr[0][:n], tr[1][:n]), dv


def _idx(name: str, skip: int) -> np.ndarray:
    with gzip.open(FASHION / name) as f:
        return np.frombuffer(f.read(), dtype=np.uint8, offset=skip)


def fashion(seed: int, n: int = 2000, m: int = 600) -> Parts:
    X = _idx("train-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)[:8000]
    y = _idx("train-labels-idx1-ubyte.gz", 8)[:8000]
    p = np.random.default_rng(seed).permutation(8000)[: n + m]
    X = torch.tensor(X[p].astype(np.float32))
    y = torch.tensor(y[p].astype(np.int64))
    X = (X / 255 - 0.286) / 0.353
    return (X[:n], y[:n]), (X[n:], y[n:])


def table(name: str, seed: int, std: bool = True) -> Parts:
    X, y = getattr(datasets, "load_" + name)(return_X_y=True)
    X = torch.tensor(X, dtype=torch.float32)
    y = torch.tensor(y)
    (a, b), (c, d) = split(X, y, seed)
    if std:
        m, s = a.mean(0), a.std(0)
        a, c = (a - m) / s, (c - m) / s
    return (a, b), (c, d)


def diabetes(seed: int) -> Parts:
    (a, b), (c, d) = table("diabetes", seed)
    m, s = b.float().mean(), b.float().std()
    return (a, ((b - m) / s).float()[:, None]), (c, ((d - m) / s).float()[:, None])


def moons(seed: int, n: int = 600, noise: float = 0.15) -> Parts:
    X, y = datasets.make_moons(n, noise=noise, random_state=seed)
    X = torch.tensor(X, dtype=torch.float32)
    return split((X - X.mean(0)) / X.std(0), torch.tensor(y), seed)


def curve(seed: int, n: int = 800, noise: float = 0.05) -> Parts:
    g = torch.Generator().manual_seed(seed)
    X = torch.randn(n, 6, generator=g)
    y = torch.sin(X[:, 0] * 1.5) + X[:, 1] * X[:, 2] * 0.7 + 0.5 * X[:, 3] + noise * torch.randn(n, generator=g)
    return split(X, y[:, None], seed)


def sequences(seed: int, n: int = 800, T: int = 30, lag: int | None = None) -> Parts:
    """The class is the sign of the sum of the first ``lag`` moments, or of all."""
    g = torch.Generator().manual_seed(seed)
    X = torch.randn(n, T, 2, generator=g)
    y = (X[:, :lag, 0].sum(1) > 0).long()
    return split(X, y, seed)


def words(seed: int, n: int = 1200, V: int = 60, T: int = 12) -> Parts:
    g = torch.Generator().manual_seed(seed)
    w = torch.randn(V, generator=torch.Generator().manual_seed(5))
    X = torch.randint(0, V, (n, T), generator=g)
    y = (w[X].sum(1) > 0).long()
    return split(X, y, seed)


def mlp(*sizes: int, act: Callable = nn.ReLU, norm: Callable | None = None, drop: float = 0.0) -> nn.Sequential:
    out = []
    for i, (a, b) in enumerate(pairwise(sizes)):
        out.append(nn.Linear(a, b))
        if i < len(sizes) - 2:
            if norm:
                out.append(norm(b))
            out.append(act())
            if drop:
                out.append(nn.Dropout(drop))
    return nn.Sequential(*out)


def cnn(classes: int = 10, ch: int = 8, bn: bool = False) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, ch, 3, padding=1),
        nn.BatchNorm2d(ch) if bn else nn.Identity(),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(ch, 2 * ch, 3, padding=1),
        nn.BatchNorm2d(2 * ch) if bn else nn.Identity(),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2 * ch * 49, classes),
    )


class Block(nn.Module):
    def __init__(self, d: int, norm: bool = True) -> None:
        super().__init__()
        self.n = nn.LayerNorm(d) if norm else nn.Identity()
        self.a = nn.Linear(d, d)
        self.b = nn.Linear(d, d)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.b(F.relu(self.a(self.n(x))))


class Recur(nn.Module):
    def __init__(self, cell: Callable, d: int = 2, h: int = 24, out: int = 2) -> None:
        super().__init__()
        self.rnn = cell(d, h, batch_first=True)
        self.head = nn.Linear(h, out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(x)[0][:, -1])


class Bag(nn.Module):
    def __init__(self, V: int = 60, d: int = 16, out: int = 2) -> None:
        super().__init__()
        self.emb = nn.Embedding(V, d)
        self.net = mlp(d, 32, out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(self.emb(x).mean(1))
