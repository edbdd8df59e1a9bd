"""Early stopping: the dev loss turns before the training loss does; the weights of that pass are put back.

>>> fit("mlp", "diabetes", patience=20).best_epoch
14
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import thalweg
from claim import Entry, Shown, tell
from draw import curve, picture

PATIENCE = 20


def trained(seed: int, *, epochs: int, patience: int) -> thalweg.experiments.fitting.Fitted:
    return thalweg.fit(
        "mlp", "diabetes", hidden=[64, 64], skip=False, dropout=[0.0], rule="adam", lr=1e-3, schedule="constant",
        epochs=epochs, patience=patience, seed=seed,
    )  # fmt: skip


def show(seeds: Sequence[int], small: bool) -> Shown:
    epochs = 60 if small else 150
    whole = [trained(seed, epochs=epochs, patience=0) for seed in seeds]
    stopped = [trained(seed, epochs=epochs, patience=PATIENCE) for seed in seeds]
    train, dev = (np.array([run.history.column(f"{part}/loss").values for run in whole]) for part in ("train", "dev"))
    restored = np.array([run.metrics["dev"]["loss"] for run in stopped])
    used = np.array([len(run.history.column("dev/loss").values) for run in stopped])
    unseen = np.array([run.metrics["test"]["loss"] for run in stopped])
    passes = np.arange(1, epochs + 1)
    figure = picture(
        "The training loss falls to the end. The dev loss turns after a few passes: from there on the net learns the noise "
        "of its rows. Diamonds: the pass whose weights each seed was given back. Median and the middle 80 % of seeds.",
        curve("training", passes, train, "--train"),
        curve("dev", passes, dev, "--dev"),
        [{"type": "scatter", "mode": "markers", "name": "put back", "x": [run.best_epoch for run in stopped], "y": restored,
          "marker": {"color": "--good", "size": 9, "symbol": "diamond"}}],
        x="pass", y="squared error (1: the mean alone)",
    )  # fmt: skip
    minimum = np.array([values[:count].min() for values, count in zip(dev, used, strict=True)])
    hasty = np.array(
        [values[int(np.argmax(np.diff(values) > 0))] for values in dev]
    )  # patience 1: stops at the first rise
    missed = int((hasty > dev.min(axis=1) + 1e-6).sum())
    return Shown(
        [bool(back < last and abs(back - least) < 1e-6 and count < epochs)
         for back, last, least, count in zip(restored, dev[:, -1], minimum, used, strict=True)],
        {"dev loss of the weights put back": restored, "dev loss at the end": dev[:, -1],
         "test loss of the weights put back": unseen, "pass put back": [run.best_epoch for run in stopped],
         "passes made": used},
        figure,
        f"The curve has small bumps: patience 1, which stops at the first rise, misses the minimum in {missed} of {len(seeds)} "
        f"seeds and ends at {hasty.mean():.3f} instead of {restored.mean():.3f}.",
    )  # fmt: skip


ENTRY = Entry(
    "Early stopping", "Against overfitting",
    "The dev loss has its minimum long before the training loss stops falling; stopping there and putting those weights back "
    "gives the lower dev loss for fewer passes.",
    "Prechelt 1998, Early stopping – but when?", show,
)  # fmt: skip

if __name__ == "__main__":
    tell(ENTRY)
