"""What was learned and what of it holds: bias, variance, regularisation, labels, classes, dev rows, leaks.

>>> high_bias(Numbers(history)).evidence
{'train/error': 0.12, 'reference/train': 0.02}
"""

from __future__ import annotations

import math

from thalweg.diagnose.causes.rate import WORSE
from thalweg.diagnose.numbers import Numbers, Suspicion


def high_bias(n: Numbers) -> Suspicion | None:
    """It fits its own rows worse than kernel ridge regression answers rows it never saw."""
    if not n.underfits or n.broken:
        return None
    said = f"The training error is {n('train/error'):.3g}; these data allow {n.allowed:.3g} on rows left out."
    return Suspicion(
        "high_bias",
        "the network",
        said,
        0.6,
        "kernel ridge regression, left-out error",
        n.these("train/error", "reference/train", "trial/one_batch/error") | _sizes(n),
    )


def _sizes(n: Numbers) -> dict[str, float]:
    """Bias and variance beside the best possible error: what is lost on the rows trained on, and from there to the dev rows."""
    sizes = {"best possible": n.allowed, "bias": max(n.unfit, 0.0), "variance": n("dev/error") - n("train/error")}
    return {name: size for name, size in sizes.items() if math.isfinite(size)}


def over_regularised(n: Numbers) -> Suspicion | None:
    """Without decay, dropout and penalties more steps learn what with them they do not."""
    free, more, end = n("trial/free/error"), n("trial/more/error"), n("train/error")
    if not n.underfits:
        return None
    missing = max(n.unfit, 0.02)
    penalty = max(abs(n("taken/decay", 0.0)), abs(n("taken/decay_sign", 0.0)))
    if penalty > 1e-3 and (end - more) / missing > 0.3:
        said = (
            f"The loop adds a penalty on the weights; without it the training error falls from {end:.3g} to {more:.3g}."
        )
        evidence = n.these("taken/decay", "taken/decay_sign", "trial/more/error")
        return Suspicion("over_regularised", "the penalty", said, 0.9, "more steps without the penalty", evidence)
    evidence = n.these("optimizer/weight_decay", "weights_shrunk", "trial/free/error", "trial/more/error")
    blank = not n("train/loss") > WORSE * abs(n("loss/null"))  # decay draws answers to none at all, not beyond
    if n("optimizer/weight_decay") > 0 and n("weights_shrunk") < 0.5 and blank:
        said = f"Decay shrank the weights to {n('weights_shrunk'):.2g} of their first size; the rows are not fitted."
        return Suspicion("over_regularised", "weight decay", said, 0.9, "size of the weights", evidence)
    held = n("trial/more/loss") > 0.2 * abs(n("loss/null")) and n("trial/free/loss") < 0.25 * n("trial/more/loss")
    if held and n("trial/free/dev_error") <= n("trial/more/dev_error"):  # what memorises wrong labels does worse there
        said = (
            f"More steps end at a loss of {n('trial/free/loss'):.3g} without decay and dropout, "
            f"{n('trial/more/loss'):.3g} with them, and dev rows fare no worse."
        )
        evidence |= n.these("trial/free/loss", "trial/more/loss", "trial/free/dev_error", "trial/more/dev_error")
        test = "more steps without regularisation"
        return Suspicion("over_regularised", "the regularisation", said, 0.85, test, evidence)
    with_it = min(more, end)
    gain = (with_it - free) / missing
    if gain > 0.3:
        said = f"More steps end at a training error of {free:.3g} without decay and dropout, {more:.3g} with them."
        sure = min(0.6 + 0.3 * max(gain, (with_it - free) / max(with_it - n.allowed, 0.02)), 0.95)
        return Suspicion(
            "over_regularised", "the regularisation", said, sure, "more steps without regularisation", evidence
        )
    return None


def high_variance(n: Numbers) -> Suspicion | None:
    """Far better on its own rows than on others."""
    gap = n("dev/error") - n("train/error")
    noise = 2 * math.sqrt(max(n("dev/error") * (1 - min(n("dev/error"), 1.0)), 0.01) / max(min(n("n/dev", 1), 1000), 1))
    rose = n("dev/loss") > 1.5 * min(n.history.column("dev/loss").values, default=math.inf)
    least = 0.12 if n.unheld > 0.02 or rose or n("train/error") < 0.02 else 0.15
    if gap > max(2 * least if n.flag("task/numbers") else least, 2 * noise):
        said = f"The error is {n('train/error'):.3g} on training rows and {n('dev/error'):.3g} on dev rows."
        return Suspicion(
            "high_variance",
            "the dev rows",
            said,
            min(0.6 + gap, 0.9),
            "training and dev error",
            n.these("train/error", "dev/error") | _sizes(n),
        )
    return None


