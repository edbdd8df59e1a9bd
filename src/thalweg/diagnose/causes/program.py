"""Faults of the program itself, seen without a doubt: the loop, the gradient, the parameters, the mode.

>>> no_zero_grad(Numbers(history)).where
'the training loop'
"""

from __future__ import annotations

from thalweg.diagnose.numbers import Numbers, Suspicion

FEW_ROWS = 5
WRONG = 1e-3
"""Ng's bound: above it a gradient check has failed."""


def no_zero_grad(n: Numbers) -> Suspicion | None:
    """Old gradients met the backward pass."""
    if n("loop/stale") > 0.5 and n("loop/asked") >= 2:
        share = n("loop/stale")
        said = f"In {share:.0%} of the steps looked at, the gradient of the step before was still there when backward began."
        return Suspicion(
            "no_zero_grad", "the training loop", said, 0.97, "gradients before backward", n.these("loop/stale")
        )
    return None


def wrong_gradient(n: Numbers) -> Suspicion | None:
    """Back-propagation and finite differences disagree, or the step was made with another gradient than the loss's."""
    cut_off = n.under("frozen")  # no gradient at all is another fault
    failed = {
        name: max(pair) for name, pair in n.under("gradcheck").items() if max(pair) > WRONG and name not in cut_off
    }
    if failed:
        where = list(failed)[-1]
        said = f"The gradient of {where} differs from finite differences: ratio {failed[where]:.2g} (at most 1e-5 is right)."
        return Suspicion("wrong_gradient", where, said, 0.97, "float64 gradient check", {"ratio": failed[where]})
    turned = {name: min(pair) for name, pair in n.under("taken/parameter").items() if min(pair) < 0}
    left = n.history.column("taken/left").values
    # the loss's own gradient and a cost on the weights may be all there is, and then at each step looked at
    penalty = max(left, default=1.0) < 0.1 and n("taken/scale") > 0
    if turned and n("loop/stale") < 0.5 and not penalty:
        where = min(turned, key=lambda name: turned[name])
        said = (
            f"Steps were made against the gradient of {where}: its cosine with the loss's own is {turned[where]:.2f}."
        )
        return Suspicion(
            "wrong_gradient", where, said, 0.95, "gradient used against autograd", {"cosine": turned[where]}
        )
    return None


def frozen_params(n: Numbers) -> Suspicion | None:
    """Parameters that ended as they began."""
    names = list(n.under("frozen"))
    why = [w for w in ("requires_grad", "optimizer", "no_gradient") if n.flag(f"frozen_why/{w}")]
    if not names or not why or n.broken:
        return None
    reason = {"requires_grad": "they have requires_grad=False", "optimizer": "the optimizer does not hold them"}.get(
        why[0], "no gradient reaches them"
    )
    said = f"{n('frozen_share'):.0%} of the weights never moved ({', '.join(names[:3])}): {reason}."
    small = n("frozen_share") < 0.02 and not n.short
    helps = n.closes("unfrozen") > 0.2 or n("frozen_share") == 1.0
    idle = not helps and not n.short
    return Suspicion(
        "frozen_params",
        names[0],
        said,
        0.95 if helps else 0.8,
        "weights at start and end",
        n.these("frozen_share"),
        small or idle,
    )


