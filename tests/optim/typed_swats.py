"""SWATS typed by hand in NumPy from Keskar & Socher's algorithm 1, its averages by definition, and two slopes to run it on."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from optim import typed

Arrays = list[np.ndarray]


class Found(NamedTuple):
    """A run: the weights after each step, each step's γ, and what was switched to."""

    weights: list[Arrays]
    gammas: list[float]
    step: int | None
    rate: float | None


class Typed:
    """One scope of SWATS: all tensors given share one γ."""

    def __init__(self, betas: tuple[float, float], eps: float, tol: float, *, paper: bool) -> None:
        self.b1, self.b2, self.eps, self.tol, self.paper = *betas, eps, tol, paper
        self.gammas: list[float] = []
        self.squares: list[float] = []
        self.across: list[float] = []
        self.kept: list[dict[str, Any]] = []
        self.hats: list[float] = []
        self.rate = self.at = None
        self.t = 0

    def average(self, values: list[float]) -> float:
        """The bias-corrected average, by its definition: every term with its weight."""
        n = len(values)
        shares = np.array([(1 - self.b2) * self.b2 ** (n - i) for i in range(1, n + 1)])
        return math.fsum(shares * np.array(values)) / (1 - self.b2**n)

    def step(self, weights: Arrays, gradients: Arrays, lr: float) -> Arrays:
        self.t += 1
        self.kept = self.kept or [{} for _ in weights]
        if self.rate is not None:
            for s, g in zip(self.kept, gradients, strict=True):
                s["v"] = self.b1 * s.get("v", 0.0) + g
            moved = zip(weights, self.kept, strict=True)
            return [w - (1 - self.b1) * self.rate * (lr / self.lr_then) * s["v"] for w, s in moved]
        hat = lr * np.sqrt(1 - self.b2**self.t) / (1 - self.b1**self.t)
        steps = []
        for s, g in zip(self.kept, gradients, strict=True):
            m, v = typed.mean(s, "m", self.b1, g), typed.mean(s, "a", self.b2, g * g)
            steps.append(-hat * m / (np.sqrt(v) + self.eps))
        self.look(steps, gradients, lr)
        return [w + p for w, p in zip(weights, steps, strict=True)]

    def look(self, steps: Arrays, gradients: Arrays, lr: float) -> None:
        across = sum(float(np.sum(p * g)) for p, g in zip(steps, gradients, strict=True))
        if across == 0:
            return
        square = sum(float(np.sum(p * p)) for p in steps)
        self.gammas.append(square / -across)
        if self.paper:
            found = self.average(self.gammas)
            settled = self.t > 1 and abs(found - self.gammas[-1]) < self.tol
        else:  # both products averaged apart, in units of the rate
            self.squares.append(square / lr**2)
            self.across.append(-across / lr)
            self.hats.append(self.average(self.squares) / self.average(self.across))
            means = [self.average(self.hats[: i + 1]) for i in range(len(self.hats))]
            gaps = [abs(a - b) for a, b in zip(self.hats, means, strict=True)]
            bound = self.tol * means[-1]
            settled = self.t * (1 - self.b2) >= 1 and gaps[-1] < bound and self.average(gaps) < bound
            found = self.hats[-1] * lr
        if settled and found > 0:
            self.rate, self.at, self.lr_then = found, self.t, lr


SHAPES = [(7, 5), (5,), (3, 2, 2, 2), (), (0, 3)]
CURVATURES = [np.linspace(1, 10, max(math.prod(shape), 0)).reshape(shape) for shape in SHAPES]
STARTS = [np.where(c % 2 < 1, 1.0, -1.0) for c in CURVATURES]
BETAS = (0.9, 0.95)


def quadratic(weights: Arrays, step: int) -> Arrays:
    """The gradient of a sum of ½cw²."""
    return [c * w for c, w in zip(CURVATURES, weights, strict=True)]


def noisy(weights: Arrays, step: int) -> Arrays:
    random = np.random.default_rng(step)
    return [
        g * np.exp(random.normal(size=g.shape)) + 0.3 * random.normal(size=g.shape) for g in quadratic(weights, step)
    ]


def type_out(
    gradient, count: int, lr: Callable[[int], float] | float = 1e-3, tol: float = 0.05, *, paper=False
) -> Found:
    rule, now, found = Typed(BETAS, 1e-9, tol, paper=paper), STARTS, []
    for step in range(count):
        now = rule.step(now, gradient(now, step), lr(step) if callable(lr) else lr)
        found.append(now)
    return Found(found, rule.gammas, rule.at, rule.rate)
