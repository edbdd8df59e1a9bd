"""SWATS: from Adam to gradient descent, once the rate to go on with is known (Keskar & Socher 2017).

While Adam leads, each step p says which rate γ would make the gradient step's projection on p be p itself: ``γ = p·p /
p·g``. Its bias-corrected average λ̂ settles as training does; then the rule goes on as gradient descent with momentum and
the rate Λ = λ̂. It is one rule with numbers kept on the host: ``switched`` (0 or 1), ``switch_step``, and ``rate``, which
is Λ over the learning rate at the switch, so that a schedule goes on acting.

When has λ̂ settled? The paper asks for ``|λ̂ − γ| < tol`` with 1e-9, which under the noise of mini-batches is a matter of luck: γ
varies by half its size. Asked otherwise (``paper=False``): once the average has a window of 1/(1−β₂) steps behind it, λ̂ must
have stayed, on average over as many steps, within a share ``tol`` of its own average.
"""

from __future__ import annotations

import sympy
from sympy import sqrt

from thalweg.rules.rule import Rule
from thalweg.rules.symbols import (
    Sum,
    beta1,
    beta2,
    eps,
    exp_avg,
    exp_avg_sq,
    g,
    hyper,
    lr,
    state,
    sum_all,
    sum_group,
    sum_tensor,
    t,
)

SCOPES: dict[str, type[Sum]] = {"global": sum_all, "group": sum_group, "tensor": sum_tensor}


def swats(*, scope: str = "global", paper: bool = False, switched_over: bool = False) -> Rule:
    """SWATS with one rate for all parameters (the paper's), for each group or for each tensor.

    ``switched_over`` is the rule that remains after the switch, with ``rate`` given: a pass over fewer numbers.
    """
    rate = hyper("rate")
    if switched_over:
        return Rule("swats", exp_avg=beta1 * exp_avg + g, step=(1 - beta1) * lr * rate * exp_avg)
    over = SCOPES[scope]
    p, pp, pg = state("p"), hyper("pp"), hyper("pg")
    gamma, gamma_avg, gamma_hat = map(hyper, ("gamma", "gamma_avg", "gamma_hat"))
    slow_avg, drift_avg, drift = map(hyper, ("gamma_slow_avg", "gamma_drift_avg", "gamma_drift"))
    switched, switch_step, now, tol = map(hyper, ("switched", "switch_step", "now", "tol"))
    unbias = 1 - beta2**t
    leading = sympy.Eq(switched, 0)
    settled = (
        (t > 1) & (sympy.Abs(gamma_hat - gamma) < tol) if paper else (t * (1 - beta2) >= 1) & (drift < tol * gamma_hat)
    )
    watched = {} if paper else {
        slow_avg.name: beta2 * slow_avg + (1 - beta2) * gamma_hat,
        drift_avg.name: beta2 * drift_avg + (1 - beta2) * sympy.Abs(gamma_hat - slow_avg / unbias),
        drift.name: drift_avg / unbias,
    }  # fmt: skip
    return Rule(
        "swats",
        exp_avg=beta1 * exp_avg + sympy.Piecewise((1 - beta1, leading), (1, True)) * g,
        exp_avg_sq=beta2 * exp_avg_sq + (1 - beta2) * g**2,
        p=lr * sqrt(unbias) / (1 - beta1**t) * exp_avg / (sqrt(exp_avg_sq) + eps),
        pp=over(p**2),
        pg=over(p * g),
        gamma=pp / pg,
        gamma_avg=sympy.Piecewise((gamma_avg, sympy.Eq(pg, 0)), (beta2 * gamma_avg + (1 - beta2) * gamma, True)),
        gamma_hat=gamma_avg / unbias,
        **watched,
        now=sympy.Piecewise((1, leading & sympy.Ne(pg, 0) & (gamma_hat > 0) & settled), (0, True)),
        rate=sympy.Piecewise((gamma_hat / lr, sympy.Eq(now, 1)), (rate, True)),
        switch_step=sympy.Piecewise((t, sympy.Eq(now, 1)), (switch_step, True)),
        step=sympy.Piecewise((p, leading), ((1 - beta1) * lr * rate * exp_avg, True)),
        after=(
            (switched.name, sympy.Max(switched, now)),
            (exp_avg.name, sympy.Piecewise((0, sympy.Eq(now, 1)), (exp_avg, True))),
        ),
    )
