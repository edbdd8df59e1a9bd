"""Losses of explicit back-propagation: the mean loss of a batch, and its gradient with respect to the outputs.

>>> loss = explicit(nn.CrossEntropyLoss(label_smoothing=0.1), outputs)
>>> value, gradient = loss(outputs, targets)                 # 0-dim; like outputs, in a buffer that the next call overwrites

A loss of any other class joins in by saying which of PyTorch's it equals: see ``HasTorchCriterion``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thalweg.errors import InputError

MOST_CLASSES = 4096
"""Above this the table of targets (C × C) outgrows the network, and autograd's overhead no longer matters."""

Gradient = tuple[Tensor, Tensor]


@runtime_checkable
class HasTorchCriterion(Protocol):
    """A loss, ``(outputs, targets) → mean``, that equals one of PyTorch's loss modules."""

    def torch_criterion(self) -> nn.Module:
        """The PyTorch loss module; outputs ``(B, 1)`` are compared with targets ``(B,)`` number by number."""
        ...


def wanted_distributions(criterion: nn.CrossEntropyLoss, outputs: Tensor) -> Tensor:
    """For each class y its wanted distribution over the C classes, then its weight: ``(C, C + 1)``, like ``outputs``.

    With smoothing s and class weights w, as PyTorch's ``CrossEntropyLoss`` defines them, ``q_c = (1−s) w_y [c=y] + (s/C) w_c``.
    """
    classes, smoothing = outputs.shape[1], criterion.label_smoothing
    weight = outputs.new_ones(classes) if criterion.weight is None else criterion.weight.to(outputs)
    return torch.cat([torch.diag((1 - smoothing) * weight) + smoothing / classes * weight, weight[:, None]], dim=1)


class CrossEntropy:
    """``−Σ_c q_c log softmax(z)_c``, from logits ``(B, C)`` and classes int64 ``(B,)`` or distributions ``(B, C)`` over them.

    q is the wanted distribution of each example's class y, and the mean divides by ``Σ w_y``. All q are columns of one table,
    negated, so the loss is ``Σ t·log p`` and its gradient ``t − p Σ_c t_c`` for the chosen columns t.
    """

    def __init__(self, criterion: nn.CrossEntropyLoss, outputs: Tensor) -> None:
        rows, classes = outputs.shape
        wanted = wanted_distributions(criterion, outputs)
        self.weight = None if criterion.weight is None else wanted[:, classes]
        self.table = wanted[:, :classes].t().contiguous().div_(-rows if self.weight is None else -1.0)
        self.share = 1.0 / rows
        self.smoothing = criterion.label_smoothing
        self.chosen, self.log_p, self.p, self.gradient = (outputs.new_empty(classes, rows) for _ in range(4))
        self.chosen_flat, self.log_p_flat, self.gradient_t = (
            self.chosen.view(-1),
            self.log_p.view(-1),
            self.gradient.t(),
        )

    def __call__(self, outputs: Tensor, targets: Tensor) -> Gradient:
        if targets.ndim == 2 and targets.is_floating_point():
            return self._soft(outputs, targets)
        if targets.dtype != torch.int64 or targets.ndim != 1:
            raise InputError(
                f"the targets are {targets.dtype} of {targets.ndim} dimensions: cross-entropy needs class numbers, int64 (B,)"
            )
        torch.log_softmax(outputs.t(), 0, out=self.log_p)
        torch.index_select(self.table, 1, targets, out=self.chosen)
        if self.weight is None:
            loss = torch.dot(self.chosen_flat, self.log_p_flat)
            torch.exp(self.log_p, out=self.p)
            torch.add(self.chosen, self.p, alpha=self.share, out=self.gradient)
            return loss, self.gradient_t
        self.chosen.div_(self.weight[targets].sum())
        loss = torch.dot(self.chosen_flat, self.log_p_flat)
        torch.exp(self.log_p, out=self.p)
        torch.addcmul(self.chosen, self.p, self.chosen.sum(0), value=-1.0, out=self.gradient)
        return loss, self.gradient_t

    def _soft(self, outputs: Tensor, targets: Tensor) -> Gradient:
        if targets.shape != outputs.shape or self.weight is not None:
            raise InputError(
                f"the targets are distributions {tuple(targets.shape)}: explicit back-propagation needs {tuple(outputs.shape)} "
                f"and no class weights; use autograd"
            )
        torch.log_softmax(outputs.t(), 0, out=self.log_p)
        self.chosen.copy_(targets.t())
        self.chosen.mul_(1 - self.smoothing).add_(self.smoothing / len(self.chosen)).mul_(-self.share)
        loss = torch.dot(self.chosen_flat, self.log_p_flat)
        torch.exp(self.log_p, out=self.p)
        torch.addcmul(self.chosen, self.p, self.chosen.sum(0), value=-1.0, out=self.gradient)
        return loss, self.gradient_t


