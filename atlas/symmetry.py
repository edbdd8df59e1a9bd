"""Units that begin alike stay alike: zeros and constants give every unit of a layer the same gradient, for ever.

>>> initialize(model, scheme="zeros", generator=generator)      # also constant(0.1); auto draws at random
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

import thalweg
from claim import Entry, Shown, tell
from draw import curve, picture
from thalweg.initializers import initialize
from thalweg.models import mlp

COLOURS = {"zeros": "--bad", "constant(0.1)": "--dev", "auto": "--train"}


class Run(NamedTuple):
    apart: float
    """The largest difference between the weights into two units of a hidden layer, after training."""
    accuracy: np.ndarray
    """On the dev part, before training and after each pass."""


def trained(seed: int, scheme: str, epochs: int, *, hidden: tuple[int, ...] = (32, 32), dropout: float = 0.0) -> Run:
    model = mlp(64, 10, hidden=hidden, activation="relu", dropout=dropout)
    initialize(model, scheme=scheme, generator=torch.Generator().manual_seed(seed))
    torch.manual_seed(seed)  # nn.Dropout knows no generator of its own
    fitted = thalweg.fit(
        model, "digits", rule="sgd", options={"momentum": 0.9}, lr=0.03, epochs=epochs, patience=0, seed=seed
    )
    layers = [weight.detach() for weight in model.parameters() if weight.ndim > 1][:-1]
    apart = max((float((weight - weight[:1]).abs().max()) for weight in layers), default=0.0)
    return Run(apart, fitted.history.column("dev/accuracy").values)


def show(seeds: Sequence[int], small: bool) -> Shown:
    epochs = 5 if small else 20
    runs = {name: [trained(seed, name, epochs) for seed in seeds] for name in COLOURS}
    dropped = [trained(seed, "constant(0.1)", epochs, dropout=0.5) for seed in seeds]
    shallow = [trained(seed, "zeros", epochs, hidden=()) for seed in seeds]
    apart = {name: np.array([run.apart for run in found]) for name, found in runs.items()}
    best = {name: np.array([run.accuracy.max() for run in found]) for name, found in runs.items()}
    names = {"auto": "random (He)"}
    figure = picture(
        "Dev accuracy of one net from three beginnings. From zeros nothing moves but the last bias; from a constant each "
        "layer is one unit, 32 times; random weights differ, so they can learn different things.",
        *(curve(names.get(name, name), np.arange(epochs + 1), [run.accuracy for run in runs[name]], colour)
          for name, colour in COLOURS.items()),
        x="pass", y={"title": {"text": "dev accuracy"}, "range": [0, 1]},
    )  # fmt: skip
    broken, noisy = np.mean([run.apart for run in dropped]), np.mean([run.accuracy.max() for run in dropped])
    return Shown(
        [bool(max(apart["zeros"][i], apart["constant(0.1)"][i]) < 1e-5 < apart["auto"][i]
              and max(best["zeros"][i], best["constant(0.1)"][i]) < best["auto"][i]) for i in range(len(seeds))],
        {f"largest difference between units, {names.get(name, name)}": apart[name] for name in COLOURS}
        | {f"best dev accuracy, {names.get(name, name)}": best[name] for name in COLOURS},
        figure,
        f"It takes hidden layers, and no noise: softmax regression from zeros comes to "
        f"{np.mean([run.accuracy.max() for run in shallow]):.3f}, and under dropout 0.5 units of the constant net drift apart "
        f"(by {broken:.2f}), to {noisy:.3f}.",
    )  # fmt: skip


ENTRY = Entry(
    "Why zeros fail", "Setting up",
    "From zeros, or any constant, the units of a layer stay equal however long the net trains: w_i = w_j gives "
    "∂J/∂w_i = ∂J/∂w_j.",
    "Goodfellow, Bengio & Courville 2016, section 8.4", show,
)  # fmt: skip

if __name__ == "__main__":
    tell(ENTRY)
