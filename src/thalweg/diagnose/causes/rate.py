"""How fast it went: the rate, the number of steps, a schedule that died, numbers that broke.

>>> lr_too_high(Numbers(history)).test
'a tenth of the rate from the same start'
"""

from __future__ import annotations

import math

from thalweg.diagnose.numbers import Numbers, Suspicion

USUAL_PACE, USUAL_PASSES = 5e-4, 5.0
CRAWL = 1e-4
"""Of the weights in a step: below it nothing is learned in any usual number of steps."""
WORSE = 1.2
"""Of the blank answer's loss: beyond it the answers are worse than none."""
BLOWN = 1e3
"""Outputs so many times their first size have run away; below it, numbers that are none come from the arithmetic."""


NEGATIVE = 0.05
"""Share of negative curvature above which a place without gradient is a saddle."""


def nan(n: Numbers) -> Suspicion | None:
    """Numbers that are none, in the data or by the arithmetic of the loss."""
    for part, what in (("input", "inputs"), ("target", "targets")):
        share = n(f"{part}/not_finite")
        if share > 0:
            said = f"{share:.1%} of the training rows looked at have {what} that are NaN or infinite."
            return Suspicion("nan", f"the {what}", said, 0.98, "the training rows", {"share": share})
    step = n("loop/first_bad", n("n/steps"))
    if not n.broken or math.isnan(step):
        return None
    grown = n("loop/largest_before") / max(n("loop/largest_first"), 1.0)
    blown = grown > BLOWN or n.first("train/loss") > BLOWN * max(abs(n("loss/null")), 1e-9) or not step > 1
    said = f"The output is not finite from step {step:.0f} on; before, it had grown by a factor of {grown:.3g}."
    evidence = n.these("loop/first_bad", "loop/largest_first", "loop/largest_before", "trial/slow/loss")
    return Suspicion("nan", f"step {step:.0f}", said, 0.5 if blown else 0.92, "size of the outputs before", evidence)


def lr_too_high(n: Numbers) -> Suspicion | None:
    """A tenth of the rate learns where this one does not."""
    best = max(("slow", "slower"), key=lambda trial: n.closes(trial) if math.isfinite(n.closes(trial)) else -9.0)
    gain = n.closes(best)
    if not n.short or not gain > 0.2:
        return _unsteady(n) or _astray(n)
    factor = {"slow": "a tenth", "slower": "a hundredth"}[best]
    ends = n(f"trial/{best}/error")
    said = f"From the same start {factor} of the rate ends at an error of {ends:.3g} instead of {n('trial/same/error'):.3g}."
    evidence = n.these("trial/same/error", f"trial/{best}/error", "rate/top")
    sure = min(0.6 + 0.4 * gain, 0.95)
    where = "the learning rate"
    if added := _added(n):
        where, said = "gradient accumulation", f"{added} {said}"
        evidence |= n.these("loop/passes", "loop/added")
    return Suspicion("lr_too_high", where, said, sure, f"{factor} of the rate from the same start", evidence)


def _unsteady(n: Numbers) -> Suspicion | None:
    """Few steps at a tenth of the rate end where the whole run did not come."""
    slow, same = n("trial/slow/error"), n("trial/same/error")
    lost = n.underfits and n("trial/more/error") > n("train/error") > slow + 0.5 * max(n.unfit, 0.02)
    thrown = n.closes("slow") > 0.5 and n("trial/slow/dev_error") <= n("dev/error")
    if n("trial/slow/steps") > 0.5 * n("n/steps") or not (lost or thrown):
        return None
    said = (
        f"{n('trial/slow/steps'):.0f} steps at a tenth of the rate end at an error of {slow:.3g} "
        f"({same:.3g} at the rate itself), {n('n/steps'):.0f} steps of the run at {n('train/error'):.3g}."
    )
    evidence = n.these("trial/slow/error", "trial/slow/dev_error", "trial/same/error", "trial/more/error", "rate/top")
    return Suspicion("lr_too_high", "the learning rate", said, 0.8, "a tenth of the rate from the same start", evidence)


def _astray(n: Numbers) -> Suspicion | None:
    """Steps that lead from a sound start to answers worse than none, the further the longer they are: a rate so absurd that a
    hundredth of it is too high as well."""
    worse = WORSE * abs(n("loss/null"))
    ends, slow, slower = (n(f"trial/{trial}/loss") for trial in ("same", "slow", "slower"))
    lost = n.underfits and n("train/error") > 0.6 * n("chance") and n("train/loss") > worse > n.first("train/loss")
    if not lost or not ends > worse or not slower < slow < 0.8 * ends:
        return None
    said = (
        f"The loss rose from {n.first('train/loss'):.3g} to {n('train/loss'):.3g}; at a hundredth of the rate less far."
    )
    evidence = n.these("trial/same/loss", "trial/slow/loss", "trial/slower/loss", "loss/null", "rate/top")
    return Suspicion(
        "lr_too_high", "the learning rate", said, 0.85, "a hundredth of the rate from the same start", evidence
    )


