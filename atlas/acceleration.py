"""On a quadratic that is a thousand times as curved one way as another, momentum needs the root of the steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from claim import Entry, Shown, tell
from draw import COLOURS, curve, picture
from thalweg import optim
from thalweg.report.figure import axis

CONDITION, SIZE = 1000.0, 20
BETA = (CONDITION**0.5 - 1) / (CONDITION**0.5 + 1)
KNOWN = {  # with their best α and β for curvatures from 1/κ to 1
    "SGD": lambda w: optim.SGD(w, lr=2 / (1 + 1 / CONDITION)),
    "momentum": lambda w: optim.HeavyBall(w, lr=(1 + BETA) ** 2, beta=BETA**2),
    "Nesterov": lambda w: optim.Nesterov(w, lr=1.0, beta=BETA),
}
ADAPTIVE = {"Adam": optim.Adam, "NAdam": optim.NAdam}
RATES = [10.0 ** (-power / 2) for power in range(2, 7)]


def losses(make: Callable, seed: int, steps: int) -> np.ndarray:
    """wᵀHw/2 over its first value, (steps,), for a Hessian in a random direction."""
    generator = np.random.default_rng(seed)
    turned = np.linalg.qr(generator.normal(size=(SIZE, SIZE)))[0]
    hessian = torch.from_numpy(turned @ np.diag(np.geomspace(1 / CONDITION, 1, SIZE)) @ turned.T)
    w = torch.nn.Parameter(
        torch.from_numpy(turned @ (generator.choice([-1, 1], SIZE) * generator.uniform(0.6, 1.4, SIZE)))
    )
    optimizer = make([w])
    seen = np.empty(steps)
    for step in range(steps):
        w.grad = hessian @ w.detach()
        seen[step] = w.detach() @ w.grad
        optimizer.step()
    return seen / seen[0]


def arrival(seen: np.ndarray) -> int:
    """The first step at which the loss is a ten-thousandth of its first value."""
    return int(np.argmax(seen < 1e-4)) or len(seen)


def show(seeds: Sequence[int], small: bool) -> Shown:
    found = {name: np.array([losses(make, seed, 4_000) for seed in seeds]) for name, make in KNOWN.items()}
    for name, rule in ADAPTIVE.items():
        rates, most = (RATES[::2], 1_000) if small else (RATES, 3_000)
        runs = [[losses(lambda w, a=a, r=rule: r(w, lr=a), seed, most) for a in rates] for seed in seeds]
        found[name] = np.array([min(one, key=arrival) for one in runs])
    steps = {name: np.array([arrival(one) for one in rows]) for name, rows in found.items()}
    numbers = {f"steps to a ten-thousandth of the loss, {name}": values.tolist() for name, values in steps.items()}
    holds = (10 * np.maximum(steps["momentum"], steps["Nesterov"]) < steps["SGD"]).tolist()
    drawn = picture(
        "SGD needs steps in proportion to the ratio κ of the curvatures, momentum and Nesterov to its root. Momentum with the "
        "rate that ends soonest first leaps up.",
        *(curve(n, range(1, 401), rows[:, :400], c) for (n, rows), c in zip(found.items(), COLOURS, strict=False)),
        x="step", y=axis("loss over its first value", log=True, range=[-5, 4.2]),
    )  # fmt: skip
    but = f"Inside Adam looking ahead is no gain here: NAdam is first in {sum(steps['NAdam'] < steps['Adam'])} of {len(seeds)} "
    but += f"seeds, Nesterov in {sum(steps['Nesterov'] < steps['momentum'])}."
    return Shown(holds, numbers, drawn, but)


ENTRY = Entry(
    "Momentum on a long ravine",
    "Update rules",
    "On curvatures from 1/κ to 1, κ = 1000, momentum and Nesterov with β = (√κ−1)/(√κ+1) (momentum: its square) need less than "
    "a tenth of SGD's steps, each at its best α: √κ against κ.",
    "Polyak 1964; Nesterov 1983; Dozat 2016",
    show,
)

if __name__ == "__main__":
    tell(ENTRY)
