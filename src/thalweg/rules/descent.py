"""Rules whose step follows the gradient or a running mean of it: gradient descent, momentum, its averages and signs."""

from __future__ import annotations

import sympy

from thalweg.rules.rule import Rule
from thalweg.rules.symbols import (
    alpha,
    beta,
    beta1,
    beta2,
    dampening,
    eps,
    exp_avg,
    g,
    hyper,
    lambd,
    lr,
    momentum,
    momentum_buffer,
    n_columns,
    n_rows,
    norm,
    orthogonal,
    state,
    t,
    t0,
    w,
    weight_decay,
)


def sgd(*, momentum_on: bool = False, nesterov: bool = False) -> Rule:
    """Gradient descent; with momentum as PyTorch defines it: the buffer starts as the undamped gradient."""
    if not momentum_on:
        return Rule("sgd", step=lr * g)
    undamped_at_first = sympy.Piecewise((1, sympy.Eq(t, 1)), (1 - dampening, True))
    ahead = g + momentum * momentum_buffer if nesterov else momentum_buffer
    return Rule("sgd", momentum_buffer=momentum * momentum_buffer + undamped_at_first * g, step=lr * ahead)


def momentum_average() -> Rule:
    """Momentum as an exponentially weighted average: ``m ← βm + (1−β)g``."""
    return Rule("momentum", exp_avg=beta * exp_avg + (1 - beta) * g, step=lr * exp_avg)


def momentum_sum() -> Rule:
    """Momentum as a decaying sum (Polyak's heavy ball): ``m ← βm + g``."""
    return Rule("momentum_sum", momentum_buffer=beta * momentum_buffer + g, step=lr * momentum_buffer)


def nesterov() -> Rule:
    """Nesterov's accelerated gradient with one gradient a step (the variable is the look-ahead point)."""
    return Rule("nesterov", momentum_buffer=beta * momentum_buffer + g, step=lr * (g + beta * momentum_buffer))


def asgd() -> Rule:
    """Averaged gradient descent (Polyak & Juditsky 1992) with PyTorch's schedules of the rate and of the average.

    ``eta`` and ``mu`` are kept as PyTorch keeps them; ``ax`` is the average of the weights.
    """
    eta, mu, ax = hyper("eta"), hyper("mu"), state("ax")
    return Rule(
        "asgd",
        before=(("w", w * (1 - lambd * eta)),),
        step=eta * g,
        after=(
            (ax.name, sympy.Piecewise((w, sympy.Eq(mu, 1)), (ax + (w - ax) * mu, True))),
            (eta.name, lr / (1 + lambd * lr * t) ** alpha),
            (mu.name, 1 / sympy.Max(1, t - t0)),
        ),
        starts={"eta": lr, "mu": 1},
    )


def rprop() -> Rule:
    """Resilient back-propagation (Riedmiller & Braun 1993): each weight's own step, grown or shrunk by the gradient's sign."""
    prev, step_size, way = state("prev"), state("step_size"), state("way")
    shrink, grow, smallest, largest = map(hyper, ("eta_minus", "eta_plus", "step_min", "step_max"))
    factor = sympy.Piecewise((grow, way > 0), (shrink, way < 0), (1, True))
    return Rule(
        "rprop",
        way=sympy.sign(g) * sympy.sign(prev),
        step_size=sympy.Max(sympy.Min(step_size * factor, largest), smallest),
        prev=sympy.Piecewise((0, way < 0), (g, True)),
        step=sympy.sign(prev) * step_size,
        starts={"step_size": lr},
    )


def lion() -> Rule:
    """Lion (Chen et al. 2023): the sign of a mean that leans to this step's gradient."""
    lean = state("lean")
    return Rule(
        "lion",
        lean=beta1 * exp_avg + (1 - beta1) * g,
        exp_avg=beta2 * exp_avg + (1 - beta2) * g,
        step=lr * sympy.sign(lean),
    )


def lars(*, nesterov: bool = False) -> Rule:
    """LARS (You et al. 2017): momentum over gradients whose length is a share of their tensor's.

    The decay is part of the gradient whose length is taken, and the rate stands inside the momentum, as in the paper.
    """
    trust, u = hyper("trust_coefficient"), state("u")
    ratio = trust * norm(w) / (norm(u) + eps)
    scaled = sympy.Piecewise((lr * u, sympy.Eq(norm(w), 0) | sympy.Eq(norm(u), 0)), (lr * ratio * u, True))
    m = momentum_buffer
    push = state("push")
    return Rule(
        "lars",
        u=g + weight_decay * w,
        push=scaled,
        momentum_buffer=momentum * m + push,
        step=push + momentum * m if nesterov else m,
    )


def muon(*, nesterov: bool = True, match_rms: bool = False) -> Rule:
    """Muon (Jordan et al. 2024): the momentum of a matrix, made orthogonal.

    The rate grows with the shape: ``√max(1, rows/columns)``, or ``0.2 √max(rows, columns)``, which gives steps of the size of
    AdamW's (``match_rms``; Liu et al. 2025).
    """
    a, b, c, steps = map(hyper, ("ns_a", "ns_b", "ns_c", "ns_steps"))
    buffer = momentum_buffer
    ahead = momentum * buffer + (1 - momentum) * g if nesterov else buffer
    factor = (
        sympy.Rational(1, 5) * sympy.sqrt(sympy.Max(n_rows, n_columns))
        if match_rms
        else sympy.sqrt(sympy.Max(1, n_rows / n_columns))
    )
    return Rule(
        "muon",
        momentum_buffer=momentum * buffer + (1 - momentum) * g,
        step=lr * factor * orthogonal(ahead, a, b, c, eps, steps),
    )
