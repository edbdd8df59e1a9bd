"""A problem of one weight on which Adam walks to the worst point, and a second moment that never falls stops it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from claim import Entry, Shown, tell
from draw import curve, picture
from thalweg import optim, rules

C = 3.0
BETA2 = 1 / (1 + C**2)
EVERY = 50


def walk(rule: rules.Rule, gradients: np.ndarray, rate: float) -> np.ndarray:
    """The weights (runs, points) of as many runs as ``gradients`` (runs, steps) has rows; each is one element."""
    weights = torch.nn.Parameter(torch.zeros(len(gradients), dtype=torch.float64))
    optimizer = optim.FromRule([weights], rule, lr=rate, hyperparameters={"beta1": 0.0, "beta2": BETA2})
    visited = []
    for step, slopes in enumerate(torch.from_numpy(gradients.T.copy())):
        optimizer.param_groups[0]["lr"] = rate / (step + 1) ** 0.5
        weights.grad = slopes
        optimizer.step()
        with torch.no_grad():
            weights.clamp_(-1.0, 1.0)
        if step % EVERY == 0:
            visited.append(weights.detach().numpy().copy())
    return np.array(visited).T


def show(seeds: Sequence[int], small: bool) -> Shown:
    steps = 2_400 if small else 30_000
    # Of every three slopes one is C and two are −1, so the best weight is −1; each seed draws the order within each three.
    threes = [np.random.default_rng(seed).permuted(np.tile([C, -1.0, -1.0], (steps // 3, 1)), axis=1) for seed in seeds]
    orders = np.stack([order.reshape(-1) for order in threes])
    fixed = np.tile([C, -1.0, -1.0], steps // 3)[None]
    found = {
        "Adam": rules.variant("adam"),
        "AMSGrad, V̂ ← max(V̂, V)": rules.variant("adam", amsgrad=True),
        "AMSGrad, one recurrence": rules.variant("amsgrad_single"),
    }
    paths = {name: walk(rule, np.concatenate([orders, fixed]), rate=0.1) for name, rule in found.items()}
    last = {name: one[:-1, -1] for name, one in paths.items()}
    numbers = {f"last weight, {name} (best −1, worst +1)": ends.tolist() for name, ends in last.items()}
    numbers |= {f"last weight, {n}, the paper's own order": [float(p[-1, -1])] * len(seeds) for n, p in paths.items()}
    adam, paper, single = last.values()
    own = [one[-1, -1] for one in paths.values()]
    cured = own[0] > 0.9 and max(own[1:]) < -0.9
    holds = [bool(cured and a > 0.9 and max(b, c) < -0.9) for a, b, c in zip(adam, paper, single, strict=True)]
    at = np.arange(paths["Adam"].shape[1]) * EVERY
    colours = ("--bad", "--good", "--train")
    drawn = picture(
        "Adam (red) climbs to the worst weight, +1; both forms of AMSGrad fall to the best. Dotted: orders drawn by seed.",
        *(curve(name, at, one[-1:], colour) for (name, one), colour in zip(paths.items(), colours, strict=True)),
        *(
            curve(f"{name}, order drawn", at, one[:-1], colour, dash="dot", width=1, legend=False)
            for (name, one), colour in zip(paths.items(), colours, strict=True)
        ),
        x="step",
        y="weight",
    )
    return Shown(holds, numbers, drawn)


ENTRY = Entry(
    "Adam's divergence and AMSGrad's cure",
    "Update rules",
    "On slopes 3, −1, −1 over and over (best weight −1) Adam with β₁ = 0, β₂ = 1/(1+3²), α = 0.1/√t ends at the worst weight, "
    "+1; with a V that never falls, in the paper's form or in one recurrence, it ends at −1.",
    "Reddi, Kale & Kumar 2018, theorem 1",
    show,
)

if __name__ == "__main__":
    tell(ENTRY)