def wrong_mode(n: Numbers) -> Suspicion | None:
    """Training in evaluation mode, or measuring in training mode, where the two differ."""
    if not n.flag("loop/modal"):
        return None
    if n("loop/eval") > 0.3:
        said = f"{n('loop/eval'):.0%} of the training passes ran in evaluation mode: dropout and batch normalisation were off."
        return Suspicion("wrong_mode", "the training loop", said, 0.95, "mode of forward passes", n.these("loop/eval"))
    if n("loop/judged_training") > 0.3:
        said = f"{n('loop/judged_training'):.0%} of the passes without gradients ran in training mode."
        return Suspicion(
            "wrong_mode", "the evaluation", said, 0.85, "mode of forward passes", n.these("loop/judged_training")
        )
    lost = n("norm/eval_mode") - n("norm/train_mode")
    if n.short and lost > 0.1 and n("n/steps") > 60:
        said = (
            f"The same training rows err {n('norm/eval_mode'):.3g} in evaluation mode and {n('norm/train_mode'):.3g} with "
            f"each mini-batch's own mean and variance: batch normalisation's running ones do not fit."
        )
        evidence = n.these("norm/eval_mode", "norm/train_mode", "norm/rows")
        return Suspicion("wrong_mode", "batch normalisation", said, 0.85, "the same rows in both modes", evidence)
    if 0 < n("norm/rows") < FEW_ROWS:
        said = f"Batch normalisation averages over {n('norm/rows'):.0f} numbers: too few for a mean and a variance."
        evidence = n.these("norm/rows", "norm/eval_mode", "norm/train_mode")
        return Suspicion(
            "wrong_mode", "batch normalisation", said, 0.7, "size of the mini-batches", evidence, not n.short
        )
    return None


def decay_on_everything(n: Numbers) -> Suspicion | None:
    """Weight decay on biases and on the scales of normalisation layers: a remark."""
    vectors = n("optimizer/decayed_vectors")
    if not vectors > 0 or not n("optimizer/weight_decay") >= 1e-3:
        return None
    said = f"Weight decay pulls at {vectors:.0f} biases and scales too: it belongs on weight matrices."
    evidence = n.these("optimizer/weight_decay", "optimizer/decayed_vectors")
    return Suspicion("over_regularised", "weight decay", said, 0.5, "parameter groups", evidence, True)


def data_order(n: Numbers) -> Suspicion | None:
    """Mini-batches sorted by target."""
    ratio, most = n("order/batch_variance"), n("order/most")
    if ratio > 4 and ratio > 0.15 * most:
        said = f"The mini-batches' mean targets differ {ratio:.0f} times as much as shuffled rows would make them."
        return Suspicion(
            "data_order", "the mini-batches", said, 0.9, "targets by mini-batch", n.these("order/batch_variance")
        )
    return None


def odd_settings(n: Numbers) -> list[str]:
    """The optimizer's settings that are far from any that works."""
    odd = {
        "maximize": n.flag("optimizer/maximize"),
        "negative rate": n.flag("rate/negative"),
        "momentum": n("optimizer/momentum") >= 0.99,
        "beta1": n("optimizer/beta1") >= 0.99 or n("optimizer/beta1") < 0,
        "beta2": n("optimizer/beta2") < 0.5,
        "eps": n("optimizer/eps") >= 1e-2,
        "lr_decay": n("optimizer/lr_decay") >= 1e-2,
        "dampening": n("optimizer/dampening") >= 0.95,
        "is_Rprop": n.flag("optimizer/is_Rprop") and n("n/batch") < 0.5 * n("n/train"),
        "is_Adadelta": n.flag("optimizer/is_Adadelta") and n("rate/top") < 0.1,
    }
    return [name for name, is_odd in odd.items() if is_odd]


def wrong_optimizer(n: Numbers) -> Suspicion | None:
    """A setting far from any that works, confirmed by Adam at its defaults."""
    found = odd_settings(n)
    if n("frozen_share") == 1.0 and n.flag("frozen_why/optimizer") and not n.broken:
        said = "The optimizer holds none of the model's parameters: it was made for others."
        return Suspicion(
            "wrong_optimizer", "the parameters", said, 0.9, "weights at start and end", n.these("frozen_share")
        )
    if not found:
        return None
    never = found[0] not in ("is_Rprop", "is_Adadelta")  # these two may do, by luck; the others never should be so
    helped = n.closes("adam") > 0.2 or n.broken or found[0] in ("maximize", "negative rate")
    said = f"The optimizer's {found[0].removeprefix('is_')} is far from what works."
    evidence = n.these(f"optimizer/{found[0]}", "trial/adam/error", "trial/same/error")
    test = "Adam with its defaults from the same start"
    return Suspicion(
        "wrong_optimizer", found[0], said, 0.95 if helped else 0.76, test, evidence, not (never or n.short)
    )
