"""THE table: every named rule, as its equations. A new row is tested, compiled and offered everywhere at once.

Where two forms are in use both stand here: ε outside the root (PyTorch) and inside it (``eps_inside=True``: the papers'
formulas as usually printed, Keras), momentum as an average and as a sum, AMSGrad with two recurrences and with one.
"""

from __future__ import annotations

from collections.abc import Callable

import sympy
from sympy import sqrt

from thalweg.rules import moments
from thalweg.rules.rule import Rule
from thalweg.rules.symbols import (
    acc_delta,
    alpha,
    beta,
    beta1,
    beta2,
    dampening,
    eps,
    exp_avg,
    exp_avg_sq,
    g,
    grad_avg,
    lr,
    lr_decay,
    max_exp_avg_sq,
    momentum,
    momentum_buffer,
    momentum_decay,
    mu_product,
    rho,
    square_avg,
    state,
    t,
    total,
)  # fmt: skip


def _root(v: sympy.Expr, inside: bool) -> sympy.Expr:
    return sqrt(v + eps) if inside else sqrt(v) + eps


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


def adagrad(*, eps_inside: bool = False) -> Rule:
    """AdaGrad (Duchi et al. 2011)."""
    return Rule("adagrad", sum=total + g**2, step=lr / (1 + (t - 1) * lr_decay) * g / _root(total, eps_inside))


def adadelta() -> Rule:
    """AdaDelta (Zeiler 2012): the step uses ``acc_delta`` of the steps before, which is then updated with this one."""
    delta = state("delta")
    value = sqrt(acc_delta + eps) / sqrt(square_avg + eps) * g
    return Rule(
        "adadelta",
        square_avg=rho * square_avg + (1 - rho) * g**2,
        delta=value,
        acc_delta=rho * acc_delta + (1 - rho) * delta**2,
        step=lr * delta,
    )


def rmsprop(*, centered: bool = False, momentum_on: bool = False, eps_inside: bool = False) -> Rule:
    """RMSProp (Tieleman & Hinton 2012); centered (Graves 2013) subtracts the squared mean."""
    states = {"square_avg": alpha * square_avg + (1 - alpha) * g**2}
    v = square_avg
    if centered:
        states["grad_avg"] = alpha * grad_avg + (1 - alpha) * g
        v = square_avg - grad_avg**2
    direction = g / _root(v, eps_inside)
    if momentum_on:
        return Rule(
            "rmsprop", **states, momentum_buffer=momentum * momentum_buffer + direction, step=lr * momentum_buffer
        )
    return Rule("rmsprop", **states, step=lr * direction)


def adam(*, amsgrad: bool = False, eps_inside: bool = False) -> Rule:
    """Adam (Kingma & Ba 2015); with ``amsgrad`` the second moment never decreases (Reddi et al. 2018)."""
    states = {
        "exp_avg": beta1 * exp_avg + (1 - beta1) * g,
        "exp_avg_sq": beta2 * exp_avg_sq + (1 - beta2) * g**2,
    }
    v = exp_avg_sq
    if amsgrad:
        states["max_exp_avg_sq"] = sympy.Max(max_exp_avg_sq, exp_avg_sq)
        v = max_exp_avg_sq
    step = lr * (exp_avg / (1 - beta1**t)) / _root(v / (1 - beta2**t), eps_inside)
    return Rule("amsgrad" if amsgrad else "adam", **states, step=step)


def amsgrad_single() -> Rule:
    """AMSGrad in the form with one recurrence: ``V ← max(βV + (1−β)g², V)``."""
    return moments.compose(
        first=moments.average(beta1), second=moments.single_max(beta2), corrected=True, name="amsgrad_single"
    )


def nadam() -> Rule:
    """NAdam (Dozat 2016) with PyTorch's schedule of the momentum, ``μ_t = β₁(1 − ½·0.96^(t·ψ))``."""

    def mu(step: sympy.Expr) -> sympy.Expr:
        return beta1 * (1 - sympy.Rational(1, 2) * sympy.Float("0.96") ** (step * momentum_decay))

    ahead = mu(t + 1)
    root = sqrt(exp_avg_sq / (1 - beta2**t)) + eps
    return Rule(
        "nadam",
        exp_avg=beta1 * exp_avg + (1 - beta1) * g,
        exp_avg_sq=beta2 * exp_avg_sq + (1 - beta2) * g**2,
        step=lr * (1 - mu(t)) / (1 - mu_product) * g / root + lr * ahead / (1 - mu_product * ahead) * exp_avg / root,
        scalars={"mu_product": (1.0, mu_product * mu(t))},
    )


TABLE: dict[str, Callable[..., Rule]] = {
    "sgd": sgd,
    "momentum": momentum_average,
    "momentum_sum": momentum_sum,
    "nesterov": nesterov,
    "adagrad": adagrad,
    "adadelta": adadelta,
    "rmsprop": rmsprop,
    "adam": adam,
    "amsgrad_single": amsgrad_single,
    "nadam": nadam,
}
