"""The loss of each member: the mean over its own mini-batch. Their sum has the gradients that each would have alone.

>>> member_losses(objectives, outputs, targets)             # outputs (K, B, C), targets (K, B) → (K,)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from thalweg.train import Objective
from thalweg.train.objectives import CrossEntropy, MeanSquaredError


def member_losses(objectives: Sequence[Objective], outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean loss of each member, ``(K,)``.

    Cross-entropy without class weights (each member at its own label smoothing s, ``(1 − s) nll + s mean_c(−log p_c)``) and
    squared errors are computed for all at once; any other objective is asked member by member.
    """
    first = objectives[0]
    if all(type(objective) is CrossEntropy and objective.class_weights is None for objective in objectives):
        if targets.ndim == 2 and outputs.ndim == 3:
            return _cross_entropy([objective.label_smoothing for objective in objectives], outputs, targets)  # type: ignore[attr-defined]
    elif all(type(objective) is MeanSquaredError for objective in objectives):
        return (outputs.reshape(targets.shape) - targets).square().flatten(1).mean(1)
    assert first is not None
    return torch.stack([
        objective(mine, wanted) for objective, mine, wanted in zip(objectives, outputs, targets, strict=True)
    ])  # fmt: skip


def _cross_entropy(smoothing: list[float], outputs: Tensor, targets: Tensor) -> Tensor:
    members, rows = targets.shape
    scores = outputs.float() if outputs.dtype in (torch.bfloat16, torch.float16) else outputs
    flat, wanted = scores.flatten(0, 1), targets.reshape(-1).long()
    if len(set(smoothing)) == 1:
        losses = F.cross_entropy(flat, wanted, reduction="none", label_smoothing=smoothing[0])
        return losses.view(members, rows).mean(1)
    log_p = flat.log_softmax(1)
    share = torch.tensor(smoothing, dtype=log_p.dtype, device=log_p.device)
    missed = F.nll_loss(log_p, wanted, reduction="none").view(members, rows).mean(1)
    return (1 - share) * missed - share * log_p.view(members, -1).mean(1)
