"""Early stopping: the dev loss turns before the training loss does; the weights of that pass are put back.

>>> fit("mlp", "diabetes", patience=20).best_epoch
14
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

import thalweg
from claim import Entry, Shown, tell
from draw import curve, dots, picture
from given import rows
from thalweg.train import Hook, State


class Last(Hook):
    """The test loss of the last pass's weights, which nobody puts back."""

    def __init__(self, seed: int) -> None:
        self.test = rows("diabetes", seed=seed)[2]

    def on_epoch(self, state: State) -> None:
        x, y = (each[self.test.rows] for each in (self.test.inputs, self.test.targets))
        with torch.no_grad():
            self.loss = float((state.model.eval()(x).view_as(y) - y).square().mean())
        state.model.train()


def trained(seed: int, *, epochs: int, patience: int, hooks: Sequence[Hook] = ()) -> thalweg.experiments.fitting.Fitted:
    return thalweg.fit(
        "mlp", "diabetes", hidden=[64, 64], skip=False, dropout=[0.0], rule="adam", lr=1e-3, schedule="constant",
        epochs=epochs, patience=patience, seed=seed, hooks=hooks,
    )  # fmt: skip


def show(seeds: Sequence[int], small: bool) -> Shown:
    epochs = 60 if small else 150
    lasts = [Last(seed) for seed in seeds]
    whole = [trained(seed, epochs=epochs, patience=0, hooks=[last]) for seed, last in zip(seeds, lasts, strict=True)]
    stopped = [trained(seed, epochs=epochs, patience=20) for seed in seeds]
    train, dev = (np.array([run.history.column(f"{part}/loss").values for run in whole]) for part in ("train", "dev"))
    back, unseen = (np.array([run.metrics[part]["loss"] for run in stopped]) for part in ("dev", "test"))
    used = np.array([len(run.history.column("dev/loss").values) - 1 for run in stopped])
    late, place = np.array([last.loss for last in lasts]), np.array([run.best_epoch for run in stopped])
    figure = picture(
        "The training loss falls to the end. The dev loss turns after a few passes: from there on the net learns the noise "
        "of its rows. Green: the pass whose weights each seed was given back. Median and the middle 80 % of seeds.",
        curve("training", range(epochs + 1), train, "--train"), curve("dev", range(epochs + 1), dev, "--dev"),
        dots("put back", place, back, "--good", size=9),
        x="pass", y="squared error (1: the mean alone)",
    )  # fmt: skip
    hasty = np.array([one[int(np.argmax(np.diff(one) > 0))] for one in dev])  # patience 1 stops at the first rise
    return Shown(
        ((unseen < late) & (abs(back - dev[range(len(seeds)), place]) < 1e-6) & (2 * place < epochs)
         & (train[:, -1] < train[:, epochs // 2]) & (used < epochs)).tolist(),
        {"dev loss of the weights put back": back, "dev loss at the end": dev[:, -1], "pass put back": place,
         "test loss of the weights put back": unseen, "test loss at the end": late, "passes made": used},
        figure,
        "The curve has small bumps: patience 1, which stops at the first rise, misses the minimum in "
        f"{int((hasty > dev.min(axis=1) + 1e-6).sum())} of {len(seeds)} seeds: it ends at {hasty.mean():.3f}, "
        f"not {back.mean():.3f}.",
    )  # fmt: skip


ENTRY = Entry(
    "Early stopping", "Against overfitting",
    "The dev loss has its minimum in the first half of the passes, while the training loss still falls; putting the weights "
    "of that pass back gives a lower loss on test rows, too, than going on, and patience stops before the last pass.",
    "Prechelt 1998, Early stopping – but when?", show,
)  # fmt: skip

if __name__ == "__main__":
    tell(ENTRY)
