"""Of the points where a random smooth landscape is flat, hardly any is a minimum once there are a few dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from claim import Entry, Shown, tell
from draw import curve, picture
from thalweg.surfaces import hessian_eigenvalues

WAVES = 100


class Field:
    """A Gaussian random field: a sum of waves in random directions, its gradient and its Hessian at points (n, d)."""

    def __init__(self, dimension: int, generator: np.random.Generator) -> None:
        self.k = generator.normal(size=(WAVES, dimension))
        self.phase = generator.uniform(0, 2 * np.pi, WAVES)

    def flat_points(self, starts: np.ndarray) -> np.ndarray:
        """Where Newton's method, which goes to critical points of any kind, ends: those that it reached, each once."""
        x = starts
        for _ in range(60):
            angle = x @ self.k.T + self.phase
            gradient = -np.sin(angle) @ self.k
            hessian = -np.einsum("nj,ja,jb->nab", np.cos(angle), self.k, self.k)
            step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
            x = x - step * np.minimum(1.0, 0.3 / (np.linalg.norm(step, axis=1, keepdims=True) + 1e-300))
        there = np.linalg.norm(np.sin(x @ self.k.T + self.phase) @ self.k, axis=1) < 1e-7
        return np.unique(x[there].round(4), axis=0)

    def height_and_index(self, point: np.ndarray) -> tuple[float, float]:
        """The height, in standard deviations of the field, and the share of directions that fall."""
        x = torch.tensor(point, requires_grad=True)
        k, phase = map(torch.from_numpy, (self.k, self.phase))
        eigenvalues = hessian_eigenvalues(lambda: torch.cos(k @ x + phase).sum(), [x], count=len(point))
        height = float(torch.cos(k @ x.detach() + phase).sum()) * (2 / WAVES) ** 0.5
        return height, float((eigenvalues < 0).mean())


def show(seeds: Sequence[int], small: bool) -> Shown:
    dimensions, starts = ((1, 8), 50) if small else ((1, 2, 3, 4, 6, 8, 12), 150)
    minima, alike = np.zeros((len(seeds), len(dimensions))), np.zeros(len(seeds))
    for row, seed in enumerate(seeds):
        for column, dimension in enumerate(dimensions):
            generator = np.random.default_rng((seed, dimension))
            field = Field(dimension, generator)
            found = field.flat_points(generator.uniform(-20, 20, (starts, dimension)))
            about = np.array([field.height_and_index(point) for point in found])
            minima[row, column] = (about[:, 1] == 0).mean()
        alike[row] = np.corrcoef(about.T)[0, 1]
    numbers = {f"share of minima, d = {d}": minima[:, at].tolist() for at, d in enumerate(dimensions)}
    numbers[f"correlation of height and falling directions, d = {dimension}"] = alike.tolist()
    rows = zip(minima[:, 0], minima[:, dimensions.index(8)], alike, strict=True)
    holds = [bool(abs(one - 0.5) < 0.1 and eight < 0.03 and r > 0.5) for one, eight, r in rows]
    drawn = picture(
        "In one dimension every other flat point is a minimum, in eight hardly one of a hundred.",
        curve("share of minima", dimensions, minima, "--train"),
        x="dimensions",
        y={"title": {"text": "share of the flat points that are minima"}, "tickformat": ".0%"},
    )
    return Shown(holds, numbers, drawn)


ENTRY = Entry(
    "Saddles in many dimensions",
    "The landscape",
    "In a Gaussian random field about half of the flat points are minima in one dimension, fewer than 3 % in eight: the "
    "others are saddles, and the higher they lie, the larger the share of negative eigenvalues of the Hessian.",
    "Dauphin et al. 2014; Bray & Dean 2007",
    show,
)

if __name__ == "__main__":
    tell(ENTRY)
