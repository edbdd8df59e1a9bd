"""SWATS against Keskar & Socher's algorithm typed by hand, and the properties that the algorithm has."""

from __future__ import annotations

import copy
import io
import math
from typing import Any

import numpy as np
import pytest
import torch

from optim import typed
from optim.trials import engines
from optim.typed_swats import BETAS, STARTS, Arrays, Typed, noisy, quadratic, type_out
from thalweg import optim
from thalweg.errors import InputError
from thalweg.schedules import staircase


def parameters(starts: Arrays = STARTS) -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.tensor(start)) for start in starts]


def advance(tensors, optimizer, gradient, numbers) -> None:
    for step in numbers:
        found = gradient([tensor.detach().numpy() for tensor in tensors], step)
        for tensor, g in zip(tensors, found, strict=True):
            tensor.grad = torch.tensor(g)
        optimizer.step()


def arrays(tensors) -> Arrays:
    return [tensor.detach().numpy() for tensor in tensors]


NEVER = 1e-300


@engines
def test_the_first_phase_is_adam_with_its_epsilon_in_the_uncorrected_root(engine) -> None:
    tensors = parameters()
    optimizer = optim.SWATS(tensors, lr=0.01, betas=BETAS, eps=1e-4, tol=NEVER, engine=engine)
    advance(tensors, optimizer, noisy, range(200))
    now, kept = STARTS, [{} for _ in STARTS]
    for t in range(1, 201):
        gradients = noisy(now, t - 1)
        after = []
        for w, g, s in zip(now, gradients, kept, strict=True):
            m, v = typed.mean(s, "m", BETAS[0], g), typed.mean(s, "v", BETAS[1], g * g)
            rate = 0.01 * math.sqrt(1 - BETAS[1] ** t) / (1 - BETAS[0] ** t)
            after.append(w - rate * m / (np.sqrt(v) + 1e-4))
        now = after
    assert typed.difference(arrays(tensors), now, STARTS) < 1e-12
    assert optimizer.switches() == []


CASES = {
    "settled": (noisy, {"tol": 0.2}),
    "settled, without noise": (quadratic, {"tol": 0.05}),
    "paper": (noisy, {"tol": 1e-6, "criterion": "paper"}),
    "paper, without noise": (quadratic, {"tol": 1e-6, "criterion": "paper"}),
}


@pytest.mark.parametrize("case", CASES)
@engines
def test_both_phases_are_the_papers(case, engine) -> None:
    gradient, options = CASES[case]
    expected = type_out(gradient, 150, tol=options["tol"], paper="criterion" in options)
    tensors = parameters()
    optimizer = optim.SWATS(tensors, lr=1e-3, betas=BETAS, **options, engine=engine)
    for step in range(150):
        advance(tensors, optimizer, gradient, [step])
        assert typed.difference(arrays(tensors), expected.weights[step], STARTS) < 1e-11, step
    assert expected.step is not None and 1 < expected.step < 140
    (switch,) = optimizer.switches()
    assert (switch.group, switch.parameter, switch.step) == (0, None, expected.step)
    assert switch.rate == pytest.approx(expected.rate, rel=1e-12)
    if "criterion" in options:  # Λ by its definition: every γ with its weight
        n, beta = expected.step, BETAS[1]
        brute = sum((1 - beta) * beta ** (n - k) * expected.gammas[k - 1] for k in range(1, n + 1)) / (1 - beta**n)
        assert switch.rate == pytest.approx(brute, rel=1e-12)