def _added(n: Numbers) -> str:
    """The sentence on gradients that are added over mini-batches where they should be averaged; empty where they are not."""
    if not n("loop/added") > 1.5:
        return ""
    return (
        f"A step adds the gradients of {n('loop/passes'):.0f} mini-batches without dividing by their number, which makes it "
        f"{n('loop/added'):.2g} times as long."
    )


def accumulation(n: Numbers) -> Suspicion | None:
    """Gradients that are added and not averaged, where that did no harm."""
    said = _added(n)
    if not said or (n.short and max(n.closes("slow"), n.closes("slower")) > 0.2):
        return None
    evidence = n.these("loop/passes", "loop/added")
    return Suspicion(
        "lr_too_high", "gradient accumulation", said, 0.5, "gradients of mini-batches against the loss", evidence, True
    )


def _few_steps(n: Numbers) -> bool:
    """Whether it was the number of steps and not their size: more of the same help, and steps as large as healthy ones
    (about 1e-3 of the weights) in few passes are the likelier cause than small ones in many."""
    return n.resumed > 0.25 and n("update/first") / USUAL_PACE * USUAL_PASSES / n("passes") > 1


def lr_too_low(n: Numbers) -> Suspicion | None:
    """Ten times the rate learns much more in as many steps, and more steps would not do."""
    gain = max((n.closes(t) for t in ("fast", "faster") if math.isfinite(n.closes(t))), default=math.nan)
    faster = min(n("trial/fast/error", math.inf), n("trial/faster/error", math.inf))
    settled = faster > n("train/error") - 0.15 * n.unfit and n.resumed < 0.1  # slow, but it got where it was going
    crawls = n("update/first") < CRAWL and n("trial/fast/loss") < n("trial/same/loss")
    untold = math.isnan(n("reference/train")) and n("train/error") > 0.95 * n("chance")  # nobody knows what data allow
    if not (n.underfits or (untold and crawls)) or not (crawls or (gain > 0.3 and not settled)):
        return None
    gain = max(gain, 0.5) if crawls else gain
    ends = n("trial/fast/error")
    said = (
        f"From the same start ten times the rate ends at an error of {ends:.3g} instead of {n('trial/same/error'):.3g}."
    )
    sure = 0.6 if _few_steps(n) else min(0.75 + 0.2 * gain, 0.95)
    evidence = n.these("trial/same/error", "trial/fast/error", "trial/faster/error", "rate/top")
    return Suspicion("lr_too_low", "the learning rate", said, sure, "ten times the rate from the same start", evidence)


def undertrained(n: Numbers) -> Suspicion | None:
    """More steps of the same go on learning."""
    gain = n.resumed
    if not n.underfits or not gain > 0.25:
        return None
    sure = min(0.75 + 0.2 * gain, 0.95) if _few_steps(n) else 0.6
    ends, steps = n("trial/more/error"), n("trial/more/steps")
    said = f"{steps:.0f} more steps bring the training error from {n('train/error'):.3g} to {ends:.3g}."
    evidence = n.these("train/error", "trial/more/error", "trial/more/steps", "n/steps")
    return Suspicion("undertrained", "the number of steps", said, sure, "more steps of the same", evidence)


def plateau(n: Numbers) -> Suspicion | None:
    """A schedule that died, or a loss that stands still for no other reason."""
    enough = 0.15 if n("rate/alive") > 0.25 else 0.04
    if n("rate/alive") < 0.5 and (n.underfits or n.gained("more") > enough):
        said = f"The learning rate was below a hundredth of its top for {1 - n('rate/alive'):.0%} of the run."
        return Suspicion(
            "plateau", "the schedule", said, 0.9, "rates of the run", n.these("rate/alive", "rate/top", "rate/last")
        )
    if n.underfits and n("curvature/negative") > NEGATIVE and n("train/error") > 0.8 * n("chance"):
        said = (
            f"The gradient has all but vanished ({n('end/gradient'):.1e} of its first size) and "
            f"{n('curvature/negative'):.2g} of the curvature is negative: a saddle, not a minimum."
        )
        evidence = n.these("end/gradient", "curvature/negative", "curvature/sharpness")
        return Suspicion("plateau", "the end of the run", said, 0.7, "Hessian-vector products at the end", evidence)
    return None
