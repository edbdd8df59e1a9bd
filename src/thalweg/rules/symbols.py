"""The alphabet of update rules: the letters that equations are written in, and the four sums and one matrix function.

``w`` the weight, ``g`` its gradient, ``t`` the number of this step (from 1). Hyperparameters carry PyTorch's names, so a rule
reads like the paper and its options like the library: ``lr``, ``beta1``, ``eps`` … Any other name can be made with
``hyper`` (a hyperparameter) or ``state`` (one number kept for each weight from step to step, starting at 0).

>>> momentum_buffer = state("momentum_buffer")
>>> beta * momentum_buffer + (1 - beta) * g

What reaches beyond one element is a sum of an element-wise expression over a scope, ``sum_tensor(w**2)``, or a function of
a whole matrix, ``orthogonal(x, …)``. Everything else in an equation acts on each element by itself.
"""

from __future__ import annotations

import sympy


def state(name: str) -> sympy.Symbol:
    """One number for each weight, kept from step to step."""
    return sympy.Symbol(name, real=True)


def hyper(name: str) -> sympy.Symbol:
    """A hyperparameter: one number for a group of parameters, which may change from step to step."""
    return sympy.Symbol(name, real=True)


class Sum(sympy.Function):
    """A sum of an element-wise expression, one number for its scope; accumulated in float64."""

    nargs = 1
    is_real = True
    scope: str


class sum_all(Sum):
    """Over all elements of all parameters that follow a rule with this sum."""

    scope = "all"


class sum_group(Sum):
    """Over all elements of a parameter group."""

    scope = "group"


class sum_tensor(Sum):
    """Over all elements of a parameter."""

    scope = "tensor"


class sum_unit(Sum):
    """Over what feeds one output unit: a parameter's slice along its first dimension; a vector is one unit."""

    scope = "unit"


class orthogonal(sympy.Function):
    """``orthogonal(x, a, b, c, eps, steps)``: the matrix nearest to ``x`` with singular values near 1 (Newton–Schulz).

    A parameter of more than two dimensions is taken as (first, all others). The five numbers after x are PyTorch's
    ``ns_coefficients``, ``eps`` and ``ns_steps`` (Jordan et al. 2024).
    """

    nargs = 6
    is_real = True


def norm(value: sympy.Expr, scope: type[Sum] = sum_tensor) -> sympy.Expr:
    """The 2-norm ``√Σx²`` over a scope."""
    return sympy.sqrt(scope(value**2))


w, g = state("w"), state("g")
t = sympy.Symbol("t", integer=True, positive=True)
n_rows, n_columns = sympy.symbols("n_rows n_columns", real=True)
"""A parameter's first dimension, and the product of the others: one number for each tensor."""

lr, beta, beta1, beta2, beta3, rho, eps = map(hyper, ("lr", "beta", "beta1", "beta2", "beta3", "rho", "eps"))
momentum, dampening, weight_decay, lr_decay, alpha, momentum_decay, lambd, t0 = map(
    hyper, ("momentum", "dampening", "weight_decay", "lr_decay", "alpha", "momentum_decay", "lambd", "t0")
)
clip_value, clip_norm, gradient_norm, clip_tensor_norm, clip_adaptive = map(
    hyper, ("clip_value", "clip_norm", "gradient_norm", "clip_tensor_norm", "clip_adaptive")
)
l1, ema, swa_start, swa_every = map(hyper, ("l1", "ema", "swa_start", "swa_every"))

exp_avg, exp_avg_sq, max_exp_avg_sq, exp_inf = map(state, ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "exp_inf"))
momentum_buffer, square_avg, grad_avg, acc_delta, total = map(
    state, ("momentum_buffer", "square_avg", "grad_avg", "acc_delta", "sum")
)
mu_product = hyper("mu_product")

USUAL = {
    "lr": 1e-3, "beta": 0.9, "beta1": 0.9, "beta2": 0.999, "beta3": 0.99, "rho": 0.9, "alpha": 0.99, "eps": 1e-8,
    "momentum": 0.9, "dampening": 0.0, "lr_decay": 0.0, "momentum_decay": 4e-3, "initial_accumulator_value": 0.0,
    "initial_accumulator": 1e-6, "lambd": 1e-4, "t0": 1e6, "eta_minus": 0.5, "eta_plus": 1.2, "step_min": 1e-6,
    "step_max": 50.0, "trust_coefficient": 1e-3, "ns_a": 3.4445, "ns_b": -4.775, "ns_c": 2.0315, "ns_steps": 5.0,
    "r": 0.0, "warmup_steps": 0.0, "weight_lr_power": 2.0, "tol": 0.1, "l1": 0.0,
}  # fmt: skip
"""The number a letter stands for where nothing else is said."""
SHAPES = ("n_rows", "n_columns")
"""Names that stand for a tensor's shape."""
