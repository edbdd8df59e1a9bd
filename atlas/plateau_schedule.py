"""A rate that is lowered when the dev loss no longer improves finds by itself when to fall."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import thalweg
from claim import Entry, Shown, tell
from draw import curve, picture
from thalweg.report.figure import axis

CONSTANT, FALLING = "α = 1, constant", "α = 1, × 0.3 on each plateau"
RUNS = {CONSTANT: ("constant", 1.0), FALLING: ("plateau(0.3, patience=3)", 1.0)}
SMALLER = {"α = 0.3, constant": ("constant", 0.3), "α = 0.1, constant": ("constant", 0.1)}


def dev_losses(seed: int, schedule: str, rate: float, epochs: int) -> np.ndarray:
    """The dev loss before and after each pass of SGD in batches of 16."""
    fitted = thalweg.fit(
        "mlp", "digits", hidden=[64], rule="sgd", lr=rate, schedule=schedule, epochs=epochs, patience=0, batch_size=16,
        seed=seed,
    )  # fmt: skip
    return fitted.history.column("dev/loss").values


def show(seeds: Sequence[int], small: bool) -> Shown:
    epochs, smaller = (20, dict([*SMALLER.items()][:1])) if small else (40, SMALLER)
    runs = RUNS | smaller
    found = {name: np.array([dev_losses(seed, *run, epochs) for seed in seeds]) for name, run in runs.items()}
    last = {name: np.median(rows[:, -5:], axis=1) for name, rows in found.items()}
    best = {name: rows.min(axis=1) for name, rows in found.items()}
    ups = {name: np.diff(found[name][:, epochs // 2 :], axis=1).std(axis=1) for name in RUNS}
    numbers = {f"dev loss of the last five passes, {name}": values for name, values in last.items()}
    numbers |= {f"dev loss of the best pass, {name}": values for name, values in best.items()}
    numbers |= {f"jumps between passes in the second half, {name}": values for name, values in ups.items()}
    lower = last[FALLING] < last[CONSTANT]
    tuned = min(smaller, key=lambda name: last[name].mean())
    drawn = picture(
        "With the constant rate 1 the dev loss jumps and drifts up; the rate that fell at the first plateaus holds what it "
        "had. A constant rate that is small enough from the start does not need to fall.",
        *(curve(name, np.arange(epochs + 1), found[name], colour)
          for name, colour in zip(runs, ("--bad", "--good", "--batch", "--train"), strict=False)),
        x="pass over the data", y=axis("dev loss", log=True, values=np.concatenate(list(found.values()))),
    )  # fmt: skip
    return Shown(
        (lower & (ups[FALLING] < ups[CONSTANT] / 2)).tolist(),
        numbers,
        drawn,
        f"It saves looking for α, no more. {tuned}, ends at {last[tuned].mean():.3f} on average, the falling rate at "
        f"{last[FALLING].mean():.3f} (lower in {int((last[FALLING] < last[tuned]).sum())} of {len(seeds)} seeds); and "
        f"stopped at its best pass α = 1 comes to {best[CONSTANT].mean():.3f}, the falling rate to "
        f"{best[FALLING].mean():.3f}.",
    )


ENTRY = Entry(
    "A rate that waits for a plateau",
    "The learning rate",
    "α, times 0.3 when the dev loss has not improved for more than three passes, ends at a lower dev loss than the constant "
    "α = 1 it began with, and with less than half of its jumps.",
    "PyTorch's ReduceLROnPlateau; Goodfellow et al. 2016, section 8.3",
    show,
)

if __name__ == "__main__":
    tell(ENTRY)