@engines
@pytest.mark.parametrize("scope", ["global", "group", "tensor"])
def test_a_constant_gradient_after_the_switch_gives_the_table(engine, scope) -> None:
    """Section 4 of the research: v = 0.9v + g, w −= 0.1·Λ·v, from v = 0."""
    tensor = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))
    optimizer = optim.SWATS([tensor], lr=1.0, scope=scope, criterion="paper", tol=1e-9, engine=engine)
    while not optimizer.switches():
        tensor.grad = torch.ones_like(tensor)
        optimizer.step()
    (switch,) = optimizer.switches()
    assert switch.rate == pytest.approx(1.0, rel=1e-7)  # every γ is lr·lr / (lr·g)
    start, found = tensor.item(), []
    for _ in range(6):
        tensor.grad = torch.ones_like(tensor)
        optimizer.step()
        found.append((tensor.item() - start) / switch.rate)
    assert found == pytest.approx([-0.1, -0.29, -0.561, -0.9049, -1.31441, -1.782969], rel=1e-9)


def test_what_follows_the_switch_is_torchs_sgd() -> None:
    tensors = parameters()
    optimizer = optim.SWATS(tensors, lr=1e-3, betas=BETAS, tol=0.2)
    step = 0
    while not optimizer.switches():
        advance(tensors, optimizer, noisy, [step])
        step += 1
    others = parameters(arrays(tensors))
    follower = torch.optim.SGD(others, lr=(1 - BETAS[0]) * optimizer.switches()[0].rate, momentum=BETAS[0])
    advance(tensors, optimizer, noisy, range(step, step + 50))
    advance(others, follower, noisy, range(step, step + 50))
    assert typed.difference(arrays(tensors), arrays(others), STARTS) < 1e-12


def test_one_step_across_the_gradient_does_not_decide() -> None:
    """A gradient almost orthogonal to its step says a γ of a thousand times the others: no reason to switch to it."""
    start = [np.ones(2)]
    random = np.random.default_rng(0)
    gradients = [[np.array([2.0, 1.0]) * np.exp(1.5 * random.normal(size=2))] for _ in range(100)]
    rule = Typed(BETAS, 1e-9, NEVER, paper=False)
    for found in gradients[:60]:
        rule.step(start, found, 1e-3)

    def gamma(turn: float) -> float:
        after = copy.deepcopy(rule)
        after.step(start, [np.array([0.1, -turn])], 1e-3)
        return after.gammas[-1]

    low, high = 0.0, 5.0
    assert gamma(low) > 0 > gamma(high)
    while gamma(low) < 1000 * rule.gammas[-1]:
        middle = (low + high) / 2
        low, high = (middle, high) if gamma(middle) > 0 else (low, middle)
    gradients[60] = [np.array([0.1, -low])]
    tensors = parameters(start)
    optimizer = optim.SWATS(tensors, lr=1e-3, betas=BETAS, tol=0.06)
    advance(tensors, optimizer, lambda now, step: gradients[step], range(60))
    assert optimizer.switches() == []
    advance(tensors, optimizer, lambda now, step: gradients[step], range(60, 100))
    assert all(switch.rate < 10 * np.median(rule.gammas) for switch in optimizer.switches())


def split(arrays: Arrays) -> Arrays:
    return [arrays[0][:3], arrays[0][3:], *arrays[1:]]


def whole(arrays: Arrays) -> Arrays:
    return [np.concatenate(arrays[:2]), *arrays[2:]]


@engines
def test_a_global_rate_does_not_care_how_the_weights_are_cut(engine) -> None:
    one, two, groups = parameters(), parameters(split(STARTS)), parameters(split(STARTS))
    options: dict[str, Any] = {"lr": 1e-3, "betas": BETAS, "tol": 0.2, "engine": engine}
    optimizers = [
        optim.SWATS(one, **options),
        optim.SWATS(two, **options),
        optim.SWATS([{"params": groups[:2]}, {"params": groups[2:]}], **options),
    ]
    advance(one, optimizers[0], noisy, range(100))
    for tensors, optimizer in ((two, optimizers[1]), (groups, optimizers[2])):
        advance(tensors, optimizer, lambda now, step: split(noisy(whole(now), step)), range(100))
        assert typed.difference(whole(arrays(tensors)), arrays(one), STARTS) < 1e-12
    found = [switch for optimizer in optimizers for switch in optimizer.switches()]
    assert [switch.group for switch in found] == [0, 0, 0, 1]
    assert {switch.step for switch in found} == {found[0].step}
    assert [switch.rate for switch in found] == pytest.approx([found[0].rate] * 4, rel=1e-12)


