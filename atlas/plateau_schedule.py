"""A rate that is lowered when the dev loss no longer improves finds by itself when to fall."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import thalweg
from claim import Entry, Shown, tell
from draw import curve, picture
from thalweg.report.figure import axis

SCHEDULES = {"constant": "constant", "on a plateau": "plateau(0.3, patience=3)"}
RATE = 1.0


def dev_losses(seed: int, schedule: str, epochs: int) -> np.ndarray:
    """The dev loss after each pass of SGD in batches of 16."""
    fitted = thalweg.fit(
        "mlp", "digits", hidden=[64], rule="sgd", lr=RATE, schedule=schedule, epochs=epochs, patience=0, batch_size=16,
        seed=seed,
    )  # fmt: skip
    return fitted.history.column("dev/loss").values


def show(seeds: Sequence[int], small: bool) -> Shown:
    epochs = 25 if small else 40
    found = {
        name: np.array([dev_losses(seed, schedule, epochs) for seed in seeds]) for name, schedule in SCHEDULES.items()
    }
    last = {name: np.median(rows[:, -5:], axis=1) for name, rows in found.items()}
    best = {name: rows.min(axis=1) for name, rows in found.items()}
    ups = {name: np.diff(rows[:, epochs // 2 :], axis=1).std(axis=1) for name, rows in found.items()}
    numbers = {f"dev loss of the last five passes, {name}": values.tolist() for name, values in last.items()}
    numbers |= {f"dev loss of the best pass, {name}": values.tolist() for name, values in best.items()}
    numbers |= {f"jumps between passes in the second half, {name}": values.tolist() for name, values in ups.items()}
    lower = last["on a plateau"] < last["constant"]
    holds = [bool(one) for one in lower & (ups["on a plateau"] < ups["constant"] / 2)]
    passes = np.arange(1, epochs + 1)
    drawn = picture(
        "With a constant rate the dev loss jumps and drifts up; the rate that fell at the first plateaus holds what it had.",
        curve("constant α = 1", passes, found["constant"], "--bad"),
        curve("α × 0.3 on each plateau", passes, found["on a plateau"], "--good"),
        x="pass over the data",
        y=axis("dev loss", log=True, values=np.concatenate(list(found.values()))),
    )
    better = sum(best["on a plateau"] < best["constant"])
    but = (
        f"Stopped at its best pass the constant rate is as good: there it loses in {better} of {len(seeds)} seeds only."
    )
    return Shown(holds, numbers, drawn, but)


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
