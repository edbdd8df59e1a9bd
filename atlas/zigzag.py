"""On a ravine gradient descent turns round at every step; an average of gradients cancels the turns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from claim import Entry, Shown, tell
from draw import contours, picture, walk
from thalweg import optim
from thalweg.surfaces import RAVINE, path

RATE = 0.95  # the curvature across is 2, so descent is stable up to 2/2 = 1
BETA = 0.9
BEST_BETA = ((20**0.5 - 1) / (20**0.5 + 1)) ** 2  # Polyak: for curvatures whose ratio is 20
BEST_RATE = 4 / (2**0.5 + 0.1**0.5) ** 2 / (1 - BEST_BETA)


def show(seeds: Sequence[int], small: bool) -> Shown:
    steps = 60 if small else 200
    starts = [tuple(np.random.default_rng(seed).uniform((-9, 1), (-6, 3))) for seed in seeds]
    rules = {
        "SGD": lambda w: optim.SGD(w, lr=RATE),
        "momentum": lambda w: optim.Momentum(w, lr=RATE, beta=BETA),
        "momentum, its best α and β": lambda w: optim.Momentum(w, lr=BEST_RATE, beta=BEST_BETA),
    }
    walks = {name: [path(RAVINE, make, steps=steps, start=one) for one in starts] for name, make in rules.items()}

    def turns(points: np.ndarray) -> int:
        across = np.diff(points[:20, 1])
        return int((across[1:] * across[:-1] < 0).sum())

    def travel(points: np.ndarray) -> float:
        return float(np.abs(np.diff(points[:, 1])).sum() / abs(points[0, 1]))

    def arrival(points: np.ndarray) -> int:
        return int(np.argmax(RAVINE.value(*points.T) < 1e-2))

    sgd, momentum, best = walks.values()
    numbers = {
        "turns across in 18 chances, SGD": [turns(one) for one in sgd],
        "turns across in 18 chances, momentum": [turns(one) for one in momentum],
        "way across in units of the start's height, SGD": [travel(one) for one in sgd],
        "way across in units of the start's height, momentum": [travel(one) for one in momentum],
        "steps to f < 0.01, SGD": [arrival(one) for one in sgd],
        "steps to f < 0.01, momentum at its best α and β": [arrival(one) for one in best],
    }
    holds = [
        turns(a) == 18 and turns(b) <= 6 and travel(b) < travel(a) / 2 and 0 < arrival(c) < arrival(a) / 2
        for a, b, c in zip(sgd, momentum, best, strict=True)
    ]
    colours = ("--bad", "--train", "--good")
    drawn = picture(
        "SGD jumps from wall to wall while it creeps along the floor; momentum with the same α swings slowly, "
        "and bears a far larger α: with its best α and β it arrives when SGD is half way.",
        contours(RAVINE, x=(-10, 3), y=(-3.2, 3.2)),
        *(walk(name, walks[name][0][:25], colour) for name, colour in zip(rules, colours, strict=True)),
        x="x (curvature 1/10)",
        y="y (curvature 2)",
    )
    return Shown(holds, numbers, drawn)


ENTRY = Entry(
    "The zigzag and its damping",
    "Gradient descent",
    "On f = x²/20 + y² SGD with α near its limit 2/λ = 1 turns across the ravine at every step; momentum, m ← βm + (1−β)g, "
    "cancels the turns: at the same α its way across is at most half as long, and with its best α, β it takes half the steps.",
    "Polyak 1964; Goh 2017, Why Momentum Really Works",
    show,
)

if __name__ == "__main__":
    tell(ENTRY)
