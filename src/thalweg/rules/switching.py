"""SWATS: from Adam to gradient descent, once the rate to go on with is known (Keskar & Socher 2017).

While Adam leads, each step p says which rate γ would make the gradient step's projection on p be p itself: ``γ = p·p /
p·g``. Its bias-corrected average λ̂ settles as training does; then the rule goes on as gradient descent with momentum and
the rate Λ = λ̂. It is one rule with numbers kept on the host: ``switched`` (0 or 1), ``switch_step``, and ``rate``, which
is Λ over the learning rate at the switch, so that a schedule goes on acting.

When has λ̂ settled? The paper asks for ``|λ̂ − γ| < tol`` with 1e-9, which under the noise of mini-batches is a matter of
luck: p·g passes through zero, one such step makes a γ of thousands, and the average of γ jumps or turns negative. Asked
otherwise (``paper=False``), the two products are averaged apart, in units of the learning rate, so that a schedule does not
drag, and λ̂ is their quotient. It has settled when, with a window of 1/(1−β₂) steps behind it, it lies within a share
``tol`` of its own average, and has done so on average over as many steps.
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

Watched = dict[str, sympy.Expr]
SCOPES: dict[str, type[Sum]] = {"global": sum_all, "group": sum_group, "tensor": sum_tensor}


def swats(*, scope: str = "global", paper: bool = False, switched_over: bool = False) -> Rule:
    """SWATS with one rate for all parameters (the paper's), for each group or for each tensor.

    ``switched_over`` is the rule that remains after the switch, with ``rate`` given: a pass over fewer numbers.
    """
    rate = hyper("rate")
    if switched_over:
        return Rule("swats", exp_avg=beta1 * exp_avg + g, step=(1 - beta1) * lr * rate * exp_avg)
    over = SCOPES[scope]
    p, along = state("p"), state("along")
    switched, switch_step, now, tol = map(hyper, ("switched", "switch_step", "now", "tol"))
    leading = sympy.Eq(switched, 0)
    watched, found, settled = _as_in_the_paper(over, tol) if paper else _over_a_window(over, tol)
    return Rule(
        "swats",
        exp_avg=beta1 * exp_avg + sympy.Piecewise((1 - beta1, leading), (1, True)) * g,
        exp_avg_sq=beta2 * exp_avg_sq + (1 - beta2) * g**2,
        along=sqrt(1 - beta2**t) / (1 - beta1**t) * exp_avg / (sqrt(exp_avg_sq) + eps),
        p=lr * along,
        **watched,
        now=sympy.Piecewise((1, leading & (lr > 0) & (found > 0) & settled), (0, True)),
        rate=sympy.Piecewise((found, sympy.Eq(now, 1)), (rate, True)),
        switch_step=sympy.Piecewise((t, sympy.Eq(now, 1)), (switch_step, True)),
        step=sympy.Piecewise((p, leading), ((1 - beta1) * lr * rate * exp_avg, True)),
        after=(
            (switched.name, sympy.Max(switched, now)),
            (exp_avg.name, sympy.Piecewise((0, sympy.Eq(now, 1)), (exp_avg, True))),
        ),
    )


def _as_in_the_paper(over: type[Sum], tol: sympy.Expr) -> tuple[Watched, sympy.Expr, sympy.Expr]:
    """γ of each step, its average, and whether the two agree. Gives the equations, the rate in learning rates, the test."""
    p, pp, pg = state("p"), hyper("pp"), hyper("pg")
    gamma, gamma_avg, gamma_hat = map(hyper, ("gamma", "gamma_avg", "gamma_hat"))
    equations = {
        "pp": over(p**2),
        "pg": over(p * g),
        "gamma": pp / pg,
        "gamma_avg": sympy.Piecewise((gamma_avg, sympy.Eq(pg, 0)), (beta2 * gamma_avg + (1 - beta2) * gamma, True)),
        "gamma_hat": gamma_avg / (1 - beta2**t),
    }
    return equations, gamma_hat / lr, (t > 1) & sympy.Ne(pg, 0) & (sympy.Abs(gamma_hat - gamma) < tol)


def _over_a_window(over: type[Sum], tol: sympy.Expr) -> tuple[Watched, sympy.Expr, sympy.Expr]:
    """The averages of both products, their quotient, and whether it has stayed where it is."""
    along, square, across = state("along"), hyper("uu"), hyper("ug")
    square_avg, across_avg, quotient = map(hyper, ("gamma_square_avg", "gamma_across_avg", "quotient"))
    slow_avg, slow, gap, drift_avg = map(hyper, ("gamma_slow_avg", "slow", "gap", "gamma_drift_avg"))
    unbias = 1 - beta2**t

    def averaged(average: sympy.Symbol, value: sympy.Symbol) -> sympy.Expr:
        return sympy.Piecewise((average, sympy.Eq(across, 0)), (beta2 * average + (1 - beta2) * value, True))

    equations = {
        "uu": over(along**2),
        "ug": over(along * g),
        square_avg.name: averaged(square_avg, square),
        across_avg.name: averaged(across_avg, across),
        "quotient": sympy.Piecewise((0, sympy.Eq(across_avg, 0)), (square_avg / across_avg, True)),
        slow_avg.name: averaged(slow_avg, quotient),
        "slow": slow_avg / unbias,
        "gap": sympy.Abs(quotient - slow),
        drift_avg.name: averaged(drift_avg, gap),
    }
    settled = (t * (1 - beta2) >= 1) & (gap < tol * slow) & (drift_avg / unbias < tol * slow)
    return equations, quotient, sympy.Ne(across, 0) & settled
