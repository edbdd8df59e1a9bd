"""A cost on the weights and a factor on the weights are one thing under SGD, and two under Adam."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from claim import Entry, Shown, tell
from digits import descend, digits, net
from draw import curve, picture
from thalweg import optim, rules
from thalweg.report.figure import axis
from thalweg.train import L2, Hook, State

LAMBDA, SGD_RATE, ADAM_RATE = 100.0, 0.05, 0.003


class Weights(Hook):
    """All weights as one row, after each pass."""

    def __init__(self) -> None:
        self.rows: list[np.ndarray] = []

    def on_epoch(self, state: State) -> None:
        self.rows.append(torch.nn.utils.parameters_to_vector(state.model.parameters()).detach().numpy())


def run(seed: int, rule: str, form: str, epochs: int) -> np.ndarray:
    """The weights (passes, n), with λ as the cost λ/2m Σ‖W‖² or as the factor 1 − αλ/m before each step."""
    parts, model, weights = digits(seed), net(seed), Weights()
    share = LAMBDA / len(parts.x)
    decay = {} if form == "cost" else {"weight_decay": share, "decoupled_weight_decay": True, "decay": "matrices"}
    rate = SGD_RATE if rule == "sgd" else ADAM_RATE
    optimizer = optim.FromRule(model.parameters(), rules.variant(rule), lr=rate, **decay)
    hooks = (L2(LAMBDA, len(parts.x)), weights) if form == "cost" else (weights,)
    descend(model, optimizer, parts, epochs=epochs, batch_size=64, seed=seed, hooks=hooks)
    return np.array(weights.rows)


def show(seeds: Sequence[int], small: bool) -> Shown:
    epochs = 5 if small else 20
    apart, norms = {}, {}
    for rule in ("sgd", "adam"):
        pairs = [(run(seed, rule, "cost", epochs), run(seed, rule, "factor", epochs)) for seed in seeds]
        apart[rule] = np.array([np.linalg.norm(a - b, axis=1) / np.linalg.norm(a, axis=1) for a, b in pairs])
        norms[rule] = np.array([[np.linalg.norm(one[-1]) for one in pair] for pair in pairs])
    numbers = {
        f"distance of the two nets over their length, {rule}": rows[:, -1].tolist() for rule, rows in apart.items()
    }
    numbers |= {
        f"length of the weights, Adam, {f}": norms["adam"][:, at].tolist() for at, f in enumerate(("cost", "factor"))
    }
    holds = [bool(a.max() < 1e-3 and b[-1] > 0.1) for a, b in zip(apart["sgd"], apart["adam"], strict=True)]
    steps = np.arange(1, epochs + 1)
    drawn = picture(
        "Under SGD the two runs differ by rounding alone; under Adam they are different nets after the first pass.",
        curve("SGD", steps, apart["sgd"], "--train"),
        curve("Adam", steps, apart["adam"], "--bad"),
        x="pass over the data",
        y=axis("distance of the weights, relative", log=True, values=np.concatenate([*apart["sgd"], *apart["adam"]])),
    )
    return Shown(holds, numbers, drawn)


ENTRY = Entry(
    "L2 is not weight decay under Adam",
    "Against overfitting",
    "A cost λ/2m Σ‖W‖² and a factor 1 − αλ/m on the weights give the same net under SGD, to rounding; under Adam, which "
    "divides the gradient of the cost by √V, they end at least a tenth of the weights' length apart.",
    "Loshchilov & Hutter 2019",
    show,
)

if __name__ == "__main__":
    tell(ENTRY)
