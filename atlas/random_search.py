"""Nine points on a grid try three learning rates; nine random points try nine.

>>> Grid(space, points=3), Random(space, seed=0)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from claim import Entry, Shown, tell
from draw import curve, dots, picture
from given import scores
from thalweg.optim import Adam
from thalweg.report.figure import axis
from thalweg.search import Grid, Point, Random, Range, Space

RATES, BETAS, TRIALS = np.logspace(-6, 2, 33), (0.9, 0.99, 0.999), 9


def rule(point: Point) -> partial[Adam]:
    return partial(Adam, lr=point["lr"], betas=(0.9, point["beta2"]))


def landscape(seed: int, epochs: int) -> np.ndarray:  # the dev loss by learning rate (rows) and β₂ (columns)
    points: list[Point] = [{"lr": float(rate), "beta2": beta} for rate in RATES for beta in BETAS]
    return scores(points, rule, seed=seed, epochs=epochs).clip(max=10.0).reshape(len(RATES), len(BETAS))


def loss(table: np.ndarray, point: Point) -> float:
    """The table between its rates, in the column of the nearest β₂."""
    nearest = round(-np.log10(1 - point["beta2"])) - 1
    return float(np.interp(np.log10(point["lr"]), np.log10(RATES), table[:, nearest]))


def searches(seed: int, many: int) -> Iterator[list[list[Point]]]:
    """What a grid and random draws try in four decades of rates that begin by chance, for the good ones are not known."""
    for number, low in enumerate(np.random.default_rng(seed).uniform(-6, -2, many).tolist()):
        space = Space({"lr": Range(10**low, 10 ** (low + 4), "log"), "beta2": Range(0.9, 0.999, "one-minus")})
        yield [each.suggest([], [], TRIALS) for each in (Grid(space, points=3), Random(space, number))]


def show(seeds: Sequence[int], small: bool) -> Shown:
    tables, many = [landscape(seed, 1 if small else 4) for seed in seeds], 30 if small else 300
    found = [[[min(loss(table, point) for point in points) for points in pair] for pair in searches(seed, many)]
             for table, seed in zip(tables, seeds, strict=True)]  # fmt: skip
    grid, drawn = np.moveaxis(np.array(found), -1, 0)  # (seeds, searches)
    won, one = (drawn < grid).mean(axis=1), next(searches(0, 1))
    rates = [[float(point["lr"]) for point in points] for points in one]
    heights = [[loss(tables[0], point) for point in points] for points in one]
    figure = picture(
        "The dev loss by learning rate (lines: three values of β₂, which hardly matters) and what nine trials see of "
        "it: the grid three rates, each three times, random draws nine.",
        *(curve(f"β₂ = {beta}", RATES, tables[0][:, i], "--batch", width=1.2) for i, beta in enumerate(BETAS)),
        dots("grid", rates[0], heights[0], "--train", size=13), dots("random", rates[1], heights[1], "--dev"),
        x=axis("learning rate", log=True), y=axis("dev loss", log=True, values=tables[0]),
    )  # fmt: skip
    return Shown(
        (drawn.mean(axis=1) < grid.mean(axis=1)).tolist(),
        {"learning rates tried, grid": [len({*rates[0]})] * len(seeds),
         "learning rates tried, random": [len({*rates[1]})] * len(seeds),
         "best of nine, grid, mean over searches": grid.mean(axis=1),
         "best of nine, random, mean over searches": drawn.mean(axis=1), "share of searches that random wins": won},
        figure,
        f"A single grid may happen to stand well: it wins {1 - won.mean():.0%} of the searches.",
    )  # fmt: skip


ENTRY = Entry(
    "Random beats grid", "Hyperparameters",
    "Where one of two hyperparameters matters, n random trials see n of its values and a grid only √n; in the mean, "
    "their best is better.",
    "Bergstra & Bengio 2012, Journal of Machine Learning Research 13", show,
)  # fmt: skip

if __name__ == "__main__":
    tell(ENTRY)
