"""The evidence of what tests decided, as a small picture: control against trial, layer by layer, or the curves.

>>> picture("lr_too_high", {"trial/same/error": 0.71, "trial/slow/error": 0.06}, history).ticks
('as it was', 'a tenth of the rate')
>>> picture("dead_relu", {}, history).series[1].values              # share of dead units of each layer, at the end
array([0.02, 0.91])

What the evidence itself does not hold is taken from the history; None where neither has anything to draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from thalweg.diagnose.finding import Chart, Series
from thalweg.diagnose.measures import finite
from thalweg.history import History

Evidence = Mapping[str, float | str]

TRIALS = {
    "same": "as it was",
    "slow": "a tenth of the rate",
    "slower": "a hundredth of the rate",
    "fast": "ten times the rate",
    "faster": "a hundred times the rate",
    "standardised": "inputs standardised",
    "redrawn": "weights drawn anew",
    "unfrozen": "all parameters",
    "adam": "Adam, its defaults",
    "more": "more steps",
    "free": "more steps, unregularised",
}
"""The changes of the doctor's trials, as a reader knows them."""
OUTPUTS = {
    "loss/best": "right outputs",
    "loss/floor": "right, behind the activation",
    "loss/null": "blank outputs",
    "loss/anti": "wrong outputs",
    "loss/ideal_1": "right, at 1",
    "loss/ideal_10": "right, at 10",
}


def picture(kind: str, evidence: Evidence, history: History) -> Chart | None:
    """The chart of a finding of ``kind``."""
    for draw in (_trials, DRAWN.get(kind, _nothing), _curves):
        chart = draw(evidence, history)
        if chart is not None:
            return chart
    return None


def bars(y: str, values: Mapping[str, float], *, level: float | None = None, log: bool = False) -> Chart | None:
    """One bar for each name; None where fewer than two are numbers."""
    kept = {name: value for name, value in values.items() if math.isfinite(value) and (value > 0 or not log)}
    if len(kept) < 2:
        return None
    level = level if level is not None and math.isfinite(level) else None
    one = Series(y, np.arange(len(kept)), np.array(list(kept.values())))
    return Chart((one,), y=y, log=log, level=level, ticks=tuple(kept))


def curves(
    history: History, names: Mapping[str, str], y: str, *, level: float | None = None, log: bool = False
) -> Chart | None:
    """Lines over steps, by column; None where none has two points."""
    columns = {said: finite(history.column(name)) for name, said in names.items()}
    series = tuple(Series(said, *column) for said, column in columns.items() if len(np.unique(column.steps)) > 1)
    level = level if level is not None and math.isfinite(level) else None
    return Chart(series, y=y, log=log, level=level) if series else None


def _nothing(_evidence: Evidence, _history: History) -> Chart | None:
    return None


def _number(name: str, evidence: Evidence, history: History) -> float:
    found = evidence.get(name, history.last(name))
    return found if isinstance(found, float | int) else math.nan


def _trials(evidence: Evidence, history: History) -> Chart | None:
    """The error each trial ended at, beside the control's and what these data allow."""
    tried = [t for t in TRIALS if f"trial/{t}/error" in evidence and t != "same"]
    if not tried:
        return None
    resumed = all(trial in ("more", "free") for trial in tried)
    control = ("train/error", "when it ended") if resumed else ("trial/same/error", TRIALS["same"])
    values = {control[1]: _number(control[0], evidence, history)}
    values |= {TRIALS[trial]: _number(f"trial/{trial}/error", evidence, history) for trial in tried}
    return bars("training error", values, level=history.last("reference/train"))


def _curves(_evidence: Evidence, history: History) -> Chart | None:
    chart = curves(history, {"train/loss": "train", "dev/loss": "dev"}, "loss", log=True)
    return chart or curves(history, {"batch/loss": "mini-batch"}, "loss", log=True)


