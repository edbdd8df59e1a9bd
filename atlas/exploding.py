"""Gradients that grow from layer to layer, and what clipping their norm does about it.

>>> SGD(model.parameters(), lr=0.1, momentum=0.9, clip_norm=1.0)        # g ← g · min(1, 1/‖g‖)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from torch import nn

from claim import Entry, Shown, tell
from draw import curve, picture
from given import CLASSES, gradient_norms, initialised, rows
from thalweg.models import mlp
from thalweg.optim import SGD
from thalweg.population import Member, train_population
from thalweg.report.figure import axis

RATES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
CASES = {"σ = 0.25": ("normal(0.25)", False), "σ = 0.25, clipped": ("normal(0.25)", True), "He": ("he", False)}
LEARNS = 0.5


def net(seed: int, scheme: str) -> nn.Sequential:
    return initialised(mlp(64, 10, hidden=(64,) * 10), scheme, seed=seed)


def accuracies(seed: int, scheme: str, clipped: bool, epochs: int) -> list[float]:
    """The best dev accuracy of ten ReLU layers, for each rate; 0 where the loss was no number within the first pass."""
    train, dev, _ = rows("digits", seed=seed)
    rules = [partial(SGD, lr=rate, momentum=0.9) for rate in RATES]
    rules = [partial(rule, clip_norm=1.0) for rule in rules] if clipped else rules
    members = [Member(net(seed, scheme), rule, CLASSES, train, dev, order=seed) for rule in rules]
    outcomes = train_population(members, batch_size=64, epochs=epochs).outcomes
    return [max((measured["accuracy"] for measured in outcome.dev), default=0.0) for outcome in outcomes]


def first_norm(seed: int, scheme: str) -> float:
    """The norm of the first gradient."""
    return float(np.linalg.norm(gradient_norms(net(seed, scheme), rows("digits", seed=seed)[0])))


def show(seeds: Sequence[int], small: bool) -> Shown:
    epochs = 3 if small else 10
    found = {name: np.array([accuracies(seed, *case, epochs) for seed in seeds]) for name, case in CASES.items()}
    widest = {name: np.where(values >= LEARNS, RATES, 0.0).max(axis=1) for name, values in found.items()}
    best = {name: values.max(axis=1) for name, values in found.items()}
    figure = picture(
        "The best dev accuracy of a deep net by its learning rate (0: the loss became NaN in the first pass). With weights too "
        "large, only small rates survive; clipped, the same net learns at rates 10 to 30 times as large.",
        *(curve(name, RATES, found[name], colour) for name, colour in zip(CASES, ("--bad", "--dev", "--batch"), strict=True)),
        x=axis("learning rate", log=True), y={"title": {"text": "dev accuracy"}, "range": [-0.02, 1]},
    )  # fmt: skip
    free, clipped, he = CASES
    first = {name: np.array([first_norm(seed, CASES[name][0]) for seed in seeds]) for name in (free, he)}
    return Shown(
        ((first[free] > 10 * first[he]) & (found[free][:, -1] == 0) & (found[clipped][:, -1] > 0)
         & (widest[clipped] > 9 * widest[free]) & (best[clipped] > best[free])).tolist(),
        {f"largest rate that learns, {name}": values for name, values in widest.items()}
        | {f"dev accuracy at the best rate, {name}": values for name, values in best.items()}
        | {f"norm of the first gradient, {name}": values for name, values in first.items()},
        figure,
        f"Clipping treats the symptom. With weights of the right scale (He) the same net needs none and does better: "
        f"{best[he].mean():.2f} against {best[clipped].mean():.2f}; and a clipped net is slow at small rates.",
    )  # fmt: skip


ENTRY = Entry(
    "Exploding gradients", "Signals",
    "In a deep net with weights too large the gradient is more than ten times as long as under He, and at all but small "
    "rates the loss becomes NaN; clipping its norm, g ← g · min(1, c/‖g‖), lets the net learn at rates ten times as large.",
    "Pascanu, Mikolov & Bengio 2013, arXiv 1211.5063", show,
)  # fmt: skip

if __name__ == "__main__":
    tell(ENTRY)
