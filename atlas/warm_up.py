"""A net that starts on a steep slope is thrown off by the rate that it bears later; small steps first carry it down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from claim import Entry, Shown, tell
from digits import accuracy, descend, digits, net
from draw import curve, picture
from thalweg import optim
from thalweg.averages import ewa
from thalweg.report.figure import axis
from thalweg.schedules import cosine, warmup
from thalweg.surfaces import sharpness
from thalweg.train import OBJECTIVES

RATE, BETA, BATCH, STEPS, LENGTH = 0.05, 0.9, 64, 80, 255
LIMIT = 2 * (1 + BETA) / RATE  # the sharpness that heavy-ball momentum bears at this rate
KINDS = {
    "too large, no warm-up": (2.0, False), "too large, warm-up": (2.0, True),
    "fitting, no warm-up": (1.0, False), "fitting, warm-up": (1.0, True),
}  # fmt: skip


def run(seed: int, scale: float, warm: bool, epochs: int, rate: float = RATE) -> tuple[torch.nn.Module, np.ndarray]:
    """A net whose weights start ``scale`` times as large as fits its activations, trained with α falling as a cosine."""
    parts, model = digits(seed), net(seed, hidden=(64,) * 4)
    for weight in model.parameters():
        weight.data.mul_(scale)
    schedule = rate * (warmup(STEPS) >> cosine(LENGTH - STEPS) if warm else cosine(LENGTH))
    optimizer = optim.HeavyBall(model.parameters(), lr=schedule, beta=BETA)
    costs = descend(model, optimizer, parts, epochs=epochs, batch_size=BATCH, seed=seed)
    return model, ewa(np.nan_to_num(costs, nan=1e3).clip(max=1e3), 0.9)


def steepness(seed: int, model: torch.nn.Module) -> float:
    """The largest curvature of the loss of 200 training rows."""
    x, y = (rows[:200] for rows in digits(seed)[:2])
    return sharpness(lambda: OBJECTIVES["multiclass"](model(x), y), model.parameters(), tolerance=1e-2)


def show(seeds: Sequence[int], small: bool) -> Shown:
    epochs = 10 if small else 15
    found = {name: [run(seed, *kind, epochs) for seed in seeds] for name, kind in KINDS.items()}
    numbers = {
        f"dev accuracy, {name}": [accuracy(m, *digits(s)[2:]) for s, (m, _) in zip(seeds, several, strict=True)]
        for name, several in found.items()
    }
    without, with_, *fit = numbers.values()
    begun, warmed = ([steepness(seed, run(seed, 2.0, True, passes)[0]) for seed in seeds] for passes in (0, 5))
    numbers |= {f"sharpness at the start, too large (this rate bears {LIMIT:.0f})": begun, "after the warm-up": warmed}
    drawn = picture(
        "Weights too large: without warm-up the cost leaps, and comes back to chance (2.3) or not at all; with it, it falls.",
        *(
            curve(name, range(17 * epochs), [costs for _, costs in found[name]], colour)
            for name, colour in zip(KINDS, ("--bad", "--train", "--batch", "--good"), strict=True)
        ),
        x="step",
        y=axis("cost of a mini-batch, averaged over ten", log=True, range=[-3, 2]),
    )
    slow = np.mean([accuracy(run(seed, 2.0, False, epochs, RATE / 5)[0], *digits(seed)[2:]) for seed in seeds])
    but = f"It mends a bad start: weights that fit come to {np.mean(fit[0]):.3f} without it, {np.mean(fit[1]):.3f} with it; "
    but += f"too large ones to {slow:.3f} with α = {RATE / 5:g} and no warm-up, to {np.mean(with_):.3f} with it and {RATE:g}."
    holds = (np.array(with_) - without > 0.5) & (np.array(begun) > LIMIT) & (np.array(warmed) < LIMIT)
    return Shown(holds.tolist(), numbers, drawn, but)


ENTRY = Entry(
    "Warm-up", "The learning rate",
    "A ReLU net of four layers whose weights start twice too large is thrown off by momentum with α = 0.05; with α rising over "
    "80 steps, α·t/80, it trains, for by then the sharpness has fallen below 2(1+β)/α = 76.",
    "Goyal et al. 2017; Gilmer et al. 2021", show,
)  # fmt: skip

if __name__ == "__main__":
    tell(ENTRY)
