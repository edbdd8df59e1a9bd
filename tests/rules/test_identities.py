"""Relations between rules, proved: the equations are run symbolically for some steps and must agree as expressions."""

from __future__ import annotations

import pytest
import sympy

from thalweg import rules
from thalweg.rules.moments import (
    average,
    average_square,
    compose,
    heavy_ball,
    nesterov,
    plain,
    running_max,
    single_max,
    sum_square,
)
from thalweg.rules.rule import Rule
from thalweg.rules.symbols import beta, beta1, beta2, eps, g, lr, momentum, t, w, weight_decay

STEPS = 3
GRADIENTS = sympy.symbols("g1:4", real=True)
START = sympy.Symbol("w0", real=True)


def weights(rule: Rule, gradients=GRADIENTS, **numbers) -> list[sympy.Expr]:
    """The weight after each step, as an expression in w0, the gradients and the hyperparameters left free."""
    fixed = {sympy.Symbol(name, real=True): sympy.sympify(value) for name, value in numbers.items()}
    starts = {name: value.xreplace(fixed) for name, value in rule.starts.items()}
    values = {sympy.Symbol(name, real=True): starts.get(name, sympy.S.Zero) for name in rule.persistent}
    values = {symbol: START if value == w else value for symbol, value in values.items()}
    weight, seen = START, []
    for number, gradient in enumerate(gradients, 1):
        now = {**values, **fixed, g: gradient, w: weight, t: sympy.Integer(number)}
        for name, value in rule.assignments:
            now[sympy.Symbol(name, real=True)] = value.xreplace(now)
        values = {symbol: now[symbol] for symbol in values}
        weight = now[w]
        seen.append(weight)
    return seen


def same(left: list[sympy.Expr], right: list[sympy.Expr]) -> bool:
    return all(sympy.simplify(a - b) == 0 for a, b in zip(left, right, strict=True))


def test_momentum_without_memory_is_gradient_descent() -> None:
    for name in ("momentum", "momentum_sum", "nesterov"):
        assert same(weights(rules.variant(name), beta=0), weights(rules.sgd)), name


def test_momentum_average_is_the_sum_form_at_a_smaller_rate() -> None:
    average_form = weights(rules.momentum)
    sum_form = [value.subs(lr, lr * (1 - beta)) for value in weights(rules.momentum_sum)]
    assert same(average_form, sum_form)


def test_torchs_damped_momentum_is_not_the_average_form() -> None:
    """Its buffer starts as the undamped gradient."""
    torchs = weights(rules.variant("sgd", momentum_on=True), momentum=beta, dampening=beta)
    assert not same(torchs, weights(rules.momentum))


def test_coupled_decay_is_decoupled_decay_under_gradient_descent() -> None:
    coupled, decoupled = (
        weights(rules.variant("sgd", modifiers=(f"{kind}_decay",))) for kind in ("coupled", "decoupled")
    )
    assert same(coupled, decoupled)


def test_coupled_decay_is_not_decoupled_decay_under_adam() -> None:
    coupled, decoupled = (
        weights(rules.variant("adam", modifiers=(f"{kind}_decay",))) for kind in ("coupled", "decoupled")
    )
    numbers = {
        START: 1,
        lr: 0.1,
        weight_decay: 0.1,
        beta1: 0.9,
        beta2: 0.99,
        eps: 1e-8,
        **dict(zip(GRADIENTS, (1, 2, -1), strict=True)),
    }
    assert abs(float((coupled[-1] - decoupled[-1]).subs(numbers))) > 1e-3


def test_rmsprop_is_adam_without_first_moment_and_correction() -> None:
    composed = compose(first=average(beta1), second=average_square(beta2))
    positive = sympy.symbols("g1:4", positive=True)
    assert same(weights(composed, positive, beta1=0, beta2=beta), weights(rules.rmsprop, positive, alpha=beta))


def test_nesterov_is_the_look_ahead_form_after_a_change_of_variable() -> None:
    """With the gradient λx of a quadratic: x = w − αβm of the one-gradient form is Nesterov's own iterate."""
    curvature = sympy.Symbol("lambda", positive=True)
    iterate, velocity = START, sympy.S.Zero
    own_ahead = []
    for _ in range(STEPS):
        velocity = beta * velocity + curvature * (iterate - lr * beta * velocity)  # the gradient at the point ahead
        iterate = iterate - lr * velocity
        own_ahead.append(sympy.expand(iterate - lr * beta * velocity))
    weight, buffer, ours = START, sympy.S.Zero, []
    ((name, update),) = rules.nesterov.equations
    for _ in range(STEPS):
        now = {w: weight, g: curvature * weight, sympy.Symbol(name, real=True): buffer}
        buffer = update.xreplace(now)
        now[sympy.Symbol(name, real=True)] = buffer
        weight = weight - rules.nesterov.step.xreplace(now)
        ours.append(sympy.expand(weight))
    assert same(ours, own_ahead)


@pytest.mark.parametrize(
    ("composed", "named"),
    [
        (compose(first=plain()), rules.sgd),
        (compose(first=average(beta)), rules.momentum),
        (compose(first=heavy_ball(beta)), rules.momentum_sum),
        (compose(first=nesterov(beta)), rules.nesterov),
        (compose(first=average(beta1), second=average_square(beta2), corrected=True), rules.adam),
        (compose(first=average(beta1), second=running_max(beta2), corrected=True), rules.amsgrad),
        (compose(first=average(beta1), second=single_max(beta2), corrected=True), rules.amsgrad_single),
        (
            compose(first=average(beta1), second=average_square(beta2), corrected=True, eps_inside=True),
            rules.variant("adam", eps_inside=True),
        ),
    ],
    ids=lambda rule: rule.name,
)
def test_composed_rules_are_the_named_ones(composed: Rule, named: Rule) -> None:
    """Equation by equation."""
    assert composed.equations == named.equations
    assert composed.states == named.states
    assert sympy.simplify(composed.step - named.step) == 0


def test_adagrad_is_composed_of_a_sum() -> None:
    composed = compose(first=plain(), second=sum_square())
    positive = sympy.symbols("g1:4", positive=True)
    assert same(weights(composed, positive), weights(rules.adagrad, positive, lr_decay=0, initial_accumulator_value=0))


def test_torchs_momentum_buffer_is_the_sum_form_without_dampening() -> None:
    torchs = rules.variant("sgd", momentum_on=True)
    assert same(weights(torchs, dampening=0, momentum=beta), weights(rules.momentum_sum))
    assert momentum.name in torchs.hyperparameters
