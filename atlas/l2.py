"""L2: a cost on the size of the weights, λ/2m Σ‖W‖², against learning by heart.

>>> fit("mlp", "diabetes", l2=100)                              # λ; m is the number of training rows
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

import thalweg
from claim import Entry, Shown, tell
from draw import curve, picture
from thalweg.train import Hook, State

# 100 is the best of these on seeds 100 to 102.
LAMBDAS = (0.0, 1.0, 10.0, 100.0, 1000.0, 10_000.0)


class Size(Hook):
    """The norm of all weights after the last pass."""

    def on_epoch(self, state: State) -> None:
        weights = [weight.detach().norm() for weight in state.model.parameters() if weight.ndim > 1]
        self.norm = float(torch.stack(weights).norm())


def trained(seed: int, l2: float, epochs: int) -> tuple[float, float, float]:
    """Training loss, dev loss and the norm of all weights after the last pass."""
    size = Size()
    fitted = thalweg.fit(
        "mlp", "diabetes", hidden=[64, 64], skip=False, dropout=[0.0], rule="adam", lr=1e-3, schedule="constant",
        l2=l2, epochs=epochs, patience=0, seed=seed, hooks=[size],
    )  # fmt: skip
    ends = (fitted.history.column(f"{part}/loss").values[-1] for part in ("train", "dev"))
    return (*ends, size.norm)


def show(seeds: Sequence[int], small: bool) -> Shown:
    epochs = 60 if small else 100
    lambdas = (0.0, 100.0, 10_000.0) if small else LAMBDAS
    found = np.array([[trained(seed, l2, epochs) for l2 in lambdas] for seed in seeds])  # (seeds, λ, train dev norm)
    at = lambdas.index(100.0)
    train, dev, norm = np.moveaxis(found, -1, 0)
    places = np.maximum(np.log10(np.maximum(lambdas, 0.1)), -1)
    ticks = {"tickvals": places, "ticktext": [f"{l2:g}" for l2 in lambdas]}
    figure = picture(
        "From left to right weights cost more. The training loss can only rise; the dev loss falls to a valley and then "
        "follows it up, where the weights are too small to say anything. Median and the middle 80 % of seeds.",
        curve("training", places, train, "--train"),
        curve("dev", places, dev, "--dev"),
        x={"title": {"text": "λ"}, **ticks}, y="squared error after the last pass",
    )  # fmt: skip
    worse = int((dev[:, -1] > dev[:, at]).sum())
    return Shown(
        ((dev[:, at] < dev[:, 0]) & (norm[:, at] < norm[:, 0])).tolist(),
        {"dev loss, λ = 0": dev[:, 0], "dev loss, λ = 100": dev[:, at], f"dev loss, λ = {lambdas[-1]:g}": dev[:, -1],
         "training loss, λ = 0": train[:, 0], "training loss, λ = 100": train[:, at],
         "‖W‖, λ = 0": norm[:, 0], "‖W‖, λ = 100": norm[:, at]},
        figure,
        f"Only up to a point: λ = {lambdas[-1]:g} is worse than λ = 100 in {worse} of {len(seeds)} seeds.",
    )  # fmt: skip


ENTRY = Entry(
    "L2", "Against overfitting",
    "A cost λ/2m Σ‖W‖² makes the weights smaller, and with a fitting λ a net that would learn its rows by heart ends at a "
    "lower dev loss.",
    "Krogh & Hertz 1992, NIPS 4", show,
)  # fmt: skip

if __name__ == "__main__":
    tell(ENTRY)
