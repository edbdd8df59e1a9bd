"""What a network is asked to do: its loss, its metrics, and what its outputs mean.

One inhabitant for each task, each numerically stable because it works on logits:

* ``CrossEntropy``: outputs ``(n, C)``, targets int64 ``(n,)`` or distributions ``(n, C)``; ``−Σ y log ŷ``; accuracy
* ``BinaryCrossEntropy``: outputs ``(n, 1)`` or ``(n,)``, targets in [0, 1]; accuracy
* ``MeanSquaredError``: outputs ``(n, k)``, ``(n, 1)`` or ``(n,)``, targets float ``(n, k)`` or ``(n,)``; R², RMSE

>>> objective = OBJECTIVES["multiclass"]
>>> loss = objective(model(inputs), targets)                        # mean over the mini-batch
>>> evaluate(model, inputs, targets, objective)                     # {"loss": 0.31, "accuracy": 0.91}

``also`` names further metrics of ``metrics.METRICS``. Rows of unequal importance: see ``weighted``.

>>> CrossEntropy(class_weights=balanced_weights([50, 20, 5]), also=("auc", "f1"))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

import numpy as np
import torch
import torch.nn.functional as F

from thalweg.errors import InputError
from thalweg.train.metrics import measured, metric

PIECE_ROWS = 4096
PIECE_BYTES = 1 << 20
"""Of images: what convolutions make of them is tens of times as much. A small net took 3.4 s for 10,000 of 28 × 28 in pieces of
4096, and 1.6 s in pieces of 334; a fully connected one the same in both."""


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


def _refuse(outputs: torch.Tensor, targets: torch.Tensor, wanted: str) -> NoReturn:
    raise InputError(
        f"the model gives outputs of shape {_shape(outputs)} for {len(targets)} examples, but this task needs {wanted}: "
        f"change the model's last layer"
    )


def _wide(outputs: torch.Tensor) -> torch.Tensor:
    return outputs.float() if outputs.dtype in (torch.bfloat16, torch.float16) else outputs


def _check_numbers(label_smoothing: float, class_weights: tuple[float, ...] | None, classes: int | None) -> None:
    if not 0.0 <= label_smoothing < 1.0:
        raise InputError(f"label_smoothing = {label_smoothing}: it must be at least 0 and less than 1")
    if class_weights is None:
        return
    if classes is not None and len(class_weights) != classes:
        raise InputError(f"there are {len(class_weights)} class weights for {classes} classes: give one for each class")
    if not all(0.0 <= weight < float("inf") for weight in class_weights) or not any(class_weights):
        raise InputError(f"class_weights = {class_weights}: each must be 0 or more and finite, and one above 0")


@dataclass(frozen=True)
class CrossEntropy:
    """Softmax cross-entropy from logits; outputs for ``classes``, no more and no fewer, where their number is known.

    With class weights w the mean divides by ``Σ w_y``, as PyTorch's does for class numbers; a distribution q counts
    ``Σ_c q_c w_c``, so that one with all its weight on one class is worth that class's number.
    """

    label_smoothing: float = 0.0
    classes: int | None = None
    class_weights: tuple[float, ...] | None = None
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_numbers(self.label_smoothing, self.class_weights, self.classes)
        for name in self.also:
            metric(name, task="multiclass")

    def _weight(self, outputs: torch.Tensor) -> torch.Tensor | None:
        return None if self.class_weights is None else outputs.new_tensor(self.class_weights)

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        outputs = _wide(outputs)
        weight = self._weight(outputs)
        if targets.ndim == 1:
            targets = targets.long()
        loss = F.cross_entropy(outputs, targets, weight=weight, label_smoothing=self.label_smoothing)
        return loss if weight is None or targets.ndim == 1 else loss * len(targets) / (targets @ weight).sum()

    def mass(self, targets: torch.Tensor) -> float:
        """What the mean divides by: the number of rows, or the sum of the weights of their classes."""
        if self.class_weights is None:
            return float(len(targets))
        weight = torch.tensor(self.class_weights, device=targets.device)
        return float((weight[targets.long()] if targets.ndim == 1 else targets.to(weight) @ weight).sum())

    def each(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss of each row, ``(n,)``; with class weights, times its class's."""
        outputs = _wide(outputs)
        return F.cross_entropy(
            outputs,
            targets.long() if targets.ndim == 1 else targets,
            weight=self._weight(outputs),
            label_smoothing=self.label_smoothing,
            reduction="none",
        )

    def torch_criterion(self) -> torch.nn.Module:
        """The PyTorch loss it equals where targets are class numbers: explicit back-propagation is chosen by it."""
        weight = None if self.class_weights is None else torch.tensor(self.class_weights)
        return torch.nn.CrossEntropyLoss(weight=weight, label_smoothing=self.label_smoothing)

    def metrics(
        self, outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
    ) -> dict[str, float]:
        truth = targets.long() if targets.ndim == 1 else targets.argmax(1)
        return measured(("accuracy", *self.also), outputs, truth, weights)

    def check(self, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        found = int(targets.max()) + 1 if targets.ndim == 1 else targets.shape[1]
        classes = found if self.classes is None else self.classes
        exact = self.classes is not None or targets.ndim == 2
        if exact and outputs.ndim == 2 and outputs.shape[1] > classes:
            _refuse(outputs, targets, f"({len(targets)}, {classes}), one column for each class")
        if outputs.ndim != 2 or len(outputs) != len(targets) or outputs.shape[1] < classes:
            _refuse(outputs, targets, f"({len(targets)}, C) with one column for each of the C ≥ {classes} classes")
        _check_numbers(self.label_smoothing, self.class_weights, outputs.shape[1])


@dataclass(frozen=True)
class BinaryCrossEntropy:
    """Logistic loss from one logit; a target is the probability of the second class.

    Smoothing s moves targets to ``(1 − s) y + s/2``. Class weights ``(w₀, w₁)``: ``−w₁ y log σ − w₀ (1 − y) log(1 − σ)``, and
    the mean divides by ``Σ w₁ y + w₀ (1 − y)``: both as ``CrossEntropy`` does with two classes.
    """

    label_smoothing: float = 0.0
    class_weights: tuple[float, float] | None = None
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_numbers(self.label_smoothing, self.class_weights, 2)
        for name in self.also:
            metric(name, task="binary")

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        losses = self.each(outputs, targets)
        return losses.mean() if self.class_weights is None else losses.sum() / self._mass(targets, losses.dtype)

    def _mass(self, targets: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        first, second = self.class_weights or (1.0, 1.0)
        return (first + (second - first) * targets.reshape(-1).to(dtype)).sum()

    def mass(self, targets: torch.Tensor) -> float:
        """What the mean divides by: the number of rows, or the sum of the weights of their classes."""
        return float(self._mass(targets, torch.float64))

    def each(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss of each row, ``(n,)``; with class weights, times its class's."""
        flat = _wide(outputs).reshape(-1)
        wanted = targets.reshape(-1).to(flat.dtype)
        if self.label_smoothing == 0.0 and self.class_weights is None:
            return F.binary_cross_entropy_with_logits(flat, wanted, reduction="none")
        first, second = self.class_weights or (1.0, 1.0)
        half = 0.5 * self.label_smoothing
        yes = second * ((1.0 - self.label_smoothing) * wanted + half)
        no = first * ((1.0 - self.label_smoothing) * (1.0 - wanted) + half)
        return -(yes * F.logsigmoid(flat) + no * F.logsigmoid(-flat))

    def torch_criterion(self) -> torch.nn.Module | None:
        """The PyTorch loss it equals; None with smoothing or class weights, which need automatic differentiation."""
        plain = self.label_smoothing == 0.0 and self.class_weights is None
        return torch.nn.BCEWithLogitsLoss() if plain else None

    def metrics(
        self, outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
    ) -> dict[str, float]:
        truth = (targets.reshape(-1) > 0.5).long()
        return measured(("accuracy", *self.also), outputs.reshape(-1), truth, weights)

    def check(self, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        if outputs.numel() != len(targets):
            _refuse(outputs, targets, f"one logit for each example, ({len(targets)}, 1)")


@dataclass(frozen=True)
class MeanSquaredError:
    """Mean of (ŷ − y)² over rows and outputs.

    Metrics are in the user's units: ``scale`` is the size there of one unit of the targets, one for all outputs or one for
    each; where the way back is no factor, ``restore`` takes arrays shaped like the targets back, and ``scale`` is not used.
    """

    scale: float | tuple[float, ...] = 1.0
    also: tuple[str, ...] = ()
    restore: Callable[[np.ndarray], np.ndarray] | None = None

    def __post_init__(self) -> None:
        for name in self.also:
            metric(name, task="regression")

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.mse_loss(outputs.reshape(targets.shape), targets)

    def each(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss of each row, ``(n,)``, the mean over its outputs."""
        return (outputs.reshape(targets.shape) - targets).square().reshape(len(targets), -1).mean(1)

    def torch_criterion(self) -> torch.nn.Module:
        """The PyTorch loss it equals."""
        return torch.nn.MSELoss()

    def metrics(
        self, outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
    ) -> dict[str, float]:
        guess, truth = (self._in_units(values.reshape(targets.shape)) for values in (outputs, targets))
        return measured(("r2", "rmse", *self.also), guess, truth, weights)

    def _in_units(self, values: torch.Tensor) -> torch.Tensor:
        if self.restore is not None:
            values = torch.as_tensor(np.asarray(self.restore(values.numpy(force=True)), dtype=np.float64))
            return values.reshape(len(values), -1)
        values = values.double().reshape(len(values), -1)
        return values * values.new_tensor(self.scale)

    def check(self, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        wanted = 1 if targets.ndim == 1 else targets.shape[1]
        if outputs.numel() != targets.numel() or len(outputs) != len(targets):
            each = "one number for each example" if wanted == 1 else f"{wanted} numbers for each example"
            _refuse(outputs, targets, f"{each}, ({len(targets)}, {wanted})")
        if isinstance(self.scale, tuple) and len(self.scale) != wanted:
            raise InputError(f"there are {len(self.scale)} scales for {wanted} outputs: give one for each output")


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


def balanced_weights(counts: Sequence[int]) -> tuple[float, ...]:
    """``n / (C n_c)`` for each class c of ``n_c`` rows: every class adds as much to the loss (scikit-learn's ``balanced``).

    A class without a row gets weight 0.
    """
    return tuple(sum(counts) / (len(counts) * count) if count else 0.0 for count in counts)


def piece_rows(inputs: torch.Tensor) -> int:
    """How many examples go through a model at once where only outputs are wanted: fewer where examples are large."""
    if inputs.ndim <= 2:
        return PIECE_ROWS
    return max(1, min(PIECE_ROWS, PIECE_BYTES // max(inputs[:1].nbytes, 1)))


@torch.no_grad()
def predict(model: torch.nn.Module, inputs: torch.Tensor, *, batch_size: int | None = None) -> torch.Tensor:
    """The model's outputs in evaluation mode, ``(n, …)``, float32 or wider; the mode it was in is put back."""
    size = piece_rows(inputs) if batch_size is None else batch_size
    training = model.training
    model.eval()
    outputs = torch.cat([model(inputs[at : at + size]) for at in range(0, len(inputs), size)])
    model.train(training)
    return _wide(outputs)


def evaluate(
    model: torch.nn.Module, inputs: torch.Tensor, targets: torch.Tensor, objective: Objective
) -> dict[str, float]:
    """Loss and metrics of the model on one part of the data, in evaluation mode."""
    outputs = predict(model, inputs)
    with torch.no_grad():
        return {"loss": float(objective(outputs, targets)), **objective.metrics(outputs, targets)}
