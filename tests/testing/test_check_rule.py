"""The contract suite: every named rule keeps it, and each promise is broken by something."""

from __future__ import annotations

import inspect
import pickle

import numpy as np
import pytest
import sympy
import torch

from thalweg import rules
from thalweg.engines.cpu import CpuKernel
from thalweg.engines.reference import ReferenceKernel
from thalweg.errors import InputError
from thalweg.optim import FromRule, class_from
from thalweg.rules import Rule
from thalweg.rules.moments import average, compose, nesterov, running_max, sign
from thalweg.rules.symbols import beta, beta1, beta2, g, lr, momentum, state, t, w
from thalweg.testing import BrokenContract, check_rule

ALL = ("equations", "engines", "nan", "standstill", "groups", "checkpoint")
m = state("m")


@pytest.mark.parametrize("name", rules.names())
def test_named_rules_keep_every_promise(name: str) -> None:
    assert check_rule(rules.variant(name), hyperparameters={"weight_decay": 0.1} if name == "adamw" else None) == ALL


@pytest.mark.parametrize(
    "rule",
    [
        compose(first=nesterov(momentum), second=running_max(beta2), name="own"),
        compose(first=average(beta1), name="plain"),
        compose(first=sign(), name="signs"),
        Rule("signum", m=beta * m + (1 - beta) * g, step=lr * sympy.sign(m)),
        Rule("capped", defaults={"cap": 0.5}, step=lr * sympy.tanh(g) * sympy.Min(1, sympy.Symbol("cap") * t)),
    ],
    ids=lambda rule: rule.name,
)
def test_own_rules_keep_every_promise(rule: Rule) -> None:
    assert check_rule(rule) == ALL


def test_a_rule_that_hides_a_nan_is_found() -> None:
    """A comparison with NaN is false: the case drops it, and the run would go on as if nothing had happened."""
    rule = Rule("cautious", m=beta * m + g, step=lr * sympy.Piecewise((m, m * g > 0), (0, True)))
    with pytest.raises(BrokenContract, match="promise of nan: element 17 of a gradient was NaN"):
        check_rule(rule)


def test_a_rule_that_moves_at_rate_zero_is_found() -> None:
    with pytest.raises(BrokenContract, match=r"the rule drifting breaks the promise of standstill: .* at rate 0"):
        check_rule(Rule("drifting", step=lr * g + sympy.Rational(1, 100) * w))


def test_an_engine_that_is_off_is_found(monkeypatch) -> None:
    run = CpuKernel.run

    def slightly_off(self, phase, segments, scalars):
        return run(self, phase, segments, scalars * (1 + 1e-3))

    monkeypatch.setattr(CpuKernel, "run", slightly_off)
    with pytest.raises(BrokenContract, match=r"promise of engines: for a torch\.float32 tensor of shape"):
        check_rule(rules.sgd)


def test_a_lowering_that_is_off_is_found(monkeypatch) -> None:
    run = ReferenceKernel.run
    monkeypatch.setattr(
        ReferenceKernel, "run", lambda self, phase, found, scalars: run(self, phase, found, scalars * 2)
    )
    with pytest.raises(BrokenContract, match="promise of equations: after step 1 the weights are"):
        check_rule(rules.sgd)


def test_a_state_that_is_not_saved_is_found(monkeypatch) -> None:
    saved = FromRule.state_dict
    monkeypatch.setattr(FromRule, "state_dict", lambda self: {**saved(self), "state": {}})
    with pytest.raises(BrokenContract, match="promise of checkpoint: a weight of shape"):
        check_rule(rules.momentum)


def test_a_number_that_is_missing_is_named() -> None:
    rule = Rule("mine", step=lr * g * sympy.Symbol("gamma"))
    with pytest.raises(InputError, match="the rule mine needs a number for gamma"):
        check_rule(rule)
    assert check_rule(rule, hyperparameters={"gamma": 0.5}) == ALL


