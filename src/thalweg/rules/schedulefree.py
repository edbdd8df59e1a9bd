"""Schedule-free learning (Defazio et al. 2024): no schedule and no end of training known beforehand.

Three points: ``z`` takes the steps, ``x`` is a weighted average of all ``z`` and is what one evaluates, and the gradient is
taken at ``y = (1 − β) z + β x``, which is what the weights hold while training. Only ``w = y`` and ``z`` are kept: x follows.
"""

from __future__ import annotations

import sympy
from sympy import sqrt

from thalweg.rules.rule import Rule
from thalweg.rules.symbols import beta1, beta2, eps, exp_avg_sq, g, hyper, lr, momentum, state, t, w, weight_decay

r, warmup_steps, weight_lr_power = map(hyper, ("r", "warmup_steps", "weight_lr_power"))
lr_max, weight_sum, rate, weight, share = map(hyper, ("lr_max", "weight_sum", "rate", "weight", "share"))
z = state("z")


def _free(name: str, direction: sympy.Expr, beta: sympy.Expr, **equations: sympy.Expr) -> Rule:
    """The two points' steps along a direction; the average's share of this z is this rate's among all rates so far."""
    d = state("d")
    return Rule(
        name,
        rate=lr * sympy.Piecewise((t / sympy.Max(warmup_steps, 1), t < warmup_steps), (1, True)),
        lr_max=sympy.Max(lr_max, rate),
        weight=t**r * lr_max**weight_lr_power,
        weight_sum=weight_sum + weight,
        share=sympy.Piecewise((weight / weight_sum, weight_sum > 0), (0, True)),
        **equations,
        d=direction + weight_decay * w,
        step=share * (w - z) + rate * (1 - beta * (1 - share)) * d,
        after=(("z", z - rate * d),),
        starts={"z": w},
    )


def schedule_free_sgd() -> Rule:
    """Gradient descent without a schedule."""
    return _free("schedule_free_sgd", g, momentum)


def schedule_free_adamw() -> Rule:
    """AdamW without a schedule; the second moment is bias-corrected, there is no first one."""
    return _free(
        "schedule_free_adamw",
        g / (sqrt(exp_avg_sq / (1 - beta2**t)) + eps),
        beta1,
        exp_avg_sq=beta2 * exp_avg_sq + (1 - beta2) * g**2,
    )
