"""Numbers that are none: a loss or gradient that became NaN, infinite, or a hundred times what it was.

>>> diverged(history, Facts()).sentence
'The loss became nan at step 41.'
"""

from __future__ import annotations

import numpy as np

from thalweg.diagnose.finding import Chart, Facts, Finding, Series
from thalweg.diagnose.kinds import KINDS
from thalweg.diagnose.measures import finite, start_loss
from thalweg.history import History

LOSSES = ("batch/loss", "train/loss", "dev/loss")
BLOWN_UP = 100.0
"""The last loss over the first. AutoTrainer (Zhang et al., ICSE 2021) takes an absolute 1e3, which any regression with
large targets exceeds from the start."""
GROWN = 10.0
"""Growth of loss or gradient before they broke, from which on the size of the steps is to blame."""
REMEDY = (
    "Lower the learning rate (lr) by a factor of 10, warm it up, or clip the gradient (clip_norm = 1); look for extreme "
    "values in the inputs and targets."
)
REFERENCE = "Zhang et al., AutoTrainer, ICSE 2021; Pascanu et al., ICML 2013 (clipping)"


def diverged(history: History, facts: Facts) -> Finding | None:
    """A loss or gradient is not finite, or the loss ends a hundred times above its start.

    ``lr_too_high`` where the numbers had grown before, which steps too large make them do; else ``nan``: one operation, or one
    row, makes a number that is none.
    """
    bad = {name: step for name in history.columns if _counts(name) and (step := _first_bad(history, name)) is not None}
    start = start_loss(history)
    if bad:
        step = min(bad.values())
        first = [name for name, at in bad.items() if at == step]
        where = _origin(history, first)
        value = history.column(where).values[history.column(where).steps == step]
        became = next((v for v in value.tolist() if not np.isfinite(v)), np.nan)
        what = "loss" if where in LOSSES else f"gradient of {where.removeprefix('grad_norm/')}"
        what = "gradient" if where == "grad_norm" else what
        grown = _grown(history, step)
        kind = "lr_too_high" if step > 1 and (grown > GROWN or np.isinf(became)) else "nan"
        said = f"The {what} became {became} at step {step}."
        if kind == "lr_too_high" and grown > GROWN:
            said = f"{said.rstrip('.')}; before, it had grown by a factor of {grown:.3g}."
        return _finding(kind, history, said, where, {"step": step, "start loss": start, "growth before": grown}, step)
    end = finite(history.column("train/loss")).values
    if len(end) and start > 0 and end[-1] > BLOWN_UP * start:
        said = f"The loss ends at {end[-1]:.3g}, {end[-1] / start:.3g} times the {start:.3g} it started from."
        return _finding("lr_too_high", history, said, "train/loss", {"start loss": start, "final loss": end[-1]}, None)
    return None


def _grown(history: History, step: int) -> float:
    """The largest loss or gradient before a step over the first, whichever grew most; 1 where nothing grew."""
    ratios = [1.0]
    for name in ("batch/loss", "train/loss", "grad_norm"):
        column = finite(history.column(name))
        before = np.abs(column.values[column.steps < step])
        if len(before) and before[0] > 0:
            ratios.append(float(before.max() / before[0]))
    return max(ratios)


def _counts(name: str) -> bool:
    return name in LOSSES or name == "grad_norm" or name.startswith("grad_norm/")


def _first_bad(history: History, name: str) -> int | None:
    steps, values = history.column(name)
    bad = ~np.isfinite(values)
    return int(steps[bad.argmax()]) if bad.any() else None


def _origin(history: History, names: list[str]) -> str:
    """Back-propagation fills the gradients from the last layer to the first: where some are finite, the last bad one began."""
    layers = [name for name in names if name.startswith("grad_norm/")]
    if layers and len(layers) < len(history.under("grad_norm")):
        return layers[-1]
    return next((name for name in LOSSES if name in names), names[0])


def _finding(
    kind: str, history: History, sentence: str, where: str, evidence: dict[str, float], mark: int | None
) -> Finding:
    curve = finite(history.column("batch/loss"))
    chart = Chart((Series("mini-batch loss", *curve),), y="loss", log=True, mark=mark) if len(curve.steps) > 1 else None
    remedy = REMEDY if kind == "lr_too_high" else KINDS[kind].remedy
    return Finding(kind, sentence, where, evidence, 1.0, remedy, REFERENCE, "critical", chart)
