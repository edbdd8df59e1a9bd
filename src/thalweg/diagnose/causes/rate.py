"""How fast it went: the rate, the number of steps, a schedule that died, numbers that broke.

>>> lr_too_high(Numbers(history)).test
'a tenth of the rate from the same start'
"""

from __future__ import annotations

import math

from thalweg.diagnose.numbers import Numbers, Suspicion


def nan(n: Numbers) -> Suspicion | None:
    """Numbers that are none, in the data or by the arithmetic of the loss."""
    for part, what in (("input", "inputs"), ("target", "targets")):
        share = n(f"{part}/not_finite")
        if share > 0:
            said = f"{share:.1%} of the training rows looked at have {what} that are NaN or infinite."
            return Suspicion("nan", f"the {what}", said, 0.98, "the training rows", {"share": share})
    if not n.broken:
        return None
    step = n("loop/first_bad", n("n/steps"))
    said = f"The output is not finite from step {step:.0f} on."
    tame = n("trial/slow/loss")
    return Suspicion("nan", f"step {step:.0f}", said, 0.6 if math.isfinite(tame) else 0.9, "a tenth of the rate", n.these(
        "loop/first_bad", "trial/slow/loss"))  # fmt: skip


def lr_too_high(n: Numbers) -> Suspicion | None:
    """A tenth of the rate learns where this one does not."""
    best = max(("slow", "slower"), key=lambda trial: n.closes(trial) if math.isfinite(n.closes(trial)) else -9.0)
    gain = n.closes(best)
    if not n.short or not gain > 0.2:
        return None
    factor = {"slow": "a tenth", "slower": "a hundredth"}[best]
    said = f"From the same start {factor} of the rate ends at an error of {n(f'trial/{best}/error'):.3g} instead of {n('trial/same/error'):.3g}."
    return Suspicion("lr_too_high", "the learning rate", said, min(0.6 + 0.4 * gain, 0.95), f"{factor} of the rate from the same start", n.these(
        "trial/same/error", f"trial/{best}/error", "rate/top"))  # fmt: skip


def lr_too_low(n: Numbers) -> Suspicion | None:
    """Ten times the rate learns much more in as many steps, and more steps would not do."""
    gain = max((n.closes(t) for t in ("fast", "faster") if math.isfinite(n.closes(t))), default=math.nan)
    if not n.underfits or not gain > 0.3:
        return None
    said = f"From the same start ten times the rate ends at an error of {n('trial/fast/error'):.3g} instead of {n('trial/same/error'):.3g}."
    return Suspicion("lr_too_low", "the learning rate", said, min(0.5 + 0.4 * gain, 0.95), "ten times the rate from the same start", n.these(
        "trial/same/error", "trial/fast/error", "trial/faster/error", "rate/top"))  # fmt: skip


def undertrained(n: Numbers) -> Suspicion | None:
    """More steps of the same go on learning."""
    gain = (n("train/error") - n("trial/more/error")) / max(n.unfit, 0.02)
    if not n.underfits or not gain > 0.3:
        return None
    said = f"{n('trial/more/steps'):.0f} more steps bring the training error from {n('train/error'):.3g} to {n('trial/more/error'):.3g}."
    return Suspicion("undertrained", "the number of steps", said, min(0.5 + 0.4 * gain, 0.95), "more steps of the same", n.these(
        "train/error", "trial/more/error", "trial/more/steps", "n/steps"))  # fmt: skip


def plateau(n: Numbers) -> Suspicion | None:
    """A schedule that died, or a loss that stands still for no other reason."""
    if n("rate/alive") < 0.5 and n.underfits:
        said = f"The learning rate was below a hundredth of its top for {1 - n('rate/alive'):.0%} of the run."
        return Suspicion("plateau", "the schedule", said, 0.9, "rates of the run", n.these("rate/alive", "rate/top", "rate/last"))
    return None
