"""What these data allow, whatever the network: kernel ridge regression, which needs no training that could go wrong.

>>> reference = Reference.fit(X, labels, classes=10)
>>> reference.left_out_error                    # each row answered by the others
0.015
>>> reference.error(X_dev, labels_dev)
0.012

Targets are one column a class, ±1 (least-squares support vector machine, Suykens & Vandewalle, Neural Processing Letters
1999), or the numbers of a regression. One eigendecomposition of the kernel gives the left-out answers of every strength of
regularisation at once: ``left out = y − α / Bᵢᵢ``, where ``B = A − A1 1ᵀA / 1ᵀA1``, ``A = (K + λI)⁻¹`` and ``α = By`` (Cawley &
Talbot, Pattern Recognition 2003). The offset is free: a kernel and targets centred on all rows would betray each row to the
others, for the centred rows add up to zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

MOST, FEW = 600, 240
"""Rows the answers rest on at most, and rows the kernel is chosen by."""
FAR, NEAR, ROUNDS = 6.0, 2.5, 3
OWN = 0.25
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
WIDTHS = (0.15, 0.4, 1.0)
"""Of the Gaussian kernel, in median distances between rows; a linear kernel is tried beside them."""


@dataclass(frozen=True)
class Reference:
    """``left_out`` (n, columns): the answer of each row from the others."""

    rows: torch.Tensor
    mean: torch.Tensor
    scale: torch.Tensor
    width: float
    weights: torch.Tensor
    offset: torch.Tensor
    left_out: torch.Tensor
    targets: torch.Tensor
    classes: int

    @classmethod
    def fit(cls, inputs: torch.Tensor, targets: torch.Tensor, *, classes: int) -> Reference:
        """``inputs`` float64 (n, D); ``targets`` class numbers (n,), or float64 (n, columns) with ``classes=0``.

        Which kernel is decided on ``FEW`` rows: an eigendecomposition of twice the rows costs eight times as much.
        """
        mean, own = inputs.mean(0), inputs.std(0, correction=0)
        own = torch.where(own > 1e-9 * (1 + mean.abs()), own, own.max().clamp(min=1e-30))
        shared = own.square().mean().sqrt().expand_as(own)
        plans = [(own, width) for width in (*WIDTHS, 0.0)] + [(shared, WIDTHS[1])] * bool(own.max() < 1e3 * own.min())
        goal = coded(targets, classes)
        if len(inputs) > 1.5 * FEW:
            some = torch.arange(FEW) * len(inputs) // FEW
            few = inputs[some] - mean
            tried = [_best(few / scale, goal[some], targets[some], width, classes)[0] for scale, width in plans]
            plans = [plans[tried.index(min(tried))]]
        found = [
            (_best((inputs - mean) / scale, goal, targets, width, classes), scale, width) for scale, width in plans
        ]
        (_, alpha, offset, left_out), scale, width = min(found, key=lambda one: one[0][0])
        rows = (inputs - mean) / scale
        return cls(rows, mean, scale, width, alpha, offset, left_out, targets, classes)

    def far_off(self) -> float:
        """Of numbers: the share of rows more than ``FAR`` spreads from what the others say, none of which is far off itself.

        Targets are moved to within ``NEAR`` spreads of the left-out answers and fitted anew, ``ROUNDS`` times (Huber 1964 by
        pseudo-values); the spread is 1.4826 times the median distance, over columns of equal variance.

        Without noise the spread is next to nothing, and steep edges of the data lie many spreads away: a row counts only where
        the plain fit, which may follow it, misses it about as far and by ``OWN`` of the targets' spread. What lies at the edges
        only is the kernel's misfit: at most twice the share of the half nearest to the middle is believed.
        """
        goal = self.targets.double().reshape(len(self.targets), -1)
        varied = goal.std(0, correction=0) > 0
        if not bool(varied.any()):
            return 0.0
        own = goal[:, varied].std(0, correction=0)
        goal = goal[:, varied] / own
        plain, _ = _distances(goal - self.left_out[:, varied] / own)
        left_out = goal.median(0).values.expand_as(goal)
        for _ in range(ROUNDS):
            distance, spread = _distances(goal - left_out)
            near = left_out + (goal - left_out) * (NEAR * spread / distance).clamp(max=1)[:, None]
            left_out = _best(self.rows, near, near, self.width, 0)[3]
        distance, spread = _distances(goal - left_out)
        far = ((distance > FAR * spread) & (plain > 0.5 * distance) & (plain > OWN)).double()
        size = self.rows.square().mean(1)
        return min(float(far.mean()), 2 * float(far[size <= size.median()].mean()))

    def answers(self, inputs: torch.Tensor) -> torch.Tensor:
        """(m, columns) for rows ``(m, D)``."""
        return _kernel((inputs - self.mean) / self.scale, self.rows, self.width) @ self.weights + self.offset

    def error(self, inputs: torch.Tensor, targets: torch.Tensor) -> float:
        return wrong(self.answers(inputs), targets, self.classes)

    @property
    def left_out_error(self) -> float:
        return wrong(self.left_out, self.targets, self.classes)

    def clear_disagreement(self) -> float:
        """Among the half of the rows about which the others are surest: the share whose own label says otherwise.

        Where classes overlap the others are unsure; where labels were swapped they are sure and contradicted.
        """
        top = self.left_out.topk(2, dim=1)
        margin = top.values[:, 0] - top.values[:, 1]
        sure = margin >= margin.median()
        return float((top.indices[:, 0] != self.targets)[sure].double().mean())


def _best(
    rows: torch.Tensor, goal: torch.Tensor, targets: torch.Tensor, width: float, classes: int
) -> tuple[float, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Score, weights, offset and left-out answers of the best strength for one kernel."""
    values, vectors = torch.linalg.eigh(_kernel(rows, rows, width))
    values = values.clamp(min=0)
    turned, turned_ones = vectors.T @ goal, vectors.sum(0)
    squares = vectors.square()
    best = None
    for strength in STRENGTHS:
        inverse = 1 / (values + strength * float(values.mean()) + 1e-12)
        solved = vectors @ (inverse[:, None] * turned)
        level = vectors @ (inverse * turned_ones)
        offset = solved.sum(0) / level.sum()
        alpha = solved - level[:, None] * offset
        diagonal = squares @ inverse - level.square() / level.sum()
        left_out = goal - alpha / diagonal[:, None].clamp(min=1e-30)
        squared = float((left_out - goal).square().mean())
        wrong = float((left_out.argmax(1) != targets).double().mean()) if classes else 0.0
        if best is None or wrong + 0.1 * squared < best[0]:
            best = wrong + 0.1 * squared, alpha, offset, left_out
    assert best is not None
    return best


def coded(targets: torch.Tensor, classes: int) -> torch.Tensor:
    if not classes:
        return targets.double().reshape(len(targets), -1)
    return 2 * torch.nn.functional.one_hot(targets, classes).double() - 1


def wrong(answers: torch.Tensor, targets: torch.Tensor, classes: int) -> float:
    """The share of wrong classes, or 1 − R²."""
    if classes:
        return float((answers.argmax(1) != targets).double().mean())
    goal = coded(targets, 0)
    return float((answers - goal).square().mean() / goal.var(0, correction=0).mean().clamp(min=1e-30))


def _distances(residual: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Root mean squares of the rows ``(n,)`` and their robust spread."""
    distance = residual.square().mean(1).sqrt().clamp(min=1e-12)
    return distance, 1.4826 * float(distance.median())


def _kernel(a: torch.Tensor, b: torch.Tensor, width: float) -> torch.Tensor:
    if width == 0.0:
        return a @ b.T / a.shape[1]
    return torch.exp(-0.5 * (torch.cdist(a, b) / (width * (2 * a.shape[1]) ** 0.5)).square())
