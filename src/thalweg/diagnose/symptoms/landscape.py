"""What the curvature says: a rate beyond the edge of stability, a loss that stands still on a saddle.

>>> beyond_the_edge(history, Facts(stable_product=2.0)).evidence["rate times sharpness"]
7.4
>>> saddle(history, facts).sentence
'The loss stands still at 2.3 on a saddle: 0.31 of the curvature is negative, so there are ways down …'

Both need ``curvature/sharpness`` or ``curvature/negative``, which a run records only where it was asked to.
"""

from __future__ import annotations

import math

import numpy as np

from thalweg.diagnose.finding import Chart, Facts, Finding, Series
from thalweg.diagnose.measures import final_skill, finite
from thalweg.diagnose.symptoms.rate import FEWEST, FLAT, UNLEARNED, product
from thalweg.history import History

NEGATIVE = 0.05
"""Share of negative curvature beside which a point is no minimum."""
NOTHING = 0.05


def beyond_the_edge(history: History, facts: Facts) -> Finding | None:
    """Rate times sharpness stays above what the rule bears on a quadratic, and the network does not learn.

    A run that learns hovers at that edge (Cohen et al. 2021), which harms nothing.
    """
    found = product(history)
    limit = facts.stable_product
    if not limit > 0 or len(found.values) < 2 or not final_skill(history, facts) < UNLEARNED:
        return None
    middle = float(np.median(found.values[len(found.values) // 2 :]))
    if not middle > limit:
        return None
    return Finding(
        "lr_too_high",
        f"The learning rate is too high: rate times sharpness is {middle:.3g}, and the rule is stable up to {limit:.3g}.",
        "the learning rate",
        {"rate times sharpness": middle, "stable up to": limit, "share learned": final_skill(history, facts)},
        0.85,
        f"Lower the learning rate (lr) by a factor of {2 * middle / limit:.2g} or more; warm it up (warmup = 0.05).",
        "Cohen et al., Gradient descent at the edge of stability, ICLR 2021",
        "critical",
        Chart((Series("rate times sharpness", *found),), y="rate · sharpness", log=True, level=limit),
    )


def saddle(history: History, facts: Facts) -> Finding | None:
    """The loss has stood still for half of the run, nothing is learned, and some of the curvature is negative."""
    steps, losses = finite(history.column("train/loss"))
    negative = finite(history.column("curvature/negative"))
    if len(losses) < 2 * FEWEST or not len(negative.values) or not final_skill(history, facts) < NOTHING:
        return None
    late = losses[len(losses) // 2 :]
    share = float(np.median(negative.values[-3:]))
    if not np.ptp(late) < FLAT * abs(late[-1]) or not share > NEGATIVE:
        return None
    evidence = {"loss": float(late[-1]), "negative curvature": share}
    if math.isfinite(norm := history.last("grad_norm")):
        evidence["gradient norm"] = norm
    return Finding(
        "plateau",
        f"The loss stands still at {late[-1]:.3g} on a saddle: {share:.2g} of the curvature is negative, so there are ways "
        f"down that gradients hardly show.",
        "train/loss",
        evidence,
        0.7,
        "Raise the learning rate or add momentum, initialise at random for the activation (init = auto), use batch "
        "normalisation.",
        "Dauphin et al., NeurIPS 2014 (saddle points)",
        "critical",
        Chart((Series("train", steps, losses),), y="loss"),
    )
