"""What can be said while a run still goes, without a test: faults that no healthy run shows for a moment.

>>> cut_off(Numbers(history)).where
'2.weight'

A doctor asks these, and those causes of ``program`` and ``rate`` that need no test, at the steps 8, 16, 32, …. The bounds are
far out: what is said here is said into somebody's terminal.
"""

from __future__ import annotations

import math

from thalweg.diagnose.numbers import Numbers, Suspicion

RUN_AWAY = 1e3
OUTGROWN = 1e4
SMALL = 0.02
"""Share of the weights: less than that may well be a head that this loss does not use."""
DEAD = 0.95


def cut_off(n: Numbers) -> Suspicion | None:
    """Weights the optimizer holds, and no gradient has ever reached them."""
    names = list(n.under("early/no_gradient"))
    share = n("early/no_gradient_share")
    if not names or not share > SMALL:
        return None
    said = f"No gradient has reached {', '.join(names[:3])} yet: {share:.0%} of the weights stand still."
    return Suspicion("frozen_params", names[0], said, 0.8, "gradients before the step", {"share": share})


def gradient_runs_away(n: Numbers) -> Suspicion | None:
    """A gradient that is a thousand times what it was."""
    last, usual = n("early/grad_norm"), n("early/grad_norm_usual")
    if math.isfinite(last) and not (last > RUN_AWAY and last > RUN_AWAY * usual):
        return None
    if math.isnan(last) and math.isnan(usual):
        return None
    said = f"The gradient's norm is {last:.2e}; until now it was {usual:.2e}."
    return Suspicion("exploding_gradient", "all parameters", said, 0.7, "gradient norm", {"norm": last, "usual": usual})


def outputs_run_away(n: Numbers) -> Suspicion | None:
    """Outputs ten thousand times as large as the first ones: the steps are too long."""
    grown = n("early/largest") / max(n("early/largest_first"), 1.0)
    if not grown > OUTGROWN:
        return None
    said = f"The largest output has grown by a factor of {grown:.2g}."
    return Suspicion("lr_too_high", "the learning rate", said, 0.7, "size of the outputs", {"factor": grown})


def died(n: Numbers) -> Suspicion | None:
    """A layer nearly all of whose units are zero for every row of a mini-batch."""
    dead = {name: last for name, (_, last) in n.under("early/dead").items() if last > DEAD}
    if not dead:
        return None
    where = max(dead, key=lambda name: dead[name])
    said = f"{dead[where]:.0%} of the units of {where} are zero for every row of a mini-batch."
    return Suspicion("dead_relu", where, said, 0.7, "units over a mini-batch", {"share": dead[where]})
