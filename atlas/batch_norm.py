"""Batch normalisation: the same net, from first weights of five scales, with it and without.

>>> mlp(64, 10, hidden=(64,) * 4, activation="tanh", norm="batch")
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from claim import Entry, Shown, tell
from draw import curve, picture
from given import CLASSES, initialised, rows
from thalweg.models import mlp
from thalweg.optim import SGD
from thalweg.population import Member, train_population
from thalweg.report.figure import axis

SCALES = (0.01, 0.03, 0.1, 0.3, 1.0)
RATES = (0.01, 0.03, 0.1, 0.3, 1.0)
GOAL = 0.9


def passes(seed: int, norm: str | None, *, rates: Sequence[float], epochs: int) -> list[int]:
    """Passes until nine of ten dev digits are right, for each scale at its best rate; ``epochs + 1`` where they never are."""
    train, dev, _ = rows("digits", seed=seed)
    members = []
    for scale in SCALES:
        for rate in rates:
            model = mlp(64, 10, hidden=(64,) * 4, activation="tanh", norm=norm)
            initialised(model, f"normal({scale})", seed=seed)
            members.append(Member(model, partial(SGD, lr=rate), CLASSES, train, dev, order=seed))
    outcomes = train_population(members, batch_size=64, epochs=epochs).outcomes
    right = [[number for number, dev in enumerate(one.dev, start=1) if dev["accuracy"] >= GOAL] for one in outcomes]
    return np.reshape([min(each, default=epochs + 1) for each in right], (len(SCALES), -1)).min(axis=1).tolist()


def show(seeds: Sequence[int], small: bool) -> Shown:
    rates, epochs = ((0.1,), 10) if small else (RATES, 15)
    plain, normed = (
        np.array([passes(seed, norm, rates=rates, epochs=epochs) for seed in seeds]) for norm in (None, "batch")
    )
    figure = picture(
        "Passes until 90 % of the dev digits are right, by the scale of the first weights, each at the best of five learning "
        "rates. With batch norm the scale hardly matters; without it few scales are good. The top line is never.",
        curve("without", np.array(SCALES), plain, "--train"),
        curve("batch norm", np.array(SCALES), normed, "--dev"),
        x=axis("standard deviation of the first weights", log=True),
        y={"title": {"text": "passes"}, "range": [0, epochs + 1.5]},
    )  # fmt: skip
    failed = (plain > epochs).sum(axis=1), (normed > epochs).sum(axis=1)
    means = plain.mean(axis=1), normed.mean(axis=1)
    best = plain.min(axis=1), normed.min(axis=1)
    return Shown(
        ((best[1] <= best[0]) & (2 * means[1] < means[0]) & (failed[1] < failed[0])).tolist(),
        {"passes, mean over scales, without": means[0], "passes, mean over scales, batch norm": means[1],
         "scales of 5 from which it never gets there, without": failed[0],
         "scales of 5 from which it never gets there, batch norm": failed[1],
         "passes from the best scale, without": best[0], "passes from the best scale, batch norm": best[1]},
        figure,
        f"From its best scale the net without it takes {best[0].mean():.1f} passes, the other {best[1].mean():.1f}: what "
        f"it gains here is above all that the scale need not be known.",
    )  # fmt: skip


ENTRY = Entry(
    "Batch normalisation", "Signals",
    "With batch norm, z ← γ (z − μ)/σ + β before each activation, nine of ten dev digits are right after half as many passes, "
    "in the mean over first weights of σ = 0.01 to 1, each at its best α, and from more of these scales at all.",
    "Ioffe & Szegedy 2015, arXiv 1502.03167", show,
)  # fmt: skip

if __name__ == "__main__":
    tell(ENTRY)
