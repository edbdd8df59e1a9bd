"""A net of two hidden layers learns 265 patients by heart, unless half of its units are left out at every step.

>>> model = mlp(10, 1, hidden=(64, 64), dropout=0.5)            # training: mask/keep; evaluation: nothing
>>> model.train()(x).mean(), model.eval()(x)                    # the same in expectation, for a layer behind the mask
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

import thalweg
from claim import Entry, Shown, tell
from draw import curve, picture
from thalweg.models import mlp

KEEP, MASKS = 0.5, 20_000


def trained(seed: int, dropout: float, epochs: int) -> tuple[np.ndarray, np.ndarray]:
    """The training and the dev loss before training and after each pass."""
    fitted = thalweg.fit(
        "mlp", "diabetes", hidden=[64, 64], skip=False, dropout=[dropout], rule="adam", lr=1e-3, schedule="constant",
        epochs=epochs, patience=0, seed=seed,
    )  # fmt: skip
    return fitted.history.column("train/loss").values, fitted.history.column("dev/loss").values


def shift(seed: int) -> float:
    """How far the mean over many masks lies from the output without a mask, as a share of that output's spread."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # nn.Dropout knows no generator of its own
    layer = mlp(64, 1, hidden=(), input_dropout=1 - KEEP)
    row = torch.rand(1, 64, generator=generator)
    with torch.no_grad():
        masked = layer.train()(row.expand(MASKS, -1))
        return abs(float(masked.mean() - layer.eval()(row))) / float(masked.std())


def show(seeds: Sequence[int], small: bool) -> Shown:
    epochs = 60 if small else 150
    pairs = [(trained(seed, 0.0, epochs), trained(seed, 1 - KEEP, epochs)) for seed in seeds]
    plain, dropped = (np.array([pair[which] for pair in pairs]) for which in (0, 1))  # (seeds, train | dev, epochs)
    ends, best = (plain[:, 1, -1], dropped[:, 1, -1]), (plain[:, 1].min(axis=1), dropped[:, 1].min(axis=1))
    heart, shifts = (plain[:, 0, -1], dropped[:, 0, -1]), [shift(seed) for seed in seeds]
    passes = np.arange(epochs + 1)
    figure = picture(
        "Without dropout the training loss falls towards 0 while the dev loss rises again; with it both stay together. "
        "Median and the middle 80 % of seeds.",
        curve("training, no dropout", passes, plain[:, 0], "--train", dash="dash"),
        curve("dev, no dropout", passes, plain[:, 1], "--train"),
        curve("training, dropout 0.5", passes, dropped[:, 0], "--dev", dash="dash"),
        curve("dev, dropout 0.5", passes, dropped[:, 1], "--dev"),
        x="pass", y="squared error (1: the mean alone)",
    )  # fmt: skip
    closer = int((best[1] < best[0]).sum())
    return Shown(
        ((heart[0] < heart[1] / 2) & (ends[1] < ends[0]) & (np.array(shifts) < 5 / MASKS**0.5)).tolist(),
        {"training loss at the end, no dropout": heart[0], "training loss at the end, dropout": heart[1],
         "dev loss at the end, no dropout": ends[0], "dev loss at the end, dropout": ends[1],
         "dev loss of the best pass, no dropout": best[0], "dev loss of the best pass, dropout": best[1],
         "mean over masks − output, in standard deviations": shifts},
        figure,
        f"Stopped at its best pass, the net without dropout comes to {best[0].mean():.3f}, the other to {best[1].mean():.3f} "
        f"(lower in {closer} of {len(seeds)} seeds): most of what dropout gains here, early stopping gains too.",
    )  # fmt: skip


ENTRY = Entry(
    "Dropout", "Against overfitting",
    "Dropout keeps a large net from learning its few rows by heart, so that it ends at a lower dev loss; and the inverted "
    "form (mask/keep) changes no layer's expected output, so nothing is to be done at test time.",
    "Srivastava et al. 2014, Journal of Machine Learning Research 15", show,
)  # fmt: skip

if __name__ == "__main__":
    tell(ENTRY)
