"""Rows of unequal importance: their weights travel with their targets, through batches and shuffling.

>>> objective = Weighted(CrossEntropy(also=("auc",)))
>>> targets = pack(labels, weights / weights.mean())                # (n, 2): class number, weight
>>> evaluate(model, inputs, targets, objective)                     # loss, accuracy and AUC, all weighted

A row of weight 2 counts as two rows of weight 1 would, in the loss and in each metric.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from thalweg.errors import InputError


class RowWise(Protocol):
    """An objective that is a mean over rows, and can say what each row adds: what ``Weighted`` needs."""

    def each(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss of each row, ``(n,)``, differentiable."""
        ...

    def metrics(
        self, outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
    ) -> dict[str, float]: ...

    def check(self, outputs: torch.Tensor, targets: torch.Tensor) -> None: ...


def pack(targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Targets ``(n,)`` or ``(n, k)`` and the weight of each row in one tensor ``(n, k + 1)``, as ``Weighted`` takes them.

    Class numbers become float32, which holds them exactly. Raises ``InputError`` for weights that are no weights.
    """
    if weights.shape != targets.shape[:1]:
        raise InputError(
            f"{tuple(weights.shape)} sample weights for {len(targets):,} targets: give one weight for each row"
        )
    bad = (~(weights >= 0) | weights.isinf()).nonzero()
    if len(bad):
        row = int(bad[0])
        raise InputError(f"the sample weight of row {row} is {float(weights[row])}: weights are finite and 0 or more")
    kept = targets.dtype if targets.is_floating_point() else torch.float32
    return torch.cat([targets.reshape(len(targets), -1).to(kept), weights[:, None].to(kept)], dim=1)


def unpack(packed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Targets and weights of what ``pack`` made."""
    targets = packed[:, :-1]
    return (targets[:, 0] if targets.shape[1] == 1 else targets), packed[:, -1]


@dataclass(frozen=True)
class Weighted:
    """An objective whose rows count by weights: targets are those of ``pack``, and the loss is ``mean of w_i l_i``.

    The weights have mean 1 over the training part, so that the loss of a mini-batch estimates that of all rows without bias.
    On a part as a whole (``metrics``) everything is divided by ``Σ w``, the loss too, whatever the weights' mean is there.
    """

    objective: RowWise

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        wanted, weights = unpack(targets)
        return (weights * self.objective.each(outputs, wanted)).mean()

    def metrics(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        wanted, weights = unpack(targets)
        weights = weights.double()
        loss = float((weights * self.objective.each(outputs, wanted)).sum() / weights.sum())
        return {"loss": loss, **self.objective.metrics(outputs, wanted, weights)}

    def check(self, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        self.objective.check(outputs, unpack(targets)[0])
