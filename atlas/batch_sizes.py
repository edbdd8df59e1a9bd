"""Batch, mini-batch and stochastic descent: how steady the cost is from step to step, and how much a pass brings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from claim import Entry, Shown, tell
from digits import descend, digits, loss, net
from draw import curve, picture
from thalweg import optim
from thalweg.averages import ewa
from thalweg.report.figure import axis

# The best of 0.25 … 3, of 0.1 … 1.2 and of 0.005 … 0.08 on seeds 100 to 102.
RATES = {"batch": 0.5, "mini-batch of 64": 1.0, "stochastic": 0.04}


def show(seeds: Sequence[int], small: bool) -> Shown:
    epochs = 3 if small else 8
    costs: dict[str, list[np.ndarray]] = {name: [] for name in RATES}
    after: dict[str, list[float]] = {name: [] for name in RATES}
    steep: list[float] = []
    for seed in seeds:
        parts = digits(seed)
        for name, size in zip(RATES, (len(parts.x), 64, 1), strict=True):
            model = net(seed)
            optimizer = optim.SGD(model.parameters(), lr=RATES[name])
            costs[name].append(descend(model, optimizer, parts, epochs=epochs, batch_size=size, seed=seed))
            after[name].append(loss(model, parts.x, parts.y))
        optimizer = optim.SGD((model := net(seed)).parameters(), lr=2 * RATES["batch"])
        doubled = descend(model, optimizer, parts, epochs=epochs, batch_size=len(parts.x), seed=seed)
        steep.append(float((np.diff(doubled) > 0).mean()))
    rises = {name: [float((np.diff(one) > 0).mean()) for one in runs] for name, runs in costs.items()}
    falls = {name: [float(ewa(one, 0.9)[-1] < one[0] / 2) for one in runs] for name, runs in costs.items()}
    numbers = {f"share of steps at which the cost rises, {name}": values for name, values in rises.items()}
    numbers |= {f"training loss after {epochs} passes, {name}": values for name, values in after.items()}
    numbers["steps in a pass, stochastic"] = [len(one) / epochs for one in costs["stochastic"]]
    holds = [
        rises["batch"][at] == 0 and min(rises["mini-batch of 64"][at], rises["stochastic"][at]) > 0.25
        and falls["mini-batch of 64"][at] == 1 and 2 * after["mini-batch of 64"][at] < after["batch"][at]
        for at in range(len(seeds))
    ]  # fmt: skip
    traces = []
    for (name, runs), colour in zip(costs.items(), ("--bad", "--train", "--batch"), strict=True):
        passes = np.linspace(0, epochs, len(runs[0]))
        traces.append(curve(name, passes, runs[0], colour, width=3 if name == "batch" else 1))
    drawn = picture(
        "The cost of each step's own rows, one seed. Batch descent falls with every step, but has one step a pass; "
        "a mini-batch is noisy around a trend that falls far faster; single rows are noise with a trend.",
        *reversed(traces),
        x="passes over the data",
        y=axis("cost of the rows of a step", range=[0, 4]),
    )
    single, sixty_four = np.mean(after["stochastic"]), np.mean(after["mini-batch of 64"])
    but = (
        f"One row at a time comes to {single:.3f} in as many passes, 64 to {sixty_four:.3f}: in 64 times the steps. "
        f"At 2α batch descent's cost rises at {np.mean(steep):.0%} of its steps, too."
    )
    return Shown(holds, numbers, drawn, but)


ENTRY = Entry(
    "Batch, mini-batch, stochastic",
    "Gradient descent",
    "Each at its best α: with all m rows in a step the cost falls at every step; with 64 or one it rises at more than a "
    "quarter of them around a falling trend, and in as many passes a mini-batch reaches less than half of batch descent's "
    "loss.",
    "Bottou, Curtis & Nocedal 2018; LeCun et al. 1998",
    show,
)

if __name__ == "__main__":
    tell(ENTRY)