def label_noise(n: Numbers) -> Suspicion | None:
    """Rows about which the others are sure, and whose label says otherwise."""
    pulls = n.history.column("taken/pull").values
    if n("labels/swapped") > 0.1 and min(pulls, default=1.0) < 0.95:
        said = f"{n('labels/swapped'):.0%} of the rows were trained with another label than the one beside them."
        return Suspicion("label_noise", "the mini-batches", said, 0.95, "labels in the loss", n.these("labels/swapped"))
    far = n("reference/far_off")
    if n.wrong_labels and math.isfinite(far):
        said = f"{far:.0%} of the targets lie far from what rows like theirs say: more than six robust spreads."
        evidence = n.these("reference/far_off")
        test = "left-out residuals, robustly fitted"
        return Suspicion("label_noise", "the targets", said, min(0.8 + far, 0.95), test, evidence)
    share = n("reference/clear_disagreement")
    if n.wrong_labels:
        said = f"Of the rows whose neighbours agree most, {share:.0%} have another label."
        return Suspicion(
            "label_noise",
            "the labels",
            said,
            min(0.7 + share, 0.95),
            "left-out answers",
            n.these("reference/clear_disagreement"),
        )
    return None


def train_dev_mismatch(n: Numbers) -> Suspicion | None:
    """Training and dev rows can be told apart, and what holds for left-out training rows does not hold for dev."""
    lost = n("reference/dev") - n("reference/train")
    auc = n("domain/auc")
    spread = max(n("reference/dev", 0.0) * (1 - min(n("reference/dev", 0.0), 1.0)), 0.01)
    rows = 1 / max(min(n("n/dev", 1.0), 1000.0), 1.0) + 1 / max(min(n("n/train", 1.0), 600.0), 1.0)
    margin = 0.03 + 2 * math.sqrt(spread * rows)
    if (
        auc > 0.7 and (lost > margin or n.unheld > 0.05 or n("dev/error") - n("train/error") > 0.05)
    ) or lost > 2 * margin + 0.05:
        said = (
            f"Dev rows can be told from training rows (AUC {auc:.2f}); what errs {n('reference/train'):.3g} on training "
            f"rows left out errs {n('reference/dev'):.3g} on them."
        )
        return Suspicion("train_dev_mismatch", "the dev rows", said, 0.93, "classifier of training against dev rows", n.these(
            "domain/auc", "reference/dev", "reference/train"))  # fmt: skip
    return None


def class_imbalance(n: Numbers) -> Suspicion | None:
    """Rare classes are missed."""
    expected = n("n/train") / n("class/count")
    by_chance = n("class/smallest") * n("n/train") > expected - 4 * math.sqrt(expected)
    rare = n("class/smallest") * n("class/count") < 0.35 and not by_chance
    enough = 0.75 if n("domain/prior_distance") > 0.2 else 0.6  # where dev rows hold many of them, misses weigh more
    if rare and n("class/recall_rare") < enough and n("class/recall_common") > n("class/recall_rare") + 0.2:
        said = (
            f"The rarest class is {n('class/smallest'):.1%} of the rows; rare classes are recognised in "
            f"{n('class/recall_rare'):.0%}, common ones in {n('class/recall_common'):.0%}."
        )
        return Suspicion("class_imbalance", "the classes", said, 0.9, "recall by class", n.these(
            "class/smallest", "class/recall_rare", "class/recall_common"))  # fmt: skip
    return None


def leakage(n: Numbers) -> Suspicion | None:
    """Dev rows met in training, or a column that knows the target."""
    if n("leak/met") > max(0.05, 5 * n("leak/repeated", 0.0)):
        said = f"{n('leak/met'):.0%} of the dev rows stand among the training rows."
        return Suspicion(
            "leakage", "the dev rows", said, 0.95, "dev rows among training rows", n.these("leak/met", "leak/repeated")
        )
    if n("leak/near") > 0.1 + 5 * n("leak/self_near", 0.0):
        said = f"{n('leak/near'):.0%} of the dev rows are nearly equal to a training row."
        return Suspicion("leakage", "the dev rows", said, 0.9, "distances to training rows", n.these("leak/near"))
    if n("leak/column") > 0.97 and n("input/columns") >= 4 and n("leak/next") < n("leak/column") - 0.05:
        said = f"Column {n('leak/which'):.0f} alone gives the target away ({n('leak/column'):.0%} of what there is to know)."
        return Suspicion(
            "leakage",
            f"column {n('leak/which'):.0f}",
            said,
            0.9,
            "one column at a time",
            n.these("leak/column", "leak/next"),
        )
    return None
