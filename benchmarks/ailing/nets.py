"""Architectures and rules the programs are made of, and what can be done to a net before it starts.

>>> scaled(mlp(64, 32, 10, act=nn.Tanh), 15)
Sequential(…)
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import nn


def mlp(*sizes: int, act: Callable[[], nn.Module] = nn.ReLU, norm: bool = False, drop: float = 0.0) -> nn.Sequential:
    parts: list[nn.Module] = []
    for a, b in pairwise(sizes[:-1]):
        parts += [nn.Linear(a, b)] + [nn.BatchNorm1d(b)] * norm + [act()] + [nn.Dropout(drop)] * (drop > 0)
    return nn.Sequential(*parts, nn.Linear(*sizes[-2:]))


def flat(*sizes: int, **more: Any) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), mlp(*sizes, **more))


def conv(norm: bool = False, act: Callable[[], nn.Module] = nn.ReLU, width: int = 8) -> nn.Sequential:
    n = [nn.BatchNorm2d(width)] * norm
    return nn.Sequential(
        nn.Conv2d(1, width, 3, stride=2, padding=1), *n, act(), nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), act(),
        nn.Flatten(), nn.Linear(98 * width, 10),
    )  # fmt: skip


class Small(nn.Module):
    """A convolutional net on 8 × 8 digits, as a user writes it."""

    def __init__(self, width: int = 16, drop: float = 0.0) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.pool, self.drop, self.out = nn.MaxPool2d(2), nn.Dropout(drop), nn.Linear(4 * width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(torch.relu(self.a(x.reshape(-1, 1, 8, 8))))
        x = self.pool(torch.relu(self.b(x)))
        return self.out(self.drop(x.flatten(1)))


class Rows(nn.Module):
    """A recurrent net over the 8 rows of a digit, or over a sequence as it is."""

    def __init__(self, cell: type = nn.LSTM, width: int = 8, hidden: int = 32, classes: int = 10, **more: Any) -> None:
        super().__init__()
        self.width = width
        self.cell, self.out = cell(width, hidden, batch_first=True, **more), nn.Linear(hidden, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.cell(x.reshape(len(x), -1, self.width))[0][:, -1])


class Residual(nn.Module):
    def __init__(self, depth: int = 6, inputs: int = 64, outputs: int = 10) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, 32)
        self.blocks = nn.ModuleList(
            [nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 32)) for _ in range(depth)]
        )
        self.last = nn.Linear(32, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return self.last(x)


class Detached(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(64, 8), nn.Linear(8, 8), nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c(torch.relu(self.b(torch.relu(self.a(x)))).detach())


class Bag(nn.Module):
    """The mean of token embeddings, then a small net."""

    def __init__(self, width: int = 16, hidden: int = 32, classes: int = 4, tokens: int = 20) -> None:
        super().__init__()
        self.table = nn.Embedding(tokens, width)
        self.rest = mlp(width, hidden, classes) if hidden else nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rest(self.table(x).mean(1))


class Attention(nn.Module):
    """One transformer block over token embeddings with positions."""

    def __init__(self, width: int = 32, classes: int = 4, drop: float = 0.0, layers: int = 1) -> None:
        super().__init__()
        self.table = nn.Embedding(20, width)
        self.place = nn.Parameter(0.1 * torch.randn(12, width))
        block = nn.TransformerEncoderLayer(width, 4, 2 * width, drop, batch_first=True)
        self.blocks = nn.TransformerEncoder(block, layers, enable_nested_tensor=False)
        self.out = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.blocks(self.table(x) + self.place).mean(1))


class Coder(nn.Module):
    """An autoencoder of digits."""

    def __init__(self, code: int = 24, hidden: int = 64, last: nn.Module | None = None) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, code))
        self.decode = nn.Sequential(nn.Linear(code, hidden), nn.ReLU(), nn.Linear(hidden, 64), last or nn.Identity())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(x))


def sgd(m: nn.Module, lr: float = 0.1, momentum: float = 0.0, **more: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(m.parameters(), lr, momentum=momentum, **more)


def adam(m: nn.Module, lr: float = 1e-3, **more: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(m.parameters(), lr, **more)


def adamw(m: nn.Module, lr: float = 1e-3, **more: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(m.parameters(), lr, **more)


def rmsprop(m: nn.Module, lr: float = 1e-3, **more: Any) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(m.parameters(), lr, **more)


def drawn(m: nn.Module, draw: Callable[[torch.Tensor], Any]) -> nn.Module:
    for p in m.parameters():
        if p.ndim >= 2:
            draw(p)
    return m


def scaled(m: nn.Module, factor: float) -> nn.Module:
    with torch.no_grad():
        return drawn(m, lambda p: p.mul_(factor))


def filled(m: nn.Module, value: float) -> nn.Module:
    for p in m.parameters():
        nn.init.constant_(p, value)
    return m


def biased(m: nn.Module, value: float) -> nn.Module:
    """Sets the biases of the layers that are wider than any output here."""
    for layer in m.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)) and layer.bias is not None and len(layer.bias) > 10:
            nn.init.constant_(layer.bias, value)
    return m


def held(m: nn.Module, keep: int) -> nn.Module:
    """Freezes all parameters before number ``keep``."""
    for k, p in enumerate(m.parameters()):
        p.requires_grad_(k >= keep)
    return m


def clip(m: nn.Module) -> None:
    nn.utils.clip_grad_norm_(m.parameters(), 1.0)
