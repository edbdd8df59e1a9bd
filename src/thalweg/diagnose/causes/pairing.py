"""The last activation and the loss, and the targets they are for: what crafted outputs showed.

>>> wrong_activation(Numbers(history)).sentence
'Behind the softmax the loss cannot fall below 1.46; without it 0 can be reached.'
"""

from __future__ import annotations

import math

from thalweg.diagnose.numbers import Numbers, Suspicion

ENDS = ("softmax", "sigmoid", "tanh", "relu", "softplus")


def _head(n: Numbers) -> str:
    return next((kind for kind in (*ENDS, "log_softmax") if n.flag(f"head/{kind}")), "")


def wrong_activation(n: Numbers) -> Suspicion | None:
    """An activation at the end that keeps the loss up, or none between the layers."""
    last = _head(n)
    where = "the output"
    if last == "softmax" and (n("head/rows_sum") == 0 or n("head/width") == 1):
        said = "The softmax runs over another axis than the classes."
        return Suspicion(
            "wrong_activation", where, said, 0.95, "rows of the output", n.these("head/rows_sum", "head/width")
        )
    floor, best, null = n("loss/floor"), n("loss/best"), n("loss/null")
    if last in ENDS and floor - best > 0.08 * abs(null - best) and not _regression_loss(n):
        said = f"Behind the {last} the loss cannot fall below {floor:.3g}; without it {best:.3g} can be reached."
        return Suspicion(
            "wrong_activation", where, said, 0.93, "loss of ideal outputs", n.these("loss/floor", "loss/best")
        )
    if last == "relu" and _of_classes(n):
        said = "A ReLU cuts the logits off at zero before the loss."
        return Suspicion("wrong_activation", where, said, 0.85, "last operation of the network", {})
    if (
        n("affine") < 1e-8
        and n("n/weights") >= 2
        and not any(n(f"kinds/{kind}") > 0 for kind in ("relu", "tanh", "sigmoid", "other"))
    ):
        said = "The layers have no activation between them: together they are one affine map."
        return Suspicion(
            "wrong_activation", "the hidden layers", said, 0.93, "additivity in float64", n.these("affine"), not n.short
        )
    if n("kinds/softmax") > 0 and n.underfits:
        said = "A softmax stands between hidden layers."
        return Suspicion(
            "wrong_activation", "the hidden layers", said, 0.7, "operations of the network", n.these("kinds/softmax")
        )
    return None


def _of_classes(n: Numbers) -> bool:
    return any(n.flag(f"task/{kind}") for kind in ("classes", "binary", "labels"))


def _regression_loss(n: Numbers) -> bool:
    """A loss that punishes being surer than one: made for numbers, used for classes."""
    one, ten = n("loss/ideal_1"), n("loss/ideal_10")
    sure = n("loss/floor") if n.flag("head/sigmoid") or n.flag("head/softmax") else one
    return ten > max(3 * abs(one), abs(n("loss/null"))) and ten > sure + 1e-3 and _of_classes(n)


def wrong_loss(n: Numbers) -> Suspicion | None:
    """A loss that does not ask for what the targets say."""
    where = "the loss"
    if n.flag("task/codes"):
        said = "The targets are class numbers, and one output is to hit the number."
        return Suspicion("wrong_loss", where, said, 0.8, "targets and outputs", {})
    best, null, anti = n("loss/best"), n("loss/null"), n("loss/anti")
    evidence = n.these("loss/best", "loss/null", "loss/anti")
    floor = min(n("loss/floor", math.inf), best)
    if math.isfinite(best) and (best > null + 1e-6 or anti < floor - 1e-6):
        said = (
            f"Right outputs cost {best:.3g}, blank ones {null:.3g}, wrong ones {anti:.3g}: the loss rewards mistakes."
        )
        return Suspicion("wrong_loss", where, said, 0.96, "loss of ideal outputs", evidence)
    if abs(n("loss/pairs") - n("loss/unpaired")) < 1e-5 * (1e-9 + abs(n("loss/unpaired"))) and n("loss/unpaired") != 0:
        said = "The loss stays the same when the targets are given to other rows: outputs and targets are broadcast."
        return Suspicion(
            "wrong_loss", where, said, 0.96, "targets given to other rows", n.these("loss/pairs", "loss/unpaired")
        )
    if n("loss/doubling") > 1.9 and n("n/batch") >= 4 and n.short and n.closes("slow") > 0.2:
        said = "The loss adds up over the mini-batch: gradients, and with them the steps, grow with its size."
        return Suspicion("wrong_loss", where, said, 0.8, "twice as many rows", n.these("loss/doubling", "n/batch"))
    if best < -5 and n("loss/ideal_20") < 1.8 * n("loss/ideal_10") and not n.flag("head/log_softmax"):
        said = f"The loss falls without bound as outputs grow ({n('loss/ideal_20'):.3g} at 20): it expects log-probabilities."
        return Suspicion("wrong_loss", where, said, 0.95, "loss of ideal outputs", evidence)
    if n("loss/pull_back") == 0:
        said = "The loss has no slope where outputs are quite wrong: it expects probabilities and cuts all others off."
        return Suspicion("wrong_loss", where, said, 0.9, "slope at wrong outputs", n.these("loss/pull_back"))
    if _regression_loss(n):
        said = "The loss punishes outputs that are surer than one: it is made for numbers, the targets are classes."
        return Suspicion(
            "wrong_loss", where, said, 0.8, "loss of ideal outputs", n.these("loss/ideal_1", "loss/ideal_10")
        )
    return None
