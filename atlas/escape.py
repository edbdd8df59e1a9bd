"""Where the gradient says almost nothing, near a saddle or on a plateau, what counts is whether a rule divides by its size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from claim import Entry, Shown, tell
from draw import COLOURS, curve, picture
from thalweg import optim
from thalweg.report.figure import axis
from thalweg.surfaces import PLATEAU, SADDLE, path

# SGD and momentum take nine tenths of 2/λ, λ the largest curvature (2 at the saddle, 1/2 in the hole of the plateau).
RULES = {
    "SGD": lambda w, curvature: optim.SGD(w, lr=1.8 / curvature),
    "momentum": lambda w, curvature: optim.Momentum(w, lr=1.8 / curvature, beta=0.9),
    "RMSprop": lambda w, curvature: optim.RMSprop(w, lr=0.01),
    "Adam": lambda w, curvature: optim.Adam(w, lr=0.05),
}
BESIDE = (1e-2, 1e-4, 1e-6, 1e-8)
FAR = (4.0, 5.0, 6.0)
MOST = 2_000


def show(seeds: Sequence[int], small: bool) -> Shown:
    saddle = np.zeros((len(RULES), len(seeds), len(BESIDE)))
    plateau = np.zeros((len(RULES), len(seeds), len(FAR)))
    for at, make in enumerate(RULES.values()):
        for row, seed in enumerate(seeds):
            generator = np.random.default_rng(seed)
            factor, angle = generator.uniform(1, 3), generator.uniform(0, 2 * np.pi)
            for column, y in enumerate(BESIDE):
                start = (-1.5, factor * y)
                walk = path(SADDLE, lambda w, make=make: make(w, 2.0), steps=150, start=start)
                saddle[at, row, column] = np.argmax(np.abs(walk[:, 1]) > 1) or MOST
            for column, r in enumerate(FAR):
                start = (r * np.cos(angle), r * np.sin(angle))
                walk = path(PLATEAU, lambda w, make=make: make(w, 0.5), steps=MOST // (4 if small else 1), start=start)
                plateau[at, row, column] = np.argmax(PLATEAU.value(*walk.T) < 0.5) or MOST
    slower = saddle[:, :, -1] / saddle[:, :, 0]
    longer = plateau[:, :, -1] / plateau[:, :, 0]
    numbers = {f"steps from the saddle at |y| ≈ 1e-8, {n}": saddle[at, :, -1].tolist() for at, n in enumerate(RULES)}
    numbers |= {f"as a multiple of those at 1e-2, {n}": slower[at].tolist() for at, n in enumerate(RULES)}
    numbers |= {f"steps to half the depth from r = 6, {n}": plateau[at, :, -1].tolist() for at, n in enumerate(RULES)}
    numbers |= {f"as a multiple of those from 4, {n}": longer[at].tolist() for at, n in enumerate(RULES)}
    holds = [bool(a[:2].min() > 2 and a[2:].max() < 1.25 and b[:2].min() > 10 and b[2:].max() < 3.5)
             for a, b in zip(slower.T, longer.T, strict=True)]  # fmt: skip
    drawn = picture(
        "The nearer to the saddle's ridge a walk begins, the smaller its gradient and the longer SGD and momentum stay; "
        "RMSprop and Adam, which divide by it, do not notice.",
        *(curve(name, BESIDE, rows, colour) for name, rows, colour in zip(RULES, saddle, COLOURS, strict=False)),
        x=axis("distance from the ridge at the start", log=True, values=np.array(BESIDE), autorange="reversed"),
        y=axis("steps until |y| > 1", rangemode="tozero"),
    )
    adam, sgd = np.median(saddle[3]), np.median(saddle[0, :, 0])
    but = f"Where the gradient helps, they are no faster: from |y| ≈ 1e-2 SGD takes {sgd:.0f} steps, Adam {adam:.0f}."
    return Shown(holds, numbers, drawn, but)


ENTRY = Entry(
    "Leaving saddles and plateaus",
    "The landscape",
    "On x² − y² SGD and momentum need the longer the nearer to the ridge they begin, as ln(1/|y₀|); rules that divide by √V "
    "take steps of about α, and need as many from 1e-8 as from 1e-2, within a quarter. On a plateau, from r = 6 instead of "
    "4, SGD and momentum need more than ten times the steps, they less than four times.",
    "Dauphin et al. 2014; Goodfellow et al. 2016, section 8.2",
    show,
)

if __name__ == "__main__":
    tell(ENTRY)
