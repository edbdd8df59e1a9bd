"""How large a rate a rule bears on a quadratic follows from its equations; here it is measured as well."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from claim import Entry, Shown, tell
from draw import COLOURS, curve, dots, picture
from thalweg import optim, rules

RULES = {"SGD": "sgd", "momentum (average)": "momentum", "momentum (sum)": "momentum_sum", "Nesterov": "nesterov"}


def measured(rule: rules.Rule, beta: float, exact: float, steps: int) -> float:
    """The product αλ from which the distance to the minimum grows: many curvatures at once, one in each element."""
    curvatures = torch.linspace(0.95, 1.05, 401, dtype=torch.float64) * exact
    weights = torch.nn.Parameter(torch.ones_like(curvatures))
    hyperparameters = {"beta": beta} if "beta" in rule.hyperparameters else {}
    optimizer = optim.FromRule([weights], rule, lr=1.0, hyperparameters=hyperparameters)
    for _ in range(steps):
        weights.grad = curvatures * weights.detach()
        optimizer.step()
    grown = ~(weights.detach().abs() < 100.0)
    return float(curvatures[grown].min()) if grown.any() else float("inf")


def show(seeds: Sequence[int], small: bool) -> Shown:
    betas = [float(np.random.default_rng(seed).uniform(0.3, 0.95)) for seed in seeds]
    found = {}
    for name, rule in ((name, rules.variant(key)) for name, key in RULES.items()):
        limits = [rule.stability().largest_rate(1.0, beta=beta) for beta in betas]
        found[name] = np.array(
            [
                (beta, limit, measured(rule, beta, limit, 800 if small else 4000))
                for beta, limit in zip(betas, limits, strict=True)
            ]
        )
    off = {name: np.abs(rows[:, 2] / rows[:, 1] - 1) for name, rows in found.items()}
    numbers = {f"measured over exact limit, {name}": (rows[:, 2] / rows[:, 1]).tolist() for name, rows in found.items()}
    grid = np.linspace(0.3, 0.95, 60)
    lines = []
    for (name, key), colour in zip(RULES.items(), COLOURS, strict=False):
        stability = rules.variant(key).stability()
        lines.append(curve(name, grid, [stability.largest_rate(1.0, beta=b) for b in grid], colour))
        lines.append(dots(f"{name}, measured", found[name][:, 0], found[name][:, 2], colour, legend=False))
    drawn = picture(
        "Lines are the formulas, dots are runs. Averaging raises the limit as β grows, looking ahead lowers it: "
        "Nesterov with β near 1 bears two thirds of what SGD bears.",
        *lines,
        x="β",
        y={"title": {"text": "largest stable αλ"}, "type": "log", "dtick": "D2"},
    )
    beta = np.array(betas)
    typed = 2 + 0 * beta, 2 * (1 + beta) / (1 - beta), 2 * (1 + beta), 2 * (1 + beta) / (1 + 2 * beta)
    same = [np.abs(rows[:, 1] / one - 1) < 1e-6 for rows, one in zip(found.values(), typed, strict=True)]
    holds = np.all([*same, *(rows < 0.01 for rows in off.values())], axis=0)
    return Shown(holds.tolist(), numbers, drawn)


ENTRY = Entry(
    "Stability limits",
    "Update rules",
    "On curvature λ SGD is stable up to α = 2/λ, momentum up to 2(1+β)/λ in the sum form and 2(1+β)/((1−β)λ) as an average, "
    "Nesterov up to 2(1+β)/((1+2β)λ): what is measured is within 1 % of it.",
    "Polyak 1964; Cohen et al. 2021, appendix",
    show,
)

if __name__ == "__main__":
    tell(ENTRY)
