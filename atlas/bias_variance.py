"""High bias or high variance: two errors say which, and each has remedies that do nothing for the other.

>>> fitted.history.last("train/loss"), fitted.history.last("dev/loss")
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import thalweg
from claim import Entry, Shown, tell
from draw import bars, picture

CASES = {"2 units, digits": ("digits", [2], 1e-2), "64 + 64 units, diabetes": ("diabetes", [64, 64], 1e-3)}
BETWEEN = "3 units, digits"
KNOWN = CASES | {BETWEEN: ("digits", [3], 1e-2)}
REMEDIES = {"as it is": {}, "a larger net": {"wider": 4}, "L2": {"l2": 100.0}}


def losses(seed: int, case: str, epochs: int, *, wider: int = 1, l2: float = 0.0) -> tuple[float, float]:
    """Training and dev loss after the last pass."""
    data, hidden, rate = KNOWN[case]
    fitted = thalweg.fit(
        "mlp", data, hidden=[units * wider for units in hidden], skip=False, dropout=[0.0], l2=l2, rule="adam", lr=rate,
        schedule="constant", epochs=epochs, patience=0, seed=seed,
    )  # fmt: skip
    return fitted.history.last("train/loss"), fitted.history.last("dev/loss")


def show(seeds: Sequence[int], small: bool) -> Shown:
    epochs = 40 if small else 100
    found = np.array([[[losses(seed, case, epochs, **remedy) for remedy in REMEDIES.values()] for case in CASES]
                      for seed in seeds])  # fmt: skip
    dev = found[..., 1]  # (seeds, cases, remedies); the best possible loss is taken to be 0
    bias, variance = found[:, :, 0, 0], dev[:, :, 0] - found[:, :, 0, 0]
    figure = picture(
        "The dev loss of two nets, as they are and under either remedy. The one with a high training loss (bias) gains from "
        "more units and loses by L2; the one with a large gap (variance) gains from L2 alone.",
        *(bars(name, list(CASES), dev[:, :, i], colour)
          for i, (name, colour) in enumerate(zip(REMEDIES, ("--batch", "--train", "--dev"), strict=True))),
        y="dev loss after the last pass", barmode="group",
    )  # fmt: skip
    numbers = {}
    for c, case in enumerate(CASES):
        numbers |= {f"bias, {case}": bias[:, c], f"variance, {case}": variance[:, c]}
        numbers |= {f"dev loss, {case}, {name}": dev[:, c, i] for i, name in enumerate(REMEDIES)}
    named = (bias[:, 0] > variance[:, 0]) & (bias[:, 1] < variance[:, 1])
    cured = (dev[:, 0, 1] < dev[:, 0, 0]) & (dev[:, 1, 2] < dev[:, 1, 0])
    useless = (dev[:, 0, 2] > dev[:, 0, 1]) & (dev[:, 1, 1] > dev[:, 1, 2])
    between = np.array([losses(seed, BETWEEN, epochs) for seed in seeds])
    missed = int((between[:, 0] < between[:, 1] - between[:, 0]).sum())
    return Shown(
        (named & cured & useless).tolist(),
        numbers,
        figure,
        f"The larger error is no sure sign where both are near: with 3 units instead of 2 it names variance in {missed} of "
        f"{len(seeds)} seeds. And a remedy moves the other error too: the larger net on digits ends with a variance of "
        f"{(found[:, 0, 1, 1] - found[:, 0, 1, 0]).mean():.2f} beside a bias of {found[:, 0, 1, 0].mean():.2f}, and L2 on "
        f"diabetes with a bias of {found[:, 1, 2, 0].mean():.2f}.",
    )  # fmt: skip


ENTRY = Entry(
    "Bias or variance", "Setting up",
    "A training loss far above the best possible one asks for a larger net, a dev loss far above the training loss for "
    "regularisation; the other's remedy does not help.",
    "Ng 2018, Machine Learning Yearning, chapters 20 to 25", show,
)  # fmt: skip

if __name__ == "__main__":
    tell(ENTRY)
