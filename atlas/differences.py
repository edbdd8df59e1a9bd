"""The derivative from two sides against the derivative from one: how fast the error falls, and where rounding stops it.

>>> (J(θ + ε) - J(θ - ε)) / (2 * ε), (J(θ + ε) - J(θ)) / ε
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from claim import Entry, Shown, tell
from draw import curve, picture
from given import initialised, rows
from thalweg.models import mlp
from thalweg.report.figure import axis

STEPS = 10.0 ** np.arange(-11, -0.9, 0.5)
AT = {power: 2 * (power + 11) for power in range(-11, 0)}  # where 10^power stands among them


def errors(seed: int, dtype: torch.dtype) -> np.ndarray:
    """‖d̂ − d‖ / (‖d̂‖ + ‖d‖) of a tanh net along random directions, ``(two-sided | one-sided, steps)``."""
    train, _, _ = rows("digits", seed=seed)
    model = initialised(mlp(64, 10, hidden=(16,), activation="tanh"), "xavier", seed=seed).to(dtype)
    x, y = train.inputs[train.rows[:64]].to(dtype), train.targets[train.rows[:64]]
    weights = nn.utils.parameters_to_vector(model.parameters()).detach()
    ways = torch.randn(8, len(weights), generator=torch.Generator().manual_seed(seed)).to(dtype)

    def loss(at: torch.Tensor) -> torch.Tensor:
        nn.utils.vector_to_parameters(at, model.parameters())
        return nn.functional.cross_entropy(model(x), y)

    exact = ways @ nn.utils.parameters_to_vector(torch.autograd.grad(loss(weights), list(model.parameters())))
    found = []
    with torch.no_grad():
        for step in STEPS.tolist():
            up, down = (torch.stack([loss(weights + side * way) for way in ways]) for side in (step, -step))
            both = (up - down) / (2 * step), (up - loss(weights)) / step
            found.append([float((each - exact).norm() / (each.norm() + exact.norm())) for each in both])
    return np.transpose(found)


def show(seeds: Sequence[int], small: bool) -> Shown:
    double, single = (np.array([errors(seed, dtype) for seed in seeds]) for dtype in (torch.float64, torch.float32))
    two, one = double[:, 0], double[:, 1]
    powers = np.log10(two[:, AT[-2]] / two[:, AT[-4]]) / 2, np.log10(one[:, AT[-3]] / one[:, AT[-6]]) / 3
    least, usual, narrow = (two.min(axis=1), one.min(axis=1)), two[:, AT[-7]], single[:, 0].min(axis=1)
    figure = picture(
        "From the right, the error falls with ε² from two sides, with ε from one, until rounding, which grows as 1/ε, takes "
        "over. So the best ε is not the smallest; in float32 no ε is good.",
        curve("two-sided", STEPS, two, "--train"),
        curve("one-sided", STEPS, one, "--dev"),
        curve("two-sided, float32", STEPS, single[:, 0], "--batch", dash="dash"),
        x=axis("ε", log=True), y=axis("relative error", log=True, values=two),
    )  # fmt: skip
    return Shown(
        ((abs(powers[0] - 2) < 0.1) & (abs(powers[1] - 1) < 0.1) & (least[0] < least[1] / 10)).tolist(),
        {"power of ε, two-sided": powers[0], "power of ε, one-sided": powers[1],
         "least error, two-sided": least[0], "least error, one-sided": least[1],
         "best ε, two-sided": STEPS[two.argmin(axis=1)], "best ε, one-sided": STEPS[one.argmin(axis=1)],
         "two-sided error at ε = 1e-7": usual, "least two-sided error, float32": narrow},
        figure,
        f"Not at every ε: at 1e-7, which is often advised, rounding has raised the two-sided error to {usual.mean():.0e}, "
        f"from {least[0].mean():.0e} at the best; and in float32 the best ε leaves {narrow.mean():.0e}.",
    )  # fmt: skip


ENTRY = Entry(
    "Two sides or one", "Gradient check",
    "The error of (J(θ+ε) − J(θ−ε))/2ε falls with ε², that of (J(θ+ε) − J(θ))/ε with ε, so the first finds faults in a "
    "gradient that the second can't tell from its own error.",
    "Nocedal & Wright 2006, section 8.1", show,
)  # fmt: skip

if __name__ == "__main__":
    tell(ENTRY)
