"""Gradients that vanish on their way through sigmoids, and what each of the usual remedies does about it.

>>> mlp(64, 10, hidden=(64,) * 20, activation="sigmoid", residual=True)     # or norm="batch", or "relu"
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from torch import nn

import thalweg
from claim import Entry, Shown, tell
from draw import curve, picture
from given import gradient_norms, initialised, rows
from thalweg.models import mlp, pretrain
from thalweg.optim import Adam
from thalweg.population import Part
from thalweg.report.figure import axis

REMEDIES = {"nothing": {}, "clipping": {}, "LSUV": {}, "pre-training": {}, "residual": {"residual": True},
            "batch norm": {"norm": "batch"}, "ReLU, He": {"activation": "relu"}}  # fmt: skip
RATE = 3e-3  # the best of five between 3e-4 and 3e-2 for the net without a remedy, on seeds 100 and 101
COLOURS = ("--bad", "--batch", "--layer-6", "--accent", "--layer-0", "--dev", "--good")


def net(remedy: str, depth: int, train: Part, seed: int) -> nn.Sequential:
    """A net of sigmoids under Xavier, or what the remedy makes of it."""
    x = train.inputs[train.numbers()]
    model = mlp(64, 10, hidden=(64,) * depth, **{"activation": "sigmoid", **REMEDIES[remedy]})
    initialised(model, {"ReLU, He": "he", "LSUV": "lsuv"}.get(remedy, "xavier"), seed=seed, batch=x[:256])
    if remedy == "pre-training":
        pretrain(model, lambda _: x.split(128), epochs=2, make_optimizer=partial(Adam, lr=3e-3), seed=seed)
    return model


def measured(remedy: str, seed: int, epochs: int, depths: Sequence[int]) -> list[float]:
    """The first layer's gradient over the last's, by depth; the dev accuracy of ten layers, at an α that suits the bare net."""
    train, _, _ = rows("digits", seed=seed)
    nets, clip = {depth: net(remedy, depth, train, seed) for depth in depths}, 0.1 if remedy == "clipping" else 1e9
    norms = [gradient_norms(model, train, limit=clip) for model in nets.values()]
    run = thalweg.fit(nets[10], "digits", rule="adam", lr=RATE, clip_norm=clip, epochs=epochs, patience=0, seed=seed)
    return [*(each[0] / each[-1] for each in norms), run.metrics["dev"]["accuracy"]]


def show(seeds: Sequence[int], small: bool) -> Shown:
    epochs, depths = (2, (2, 10)) if small else (10, (2, 5, 10, 20))
    found = {one: np.array([measured(one, seed, epochs, depths) for seed in seeds]) for one in REMEDIES}
    share, accuracy = ({remedy: values[:, at] for remedy, values in found.items()} for at in (-2, -1))
    figure = picture(
        "What is left of the gradient in the first layer of a sigmoid net, by depth, before training. Without a remedy (and "
        "under clipping, the same line) each layer takes its part; LSUV slows the fall; the others stop it.",
        *(curve(remedy, depths, values[:, :-1], colour, dash="dot" if remedy == "clipping" else "solid")
          for (remedy, values), colour in zip(found.items(), COLOURS, strict=True)),
        x="hidden layers", y=axis("gradient, first layer / last layer", log=True, values=np.array([1e-13, 1.0])),
    )  # fmt: skip
    lost, least = share["nothing"], accuracy["nothing"] + 0.2
    held = [(share[remedy] > 100 * lost) & (accuracy[remedy] > least) for remedy in list(REMEDIES)[3:]]
    return Shown(
        np.all([lost < 1e-4, share["clipping"] < 2 * lost, *held], axis=0).tolist(),
        {f"gradient left at depth {depths[-1]}, {remedy}": values for remedy, values in share.items()}
        | {f"dev accuracy at depth 10, {remedy}": values for remedy, values in accuracy.items()},
        figure,
        f"Clipping, named among the remedies, never lengthens a gradient: accuracy {accuracy['clipping'].mean():.2f} against "
        f"{accuracy['nothing'].mean():.2f}. And initialisation helps sigmoids only so far: {accuracy['LSUV'].mean():.2f}.",
    )  # fmt: skip


ENTRY = Entry(
    "Vanishing gradients", "Signals",
    "Each sigmoid layer passes on at most a quarter of the gradient, so it vanishes with depth; ReLU, batch norm, residual "
    "blocks and pre-training keep it alive, clipping does not.",
    "Hochreiter 1991; Glorot & Bengio 2010; Hinton & Salakhutdinov 2006; He et al. 2015, 2016", show,
)  # fmt: skip

if __name__ == "__main__":
    tell(ENTRY)
