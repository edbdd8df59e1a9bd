"""With a constant rate a noisy descent stops at a floor that the rate sets; with a rate that falls it goes on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from claim import Entry, Shown, tell
from draw import COLOURS, curve, picture
from thalweg import optim
from thalweg.report.figure import axis
from thalweg.schedules import Schedule, constant, every, exponential, inverse_root, inverse_time, staircase

RATE, PASS, PASSES = 0.5, 100, 40
CURVATURES = torch.logspace(-2, 0, 20, dtype=torch.float64)
SCHEDULES: dict[str, Schedule] = {
    "constant": constant(),
    "inverse time, 1/(1 + pass/2)": every(PASS, inverse_time(0.5)),
    "exponential, 0.9^pass": every(PASS, exponential(0.9)),
    "inverse root, 1/√pass": every(PASS, inverse_root()),
    "staircase, a fifth at 10, 20, 30": every(PASS, staircase((10, 20, 30), (1.0, 0.2, 0.04, 0.008))),
    "exponential, 0.5^pass": every(PASS, exponential(0.5)),
}
SLOWLY, TOO_FAST = "exponential, 0.9^pass", "exponential, 0.5^pass"


def losses(schedule: Schedule, seeds: Sequence[int]) -> np.ndarray:
    """The loss Σ λw²/2 (seeds, passes), a mean over each pass; the gradient is λw and noise of variance 1."""
    weights = torch.nn.Parameter(10 * torch.ones(len(seeds), len(CURVATURES), dtype=torch.float64))
    optimizer = optim.SGD([weights], lr=RATE * schedule)
    generators = [np.random.default_rng(seed) for seed in seeds]
    rows = []
    for _ in range(PASSES):
        noise = torch.from_numpy(np.stack([one.normal(size=(PASS, len(CURVATURES))) for one in generators], axis=1))
        seen = 0.0
        for step in range(PASS):
            with torch.no_grad():
                seen += (CURVATURES * weights**2).sum(1).numpy() / 2
                weights.grad = CURVATURES * weights + noise[step]
            optimizer.step()
        rows.append(seen / PASS)
    return np.array(rows).T


def show(seeds: Sequence[int], small: bool) -> Shown:
    found = {name: losses(schedule, seeds) for name, schedule in SCHEDULES.items()}
    last = {name: rows[:, -5:].mean(axis=1) for name, rows in found.items()}
    floor = float((RATE / 2 / (2 - RATE * CURVATURES)).sum())
    numbers = {f"loss in the last five passes, {name}": values.tolist() for name, values in last.items()}
    numbers["floor of a constant rate, Σ α/(2(2 − αλ)) for noise of variance 1"] = [floor] * len(seeds)
    falling = np.stack([values for name, values in last.items() if name not in ("constant", TOO_FAST)])
    near = np.abs(last["constant"] / floor - 1) < 0.2
    holds = (near & (falling.max(axis=0) < last["constant"] / 2)).tolist()
    drawn = picture(
        "The constant rate stays at its floor; the others sink through it, and the one that halves each pass stops too early.",
        *(
            curve(name, range(1, PASSES + 1), rows, colour)
            for (name, rows), colour in zip(found.items(), COLOURS, strict=False)
        ),
        x="pass (100 steps)",
        y=axis("loss", log=True, values=np.concatenate(list(found.values()))),
    )
    but = f"0.5^pass falls too fast: it ends above 0.9^pass in {sum(last[TOO_FAST] > last[SLOWLY])} of {len(seeds)} seeds."
    return Shown(holds, numbers, drawn, but)


ENTRY = Entry(
    "Rates that fall",
    "The learning rate",
    "Under noise of variance σ² SGD with a constant α stays at a loss of Σ ασ²/(2(2 − αλ)), within 20 %; inverse-time, "
    "exponential, inverse-root and staircase schedules from the same α end below half of it.",
    "Robbins & Monro 1951; Bottou, Curtis & Nocedal 2018, theorem 4.6",
    show,
)

if __name__ == "__main__":
    tell(ENTRY)
