"""What the network was before its first step: weights, inputs, gradients by layer, units dead or at the rails.

>>> bad_init(Numbers(history)).where
'0.weight'
"""

from __future__ import annotations

import math

from thalweg.diagnose.numbers import Numbers, Suspicion

FORGOTTEN = 1e-4
"""Of the gradient of the moment that has most: below it the first moments are not learned from."""
LARGE, SMALL = 5.0, 0.2
"""Of a weight's spread over 1/√(3·fan in): PyTorch draws 1, Xavier about 1.7, He 2.4."""


def alike(n: Numbers) -> Suspicion | None:
    """Units that start alike and stay alike."""
    weights = n.under("weights")
    last = [name.removesuffix("/scale") for name in weights if name.endswith("/scale")][-1:]
    for name, (value, _) in weights.items():
        where = name.rsplit("/", 1)[0]
        if name.endswith("/unlike") and value < 1e-6 and where not in last:
            said = f"All units of {where} start with the same weights: they get the same gradient and stay alike."
            return Suspicion("bad_init", where, said, 0.95, "rows of the weights", {"difference": value}, not n.short)
    return None


def bad_init(n: Numbers) -> Suspicion | None:
    """Weights of a scale no scheme draws."""
    weights = n.under("weights")
    scales = {name.removesuffix("/scale"): v for name, (v, _) in weights.items() if name.endswith("/scale") and v > 0}
    odd = {where: v for where, v in scales.items() if v > LARGE or v < SMALL}
    if not odd:
        return None
    where = max(odd, key=lambda w: abs(math.log(odd[w])))
    said = f"The weights of {where} start {odd[where]:.3g} times as spread as 1/√(3·fan in) (usual 1 to 2.5)."
    helps = n.closes("redrawn") > 0.2
    loud = odd[where] > LARGE and n.first("train/loss") > 5 * abs(n("loss/null"))
    evidence = {"scale": odd[where], "first loss": n.first("train/loss")}
    evidence |= n.these("loss/null", "trial/redrawn/error", "trial/same/error")
    test = "loss before training" if loud else "other weights, same rate"
    return Suspicion("bad_init", where, said, 0.9 if helps or loud else 0.5, test, evidence, not (n.short or loud))


def unnormalised_input(n: Numbers) -> Suspicion | None:
    """Columns of other scales, or far from zero."""
    odd = {
        "scales": n("input/scales") > 20,
        "largest": n("input/largest") > 30 and n("input/spread") > 8,
        "shift": n("input/shift") > 3,
        "spread": n("input/spread") < 0.02,
    }
    found = [name for name, is_odd in odd.items() if is_odd]
    if not found:
        return None
    value = n(f"input/{found[0]}")
    said = {
        "scales": f"The columns' spreads differ by a factor of {value:.3g}.",
        "largest": f"The inputs reach {value:.3g}.",
        "shift": f"The inputs lie {value:.3g} spreads away from zero.",
        "spread": f"The inputs' spread is {value:.2g}.",
    }[found[0]]
    helps = n.closes("standardised") > 0.2
    return Suspicion("unnormalised_input", "the inputs", said, 0.9 if helps else 0.5, "standardised inputs, same rate", n.these(
        f"input/{found[0]}", "trial/standardised/error", "trial/same/error"), not n.short)  # fmt: skip


def _chain(n: Numbers, moment: int) -> list[tuple[str, float]]:
    """The gradient of each weight over the weight's size, first layer first; ``moment`` 0 is the start, 1 the end."""
    sizes = {name: pair[moment] for name, pair in n.under("size").items()}
    return [(name, pair[moment] / sizes[name]) for name, pair in n.under("gradient").items() if sizes.get(name, 0) > 0]


def vanishing_gradient(n: Numbers) -> Suspicion | None:
    """Gradients fall from layer to layer on the way back, at the start or where training got stuck."""
    if not n.short:
        return None
    stuck = n("train/error") > 0.6 * n("chance")
    early = max(n.first("moments/early"), n("moments/early"))
    if stuck and early < FORGOTTEN:
        said = f"The gradient of the first moments is {early:.1e} of the largest moment's, before training and after."
        trials = ("slow", "slower", "fast", "faster")
        learns = max(n.closes(trial) for trial in trials) > 0.4 or n.resumed > 0.5 or n("update/first") < 1e-4
        evidence = {"start": n.first("moments/early"), "end": n("moments/early")}
        where = "the recurrent layer"
        return Suspicion("vanishing_gradient", where, said, 0.5 if learns else 0.8, "gradients by moment", evidence)
    for moment, word in ((0, "At the start"), (1, "At the end"))[: 2 if stuck else 1]:
        chain = _chain(n, moment)
        if len(chain) < 4:
            return None
        where, smallest = min(chain[: len(chain) // 2 + 1], key=lambda layer: layer[1])
        ratio = smallest / max(g for _, g in chain)
        if 0 < ratio < 1e-2:  # nothing at all comes through units that are dead, which is another story
            said = f"{word} the gradient of {where} is {ratio:.1e} of the largest layer's."
            evidence = {"ratio": ratio, "gradient": smallest}
            learns = (
                max(n.closes("slow"), n.closes("slower")) > 0.4 or n.resumed > 0.5
            )  # behind vanished gradients nothing does
            sure = 0.5 if learns else 0.9
            return Suspicion("vanishing_gradient", where, said, sure, "gradients by layer", evidence)
    return None


def exploding_gradient(n: Numbers) -> Suspicion | None:
    """Gradients that are huge from the start, through many layers or many moments."""
    grads = [(name, g) for name, (g, _) in n.under("gradient").items()]
    if not (len(grads) > 4 or n.flag("recurrent")) or not grads or not n.short:
        return None
    where, first = grads[0]
    largest = max(g for _, g in grads)
    if (largest > 1e3 or not math.isfinite(largest)) and not n.first("train/loss") < 100 * max(n("loss/null"), 1e-9):
        said = f"At the start the gradient's norm at {where} is {first:.2e}, the loss {n.first('train/loss'):.2e}."
        return Suspicion("exploding_gradient", where, said, 0.9, "gradients by layer at the start", {"norm": first})
    return None


def dead_relu(n: Numbers) -> Suspicion | None:
    """Most units of a layer answer no training row."""
    found = {name: pair for name, pair in n.under("dead").items() if max(pair) > 0.5}
    if not found or not n.short:
        return None
    where = max(found, key=lambda name: found[name][1])
    begin, end = found[where]
    said = f"{end:.0%} of the units of {where} are zero for every training row ({begin:.0%} at the start)."
    lowered = any(pair[0] < -0.3 for name, pair in n.under("weights").items() if name.endswith("/median"))
    born = begin > 0.9 or (begin > 0.5 and lowered)
    evidence = {"start": begin, "end": end}
    return Suspicion("dead_relu", where, said, 0.9 if born else 0.55, "units over the training rows", evidence)


def saturated_activation(n: Numbers) -> Suspicion | None:
    """Most outputs of a sigmoid or tanh are at the rails before training."""
    found = {name: pair for name, pair in n.under("saturated").items() if pair[0] > 0.5 or pair[1] > 0.8}
    if not found or not n.short:
        return None
    where = max(found, key=lambda name: found[name][0])
    begin, end = found[where]
    said = f"{begin:.0%} of the outputs of {where} are at the rails before training ({end:.0%} after)."
    return Suspicion(
        "saturated_activation",
        where,
        said,
        0.9 if begin > 0.5 else 0.5,
        "outputs at start and end",
        {"start": begin, "end": end},
    )
