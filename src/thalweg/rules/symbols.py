"""The alphabet of update rules: the letters that equations are written in.

``w`` the weight, ``g`` its gradient, ``t`` the number of this step (from 1). Hyperparameters carry PyTorch's names, so a rule
reads like the paper and its options like the library: ``lr``, ``beta1``, ``eps`` … Any other name can be made with
``hyper`` (a hyperparameter) or ``state`` (one number kept for each weight from step to step, starting at 0).

>>> momentum_buffer = state("momentum_buffer")
>>> beta * momentum_buffer + (1 - beta) * g
"""

from __future__ import annotations

import sympy


def state(name: str) -> sympy.Symbol:
    """One number for each weight, kept from step to step."""
    return sympy.Symbol(name, real=True)


def hyper(name: str) -> sympy.Symbol:
    """A hyperparameter: one number for a group of parameters, which may change from step to step."""
    return sympy.Symbol(name, real=True)


w, g = state("w"), state("g")
t = sympy.Symbol("t", integer=True, positive=True)

lr, beta, beta1, beta2, rho, eps = map(hyper, ("lr", "beta", "beta1", "beta2", "rho", "eps"))
momentum, dampening, weight_decay, lr_decay, alpha, momentum_decay = map(
    hyper, ("momentum", "dampening", "weight_decay", "lr_decay", "alpha", "momentum_decay")
)
clip_value, clip_norm, gradient_norm = map(hyper, ("clip_value", "clip_norm", "gradient_norm"))

exp_avg, exp_avg_sq, max_exp_avg_sq = map(state, ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"))
momentum_buffer, square_avg, grad_avg, acc_delta, total = map(
    state, ("momentum_buffer", "square_avg", "grad_avg", "acc_delta", "sum")
)
mu_product = hyper("mu_product")

USUAL = {
    "lr": 1e-3, "beta": 0.9, "beta1": 0.9, "beta2": 0.999, "rho": 0.9, "alpha": 0.99, "eps": 1e-8, "momentum": 0.9,
    "dampening": 0.0, "lr_decay": 0.0, "momentum_decay": 4e-3,
}  # fmt: skip
"""The number a letter stands for where nothing else is said."""
