"""What was learned, and what of it holds for examples not seen: bias and variance.

>>> high_variance(history, facts).sentence
'The network fits the training part (accuracy 100.0 %) better than the dev part (86.0 %): it overfits.'

Differences are judged by their standard errors and by whether they matter; a gap between losses is not: any network with a
training loss of 0.01 has a dev loss ten times that.
"""

from __future__ import annotations

import math

import numpy as np

from thalweg.diagnose.finding import Chart, Facts, Finding, Series
from thalweg.diagnose.measures import final_skill, finite, skill, standard_error
from thalweg.diagnose.symptoms.rate import FEWEST, STILL_FALLING, late_slope
from thalweg.history import History

NOTHING = 0.05
"""Share explained below which nothing was learned."""
LITTLE = 0.1
GAP = {"accuracy": 0.05, "r2": 0.1}
"""How large the gap must be beyond two standard errors to matter. AutoTrainer takes a plain gap of 0.07 to 0.1."""
RISE = 0.03
FORGOT = 0.08
"""Fall of the dev accuracy from its peak: real rows learned by heart leave it where it was, wrong labels do not."""
BETTER = 0.04
"""By how much the dev part may be answered better than the training part, beyond two standard errors."""
MISSED = 0.1
RARE = 4.0
"""The largest class over the smallest, from which on the same answer for all is the rare class given up."""


def same_answer_for_all(history: History, facts: Facts) -> Finding | None:
    """The network gives every example the same answer: the largest class, or the mean."""
    learned = final_skill(history, facts)
    metric = finite(history.column(f"train/{facts.metric}")).values
    if len(metric) < FEWEST or not learned < NOTHING:
        return None
    if facts.task == "regression":
        if abs(metric[-1]) > 0.02:
            return None
        sentence = f"The network predicts the mean for every example: its R² on the training part is {metric[-1]:.3f}."
    else:
        if metric[-1] > facts.majority + 0.01:
            return None
        sentence = (
            f"The network gives nearly every example the same class: its accuracy on the training part is "
            f"{metric[-1]:.1%}, and the largest class has {facts.majority:.1%}."
        )
    rare = facts.task != "regression" and max(facts.shares) > RARE * min(facts.shares)
    return Finding(
        "class_imbalance" if rare else "high_bias",
        sentence,
        f"train/{facts.metric}",
        {f"train {facts.metric}": float(metric[-1]), "without inputs": facts.majority, "share learned": learned},
        0.8,
        "Check that the inputs carry the answer and are scaled, that labels belong to their rows, and try another "
        "learning rate; weight the classes where one is rare.",
        "Humbatova et al., Taxonomy of real faults in deep learning, ICSE 2020",
        "critical",
        _chart(history, facts, level=facts.majority),
    )


def high_bias(history: History, facts: Facts) -> Finding | None:
    """The training has settled, and the network explains next to nothing even of the training part."""
    found = skill(history, facts, "train")
    metric = finite(history.column(f"train/{facts.metric}")).values
    slope = late_slope(history)
    if len(found) < FEWEST or not len(metric) or not np.isfinite(found).all() or found.max() > LITTLE:
        return None
    if slope > STILL_FALLING:
        return None
    value = f"{metric[-1]:.1%}" if facts.metric == "accuracy" else f"{metric[-1]:.3f}"
    base = f"{facts.majority:.1%}" if facts.metric == "accuracy" else "0"
    return Finding(
        "high_bias",
        f"The network cannot fit even the training part: {_label(facts)} {value}, where an answer without inputs gives {base}.",
        f"train/{facts.metric}",
        {f"train {facts.metric}": float(metric[-1]), "share learned": float(found[-1])},
        0.7,
        "Give the network more to work with: more or wider hidden layers, less regularisation, better inputs. If "
        "nothing helps, the inputs may not tell the answer.",
        "Ng, Machine Learning Yearning 2018, chapters 20 to 27",
        "warning",
        _chart(history, facts, level=facts.majority),
    )


