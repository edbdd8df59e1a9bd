"""What the equations say about a quadratic, against formulas by hand and against running the rule."""

from __future__ import annotations

import numpy as np
import pytest
import sympy

from thalweg import rules
from thalweg.errors import InputError
from thalweg.rules.stability import curvature
from thalweg.rules.symbols import beta, momentum

BY_HAND = {
    "sgd": 2 / curvature,
    "momentum": 2 * (1 + beta) / ((1 - beta) * curvature),
    "momentum_sum": 2 * (1 + beta) / curvature,
    "nesterov": 2 * (1 + beta) / ((1 + 2 * beta) * curvature),
}


def distance(name: str, *, rate: float, beta: float, sharpness: float, steps: int) -> float:
    """The distance to the minimum of λw²/2 after some steps from 1, typed by hand."""
    w, m = 1.0, 0.0
    for _ in range(steps):
        g = sharpness * w
        if name == "sgd":
            w -= rate * g
        else:
            m = beta * m + ((1 - beta) if name == "momentum" else 1.0) * g
            w -= rate * (g + beta * m if name == "nesterov" else m)
    return abs(w)


@pytest.mark.parametrize("name", BY_HAND)
def test_limits_are_those_derived_by_hand(name: str) -> None:
    assert sympy.simplify(rules.variant(name).stability().limit - BY_HAND[name]) == 0


@pytest.mark.parametrize("name", BY_HAND)
@pytest.mark.parametrize("sharpness", [0.5, 40.0])
def test_below_the_limit_it_settles_and_above_it_leaves(name: str, sharpness: float) -> None:
    stability = rules.variant(name).stability()
    limit = stability.largest_rate(sharpness, beta=0.8)
    assert distance(name, rate=0.98 * limit, beta=0.8, sharpness=sharpness, steps=3000) < 1e-3
    assert distance(name, rate=1.02 * limit, beta=0.8, sharpness=sharpness, steps=3000) > 1e3


@pytest.mark.parametrize("name", BY_HAND)
def test_contraction_is_the_long_run_factor(name: str) -> None:
    stability = rules.variant(name).stability()
    options = {"rate": 0.01, "beta": 0.5, "sharpness": 3.0}
    factor = stability.contraction(3.0, lr=0.01, beta=0.5)
    ratio = distance(name, **options, steps=410) / distance(name, **options, steps=400)
    assert ratio == pytest.approx(factor**10, rel=1e-6)


def test_the_matrix_is_the_step() -> None:
    """The iteration matrix of heavy-ball momentum, typed by hand."""
    stability = rules.momentum_sum.stability()
    numbers = {beta: 0.3, curvature: 2.0, sympy.Symbol("lr", real=True): 0.1}
    assert np.array(stability.matrix.subs(numbers), dtype=float) == pytest.approx(np.array([[0.3, 2.0], [-0.03, 0.8]]))


def test_decay_adds_to_the_curvature() -> None:
    limit = rules.variant("sgd", modifiers=("coupled_decay",)).stability().limit
    assert sympy.simplify(limit - 2 / (curvature + sympy.Symbol("weight_decay", real=True))) == 0


def test_torchs_momentum_forgets_its_first_step() -> None:
    limit = rules.variant("sgd", momentum_on=True).stability().limit
    damped = limit.subs(sympy.Symbol("dampening", real=True), 0)
    assert sympy.simplify(damped - BY_HAND["momentum_sum"].subs(beta, momentum)) == 0


@pytest.mark.parametrize("name", [name for name in rules.names() if name not in BY_HAND])
def test_adaptive_rules_have_no_fixed_limit(name: str) -> None:
    stability = rules.variant(name).stability()
    assert not stability.linear
    with pytest.raises(InputError, match=f"the rule {name} is not linear"):
        stability.largest_rate(1.0)
    with pytest.raises(InputError, match=f"the rule {name} is not linear"):
        stability.contraction(1.0)


def test_a_missing_number_is_named() -> None:
    with pytest.raises(InputError, match="depends on beta: give it as beta=…"):
        rules.momentum.stability().largest_rate(1.0)


def test_it_is_said_in_words() -> None:
    assert str(rules.momentum.stability()) == "momentum: stable on curvature λ up to lr = 2·(1 + beta)/((1 − beta)·λ)"
