"""The parts optimizers are made of: a first moment φ, a second moment ψ, and ``compose`` to join any with any.

In the frame of the field, ``m = φ(g₁ … g_t)``, ``V = ψ(g₁ … g_t)`` and the step is ``lr · m / √V``:

>>> compose(first=average(beta1), second=average_square(beta2), corrected=True)         # Adam
>>> compose(first=plain(), second=sum_square())                                          # AdaGrad
>>> compose(first=nesterov(momentum), second=running_max(beta2), name="mine")            # your own, as fast as the named ones
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy

from thalweg.rules.rule import Equations, Rule
from thalweg.rules.symbols import (
    eps,
    exp_avg,
    exp_avg_sq,
    g,
    lr,
    max_exp_avg_sq,
    momentum_buffer,
    t,
    total,
)


@dataclass(frozen=True)
class Moment:
    """States of a moment with their equations, its value, and the factor ``1 − βᵗ`` that removes its bias (1: none)."""

    equations: Equations
    value: sympy.Expr
    bias: sympy.Expr = sympy.S.One


def plain() -> Moment:
    """φ: the gradient itself."""
    return Moment((), g)


def average(beta: sympy.Symbol) -> Moment:
    """φ: the exponentially weighted average ``m ← βm + (1−β)g`` of about the last ``1/(1−β)`` gradients."""
    return Moment(((exp_avg.name, beta * exp_avg + (1 - beta) * g),), exp_avg, 1 - beta**t)


def heavy_ball(momentum: sympy.Symbol) -> Moment:
    """φ: the decaying sum ``m ← βm + g`` (Polyak 1964)."""
    return Moment(((momentum_buffer.name, momentum * momentum_buffer + g),), momentum_buffer)


def nesterov(momentum: sympy.Symbol) -> Moment:
    """φ: the sum, looked ahead: ``g + βm`` after ``m ← βm + g`` (Nesterov 1983 in the form of Sutskever et al. 2013)."""
    return Moment(((momentum_buffer.name, momentum * momentum_buffer + g),), g + momentum * momentum_buffer)


def sign() -> Moment:
    """φ: the sign of the gradient."""
    return Moment((), sympy.sign(g))


def average_square(beta: sympy.Symbol) -> Moment:
    """ψ: ``V ← βV + (1−β)g²`` (RMSProp, Adam)."""
    return Moment(((exp_avg_sq.name, beta * exp_avg_sq + (1 - beta) * g**2),), exp_avg_sq, 1 - beta**t)


def sum_square() -> Moment:
    """ψ: ``V ← V + g²`` (AdaGrad)."""
    return Moment(((total.name, total + g**2),), total)


def running_max(beta: sympy.Symbol) -> Moment:
    """ψ: the largest average so far, ``V̂ ← max(V̂, V)`` (AMSGrad, Reddi et al. 2018)."""
    return Moment(
        (
            (exp_avg_sq.name, beta * exp_avg_sq + (1 - beta) * g**2),
            (max_exp_avg_sq.name, sympy.Max(max_exp_avg_sq, exp_avg_sq)),
        ),
        max_exp_avg_sq,
        1 - beta**t,
    )


def single_max(beta: sympy.Symbol) -> Moment:
    """ψ: one recurrence that never decreases, ``V ← max(βV + (1−β)g², V)``, the other form of AMSGrad in use."""
    return Moment(
        ((exp_avg_sq.name, sympy.Max(beta * exp_avg_sq + (1 - beta) * g**2, exp_avg_sq)),), exp_avg_sq, 1 - beta**t
    )


def compose(
    *,
    first: Moment,
    second: Moment | None = None,
    corrected: bool = False,
    eps_inside: bool = False,
    name: str = "composed",
) -> Rule:
    """A rule from a first and, for adaptive ones, a second moment.

    ``corrected`` divides each average by ``1 − βᵗ`` (Kingma & Ba 2015); ``eps_inside`` puts ε inside the root.
    """
    m = first.value / first.bias if corrected else first.value
    step = lr * m
    states = dict(first.equations)
    if second is not None:
        states |= dict(second.equations)
        v = second.value / second.bias if corrected else second.value
        step = step / (sympy.sqrt(v + eps) if eps_inside else sympy.sqrt(v) + eps)
    return Rule(name, step=step, **states)
