"""Update rules typed by hand in NumPy and float64, from their papers and their authors' code: what ``rules`` writes in symbols.

A rule takes a tensor, its gradient, the number of the step (from 1), a dictionary to keep things in, and the options; it gives
the new tensor. Nothing here imports torch, so a process with another library can use the same trials.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

Array = np.ndarray
Rule = Callable[[Array, Array, int, dict[str, Any], Any], Array]
SHAPES: list[tuple[int, ...]] = [(7, 5), (5,), (3, 2, 2, 2), (), (1,), (0, 3), (300,), (4, 3), (6,)]
ZERO_WEIGHTS, ZERO_GRADIENTS = 7, 8
"""The places in ``SHAPES`` of a tensor that starts at 0 and of one whose gradient always is 0."""


def weights(shapes: list[tuple[int, ...]] = SHAPES) -> list[Array]:
    """Where every trial starts."""
    random = np.random.default_rng(0)
    return [
        random.normal(size=shape) * (index != ZERO_WEIGHTS or shapes is not SHAPES)
        for index, shape in enumerate(shapes)
    ]


def gradients(step: int, shapes: list[tuple[int, ...]] = SHAPES) -> list[Array]:
    """Gradients log-normal in scale, the same for the same step (from 0)."""
    random = np.random.default_rng([1, step])
    return [
        random.normal(size=shape)
        * np.exp(2 * random.normal(size=shape))
        * (index != ZERO_GRADIENTS or shapes is not SHAPES)
        for index, shape in enumerate(shapes)
    ]


def trajectory(
    rule: Rule, options: dict[str, Any], steps: int, shapes: list[tuple[int, ...]] = SHAPES
) -> Iterator[list[Array]]:
    """The weights after each step."""
    chosen = SimpleNamespace(**{"weight_decay": 0.0, "maximize": False, **options})
    now, kept = weights(shapes), [{} for _ in shapes]
    for step in range(steps):
        sign = -1.0 if chosen.maximize else 1.0
        now = [
            rule(w, sign * g, step + 1, state, chosen)
            for w, g, state in zip(now, gradients(step, shapes), kept, strict=True)
        ]
        yield now


def difference(ours: Iterable[Array], theirs: Iterable[Array], began: Iterable[Array]) -> float:
    """The largest difference, relative to its tensor's largest element now or at first: the size at which rounding happens."""
    worst = 0.0
    for mine, their, first in zip(ours, theirs, began, strict=True):
        assert np.shape(mine) == np.shape(their)
        if np.size(their):
            size = max(np.abs(their).max(), np.abs(first).max(), 1e-30)
            worst = max(worst, float(np.abs(np.asarray(mine) - their).max()) / size)
            assert np.isfinite(mine).all()
    return worst


def mean(state: dict[str, Any], name: str, beta: float, value: Array, start: float = 0.0) -> Array:
    """An exponentially weighted average, kept under a name."""
    state[name] = beta * state.get(name, start) + (1 - beta) * value
    return state[name]


def norm(x: Array) -> float:
    return float(np.sqrt(np.sum(np.square(x))))


def momentum(w, g, t, s, o):
    return w - o.lr * mean(s, "m", o.beta, g + o.weight_decay * w)


def heavy_ball(w, g, t, s, o):
    s["v"] = o.beta * s.get("v", 0.0) + g + o.weight_decay * w
    return w - o.lr * s["v"]


def nesterov(w, g, t, s, o):
    """Sutskever et al. 2013, in the look-ahead point: ``w ← w − lr (g + βv)``."""
    g = g + o.weight_decay * w
    s["v"] = o.beta * s.get("v", 0.0) + g
    return w - o.lr * (g + o.beta * s["v"])


def amsgrad(w, g, t, s, o):
    """Reddi et al. 2018 with PyTorch's bias corrections: the maximum is taken before them."""
    g = g + o.weight_decay * w
    b1, b2 = o.betas
    m, v = mean(s, "m", b1, g), mean(s, "v", b2, g * g)
    s["max"] = np.maximum(s.get("max", 0.0), v)
    return w - o.lr * (m / (1 - b1**t)) / (np.sqrt(s["max"] / (1 - b2**t)) + o.eps)


