"""Numbers the symptoms are written in: the share learned, standard errors, layers from first to last.

>>> skill(history, Facts(task="multiclass", classes=10), "train")[-1]       # 0: the class shares alone; 1: perfect
0.97…
"""

from __future__ import annotations

import math

import numpy as np

from thalweg.diagnose.finding import Facts
from thalweg.history import Column, History


def skill(history: History, facts: Facts, part: str) -> np.ndarray:
    """What the model explains of what there is to explain, at each measurement of a part: 0 without inputs, 1 perfect.

    Regression: R². Classification: ``1 − loss / entropy of the class shares`` (McFadden's pseudo-R², 1974), which sees a
    model learn while its accuracy still stands at the largest class. Where the task is not known: the share of the loss of
    the start that is gone.
    """
    if facts.task == "regression":
        return history.column(f"{part}/r2").values
    return 1 - history.column(f"{part}/loss").values / (facts.prior_loss if facts.shares else start_loss(history))


def final_skill(history: History, facts: Facts, part: str = "train") -> float:
    """The skill of the last measurement; NaN where there is none."""
    found = skill(history, facts, part)
    return float(found[-1]) if len(found) else math.nan


def standard_error(metric: float, n: int, facts: Facts) -> float:
    """Of an accuracy or R² measured on ``n`` examples; infinite where ``n`` is not known.

    Accuracy: √(p(1−p)/n) with two successes and two failures added (Agresti & Coull 1998: at p near 1 the plain formula
    claims certainty). R²: 2√R²·(1−R²)/√n (Olkin & Finn 1995).
    """
    if n <= 0:
        return math.inf
    if facts.task == "regression":
        bounded = min(max(metric, 0.0), 1.0)
        return max(2 * math.sqrt(bounded) * (1 - bounded), 0.1) / math.sqrt(n)
    share = (min(max(metric, 0.0), 1.0) * n + 2) / (n + 4)
    return math.sqrt(share * (1 - share) / (n + 4))


def layers(history: History, quantity: str, *, until: float = math.inf) -> dict[str, float]:
    """The median of ``quantity/WEIGHT`` over the steps up to ``until``, layer by layer in the network's order."""
    found = {}
    for name, (steps, values) in history.under(quantity).items():
        early = values[(steps <= until) & np.isfinite(values)]
        if len(early):
            found[name] = float(np.median(early))
    return found


def finite(column: Column) -> Column:
    """The numbers of a column that are numbers."""
    kept = np.isfinite(column.values)
    return Column(column.steps[kept], column.values[kept])


def start_loss(history: History) -> float:
    """The loss before training: of the training part at step 0 where measured, else of the first mini-batches."""
    steps, values = finite(history.column("train/loss"))
    if len(steps) and steps[0] == 0:
        return float(values[0])
    first = finite(history.column("batch/loss")).values[:5]
    return float(np.median(first)) if len(first) else math.nan


def untrained_loss(history: History) -> float:
    """The loss before the first update alone; NaN where that was not measured."""
    steps, values = finite(history.column("train/loss"))
    if len(steps) and steps[0] == 0:
        return float(values[0])
    steps, values = finite(history.column("batch/loss"))
    return float(values[0]) if len(steps) and steps[0] <= 1 else math.nan
