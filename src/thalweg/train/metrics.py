"""What a model is measured by besides its loss: each metric by name, with its tasks and which way is better.

>>> higher_is_better("auc"), higher_is_better("rmse")
(True, False)
>>> METRICS["f1"].measure(logits, labels, None)                     # n rows, each counts once
0.87

A metric takes what the model gave, what was true and the rows' weights. For classes: scores, which are logits ``(n, C)`` or
the log-odds ``(n,)`` of the second class, and class numbers int64 ``(n,)``. For numbers: ``(n, k)`` twice, in the units in
which the metric is to be given; several outputs count alike (scikit-learn's ``uniform_average``). Weights are ``(n,)`` or None.
All sums are float64. Where a metric has no meaning (R² of a constant, AUC of one class) it is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.wording import listed, meant

Measure = Callable[[Tensor, Tensor, Tensor | None], float]


@dataclass(frozen=True)
class Metric:
    """One row of the table; ``measure`` is None for the loss, which its objective computes."""

    tasks: tuple[str, ...]
    higher_is_better: bool
    measure: Measure | None


def _mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """The mean over rows, ``(n, …) → (…)``."""
    if weights is None:
        return values.double().mean(0)
    weights = weights.double()
    return torch.tensordot(weights, values.double(), dims=1) / weights.sum()


def _chosen(scores: Tensor) -> Tensor:
    return scores.argmax(1) if scores.ndim == 2 else (scores > 0).long()


def _confusion(scores: Tensor, truth: Tensor, weights: Tensor | None) -> Tensor:
    """Weight of the rows of each (true, chosen) pair of classes, ``(C, C)`` float64."""
    classes = max(scores.shape[1] if scores.ndim == 2 else 2, int(truth.max()) + 1)
    pairs = truth * classes + _chosen(scores)
    weights = torch.ones_like(pairs, dtype=torch.float64) if weights is None else weights.double()
    return torch.bincount(pairs, weights=weights, minlength=classes * classes).view(classes, classes)


def accuracy(scores: Tensor, truth: Tensor, weights: Tensor | None) -> float:
    """The share of rows whose class is the one with the highest score."""
    return float(_mean(_chosen(scores) == truth, weights))


def balanced_accuracy(scores: Tensor, truth: Tensor, weights: Tensor | None) -> float:
    """The mean, over the classes that occur, of the share of their rows that were found."""
    confusion = _confusion(scores, truth, weights)
    rows = confusion.sum(1)
    return float((confusion.diagonal() / rows)[rows > 0].mean())


def f1(scores: Tensor, truth: Tensor, weights: Tensor | None) -> float:
    """``2 TP / (2 TP + FP + FN)``: of the second class of two, else the mean over classes that are true or chosen somewhere."""
    confusion = _confusion(scores, truth, weights)
    both = confusion.sum(0) + confusion.sum(1)
    each = 2.0 * confusion.diagonal() / both.where(both > 0, torch.ones_like(both))
    return float(each[1] if scores.ndim == 1 else each[both > 0].mean())


def auc(scores: Tensor, truth: Tensor, weights: Tensor | None) -> float:
    """The area under the ROC curve: a true row scores above a false one with this probability, ties count half.

    More than two classes: the mean of each class's against the rest, ranked by probability, over the classes that occur.
    """
    weights = torch.ones_like(truth, dtype=torch.float64) if weights is None else weights.double()
    if scores.ndim == 1:
        return float(_one_auc(scores, truth == 1, weights))
    ranked = scores.double().log_softmax(1)
    areas = torch.stack([_one_auc(ranked[:, c], truth == c, weights) for c in range(scores.shape[1])])
    return float(areas.nanmean())


def _one_auc(scores: Tensor, true: Tensor, weights: Tensor) -> Tensor:
    values, place = scores.unique(return_inverse=True)
    positive = torch.bincount(place, weights=weights * true, minlength=len(values))
    negative = torch.bincount(place, weights=weights * ~true, minlength=len(values))
    below = negative.cumsum(0) - 0.5 * negative
    return positive.dot(below) / (positive.sum() * negative.sum())


def r2(guess: Tensor, truth: Tensor, weights: Tensor | None) -> float:
    """``1 − Σ(ŷ − y)² / Σ(y − ȳ)²``, the mean over outputs that are not constant."""
    truth = truth.double()
    varied = _mean((truth - _mean(truth, weights)).square(), weights)
    left = _mean((guess.double() - truth).square(), weights)
    return float((1.0 - left / varied)[varied > 0].mean())


def rmse(guess: Tensor, truth: Tensor, weights: Tensor | None) -> float:
    """``√mean (ŷ − y)²``, the mean over outputs."""
    return float(_mean((guess.double() - truth.double()).square(), weights).sqrt().mean())


def mae(guess: Tensor, truth: Tensor, weights: Tensor | None) -> float:
    """``mean |ŷ − y|``."""
    return float(_mean((guess.double() - truth.double()).abs(), weights).mean())


CLASSES = ("binary", "multiclass")
METRICS: Mapping[str, Metric] = {
    "loss": Metric((*CLASSES, "regression"), False, None),
    "accuracy": Metric(CLASSES, True, accuracy),
    "balanced_accuracy": Metric(CLASSES, True, balanced_accuracy),
    "f1": Metric(CLASSES, True, f1),
    "auc": Metric(CLASSES, True, auc),
    "r2": Metric(("regression",), True, r2),
    "rmse": Metric(("regression",), False, rmse),
    "mae": Metric(("regression",), False, mae),
}


def metric(name: str, *, task: str | None = None) -> Metric:
    """The metric of that name. Raises ``InputError`` where there is none, or none for ``task``."""
    fitting = [known for known, row in METRICS.items() if task is None or task in row.tasks]
    if name in fitting:
        return METRICS[name]
    if name in METRICS:
        raise InputError(
            f'the metric "{name}" is for {listed(METRICS[name].tasks)}, not for {task}: choose among {", ".join(fitting)}'
        )
    raise InputError(f'there is no metric "{name}": {meant(name, fitting)}')


def higher_is_better(name: str) -> bool:
    """Whether a larger value of the metric is better. Raises ``InputError`` for a name that is not in the table."""
    return metric(name).higher_is_better


def measured(names: Iterable[str], guess: Tensor, truth: Tensor, weights: Tensor | None) -> dict[str, float]:
    """Each metric of ``names`` but the loss."""
    found = ((name, METRICS[name].measure) for name in names)
    return {name: measure(guess, truth, weights) for name, measure in found if measure is not None}