def high_variance(history: History, facts: Facts) -> Finding | None:
    """The network fits the training part and not the dev part, by more than chance explains and by enough to matter."""
    metric = facts.metric
    trained, held = history.column(f"train/{metric}").values, history.column(f"dev/{metric}").values
    losses = history.column("dev/loss").values
    seen = skill(history, facts, "train")
    count = min(len(trained), len(held), len(losses), len(seen))
    if count < FEWEST or not np.isfinite([*trained[:count], *held[:count], *losses[:count]]).all():
        return None
    best = int(losses[:count].argmin())
    said = None
    gap = trained[best] - held[best]
    certain = 2 * _error_of_difference(trained[best], held[best], facts)
    risen = _risen(trained[:count], held[:count], facts)
    end = count - 1
    chance = facts.majority + 2 * standard_error(held[end], facts.n_dev, facts)
    apart = trained[end] - held[end] - 2 * _error_of_difference(trained[end], held[end], facts)
    if gap - certain > GAP[metric] and seen[best] > LITTLE:
        said = (
            f"The network fits the training part ({_label(facts)} {_show(trained[best], facts)}) far better than the dev "
            f"part ({_show(held[best], facts)})."
        )
    elif seen[end] > 0.5 and held[end] < chance and apart > GAP[metric]:
        best = end
        said = (
            f"The network learns the training part by heart: {_label(facts)} {_show(trained[end], facts)} there, "
            f"{_show(held[end], facts)} on the dev part, no better than without inputs."
        )
    elif risen:
        said = (
            f"From its best the dev {_label(facts)} fell to {_show(held[end], facts)} while the training part went "
            f"on improving to {_show(trained[end], facts)}."
        )
    if said is None:
        return None
    return Finding(
        "high_variance",
        f"{said} It overfits.",
        f"dev/{metric}",
        {f"train {metric}": float(trained[best]), f"dev {metric}": float(held[best]), "two standard errors": certain},
        0.9,
        "More or augmented data; weight decay or dropout; a smaller network; stop at the best dev epoch (patience).",
        "Ng, Machine Learning Yearning 2018, chapters 20 to 27; Agresti & Coull 1998 (standard error)",
        "warning",
        _chart(history, facts),
    )


def label_noise(history: History, facts: Facts) -> Finding | None:
    """Wrong labels in the training part: the dev part is answered better, or forgotten while they are learned by heart."""
    metric = facts.metric
    trained, held = history.column(f"train/{metric}").values, history.column(f"dev/{metric}").values
    count = min(len(trained), len(held))
    trained, held = trained[:count], held[:count]
    if facts.task == "regression" or count < 2 * FEWEST or not np.isfinite([*trained, *held]).all():
        return None
    peak = int(np.convolve(held, np.full(3, 1 / 3), mode="same")[:-1].argmax())
    best, then = float(held[peak]), float(trained[peak])
    error = standard_error(best, facts.n_dev, facts)
    if not best > facts.majority + 2 * error:
        return None
    fall, certain = best - float(held[-1]), 2 * math.sqrt(2) * error
    if fall > max(certain, FORGOT) and trained[-1] > 0.9 and trained[-1] - then > FORGOT:
        said, sure = (
            (
                f"The dev accuracy fell from {best:.1%} to {held[-1]:.1%} while the training accuracy rose from {then:.1%} to "
                f"{trained[-1]:.1%}: what is learned last is learned by heart, as wrong labels are."
            ),
            0.7,
        )
    elif best - then > BETTER + 2 * _error_of_difference(then, best, facts):
        said, sure = (
            (
                f"At its best the network answers {best:.1%} of the dev part and {then:.1%} of the training part, which it was "
                f"shown: some of the training labels are wrong."
            ),
            0.65,
        )
    else:
        return None
    return Finding(
        "label_noise",
        said,
        "the labels",
        {"best dev accuracy": best, "training accuracy then": then, "last dev accuracy": float(held[-1])},
        sure,
        "Check the labels of training rows that the network at its best dev epoch contradicts; stop there (patience); smooth "
        "the labels (label_smoothing = 0.1).",
        "Arpit et al., A closer look at memorization, ICML 2017; Northcutt et al., JAIR 2021",
        "warning",
        _chart(history, facts),
    )


