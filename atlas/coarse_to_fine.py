"""Coarse to fine: a round of random draws everywhere, then rounds in the part that held the best quarter.

>>> run_study(objective, CoarseToFine(space, stage=16), trials=64)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from claim import Entry, Shown, tell
from draw import curve, picture
from given import scores
from thalweg.optim import SGD
from thalweg.report.figure import axis
from thalweg.search import CoarseToFine, Finished, Point, Random, Sampler, Space

SPACE = Space.parse({"lr": "1e-5..10.0:log", "momentum": "0.5..0.999:one-minus", "weight_decay": "1e-6..1.0:log"})
TWO = Space({name: SPACE[name] for name in ("lr", "momentum")})
ROUNDS, WORST = 4, 10.0


def rule(point: Point) -> partial[SGD]:
    return partial(SGD, **point)


def search(sampler: Sampler, stage: int, seed: int, epochs: int) -> np.ndarray:
    """The dev losses of all trials in order, a round trained at a time; what diverged counts as 10."""
    done: list[Finished] = []
    for _ in range(ROUNDS):
        points = sampler.suggest(done, [], stage)
        losses = scores(points, rule, seed=seed, epochs=epochs).clip(max=WORST)
        done += [Finished(len(done) + i, points[i], (float(losses[i]),)) for i in range(stage)]
    return np.array([trial.score for trial in done])


def show(seeds: Sequence[int], small: bool) -> Shown:
    epochs, stage = (1, 8) if small else (4, 16)
    fine = np.array([search(CoarseToFine(SPACE, seed, stage=stage), stage, seed, epochs) for seed in seeds])
    blind = np.array([search(Random(SPACE, seed), stage, seed, epochs) for seed in seeds])
    best = {"coarse to fine": fine.min(axis=1), "random": blind.min(axis=1)}
    last = np.median(fine[:, -stage:], axis=1), np.median(blind[:, -stage:], axis=1)
    half = [row[:, : 2 * stage].min(axis=1) for row in (fine, blind)]
    trials = np.arange(1, stage * ROUNDS + 1)
    figure = picture(
        "The best dev loss so far. Both searches share their first round; then coarse to fine draws near the best, while "
        "random search goes on looking where it has found nothing.",
        curve("random", trials, np.minimum.accumulate(blind, axis=1), "--train"),
        curve("coarse to fine", trials, np.minimum.accumulate(fine, axis=1), "--dev"),
        x="trial", y=axis("best dev loss so far", log=True, values=fine),
    )  # fmt: skip
    won, won_half = int((best["coarse to fine"] < best["random"]).sum()), int((half[0] < half[1]).sum())
    two = np.array([[search(one, stage // 2, seed, epochs).min()
                     for one in (CoarseToFine(TWO, seed, stage=stage // 2), Random(TWO, seed))]
                    for seed in seeds])  # fmt: skip
    return Shown(
        ((last[0] < last[1]) & (small | (best["coarse to fine"] <= best["random"]))).tolist(),  # 32 trials may end anywhere
        {f"best dev loss, {name}": values for name, values in best.items()}
        | {f"median of the last round, {name}": values for name, values in zip(best, last, strict=True)},
        figure,
        f"It takes trials, and room to miss: after {2 * stage} of them coarse to fine is ahead in {won_half} of {len(seeds)} "
        f"seeds, after {ROUNDS * stage} in {won}; over α and momentum alone, with {2 * stage}, in "
        f"{int((two[:, 0] < two[:, 1]).sum())}. "
        f"What the first round has missed, no later round looks for.",
    )  # fmt: skip


ENTRY = Entry(
    "Coarse to fine", "Hyperparameters",
    "Rounds that draw from the part that held the best quarter of those before try better settings, and end at a better one, "
    "than as many draws from everywhere.",
    "Ng 2017, Improving Deep Neural Networks, week 3", show,
)  # fmt: skip

if __name__ == "__main__":
    tell(ENTRY)
