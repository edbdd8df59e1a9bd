"""Optimizers that torch lacks: against their formulas typed by hand, and against optax where it has them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from optim import typed
from optim.trials import advance, arrays, engines, ours, parameters
from thalweg import optim

LOOK = [1, 2, 10, 200]
ADAPTIVE = {"lr": 0.01, "betas": (0.9, 0.99), "eps": 1e-8}
ACCUMULATED = {**ADAPTIVE, "eps": 1e-3, "initial_accumulator": 1e-6}
LAYERED = {"lr": 0.5, "momentum": 0.9, "trust_coefficient": 0.02, "eps": 1e-9, "nesterov": False}
TABLE: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "momentum": ("Momentum", typed.momentum, {"lr": 0.05, "beta": 0.9}),
    "momentum, decay, ascent": (
        "Momentum", typed.momentum, {"lr": 0.01, "beta": 0.8, "weight_decay": 0.1, "maximize": True},
    ),
    "heavy ball": ("HeavyBall", typed.heavy_ball, {"lr": 0.01, "beta": 0.9, "weight_decay": 0.1}),
    "nesterov": ("Nesterov", typed.nesterov, {"lr": 0.01, "beta": 0.9, "weight_decay": 0.1}),
    "amsgrad": ("AMSGrad", typed.amsgrad, {**ADAPTIVE, "weight_decay": 0.1}),
    "nadamw": ("NAdamW", typed.nadamw, {**ADAPTIVE, "weight_decay": 0.1, "momentum_decay": 4e-3}),
    "nadamw, constant momentum": ("NAdamW", typed.nadamw, {**ADAPTIVE, "weight_decay": 0.1, "momentum_decay": 1e6}),
    "adabelief": ("AdaBelief", typed.adabelief, ADAPTIVE),
    "adabelief, small eps": ("AdaBelief", typed.adabelief, {**ADAPTIVE, "eps": 1e-16, "weight_decay": 0.1}),
    "lion": ("Lion", typed.lion, {"lr": 0.01, "betas": (0.9, 0.99)}),
    "lion, decay": ("Lion", typed.lion, {"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 1.0}),
    "adan": ("Adan", typed.adan, {**ADAPTIVE, "betas": (0.98, 0.92, 0.99), "weight_decay": 0.1}),
    "adan, equal shares": ("Adan", typed.adan, {**ADAPTIVE, "betas": (0.9, 0.5, 0.99), "weight_decay": 0.1}),
    "yogi": ("Yogi", typed.yogi, ACCUMULATED),
    "yogi, decay": ("Yogi", typed.yogi, {**ACCUMULATED, "initial_accumulator": 1e-2, "weight_decay": 0.1}),
    "lamb": ("LAMB", typed.lamb, ADAPTIVE),
    "lamb, decay": ("LAMB", typed.lamb, {**ADAPTIVE, "eps": 1e-6, "weight_decay": 0.1}),
    "lars": ("LARS", typed.lars, LAYERED),
    "lars, decay, nesterov": ("LARS", typed.lars, {**LAYERED, "eps": 0.0, "weight_decay": 0.1, "nesterov": True}),
}  # fmt: skip
UNLIKE = ("amsgrad", "nadamw", "adan")
"""optax differs: it takes AMSGrad's maximum after the correction, has no schedule of NAdam's momentum, and weighs Adan's
change by 1−β₂ where the authors' code has β₂ (so the rows with other numbers agree)."""
ALIKE = [case for case in TABLE if case not in UNLIKE]
TOLERANCE = 1e-9


def tolerance(case: str) -> float:
    """torch keeps NAdam's product of momenta in float32, and so do we."""
    return 1e-7 if TABLE[case][0] == "NAdamW" else TOLERANCE


@pytest.fixture(scope="module")
def optax_of(optax_runs):
    return optax_runs({case: (TABLE[case][0], TABLE[case][2], LOOK) for case in ALIKE})