def nadamw(w, g, t, s, o):
    """Dozat 2016 as PyTorch has it, with its schedule of the momentum; the decay is decoupled."""
    b1, b2 = o.betas
    mu, ahead = (b1 * (1 - 0.5 * 0.96 ** (step * o.momentum_decay)) for step in (t, t + 1))
    s["product"] = s.get("product", 1.0) * mu
    m, v = mean(s, "m", b1, g), mean(s, "v", b2, g * g)
    root = np.sqrt(v / (1 - b2**t)) + o.eps
    shrunk = w * (1 - o.lr * o.weight_decay)
    first = (1 - mu) * g / (1 - s["product"])
    return shrunk - o.lr * (first + ahead * m / (1 - s["product"] * ahead)) / root


def adabelief(w, g, t, s, o):
    """Zhuang et al. 2020, their code: ε is added to the second moment in each step, and once more outside the root."""
    b1, b2 = o.betas
    m = mean(s, "m", b1, g)
    s["s"] = b2 * s.get("s", 0.0) + (1 - b2) * (g - m) ** 2 + o.eps
    return w * (1 - o.lr * o.weight_decay) - o.lr * (m / (1 - b1**t)) / (np.sqrt(s["s"] / (1 - b2**t)) + o.eps)


def lion(w, g, t, s, o):
    """Chen et al. 2023, program 1."""
    b1, b2 = o.betas
    lean = np.sign(b1 * s.get("m", 0.0) + (1 - b1) * g)
    mean(s, "m", b2, g)
    return w - o.lr * (lean + o.weight_decay * w)


def adan(w, g, t, s, o):
    """Xie et al. 2022 as its authors' code counts: ``betas`` weigh the past."""
    b1, b2, b3 = o.betas
    change = g - s["g"] if t > 1 else np.zeros_like(g)
    s["g"] = g
    m, d = mean(s, "m", b1, g), mean(s, "d", b2, change)
    n = mean(s, "n", b3, (g + b2 * change) ** 2)
    step = (m / (1 - b1**t) + b2 * d / (1 - b2**t)) / (np.sqrt(n / (1 - b3**t)) + o.eps)
    return w * (1 - o.lr * o.weight_decay) - o.lr * step


def yogi(w, g, t, s, o):
    """Zaheer et al. 2018, both moments starting at a small number, as in optax and TensorFlow."""
    b1, b2 = o.betas
    m = mean(s, "m", b1, g, start=o.initial_accumulator)
    v = s.get("v", o.initial_accumulator)
    s["v"] = v - (1 - b2) * np.sign(v - g * g) * g * g
    return w * (1 - o.lr * o.weight_decay) - o.lr * (m / (1 - b1**t)) / (np.sqrt(s["v"] / (1 - b2**t)) + o.eps)


def lamb(w, g, t, s, o):
    """You et al. 2020, algorithm 2 with φ the identity."""
    b1, b2 = o.betas
    m, v = mean(s, "m", b1, g), mean(s, "v", b2, g * g)
    u = (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + o.eps) + o.weight_decay * w
    trust = norm(w) / norm(u) if norm(w) and norm(u) else 1.0
    return w - o.lr * trust * u


def lars(w, g, t, s, o):
    """You et al. 2017, algorithm 1: the rate stands inside the momentum."""
    u = g + o.weight_decay * w
    local = o.trust_coefficient * norm(w) / (norm(u) + o.eps) if norm(w) and norm(u) else 1.0
    s["v"] = o.momentum * s.get("v", 0.0) + o.lr * local * u
    return w - (o.lr * local * u + o.momentum * s["v"] if o.nesterov else s["v"])


def adam(w, g, t, s, o):
    """Kingma & Ba 2015, algorithm 1."""
    b1, b2 = o.betas
    g = g + o.weight_decay * w
    m, v = mean(s, "m", b1, g), mean(s, "v", b2, g * g)
    return w - o.lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + o.eps)