def _by_layer(prefix: str, y: str, *, log: bool = False) -> Callable[[Evidence, History], Chart | None]:
    """Start and end of each column below a path, a bar for each."""

    def draw(_evidence: Evidence, history: History) -> Chart | None:
        found = history.under(prefix)
        if not found:
            return None
        place = np.arange(len(found))
        ends = {"at the start": 0} | ({"at the end": -1} if any(len(c.values) > 1 for c in found.values()) else {})
        series = tuple(
            Series(word, place, np.array([c.values[moment] for c in found.values()])) for word, moment in ends.items()
        )
        return Chart(series, y=y, log=log, ticks=tuple(name.rstrip(":") for name in found))

    return draw


def _scales(_evidence: Evidence, history: History) -> Chart | None:
    found = history.under("weights")
    scales = {n.removesuffix("/scale"): float(c.values[0]) for n, c in found.items() if n.endswith("/scale")}
    return bars("spread of the weights · √(3·fan in)", scales, level=1.0, log=True)


def _gradient(_evidence: Evidence, history: History) -> Chart | None:
    checked = {name: float(column.values.max()) for name, column in history.under("gradcheck").items()}
    taken = {name: float(column.values.min()) for name, column in history.under("taken/parameter").items()}
    if any(value > 1e-3 for value in checked.values()):
        return bars("against finite differences", checked, level=1e-5, log=True)
    return bars("cosine with the loss's gradient", taken, level=0.0)


def _outputs(evidence: Evidence, history: History) -> Chart | None:
    return bars("loss", {said: _number(name, evidence, history) for name, said in OUTPUTS.items()})


def _these(y: str, *, log: bool = False, **names: str) -> Callable[[Evidence, History], Chart | None]:
    """A bar for each named number; a name is its column with ``__`` for ``/``."""

    def draw(evidence: Evidence, history: History) -> Chart | None:
        values = {said: _number(name.replace("__", "/"), evidence, history) for name, said in names.items()}
        return bars(y, values, log=log)

    return draw


def _order(evidence: Evidence, history: History) -> Chart | None:
    here = _number("order/batch_variance", evidence, history)
    return bars("spread of the mini-batches' mean targets", {"shuffled rows": 1.0, "this loop": here})


def _mode(evidence: Evidence, history: History) -> Chart | None:
    return bars(
        "share of passes",
        {
            "training, in evaluation mode": _number("loop/eval", evidence, history),
            "measuring, in training mode": _number("loop/judged_training", evidence, history),
        },
    )


def _errors(_evidence: Evidence, history: History) -> Chart | None:
    level = history.last("reference/train")
    return curves(history, {"train/error": "train", "dev/error": "dev"}, "error", level=level)


def _rates(_evidence: Evidence, history: History) -> Chart | None:
    return curves(history, {"lr": "learning rate"}, "learning rate")


def _norms(_evidence: Evidence, history: History) -> Chart | None:
    return curves(history, {"grad_norm": "gradient norm"}, "gradient norm", log=True)


DRAWN: dict[str, Callable[[Evidence, History], Chart | None]] = {
    "vanishing_gradient": _by_layer("gradient", "gradient norm", log=True),
    "exploding_gradient": _by_layer("gradient", "gradient norm", log=True),
    "nan": _these("largest output", log=True, loop__largest_first="at first", loop__largest_before="before it broke"),
    "dead_relu": _by_layer("dead", "share of dead units"),
    "saturated_activation": _by_layer("saturated", "share at the rails"),
    "bad_init": _scales,
    "high_bias": _errors,
    "high_variance": _errors,
    "label_noise": _errors,
    "train_dev_mismatch": _these(
        "error of what fits the training rows", reference__train="training rows left out", reference__dev="dev rows"
    ),
    "class_imbalance": _these("recall", class__recall_common="common classes", class__recall_rare="rare classes"),
    "data_order": _order,
    "plateau": _rates,
    "wrong_loss": _outputs,
    "wrong_activation": _outputs,
    "wrong_gradient": _gradient,
    "no_zero_grad": _norms,
    "leakage": _these("of what there is to know", leak__column="this column alone", leak__next="the next best alone"),
    "wrong_mode": _mode,
}