def _shaped(targets: Tensor, outputs: Tensor) -> Tensor:
    if targets.numel() != outputs.numel():
        raise InputError(
            f"the model gives {outputs.numel()} numbers for {targets.numel()} targets: change its last layer"
        )
    return targets.reshape(outputs.shape).to(outputs.dtype)


class BinaryCrossEntropy:
    """``−y log σ(z) − (1−y) log(1−σ(z))`` from logits, targets 0…1; gradient ``(σ(z) − y)/n``."""

    def __init__(self, criterion: nn.BCEWithLogitsLoss, outputs: Tensor) -> None:
        self.gradient = torch.empty_like(outputs)
        self.share = 1.0 / outputs.numel()

    def __call__(self, outputs: Tensor, targets: Tensor) -> Gradient:
        wanted = _shaped(targets, outputs)
        torch.sigmoid(outputs, out=self.gradient)
        self.gradient.sub_(wanted).mul_(self.share)
        return F.binary_cross_entropy_with_logits(outputs, wanted), self.gradient


class MeanSquaredError:
    """``(z − y)²``; gradient ``2 (z − y)/n``."""

    def __init__(self, criterion: nn.MSELoss, outputs: Tensor) -> None:
        self.gradient = torch.empty_like(outputs)
        self.share = 2.0 / outputs.numel()

    def __call__(self, outputs: Tensor, targets: Tensor) -> Gradient:
        wanted = _shaped(targets, outputs)
        torch.sub(outputs, wanted, out=self.gradient)
        self.gradient.mul_(self.share)
        return F.mse_loss(outputs, wanted), self.gradient


EXPLICIT: dict[type[nn.Module], Callable[..., Callable[[Tensor, Tensor], Gradient]]] = {
    nn.CrossEntropyLoss: CrossEntropy,
    nn.BCEWithLogitsLoss: BinaryCrossEntropy,
    nn.MSELoss: MeanSquaredError,
}
FUNCTIONS: tuple[tuple[object, type[nn.Module]], ...] = (
    (F.cross_entropy, nn.CrossEntropyLoss),
    (F.binary_cross_entropy_with_logits, nn.BCEWithLogitsLoss),
    (F.mse_loss, nn.MSELoss),
)


def criterion_of(loss: object) -> nn.Module | None:
    """The PyTorch loss module that ``loss`` is, or says that it equals; None where it is none of them."""
    if isinstance(loss, nn.Module):
        return loss
    if isinstance(loss, HasTorchCriterion):
        return loss.torch_criterion()
    return next((kind() for function, kind in FUNCTIONS if function is loss), None)


def refuses(loss: object, *, soft: bool = False) -> str:
    """Why the gradient of a loss is not known here, in a sentence; empty where it is. ``soft``: targets are distributions."""
    criterion = criterion_of(loss)
    if type(criterion) not in EXPLICIT:
        name = type(loss).__name__ if criterion is None else type(criterion).__name__
        known = ", ".join(kind.__name__ for kind in EXPLICIT)
        return f"the loss is {name}: explicit back-propagation knows {known}"
    assert criterion is not None
    if criterion.reduction != "mean":
        return f'the loss has reduction "{criterion.reduction}": explicit back-propagation knows the mean alone'
    match criterion:
        case nn.CrossEntropyLoss() if criterion.ignore_index != -100:
            return f"the loss ignores class {criterion.ignore_index}: explicit back-propagation counts every example"
        case nn.CrossEntropyLoss() if soft and criterion.weight is not None:
            return "the loss has class weights: explicit back-propagation knows them for class numbers, not for distributions"
        case nn.BCEWithLogitsLoss() if criterion.weight is not None or criterion.pos_weight is not None:
            return "the loss has weights: explicit back-propagation knows class weights in CrossEntropyLoss alone"
    return ""


def explicit(criterion: nn.Module, outputs: Tensor) -> Callable[[Tensor, Tensor], Gradient]:
    """The loss with its gradient, for outputs like ``outputs``."""
    return EXPLICIT[type(criterion)](criterion, outputs)