def test_the_rule_runs_as_an_optimizer_of_its_own() -> None:
    """Signum with decay and groups, against the formula typed by hand."""
    rule = Rule("signum", defaults={"beta": 0.5}, m=beta * m + (1 - beta) * g, step=lr * sympy.sign(m))
    weights = [torch.nn.Parameter(torch.linspace(-1, 1, 9, dtype=torch.float64)) for _ in range(2)]
    optimizer = FromRule(
        [{"params": [weights[0]]}, {"params": [weights[1]], "lr": 0.2, "beta": 0.1}], rule, 0.1, weight_decay=0.3
    )
    expected = [weight.detach().numpy().copy() for weight in weights]
    memory = [np.zeros(9), np.zeros(9)]
    for step in range(6):
        gradient = np.cos(np.arange(9) * (step + 1))
        for index, (rate, decay) in enumerate([(0.1, 0.5), (0.2, 0.1)]):
            weights[index].grad = torch.tensor(gradient)
            memory[index] = decay * memory[index] + (1 - decay) * (gradient + 0.3 * expected[index])
            expected[index] -= rate * np.sign(memory[index])
        optimizer.step()
    for weight, numbers in zip(weights, expected, strict=True):
        assert weight.detach().numpy() == pytest.approx(numbers, abs=1e-12)


def test_a_rule_gives_a_class_with_its_hyperparameters_as_named_arguments() -> None:
    rule = Rule("signum", defaults={"lr": 0.2, "beta": 0.5}, m=beta * m + (1 - beta) * g, step=lr * sympy.sign(m))
    Signum = class_from(rule)
    assert str(inspect.signature(Signum)).startswith("(params, *, lr=0.2, beta=0.5, weight_decay=0.0, ")
    weights = [torch.nn.Parameter(torch.ones(3)) for _ in range(2)]
    optimizers = [
        Signum([weights[0]], beta=0.1, clip_value=1.0),
        FromRule([weights[1]], rule, hyperparameters={"beta": 0.1}),
    ]
    for weight, optimizer in zip(weights, optimizers, strict=True):
        weight.grad = torch.tensor([3.0, -2.0, 0.5])
        optimizer.step()
    assert torch.equal(*weights) and isinstance(optimizers[0], FromRule)
    twin = pickle.loads(pickle.dumps(optimizers[0]))
    assert twin.rule.name == "signum" and twin.param_groups[0]["beta"] == 0.1
    with pytest.raises(TypeError, match="gamma"):
        Signum([weights[0]], gamma=0.1)


def test_a_hyperparameter_the_rule_has_not_is_refused() -> None:
    with pytest.raises(InputError, match="the rule sgd has no hyperparameter beta; it has lr"):
        FromRule([torch.nn.Parameter(torch.ones(1))], rules.sgd, hyperparameters={"beta": 0.9})


@pytest.mark.parametrize("given", [{"hyperparameters": {"weight_decay": 0.5}}, {"weight_decay": 0.5}])
def test_a_rule_with_a_decay_of_its_own_decays_once(given) -> None:
    weights = [torch.nn.Parameter(torch.full((3,), 10.0, dtype=torch.float64)) for _ in range(2)]
    ours = FromRule(weights[:1], rules.adamw, 0.1, **given)
    theirs = torch.optim.AdamW(weights[1:], 0.1, weight_decay=0.5)
    for _ in range(3):
        for weight, optimizer in zip(weights, (ours, theirs), strict=True):
            weight.grad = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
            optimizer.step()
    assert weights[0].tolist() == pytest.approx(weights[1].tolist(), rel=1e-12)


def test_a_rule_that_takes_a_key_of_the_groups_is_refused() -> None:
    rule = Rule("mine", step=lr * g * sympy.Symbol("clip_norm"))
    with pytest.raises(InputError, match="mine has clip_norm in its equations"):
        FromRule([torch.nn.Parameter(torch.ones(1))], rule, hyperparameters={"clip_norm": 0.1})
