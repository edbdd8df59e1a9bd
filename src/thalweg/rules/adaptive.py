"""Rules that divide by a running size of each element's gradient: AdaGrad, AdaDelta, RMSProp, Adam and its descendants.

Where two forms are in use both stand here: ε outside the root (PyTorch) and inside it (``eps_inside=True``: the papers'
formulas as usually printed, Keras), AMSGrad with two recurrences and with one.
"""

from __future__ import annotations

import sympy
from sympy import sqrt

from thalweg.rules import moments
from thalweg.rules.rule import Rule
from thalweg.rules.symbols import (
    acc_delta,
    alpha,
    beta1,
    beta2,
    beta3,
    eps,
    exp_avg,
    exp_avg_sq,
    exp_inf,
    g,
    grad_avg,
    hyper,
    lr,
    lr_decay,
    max_exp_avg_sq,
    momentum,
    momentum_buffer,
    momentum_decay,
    mu_product,
    norm,
    rho,
    square_avg,
    state,
    t,
    total,
    w,
    weight_decay,
)

FIRST = beta1 * exp_avg + (1 - beta1) * g
SECOND = beta2 * exp_avg_sq + (1 - beta2) * g**2
UNBIASED = exp_avg / (1 - beta1**t)


def _root(v: sympy.Expr, inside: bool) -> sympy.Expr:
    return sqrt(v + eps) if inside else sqrt(v) + eps


def adagrad(*, eps_inside: bool = False) -> Rule:
    """AdaGrad (Duchi et al. 2011)."""
    return Rule(
        "adagrad",
        sum=total + g**2,
        step=lr / (1 + (t - 1) * lr_decay) * g / _root(total, eps_inside),
        starts={"sum": hyper("initial_accumulator_value")},
    )


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
    states = {"exp_avg": FIRST, "exp_avg_sq": SECOND}
    v = exp_avg_sq
    if amsgrad:
        states["max_exp_avg_sq"] = sympy.Max(max_exp_avg_sq, exp_avg_sq)
        v = max_exp_avg_sq
    step = lr * UNBIASED / _root(v / (1 - beta2**t), eps_inside)
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
        mu_product=mu_product * mu(t),
        exp_avg=FIRST,
        exp_avg_sq=SECOND,
        step=lr * (1 - mu(t)) / (1 - mu_product) * g / root + lr * ahead / (1 - mu_product * ahead) * exp_avg / root,
        starts={"mu_product": 1},
    )


def radam() -> Rule:
    """RAdam (Liu et al. 2020): the plain mean until the second moment can be trusted, ε as in PyTorch (hat form)."""
    rho_inf, rho_t = 2 / (1 - beta2) - 1, hyper("rho_t")
    trusted = sqrt((rho_t - 4) * (rho_t - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho_t) * (1 - beta2**t))
    rectified = sympy.Piecewise((trusted, rho_t > 5), (0, True))
    plain = sympy.Piecewise((0, rho_t > 5), (1, True))
    return Rule(
        "radam",
        rho_t=rho_inf - 2 * t * beta2**t / (1 - beta2**t),
        exp_avg=FIRST,
        exp_avg_sq=SECOND,
        step=lr * UNBIASED * (rectified / (sqrt(exp_avg_sq) + eps) + plain),
    )


def adamax() -> Rule:
    """Adamax (Kingma & Ba 2015, section 7.1): the largest size instead of the mean square; ε where PyTorch has it."""
    return Rule(
        "adamax",
        exp_avg=FIRST,
        exp_inf=sympy.Max(beta2 * exp_inf, sympy.Abs(g) + eps),
        step=lr * UNBIASED / exp_inf,
    )


def adabelief() -> Rule:
    """AdaBelief (Zhuang et al. 2020): the second moment is that of the surprise ``g − m``; ε inside and outside."""
    surprise = beta2 * exp_avg_sq + (1 - beta2) * (g - exp_avg) ** 2 + eps
    return Rule(
        "adabelief", exp_avg=FIRST, exp_avg_sq=surprise, step=lr * UNBIASED / (sqrt(exp_avg_sq / (1 - beta2**t)) + eps)
    )


def yogi() -> Rule:
    """Yogi (Zaheer et al. 2018): the second moment moves by a share of g² whatever its own size."""
    toward = exp_avg_sq - (1 - beta2) * sympy.sign(exp_avg_sq - g**2) * g**2
    start = hyper("initial_accumulator")
    return Rule(
        "yogi",
        exp_avg=FIRST,
        exp_avg_sq=toward,
        step=lr * UNBIASED / (sqrt(exp_avg_sq / (1 - beta2**t)) + eps),
        starts={"exp_avg": start, "exp_avg_sq": start},
    )


def adan() -> Rule:
    """Adan (Xie et al. 2022): means of the gradient, of its change, and of the square of the gradient looked ahead."""
    previous, exp_avg_diff, change = state("previous_grad"), state("exp_avg_diff"), state("change")
    ahead = g + beta2 * change
    return Rule(
        "adan",
        change=sympy.Piecewise((0, sympy.Eq(t, 1)), (1, True)) * (g - previous),
        exp_avg=FIRST,
        exp_avg_diff=beta2 * exp_avg_diff + (1 - beta2) * change,
        exp_avg_sq=beta3 * exp_avg_sq + (1 - beta3) * ahead**2,
        previous_grad=g,
        step=lr * (UNBIASED + beta2 * exp_avg_diff / (1 - beta2**t)) / (sqrt(exp_avg_sq / (1 - beta3**t)) + eps),
    )


def lamb() -> Rule:
    """LAMB (You et al. 2020): Adam's step with decay, as long as its tensor's weights are."""
    u = state("u")
    ratio = sympy.Piecewise((1, sympy.Eq(norm(w), 0) | sympy.Eq(norm(u), 0)), (norm(w) / norm(u), True))
    return Rule(
        "lamb",
        exp_avg=FIRST,
        exp_avg_sq=SECOND,
        u=UNBIASED / (sqrt(exp_avg_sq / (1 - beta2**t)) + eps) + weight_decay * w,
        step=lr * ratio * u,
    )
