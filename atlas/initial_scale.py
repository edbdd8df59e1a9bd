"""The scale of the first weights decides what reaches the tenth layer: all, nothing, or only signs.

>>> initialize(model, scheme="normal(1)", generator=generator)  # also normal(0.01), xavier, he
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from claim import Entry, Shown, tell
from draw import picture
from panels import across, stacked
from thalweg.initializers import initialize
from thalweg.models import mlp

WIDTH, DEPTH = 256, 10
CASES = (("tanh", "normal(1)"), ("tanh", "normal(0.01)"), ("tanh", "xavier"), ("relu", "xavier"), ("relu", "he"))


def outputs(seed: int, activation: str, scheme: str, *, rows: int) -> list[np.ndarray]:
    """What each hidden layer puts out for normal inputs of variance 1."""
    generator = torch.Generator().manual_seed(seed)
    model = mlp(WIDTH, 10, hidden=(WIDTH,) * DEPTH, activation=activation)
    initialize(model, scheme=scheme, generator=generator)
    x, found = torch.randn(rows, WIDTH, generator=generator), []
    for layer in model:
        x = layer(x).detach()
        found += [x.numpy().ravel()] if isinstance(layer, nn.Tanh | nn.ReLU) else []
    return found


def histogram(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """How often values fall into each bin, the fullest as 1; without the zeros of a ReLU."""
    counts, _ = np.histogram(values[values != 0], edges)
    return counts / max(counts.max(), 1)


def show(seeds: Sequence[int], small: bool) -> Shown:
    found = {case: [outputs(seed, *case, rows=100 if small else 400) for seed in seeds] for case in CASES}
    size = {case: np.sqrt(np.square(values).mean(axis=-1)) for case, values in found.items()}  # (seeds, layers)
    kept = {case: values[:, -1] / values[:, 0] for case, values in size.items()}
    rails = np.mean(np.abs(np.array(found["tanh", "normal(1)"])[:, -1]) > 0.97, axis=-1)
    panels = {}
    for case in CASES:
        edges = np.linspace(-1, 1, 81) if case[0] == "tanh" else np.linspace(0, 2, 81)
        panels["<br>".join(case)] = [
            {"type": "scatter", "mode": "lines", "name": f"layer {layer}", "line": {"color": f"--layer-{layer * 2 // 3}"},
             "x": edges[1:], "y": histogram(found[case][0][layer - 1], edges)} for layer in (1, 4, 7, 10)
        ]  # fmt: skip
    traces, axes = stacked(panels, showticklabels=False, range=[0, 1.05])
    figure = picture(
        "How often a unit of layers 1, 4, 7 and 10 puts out each value. With σ = 1 tanh says only −1 or 1; with σ = 0.01 deep "
        "layers say 0; under Xavier they keep a spread. ReLU (zeros left out) needs He: Xavier halves its variance each time.",
        traces, x=across(axes, "output", range=[-1.02, 2.02]), y=axes.pop("yaxis"), height=640, **axes,
    )  # fmt: skip
    he, tanh = kept["relu", "he"], ", ".join(f"{one:.2f}" for one in size["tanh", "xavier"].mean(axis=0)[::3])
    return Shown(
        ((rails > 0.8) & (kept["tanh", "normal(0.01)"] < 1e-6) & (kept["tanh", "xavier"] > 0.3)
         & (he > 0.5) & (he < 2) & (kept["relu", "xavier"] < 0.1)).tolist(),
        {"share of layer 10 at the rails, tanh, σ = 1": rails}
        | {f"size of layer 10 / layer 1, {activation}, {scheme}": each for (activation, scheme), each in kept.items()},
        figure,
        f"Xavier keeps the variance where tanh is nearly linear; from inputs of variance 1 the size falls slowly, {tanh}.",
    )  # fmt: skip


ENTRY = Entry(
    "The scale of the first weights", "Setting up",
    "Deep tanh nets saturate with σ = 1 and fall silent with σ = 0.01, while Xavier, 2/(n_in + n_out), keeps their outputs "
    "alive; ReLU loses half of the variance in each layer, so it needs He, 2/n_in.",
    "Glorot & Bengio 2010; He et al. 2015", show,
)  # fmt: skip

if __name__ == "__main__":
    tell(ENTRY)