def rare_classes_missed(history: History, facts: Facts) -> Finding | None:
    """Accuracy far above balanced accuracy, where one class is rare: the rare ones are not recognised."""
    if not facts.shares or not max(facts.shares) > RARE * min(facts.shares):
        return None
    for part, n in (("train", facts.n_train), ("dev", facts.n_dev)):
        both = (
            finite(history.column(f"{part}/accuracy")).values,
            finite(history.column(f"{part}/balanced_accuracy")).values,
        )
        if not all(map(len, both)):
            continue
        plain, fair = float(both[0][-1]), float(both[1][-1])
        certain = 2 * standard_error(fair, max(int(n * min(facts.shares) * len(facts.shares)), 1), facts)
        if not (plain - fair > MISSED + certain and fair < 0.75):
            continue
        columns = {name: finite(history.column(f"{part}/{name}")) for name in ("accuracy", "balanced_accuracy")}
        series = tuple(Series(name.replace("_", " "), *column) for name, column in columns.items())
        return Finding(
            "class_imbalance",
            f"Rare classes are missed: on the {part} part the accuracy is {plain:.1%}, and the mean over the classes "
            f"{fair:.1%}; the largest class has {facts.majority:.1%} of the rows.",
            f"{part}/balanced_accuracy",
            {
                "accuracy": plain,
                "balanced accuracy": fair,
                "largest class": facts.majority,
                "rarest": min(facts.shares),
            },
            0.85,
            "Weight the loss by class (class_weights = balanced) or sample the rare classes more often, and watch "
            "balanced_accuracy.",
            "He & Garcia, TKDE 2009",
            "warning",
            Chart(series, y="accuracy"),
        )
    return None


def mismatch(history: History, facts: Facts) -> Finding | None:
    """What holds for rows like the training rows, kept out of training, does not hold for the dev part."""
    like, dev = (finite(history.column(f"{part}/{facts.metric}")).values for part in ("train_dev", "dev"))
    if not len(like) or not len(dev):
        return None
    gap, certain = float(like[-1] - dev[-1]), 2 * _error_of_difference(like[-1], dev[-1], facts)
    if not gap > GAP[facts.metric] + certain:
        return None
    columns = {part: finite(history.column(f"{part}/{facts.metric}")) for part in ("train", "train_dev", "dev")}
    series = tuple(Series(part.replace("_", "-"), *c) for part, c in columns.items() if len(c.steps))
    return Finding(
        "train_dev_mismatch",
        f"Rows left out of training have {_label(facts)} {_show(like[-1], facts)}, the dev part {_show(dev[-1], facts)}: the "
        f"dev rows are of another kind.",
        "the dev rows",
        {
            f"train-dev {facts.metric}": float(like[-1]),
            f"dev {facts.metric}": float(dev[-1]),
            "two standard errors": certain,
        },
        0.85,
        "Prepare dev rows as training rows are prepared, or train on rows like them.",
        "Ng, Machine Learning Yearning 2018, chapters 40 to 43",
        "warning",
        Chart(series, y=_label(facts)),
    )


def _risen(trained: np.ndarray, held: np.ndarray, facts: Facts) -> bool:
    """Whether the dev metric, averaged over three passes so that no lucky one counts, fell from its best beyond chance."""
    if len(held) < 2 * FEWEST:
        return False
    smooth = np.convolve(held, np.full(3, 1 / 3), mode="valid")
    peak = int(smooth.argmax())
    fall = float(smooth[peak] - smooth[-1])
    certain = 2 * math.sqrt(2) * standard_error(float(smooth[peak]), facts.n_dev, facts)
    return fall > max(certain, RISE) and bool(trained[-1] > trained[peak])


def _error_of_difference(trained: float, held: float, facts: Facts) -> float:
    return math.hypot(standard_error(trained, facts.n_train, facts), standard_error(held, facts.n_dev, facts))


def _label(facts: Facts) -> str:
    return "R²" if facts.metric == "r2" else facts.metric


def _show(value: float, facts: Facts) -> str:
    return f"{value:.3f}" if facts.metric == "r2" else f"{value:.1%}"


def _chart(history: History, facts: Facts, *, level: float | None = None) -> Chart:
    columns = {part: finite(history.column(f"{part}/{facts.metric}")) for part in ("train", "dev")}
    series = tuple(Series(name, *column) for name, column in columns.items() if len(column.steps))
    return Chart(series, y=_label(facts), level=level)
