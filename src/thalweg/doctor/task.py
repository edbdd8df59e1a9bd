"""What the run is asked to do, read from targets, outputs and loss: how many classes, what counts as an error.

>>> task = Task.of(outputs, train.targets)
>>> task.kind, task.classes
('classes', 10)
>>> task.error(outputs, train.targets)           # the share of wrong answers; of a regression 1 − R²
0.03

``kind``: ``classes`` (an output each), ``binary`` (one output), ``labels`` (yes or no for each of several outputs), ``codes``
(class numbers as the target of a single output: a mistake more often than not), ``numbers`` (regression), ``other`` (no error
is known, only the loss).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

FEW = 20
"""Whole numbers of at most so many kinds are taken for classes."""


@dataclass(frozen=True)
class Task:
    """``cut`` is where a single output changes its mind: 0 for a logit, ½ for a probability."""

    kind: str
    classes: int = 0
    cut: float = 0.0
    low: float = 0.0

    @classmethod
    def of(cls, outputs: torch.Tensor, targets: torch.Tensor) -> Task:
        """From some outputs ``(n, …)`` and targets ``(n, …)``."""
        whole = not targets.is_floating_point()
        wide = outputs.reshape(len(outputs), -1).shape[1]
        if targets.numel() == len(targets):
            values = targets.reshape(-1)
            kinds = values.unique()
            rounded = bool((kinds == kinds.round()).all()) if not whole else True
            if outputs.ndim == 2 and wide > 1 and rounded and kinds.min() >= 0 and kinds.max() < wide:
                return cls("classes", wide)
            if wide == 1 and rounded and len(kinds) == 2:
                inside = float(outputs.min()) >= 0 and float(outputs.max()) <= 1
                low, high = float(kinds[0]), float(kinds[1])
                return cls("binary", 2, 0.5 if inside and low == 0 else (0.0 if low >= 0 else (low + high) / 2), low)
            if (
                wide == 1
                and rounded
                and 2 < len(kinds) <= FEW
                and (whole or float(kinds.max()) - float(kinds.min()) < FEW)
            ):
                return cls("codes", len(kinds))
            return cls("numbers" if wide == 1 and not whole else "other")
        if (
            targets.shape[1:] == outputs.shape[1:]
            and targets.ndim >= 2
            and (targets.is_floating_point() or targets.ndim == 2)
        ):
            rows = targets.double().reshape(len(targets), -1)
            low, high = float(rows.min()), float(rows.max())
            two = bool(((rows == low) | (rows == high)).all()) and high > low
            if two and targets.ndim == 2 and bool((rows == high).sum(1).eq(1).all()):
                return cls("classes", wide)
            if two and low in (0.0, -1.0) and high == 1.0:
                inside = float(outputs.min()) >= 0 and float(outputs.max()) <= 1
                return cls("labels", 0, 0.5 if inside and low == 0 else 0.0, low)
            return cls("numbers")
        return cls("other")

    @property
    def is_classes(self) -> bool:
        return self.kind in ("classes", "binary", "codes")

    def labels(self, targets: torch.Tensor) -> torch.Tensor:
        """Class numbers ``(n,)`` of targets in whatever form; the targets themselves for the other kinds."""
        if self.kind == "classes":
            return (
                targets.reshape(len(targets), -1).argmax(1) if targets.numel() > len(targets) else targets.reshape(-1)
            ).long()
        if self.kind == "binary":
            return (targets.reshape(-1) > self.low).long()
        return targets.reshape(-1).long() if self.kind == "codes" else targets

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        """The class a model says ``(n,)``."""
        if self.kind == "classes":
            return outputs.reshape(len(outputs), -1).argmax(1)
        return (outputs.reshape(-1) > self.cut).long() if self.kind == "binary" else outputs.reshape(-1).round().long()

    def error(self, outputs: torch.Tensor, targets: torch.Tensor) -> float:
        """The share of wrong answers, or 1 − R² (at most 2); NaN where none is defined or outputs are not finite."""
        if self.kind == "other":
            return float("nan")
        if not bool(torch.isfinite(outputs).all()):
            return 1.0
        if self.is_classes:
            return float((self.answers(outputs) != self.labels(targets)).double().mean())
        if self.kind == "labels":
            return float(((outputs > self.cut) != (targets > self.low)).double().mean())
        wide = targets.double().reshape(len(targets), -1)
        missed = (outputs.double().reshape(wide.shape) - wide).square().mean()
        return min(float(missed / wide.var(0, correction=0).mean().clamp(min=1e-30)), 2.0)

    def chance(self, targets: torch.Tensor) -> float:
        """The error of an answer that ignores the inputs."""
        if self.kind == "labels":
            shares = (targets > self.low).double().mean(0)
            return float(torch.minimum(shares, 1 - shares).mean())
        if not self.is_classes:
            return 1.0
        counts = torch.bincount(self.labels(targets).clamp(min=0))
        return 1 - float(counts.max() / counts.sum())
