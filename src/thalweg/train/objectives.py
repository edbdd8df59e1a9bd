"""What a network is asked to do: its loss, its metrics, and what its outputs mean.

One inhabitant for each task, each numerically stable because it works on logits:

* ``CrossEntropy``: outputs ``(n, C)``, targets int64 ``(n,)``; ``−Σ y log ŷ``; accuracy
* ``BinaryCrossEntropy``: outputs ``(n, 1)`` or ``(n,)``, targets 0/1; accuracy
* ``MeanSquaredError``: outputs ``(n, 1)`` or ``(n,)``, targets float ``(n,)``; R², RMSE

>>> objective = OBJECTIVES["multiclass"]
>>> loss = objective(model(inputs), targets)                        # mean over the mini-batch
>>> evaluate(model, inputs, targets, objective)                     # {"loss": 0.31, "accuracy": 0.91}
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F

from thalweg.errors import InputError


class Objective(Protocol):
    """A task: loss and metrics of outputs against targets, and the outputs as predictions."""

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean loss, 0-dim, differentiable."""
        ...

    def metrics(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        """Metrics other than the loss, by name."""
        ...

    def check(self, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        """Raises ``InputError`` where a model's outputs do not fit the targets."""
        ...


def _shape(tensor: torch.Tensor) -> str:
    return "(" + ", ".join(str(size) for size in tensor.shape) + ")"


def _refuse(outputs: torch.Tensor, targets: torch.Tensor, wanted: str) -> None:
    raise InputError(
        f"the model gives outputs of shape {_shape(outputs)} for {len(targets)} examples, but this task needs {wanted}: "
        f"change the model's last layer"
    )


@dataclass(frozen=True)
class CrossEntropy:
    """Softmax cross-entropy from logits; outputs for ``classes``, no more and no fewer, where their number is known."""

    label_smoothing: float = 0.0
    classes: int | None = None

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(outputs, targets, label_smoothing=self.label_smoothing)

    def torch_criterion(self) -> torch.nn.Module:
        """The PyTorch loss it equals: explicit back-propagation is chosen by it."""
        return torch.nn.CrossEntropyLoss(label_smoothing=self.label_smoothing)

    def metrics(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        return {"accuracy": float((outputs.argmax(1) == targets).double().mean())}

    def check(self, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        classes = int(targets.max()) + 1 if self.classes is None else self.classes
        too_wide = self.classes is not None and outputs.ndim == 2 and outputs.shape[1] > classes
        if too_wide:
            _refuse(outputs, targets, f"({len(targets)}, {classes}), one column for each class")
        if outputs.ndim != 2 or len(outputs) != len(targets) or outputs.shape[1] < classes:
            _refuse(outputs, targets, f"({len(targets)}, C) with one column for each of the C ≥ {classes} classes")


@dataclass(frozen=True)
class BinaryCrossEntropy:
    """Logistic loss from one logit."""

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        flat = outputs.reshape(-1)
        return F.binary_cross_entropy_with_logits(flat, targets.to(flat.dtype))

    def torch_criterion(self) -> torch.nn.Module:
        """The PyTorch loss it equals."""
        return torch.nn.BCEWithLogitsLoss()

    def metrics(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        return {"accuracy": float(((outputs.reshape(-1) > 0) == (targets > 0.5)).double().mean())}

    def check(self, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        if outputs.numel() != len(targets):
            _refuse(outputs, targets, f"one logit for each example, ({len(targets)}, 1)")


@dataclass(frozen=True)
class MeanSquaredError:
    """Mean of (ŷ − y)². ``scale`` is the size of one unit of the targets: RMSE is reported in the user's units."""

    scale: float = 1.0

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.mse_loss(outputs.reshape(-1), targets)

    def torch_criterion(self) -> torch.nn.Module:
        """The PyTorch loss it equals."""
        return torch.nn.MSELoss()

    def metrics(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        truth, flat = targets.double(), outputs.reshape(-1).double()
        residual = float((flat - truth).square().sum())
        total = float((truth - truth.mean()).square().sum())
        r2 = 1.0 - residual / total if total > 0 else float("nan")
        return {"r2": r2, "rmse": math.sqrt(residual / len(truth)) * self.scale}

    def check(self, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        if outputs.numel() != len(targets):
            _refuse(outputs, targets, f"one number for each example, ({len(targets)}, 1)")


OBJECTIVES: Mapping[str, Objective] = {
    "binary": BinaryCrossEntropy(),
    "multiclass": CrossEntropy(),
    "regression": MeanSquaredError(),
}


@dataclass(frozen=True)
class Custom:
    """A loss of the user's own, ``(outputs, targets) → mean loss``; no metric but the loss."""

    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return self.loss(outputs, targets)

    def metrics(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        return {}

    def check(self, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        value = self.loss(outputs, targets)
        if value.ndim != 0:
            raise InputError(f"the loss gives a tensor of shape {_shape(value)}: it must give one number, a mean")


@torch.no_grad()
def predict(model: torch.nn.Module, inputs: torch.Tensor, *, batch_size: int = 4096) -> torch.Tensor:
    """The model's outputs in evaluation mode, ``(n, …)``, float32 or wider; the mode it was in is put back."""
    training = model.training
    model.eval()
    outputs = torch.cat([model(inputs[at : at + batch_size]) for at in range(0, len(inputs), batch_size)])
    model.train(training)
    return outputs.float() if outputs.dtype in (torch.bfloat16, torch.float16) else outputs


def evaluate(
    model: torch.nn.Module, inputs: torch.Tensor, targets: torch.Tensor, objective: Objective
) -> dict[str, float]:
    """Loss and metrics of the model on one part of the data, in evaluation mode."""
    outputs = predict(model, inputs)
    with torch.no_grad():
        return {"loss": float(objective(outputs, targets)), **objective.metrics(outputs, targets)}
