"""A dev set of 30 rows can't tell 93 % from 97 %: its accuracy is the mean of so many coin tosses.

>>> split(data, seed=0, fractions=(0.4, 0.3, 0.3)); sizes(1_000_000)
(10000, 10000)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from claim import Entry, Shown, tell
from draw import curve, picture
from given import CLASSES, initialised, rows
from panels import across, stacked
from thalweg.models import mlp
from thalweg.optim import Adam
from thalweg.population import Member, train_population

SIZES, DRAWS = (10, 30, 100, 300), 2000


def right(seed: int) -> np.ndarray:
    """Which of a thousand unseen digits a worse and a better net get right: ``(2, 1078)``."""
    train, _, held = rows("digits", seed=seed, fractions=(0.4, 0.0, 0.6))
    nets = [initialised(mlp(64, 10, hidden=hidden), "auto", seed=seed) for hidden in ((8,), (64,))]
    train_population([Member(net, partial(Adam, lr=3e-3), CLASSES, train) for net in nets], batch_size=32, epochs=15)
    with torch.no_grad():
        said = [net.eval()(held.inputs[held.rows]).argmax(1) for net in nets]
    return np.array([(one == held.targets[held.rows]).numpy() for one in said])


def show(seeds: Sequence[int], small: bool) -> Shown:
    spread, formula, misled = np.zeros((3, len(seeds), len(SIZES)))
    accuracies = np.zeros((len(seeds), 2))
    for i, seed in enumerate(seeds):
        hits = right(seed)
        worse, better = hits[np.argsort(hits.mean(axis=1))]
        accuracies[i] = worse.mean(), better.mean()
        order = np.random.default_rng(seed).random((DRAWS, len(better))).argsort(axis=1)
        for j, size in enumerate(SIZES):
            few, many = (each[order[:, :size]].mean(axis=1) for each in (worse, better))
            spread[i, j], misled[i, j] = many.std(), (few > many).mean() + (few == many).mean() / 2  # a tie is a toss
            formula[i, j] = np.sqrt(better.mean() * (1 - better.mean()) / size * (1 - size / len(better)))
    traces, axes = stacked({
        "standard deviation": curve("standard deviation of dev accuracy", SIZES, spread, "--train")
        + curve("√(p(1−p)/n · (1 − n/N)), from N = 1078", SIZES, formula, "--dev", dash="dot"),
        "share": curve("share of dev sets that mislead", SIZES, misled, "--bad"),
    }, rangemode="tozero")  # fmt: skip
    below = {"type": "log", "tickvals": SIZES, "ticktext": [*map(str, SIZES)]}
    figure = picture(
        "Above, how far the dev accuracy of one net strays with the choice of dev rows, by their number; the formula, for rows "
        "drawn without putting back, lies on it. Below, how often the worse of two nets looks like the better one.",
        traces, x=across(axes, "dev rows", **below), y=axes.pop("yaxis"), height=440, **axes,
    )  # fmt: skip
    at = SIZES.index(30)
    return Shown(
        ((abs(spread / formula - 1) < 0.1).all(axis=1) & (misled[:, at] > 0.1) & (misled[:, -1] < 0.01)).tolist(),
        {"accuracy of the worse net": accuracies[:, 0], "accuracy of the better net": accuracies[:, 1]}
        | {f"standard deviation of dev accuracy, {size} rows": spread[:, j] for j, size in enumerate(SIZES)}
        | {f"share of dev sets that mislead, {size} rows": misled[:, j] for j, size in enumerate(SIZES)},
        figure,
        f"How many are enough depends on the nets: these two are {np.diff(accuracies).mean():.3f} apart, and {SIZES[-1]} rows "
        f"take one for the other in {misled[:, -1].mean():.2%} of draws.",
    )  # fmt: skip


ENTRY = Entry(
    "How large a dev set", "Setting up",
    "The accuracy on n dev rows strays by √(p(1−p)/n): thirty rows take the worse of these two nets for the better "
    "one in more than a tenth of draws, three hundred in less than a hundredth.",
    "Ng 2018, Machine Learning Yearning, chapter 7", show,
)  # fmt: skip

if __name__ == "__main__":
    tell(ENTRY)
