"""Many candidates begin together, and after passes 1, 3 and 9 the best third stays: the same choice for a ninth of the work.

>>> halving = Halving(reduction=3, first=1)
>>> train_population(members, epochs=27, on_epoch=lambda epoch, going: halving.leaving(epoch, curves(going)))
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

import numpy as np

from claim import Entry, Shown, tell
from draw import picture
from given import CLASSES, initialised, rows
from thalweg.models import mlp
from thalweg.optim import Adam
from thalweg.population import Member, Outcome, train_population
from thalweg.report.figure import axis
from thalweg.search import Halving, Random, Space

SPACE = Space.parse({"lr": "1e-4..1.0:log", "beta1": "0.5..0.99:one-minus"})
MEMBERS, PASSES, HALVING = 27, 27, Halving(reduction=3, first=1)


def leave(epoch: int, going: Mapping[int, Outcome]) -> Collection[int]:
    return HALVING.leaving(epoch, {number: [dev["loss"] for dev in one.dev] for number, one in going.items()})


def trained(seed: int, *, pruned: bool) -> list[np.ndarray]:
    """The dev loss of each of 27 candidates after each pass that it made."""
    train, dev, _ = rows("digits", seed=seed)
    rules = [partial(Adam, lr=p["lr"], betas=(p["beta1"], 0.999)) for p in Random(SPACE, seed).suggest([], [], MEMBERS)]
    nets = [initialised(mlp(64, 10, hidden=(32,)), "auto", seed=seed) for _ in rules]
    members = [Member(net, rule, CLASSES, train, dev, order=seed) for net, rule in zip(nets, rules, strict=True)]
    outcomes = train_population(members, batch_size=32, epochs=PASSES, on_epoch=leave if pruned else None).outcomes
    return [np.array([measured["loss"] for measured in one.dev]) for one in outcomes]


def path(losses: np.ndarray, name: str, shown: bool, **line: object) -> dict:
    x = np.arange(1, len(losses) + 1)
    return {"type": "scatter", "mode": "lines", "x": x, "y": losses, "name": name, "showlegend": shown, "line": line}


def show(seeds: Sequence[int], small: bool) -> Shown:
    whole, pruned = ([trained(seed, pruned=how) for seed in seeds] for how in (False, True))
    ends = np.array([[losses.min() for losses in run] for run in whole])
    winner = np.array([min(losses.min() for losses in run) for run in pruned])
    made = np.array([[sum(map(len, run)) for run in runs] for runs in (whole, pruned)])
    place, few = (ends < winner[:, None] - 1e-6).sum(axis=1) + 1, made[1, 0] // PASSES
    draws = np.random.default_rng(0).random((2000, MEMBERS)).argsort(axis=1)[:, :few]
    bought = ends[:, draws].min(axis=-1).mean(axis=-1)
    figure = picture(
        f"One search, {MEMBERS} candidates; grey is how each would have gone on. After passes 1, 3, 9 the worse two thirds "
        "leave; who is ahead early mostly stays ahead, so what leaves would rarely have won.",
        [path(losses, "if nobody left", not i, color="--batch", width=0.8) for i, losses in enumerate(whole[0])],
        [path(losses, "halving", not i, color="--dev", width=2) for i, losses in enumerate(pruned[0])],
        x="pass", y=axis("dev loss", log=True, values=np.concatenate(whole[0])),
    )  # fmt: skip
    return Shown(
        ((place <= MEMBERS / 3) & (winner < bought)).tolist(),
        {"passes made, all": made[0], "passes made, halving": made[1], "dev loss of the best of all": ends.min(axis=1),
         "dev loss of halving's choice": winner, f"place of that choice among the {MEMBERS}": place,
         f"dev loss of the best of {few} trained in full": bought},
        figure,
        f"The best itself is found in {int((place == 1).sum())} of {len(seeds)} seeds: one that starts slowly leaves early.",
    )  # fmt: skip


ENTRY = Entry(
    "Halving", "Hyperparameters",
    "When the worse two thirds of a population leave after passes 1, 3, 9 its choice is among the best third, for a ninth of "
    "the passes, and better than what those passes buy in full runs.",
    "Jamieson & Talwalkar 2016, arXiv 1502.07943", show,
)  # fmt: skip

if __name__ == "__main__":
    tell(ENTRY)
