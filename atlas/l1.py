"""L1 makes weights exactly zero where its step is a proximal one. L2 only makes them small, and so does L1's subgradient.

>>> fit("mlp", "digits", l1=30)                                 # λ of λ/2m Σ|w|, by a proximal step
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

import thalweg
from claim import Entry, Shown, tell
from draw import curve, picture
from thalweg.report.figure import axis
from thalweg.train import Hook, State

STRENGTH, ROWS = 30.0, 1079  # λ, and the training rows of digits, its m
COLOURS = {"no cost": "--batch", "L2": "--train", "L1, subgradient": "--accent", "L1, proximal": "--dev"}
LEAST = 1e-9  # where zeros are drawn on a logarithmic axis


class Sizes(Hook):
    def on_epoch(self, state: State) -> None:
        weights = [weight.detach().abs().flatten() for weight in state.model.parameters() if weight.ndim > 1]
        self.found = torch.cat(weights).numpy()


class Subgradient(Hook):
    def on_gradient(self, state: State) -> None:
        for weight in state.model.parameters():
            if weight.ndim > 1 and weight.grad is not None:
                weight.grad.add_(weight.detach().sign(), alpha=STRENGTH / (2 * ROWS))


def trained(seed: int, name: str, epochs: int, rule: str = "sgd", lr: float = 0.1) -> tuple[np.ndarray, float]:
    """The sizes of all weights, sorted, and the dev accuracy after the last pass."""
    hooks: list[Hook] = [sizes := Sizes(), *([Subgradient()] if name == "L1, subgradient" else [])]
    fitted = thalweg.fit(
        "mlp", "digits", hidden=[64], dropout=[0.0], rule=rule, lr=lr, epochs=epochs, patience=0, seed=seed,
        l1=STRENGTH if name == "L1, proximal" else None, l2=STRENGTH if name == "L2" else None, hooks=hooks,
    )  # fmt: skip
    return np.sort(sizes.found), float(fitted.history.column("dev/accuracy").values[-1])


def show(seeds: Sequence[int], small: bool) -> Shown:
    epochs = 10 if small else 30
    found = {name: [trained(seed, name, epochs) for seed in seeds] for name in COLOURS}
    adam = np.mean([trained(seed, "L1, proximal", epochs, "adam", 3e-3)[0] == 0 for seed in seeds])
    zeros = {name: np.array([(sizes == 0).mean() for sizes, _ in runs]) for name, runs in found.items()}
    accuracy = {name: np.array([dev for _, dev in runs]) for name, runs in found.items()}
    sizes = {name: np.maximum([sizes for sizes, _ in runs], LEAST) for name, runs in found.items()}
    figure = picture(
        "All weights of a net, the smallest at the left. Under the proximal step most lie on the floor: they are exactly 0. "
        "Under L2 and under the subgradient of L1 weights become small, and none becomes 0.",
        *(curve(name, np.linspace(0, 1, sizes[name].shape[1]), sizes[name], colour) for name, colour in COLOURS.items()),
        x="share of all weights", y=axis("|w| (the floor, 1e-9, is 0)", log=True, values=np.array([LEAST, 1.0])),
    )  # fmt: skip
    return Shown(
        ((zeros["L1, proximal"] > 0.5) & (zeros["L2"] == 0) & (zeros["L1, subgradient"] == 0)).tolist(),
        {f"share of exact zeros, {name}": zeros[name] for name in COLOURS}
        | {f"dev accuracy, {name}": accuracy[name] for name in COLOURS},
        figure,
        f"Zeros have their price: a dev accuracy of {accuracy['L1, proximal'].mean():.3f} against "
        f"{accuracy['no cost'].mean():.3f}. And they come with α: with the same λ under Adam at α = 0.003, where αλ/2m is "
        f"small beside its steps, {adam:.1%} of the weights are 0.",
    )  # fmt: skip


ENTRY = Entry(
    "Sparse weights", "Against overfitting",
    "A cost λ/2m Σ|w| makes weights exactly 0 where its step is proximal, w ← sign(w) max(|w| − αλ/2m, 0); a cost on their "
    "squares makes none.",
    "Tibshirani 1996; Daubechies, Defrise & De Mol 2004", show,
)  # fmt: skip

if __name__ == "__main__":
    tell(ENTRY)