@pytest.mark.parametrize("case", TABLE)
@engines
def test_two_hundred_steps_follow_the_formula_typed_by_hand(case, engine) -> None:
    name, rule, options = TABLE[case]
    found = ours(name, options, engine, LOOK)
    for step, expected in enumerate(typed.trajectory(rule, options, max(LOOK)), 1):
        if step in LOOK:
            assert typed.difference(found[step], expected, typed.weights()) <= tolerance(case), step


@pytest.mark.parametrize("case", ALIKE)
@engines
def test_two_hundred_steps_give_optaxs_numbers(case, engine, optax_of) -> None:
    name, _, options = TABLE[case]
    found = ours(name, options, engine, LOOK)
    for step in LOOK:
        assert typed.difference(found[step], optax_of(case, step), typed.weights()) <= tolerance(case), step


@pytest.mark.parametrize("case", TABLE)
def test_a_run_that_was_stopped_goes_on_to_the_bit(case) -> None:
    name, _, options = TABLE[case]
    tensors = parameters()
    optimizer = getattr(optim, name)(tensors, **options)
    advance(tensors, optimizer, range(7))
    others = [torch.nn.Parameter(tensor.detach().clone()) for tensor in tensors]
    resumed = getattr(optim, name)(others, **options)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    advance(tensors, optimizer, range(7, 12))
    advance(others, resumed, range(7, 12))
    assert all(map(torch.equal, tensors, others))


EQUALITIES = {
    "nadam with a constant momentum": ("NAdam", {**ADAPTIVE, "momentum_decay": 1e6}),
    "corrected rmsprop": ("Adam", {**ADAPTIVE, "betas": (0.0, 0.99)}),
}


@pytest.fixture(scope="module")
def equal_of(optax_runs):
    return optax_runs({case: (name, options, LOOK) for case, (name, options) in EQUALITIES.items()})


@pytest.mark.parametrize("case", EQUALITIES)
@engines
def test_what_two_libraries_call_by_two_names_is_one_rule(case, engine, equal_of, float64_counts) -> None:
    found = ours(*EQUALITIES[case], engine, LOOK)
    for step in LOOK:
        assert typed.difference(found[step], equal_of(case, step), typed.weights()) <= 1e-12


def test_amsgrad_is_adam_with_a_flag() -> None:
    one, other = parameters(), parameters()
    advance(one, optim.AMSGrad(one, **ADAPTIVE), range(20))
    advance(other, torch.optim.Adam(other, **ADAPTIVE, amsgrad=True), range(20))
    assert typed.difference(arrays(one), arrays(other), typed.weights()) <= 1e-12


@pytest.mark.parametrize("name", ["LAMB", "LARS"])
def test_a_trust_ratio_is_of_one_tensor(name) -> None:
    """Half of a tensor is another tensor: other steps."""
    numbers = torch.arange(1.0, 9.0, dtype=torch.float64)
    whole, halves = (
        [torch.nn.Parameter(numbers.clone())],
        [torch.nn.Parameter(half.clone()) for half in numbers.split(4)],
    )
    for tensors in (whole, halves):
        optimizer = getattr(optim, name)(tensors, lr=0.1)
        for tensor in tensors:
            tensor.grad = torch.ones_like(tensor)
        optimizer.step()
    assert not torch.allclose(whole[0], torch.cat(list(halves)), rtol=1e-6, atol=0)
    one, two = (
        typed.norm((tensor.detach() - start).numpy()) for tensor, start in zip(halves, numbers.split(4), strict=True)
    )
    assert two / one == pytest.approx(typed.norm(numbers[4:].numpy()) / typed.norm(numbers[:4].numpy()))


def test_float32_stays_by_float64() -> None:
    for case, (name, _, options) in TABLE.items():
        if name == "Lion":
            continue  # a sign may turn
        wide, narrow = parameters(), parameters(dtype=torch.float32)
        advance(wide, getattr(optim, name)(wide, **options), range(50))
        advance(narrow, getattr(optim, name)(narrow, **options), range(50))
        assert typed.difference(arrays(narrow), arrays(wide), typed.weights()) <= 2e-4, case