@engines
@pytest.mark.parametrize("scope", ["group", "tensor"])
def test_each_scope_switches_by_itself(engine, scope) -> None:
    """As if each had an optimizer to itself."""
    tensors = parameters()
    cuts = [[0, 1], [2, 3, 4]] if scope == "group" else [[0], [1], [2], [3], [4]]
    options: dict[str, Any] = {"lr": 1e-3, "betas": BETAS, "tol": 0.08}
    groups = [{"params": [tensors[i] for i in cut]} for cut in ([0, 1], [2, 3, 4])]
    optimizer = optim.SWATS(groups, **options, scope=scope, engine=engine)
    alone = parameters()
    others = [optim.SWATS([alone[i] for i in cut], **options) for cut in cuts]
    advance(tensors, optimizer, noisy, range(150))

    class All:
        def step(self) -> None:
            for other in others:
                other.step()

    advance(alone, All(), noisy, range(150))
    assert typed.difference(arrays(tensors), arrays(alone), STARTS) < 1e-12
    expected = [switch for other in others for switch in other.switches()]
    found = optimizer.switches()
    assert [switch.step for switch in found] == [switch.step for switch in expected]
    assert len({switch.step for switch in found}) > 1
    places = [(0, None), (1, None)] if scope == "group" else [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [(switch.group, switch.parameter) for switch in found] == places
    assert [switch.rate for switch in found] == pytest.approx([switch.rate for switch in expected], rel=1e-12)


def saved(optimizer: torch.optim.Optimizer) -> Any:
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scope", ["global", "tensor"])
def test_a_run_stopped_anywhere_goes_on_to_the_bit(scope, dtype) -> None:
    options: dict[str, Any] = {"lr": 1e-3, "betas": BETAS, "tol": 0.2, "scope": scope}
    starts = [torch.tensor(start, dtype=dtype) for start in STARTS]

    def begin(numbers):
        tensors = [torch.nn.Parameter(number.clone()) for number in numbers]
        return tensors, optim.SWATS(tensors, **options)

    def go(tensors, optimizer, steps):
        for step in steps:
            for tensor, g in zip(tensors, noisy(STARTS, step), strict=True):
                tensor.grad = torch.tensor(g, dtype=dtype) * (1 + tensor.detach())
            optimizer.step()

    tensors, optimizer = begin(starts)
    kept = []
    for step in range(60):
        kept.append(([tensor.detach().clone() for tensor in tensors], saved(optimizer)))
        go(tensors, optimizer, [step])
    at = {switch.step for switch in optimizer.switches()}
    assert at and min(at) > 10 and max(at) < 50
    for stop in sorted({1, 5, 55, *(step + by for step in at for by in (-1, 0, 1))}):
        others, resumed = begin(kept[stop][0])
        resumed.load_state_dict(kept[stop][1])
        assert resumed.switches() == [switch for switch in optimizer.switches() if switch.step <= stop]
        go(others, resumed, range(stop, 60))
        assert all(map(torch.equal, others, tensors)), stop
        assert resumed.switches() == optimizer.switches()


@pytest.mark.parametrize("criterion", ["settled", "paper"])
def test_without_a_gradient_or_a_rate_nothing_moves_and_nothing_switches(criterion) -> None:
    still, rateless = parameters(), parameters()
    for tensors, lr, size in ((still, 1e-3, 0.0), (rateless, 0.0, 1.0)):
        optimizer = optim.SWATS(tensors, lr=lr, betas=BETAS, criterion=criterion, tol=1.0)
        advance(tensors, optimizer, lambda now, step, size=size: [size * g for g in quadratic(now, step)], range(50))
        assert all(map(np.array_equal, arrays(tensors), STARTS))
        assert optimizer.switches() == []


@pytest.mark.parametrize("criterion", ["settled", "paper"])
def test_a_rate_that_sinks_to_zero_never_becomes_what_is_divided_by(criterion) -> None:
    """A schedule that ends at 0 must not switch there, to a rate of infinitely many learning rates."""
    tensors = parameters()
    optimizer = optim.SWATS(tensors, lr=1e-3, betas=BETAS, criterion=criterion, tol=NEVER)
    advance(tensors, optimizer, noisy, range(30))
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.param_groups[0]["tol"] = 1e9
    before = [array.copy() for array in arrays(tensors)]
    advance(tensors, optimizer, noisy, range(30, 60))
    assert all(map(np.array_equal, arrays(tensors), before))
    assert optimizer.switches() == []


def test_gradients_that_stop_leave_the_average_as_it_was() -> None:
    tensors = parameters()
    optimizer = optim.SWATS(tensors, lr=1e-3, betas=BETAS, tol=NEVER)
    advance(tensors, optimizer, noisy, range(30))
    average = float(optimizer.state[tensors[0]]["gamma_square_avg"])
    optimizer.param_groups[0]["tol"] = 1e9
    advance(tensors, optimizer, lambda now, step: [0 * w for w in now], range(30, 60))
    assert float(optimizer.state[tensors[0]]["gamma_square_avg"]) == average
    assert optimizer.switches() == []


@engines
def test_a_schedule_goes_on_after_the_switch(engine) -> None:
    fall = staircase((60, 120), (1.0, 0.5, 0.25))
    expected = type_out(noisy, 150, lr=1e-3 * fall, tol=0.2)
    tensors = parameters()
    optimizer = optim.SWATS(tensors, lr=1e-3 * fall, betas=BETAS, tol=0.2, engine=engine)
    rates = []
    for step in range(150):
        advance(tensors, optimizer, noisy, [step])
        assert typed.difference(arrays(tensors), expected.weights[step], STARTS) < 1e-11, step
        rates += [switch.rate for switch in optimizer.switches() if step in (59, 60, 149)]
    assert rates == pytest.approx([expected.rate, expected.rate / 2, expected.rate / 4])


def test_decay_and_ascent_are_part_of_the_gradient() -> None:
    one, other = parameters(), parameters()
    options: dict[str, Any] = {"lr": 1e-3, "betas": BETAS, "tol": 0.2}
    optimizers = [optim.SWATS(one, **options, weight_decay=0.1, maximize=True), optim.SWATS(other, **options)]
    advance(one, optimizers[0], lambda now, step: [-g for g in noisy(STARTS, step)], range(80))
    decayed = lambda now, step: [g + 0.1 * w for g, w in zip(noisy(STARTS, step), now, strict=True)]  # noqa: E731
    advance(other, optimizers[1], decayed, range(80))
    assert typed.difference(arrays(one), arrays(other), STARTS) < 1e-11
    assert [switch.step for switch in optimizers[0].switches()] == [switch.step for switch in optimizers[1].switches()]


def test_after_the_switch_half_of_the_state_is_let_go() -> None:
    tensors = parameters()
    optimizer = optim.SWATS(tensors, lr=1e-3, betas=BETAS, tol=0.2)
    advance(tensors, optimizer, noisy, range(10))
    assert "exp_avg_sq" in optimizer.state[tensors[0]]
    advance(tensors, optimizer, noisy, range(10, 60))
    assert optimizer.switches()
    assert all("exp_avg_sq" not in state for state in optimizer.state.values())


@pytest.mark.parametrize(
    "options", [{"scope": "layer"}, {"criterion": "soon"}, {"tol": 0.0}, {"tol": float("nan")}], ids=str
)
def test_what_cannot_be_is_refused(options) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        optim.SWATS(parameters(), **options)
