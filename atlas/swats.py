"""SWATS begins as Adam, reads off Adam's own steps which rate descent would need, and goes on as descent with momentum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from claim import Entry, Shown, tell
from digits import DevErrors, descend, digits, net
from draw import COLOURS, curve, picture
from thalweg import InputError, optim
from thalweg.report.figure import axis
from thalweg.schedules import staircase

BATCH, ROWS = 32, 6_000


def data_set(small: bool) -> str:
    """Fashion-MNIST where its files are found."""
    try:
        return "digits" if small or not digits(0, "fashion-mnist", ROWS) else "fashion-mnist"
    except InputError:
        return "digits"


def show(seeds: Sequence[int], small: bool) -> Shown:
    name, epochs, beta2 = data_set(small), 15 if small else 24, 0.99 if small else 0.999
    # Each rate is the best of three, a factor of three apart, on seeds 100 and 101.
    rules = {
        "SGD with momentum": lambda w, f: optim.HeavyBall(w, lr=0.01 * f, beta=0.9),
        "Adam": lambda w, f: optim.Adam(w, lr=1e-3 * f, betas=(0.9, beta2)),
        "SWATS": lambda w, f: optim.SWATS(w, lr=3e-3 * f, betas=(0.9, beta2)),
    }
    errors = np.zeros((len(rules), len(seeds), epochs))
    switches = []
    for row, seed in enumerate(seeds):
        parts = digits(seed, name, ROWS)
        steps = -(-len(parts.x) // BATCH) * epochs
        for at, make in enumerate(rules.values()):
            model, dev = net(seed, n_in=parts.x[0].numel(), hidden=(32,)), DevErrors(parts)
            optimizer = make(model.parameters(), staircase((3 * steps // 4,), (1.0, 0.1)))
            descend(model, optimizer, parts, epochs=epochs, batch_size=BATCH, seed=seed, hooks=(dev,))
            errors[at, row] = dev.seen
        switches.append(optimizer.switches())
    sgd, adam, swats = errors[:, :, -3:].mean(axis=2)
    last = zip(rules, (sgd, adam, swats), strict=True)
    numbers = {f"dev error of the last three passes, {rule}": values.tolist() for rule, values in last}
    numbers["pass of the switch"] = [one[0].step * epochs / steps if one else float(epochs) for one in switches]
    drawn = picture(
        f"Dev error on {name}. SWATS walks with Adam until it switches, then with SGD's noise; at three quarters of the way "
        "all rates fall to a tenth.",
        *(curve(rule, range(1, epochs + 1), rows, c) for rule, rows, c in zip(rules, errors, COLOURS, strict=False)),
        x="pass over the data",
        y=axis("dev error", tickformat=".0%", range=[0.85 * errors.min(), errors[:, :, 1].max()]),
    )
    but = (
        f"On {name}, with 32 hidden units, SWATS switches in {sum(map(bool, switches))} of {len(seeds)} seeds and ends "
        f"{100 * (swats - adam).mean():+.2f} points from Adam, above it in {sum(swats > adam)}, each at the best of three α. "
        f"SGD alone ends {100 * (sgd - adam).mean():+.2f} points from Adam: the paper's nets were larger, Adam behind there."
    )
    return Shown([bool(one) and a >= b for one, a, b in zip(switches, adam, swats, strict=True)], numbers, drawn, but)


ENTRY = Entry(
    "From Adam to SGD",
    "Update rules",
    "SWATS, which goes on as SGD with the rate Λ = p·p / p·g of Adam's steps p once that has settled, ends at or below Adam's "
    "dev error.",
    "Keskar & Socher 2017",
    show,
    refuted=True,
)

if __name__ == "__main__":
    tell(ENTRY)
