"""What can be wrong with data, losses and layers: each a small change of something that is right.

>>> noisy(on_digits, 0.3)("label_noise", model, optimizer).kind
'label_noise'
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ailing.program import Program
from ailing.rows import altered

On = Callable[..., Program]


def dice(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def first(make: On, n: int) -> On:
    return altered(make, train=lambda X, y: (X[:n], y[:n]))


def noisy(make: On, share: float, *, classes: int = 10, both: bool = False) -> On:
    """Labels drawn anew for a share of the rows, so some of them stay right."""

    def change(X: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        g = dice(1)
        swap = torch.rand(len(y), generator=g) < share
        return X, torch.where(swap, torch.randint(0, classes, y.shape, generator=g), y)

    return altered(make, both=change) if both else altered(make, train=change)


def flipped(make: On, share: float, classes: int = 2) -> On:
    """Another label than the right one for a share of the rows."""

    def change(X: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        g = dice(2)
        pick = torch.rand(len(y), generator=g) < share
        if y.is_floating_point() or classes == 2:
            return X, torch.where(pick.reshape(-1, *[1] * (y.ndim - 1)), 1 - y, y)
        return X, torch.where(pick, (y + 1 + torch.randint(0, classes - 1, y.shape, generator=g)) % classes, y)

    return altered(make, train=change)


def wild(make: On, share: float, size: float, *, both: bool = False) -> On:
    """Amounts that are far off for a share of the rows."""

    def change(X: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        g = dice(3)
        pick = torch.rand(len(y), 1, generator=g) < share
        return X, torch.where(pick, y + size * torch.randn(y.shape, generator=g), y)

    return altered(make, both=change) if both else altered(make, train=change)


def rarer(make: On, rare: Callable[[torch.Tensor], torch.Tensor], keep: float, *, dev: bool = False) -> On:
    """Keeps a share of the rows of the classes for which ``rare(y)``."""

    def change(X: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        stays = ~rare(y.reshape(-1)) | (torch.rand(len(y), generator=dice(0)) < keep)
        return X[stays], y[stays]

    return altered(make, both=change) if dev else altered(make, train=change)


def ordered(make: On) -> On:
    def sort(X: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rows = y.reshape(-1).argsort(stable=True)
        return X[rows], y[rows]

    def other(*given: Any, **more: Any) -> Program:
        return altered(make, train=sort)(*given, **{"shuffle": False, **more})

    return other


def bent(make: On, change: Callable[[torch.Tensor], torch.Tensor]) -> On:
    """Other inputs, in training and dev rows alike."""
    return altered(make, both=lambda X, y: (change(X), y))


def elsewhere(make: On, change: Callable[[torch.Tensor], torch.Tensor]) -> On:
    """Other inputs in the dev rows alone."""
    return altered(make, dev=lambda X, y: (change(X), y))


def met(make: On, n: int, jitter: float = 0.0) -> On:
    """Dev rows among the training rows."""

    def other(*given: Any, **more: Any) -> Program:
        p = make(*given, **more)
        extra = p.dev[0][:n] + jitter * torch.randn(p.dev[0][:n].shape, generator=dice(0))
        p.train = torch.cat([p.train[0], extra]), torch.cat([p.train[1], p.dev[1][:n]])
        return p

    return other


def told(make: On, knows: Callable[[torch.Tensor], torch.Tensor]) -> On:
    """One more column, made from the target."""
    return altered(make, both=lambda X, y: (torch.cat([X, knows(y).reshape(len(y), 1)], 1), y))


def hole(make: On, where: str, value: float = float("nan")) -> On:
    def change(X: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        X, y = X.clone(), y.clone()
        (X if where == "input" else y)[9, 0] = value
        return X, y

    return altered(make, train=change)


def onehot(y: torch.Tensor) -> torch.Tensor:
    return nn.functional.one_hot(y, 10).float()


class _WrongTanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        y = x.tanh()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        (y,) = ctx.saved_tensors
        return g * (1 - y)


class _WrongReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return g * (x < 0)


class _WrongLeaky(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return torch.where(x > 0, x, 0.1 * x)

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        return g.clone()


class _WrongProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, w)
        return x @ w.T

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x, w = ctx.saved_tensors
        return g @ w, g.T @ x.abs()


def own(function: type[torch.autograd.Function]) -> Callable[[], nn.Module]:
    class Layer(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return function.apply(x)

    return Layer


WrongTanh, WrongReLU, WrongLeaky = own(_WrongTanh), own(_WrongReLU), own(_WrongLeaky)


class Own(nn.Module):
    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(b, a) / a**0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _WrongProduct.apply(x, self.weight)
