"""Rates are drawn evenly in log α, averages in log(1 − β): where a hyperparameter counts by factors, so must its draws.

>>> Space.parse({"lr": "1e-4..1:log", "beta": "0.9..0.999:one-minus"})          # against "1e-4..1", "0.9..0.999"
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from claim import Entry, Shown, tell
from draw import dots, picture
from given import scores
from thalweg.averages import ewa
from thalweg.optim import Adam
from thalweg.report.figure import axis
from thalweg.search import Random, Space

SPACES = {"even": Space.parse({"lr": "1e-4..1.0", "beta": "0.9..0.999"}),
          "even in the logarithm": Space.parse({"lr": "1e-4..1.0:log", "beta": "0.9..0.999:one-minus"})}  # fmt: skip
FEW = 4


def drift(beta: float, seed: int, slow: int = 300, length: int = 4000) -> float:
    """The error of an average that follows a level, which drifts under loud noise; its best window is about ``slow``."""
    steps, noise = np.random.default_rng(seed).normal(size=(2, length))
    return float(np.sqrt(np.mean((ewa(noise + (level := steps.cumsum() / slow), beta) - level)[300:] ** 2)))


def best_of_few(losses: np.ndarray) -> np.ndarray:
    """The best of four draws, in the mean over many ways to take four of these, ``(seeds, draws)`` → ``(seeds,)``."""
    picks = np.random.default_rng(0).random((2000, losses.shape[1])).argsort(axis=1)[:, :FEW]
    return losses[:, picks].min(axis=-1).mean(axis=-1)


def tried(space: Space, seed: int, epochs: int) -> np.ndarray:
    """Rates, the dev losses of nets under them, averaging factors, the errors under those, twice: ``(5, draws)``."""
    points = Random(space, seed).suggest([], [], 24)
    rates, betas = ([point[name] for point in points] for name in ("lr", "beta"))
    losses = scores(points, lambda point: partial(Adam, lr=point["lr"]), seed=seed, epochs=epochs).clip(max=10)
    return np.array([rates, losses, betas, *([drift(b, seed, slow) for b in betas] for slow in (300, 10))])


def show(seeds: Sequence[int], small: bool) -> Shown:
    epochs, (linear, factors) = 1 if small else 4, SPACES
    found = {name: np.array([tried(space, seed, epochs) for seed in seeds]) for name, space in SPACES.items()}
    few, mean, quick = ({name: best_of_few(values[:, which]) for name, values in found.items()} for which in (1, 3, 4))
    best = {name: values[:, 1].min(axis=1) for name, values in found.items()}
    figure = picture(
        "Each mark is a net under one drawn learning rate. Drawn evenly in α, nine of ten lie in the last decade, where this "
        "net does not learn; drawn evenly in log α, every decade has its share.",
        *(dots(name, *found[name][:, :2].swapaxes(0, 1).reshape(2, -1), colour, size=6)
          for name, colour in zip(SPACES, ("--bad", "--train"), strict=True)),
        x=axis("learning rate", log=True), y=axis("dev loss", log=True, values=found[factors][:, 1]),
    )  # fmt: skip
    return Shown(
        ((few[factors] < few[linear]) & (mean[factors] < mean[linear])).tolist(),
        {f"share of draws with α < 0.1, {name}": (values[:, 0] < 0.1).mean(axis=1) for name, values in found.items()}
        | {f"share of draws with 1/(1−β) > 100, {name}": (values[:, 2] > 0.99).mean(axis=1) for name, values in found.items()}
        | {f"dev loss of the best of {FEW} rates, {name}": values for name, values in few.items()}
        | {f"error of the best of {FEW} averages, {name}": values for name, values in mean.items()},
        figure,
        f"With more trials it pays less: the best of 24 rates drawn evenly comes to {best[linear].mean():.2f}, drawn in the "
        f"logarithm to {best[factors].mean():.2f}. And it takes a best β near 1: where the level drifts quickly (window 10) "
        f"even draws of β are better in {int((quick[linear] < quick[factors]).sum())} of {len(seeds)} seeds.",
    )  # fmt: skip


ENTRY = Entry(
    "The scale of a search", "Hyperparameters",
    "Of a few trials, those drawn evenly in log α, or in log(1 − β), find a better learning rate, and for a level that "
    "drifts slowly a better average, than those drawn evenly in α and β.",
    "Bergstra & Bengio 2012; Ng 2017, Improving Deep Neural Networks, week 3", show,
)  # fmt: skip

if __name__ == "__main__":
    tell(ENTRY)
