"""A schedule given as a hyperparameter: its value at every step, what follows from it, and what a checkpoint keeps of it."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch

from optim import typed
from optim.trials import advance, arrays, engines, parameters
from thalweg import optim
from thalweg.errors import InputError
from thalweg.schedules import constant, cosine, inverse_time, linear, warmup

RATE = 0.02 * (warmup(5) >> cosine(30))
BETA = linear(20, 0.8, 0.95)
RULES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"momentum": 0.9}),
    ("Adam", {"weight_decay": 0.1}),
    ("AdamW", {"betas": (0.8, 0.95)}),
    ("NAdam", {}),
]
rules = pytest.mark.parametrize(("name", "options"), RULES, ids=[name for name, _ in RULES])


@rules
@engines
def test_a_rate_is_that_of_torch_with_lambdalr(name, options, engine, float64_counts) -> None:
    tensors, others = parameters(), parameters()
    optimizer = getattr(optim, name)(tensors, lr=RATE, **options, engine=engine)
    expected = getattr(torch.optim, name)(others, lr=1.0, **options)
    scheduler = torch.optim.lr_scheduler.LambdaLR(expected, RATE)
    for step in range(40):
        assert expected.param_groups[0]["lr"] == RATE(step)
        advance(tensors, optimizer, [step])
        advance(others, expected, [step])
        scheduler.step()
        assert optimizer.param_groups[0]["lr"] == RATE(step)
        assert typed.difference(arrays(tensors), arrays(others), typed.weights()) <= 1e-11, step


@engines
def test_everything_that_is_a_number_may_follow_a_schedule(engine) -> None:
    """One part of a tuple, decay, ε, clipping: as the same numbers set by hand before each step."""
    clip, decay = 2.0 * inverse_time(0.1), 0.1 * cosine(30)
    tensors, others = parameters(), parameters()
    optimizer = optim.AdamW(
        tensors, lr=RATE, betas=(BETA, 0.99), weight_decay=decay, eps=1e-6 * constant(), clip_norm=clip, engine=engine
    )
    expected = torch.optim.AdamW(others, lr=1.0)
    for step in range(40):
        by_hand = {"lr": RATE(step), "betas": (BETA(step), 0.99), "weight_decay": decay(step), "eps": 1e-6}
        expected.param_groups[0].update(by_hand)
        hook = expected.register_step_pre_hook(
            lambda *_, step=step: torch.nn.utils.clip_grad_norm_(others, clip(step)) and None
        )
        advance(tensors, optimizer, [step])
        advance(others, expected, [step])
        hook.remove()
        group = optimizer.param_groups[0]
        assert {key: group[key] for key in by_hand} == by_hand
        assert group["clip_norm"] == clip(step)
        assert typed.difference(arrays(tensors), arrays(others), typed.weights()) <= 1e-11, step


def test_groups_have_schedules_of_their_own() -> None:
    tensors = parameters()
    groups = [{"params": tensors[:3]}, {"params": tensors[3:5], "lr": 0.5}, {"params": tensors[5:], "lr": 2 * RATE}]
    optimizer = optim.SGD(groups, lr=RATE)
    for step in range(10):
        advance(tensors, optimizer, [step])
        assert [group["lr"] for group in optimizer.param_groups] == [RATE(step), 0.5, 2 * RATE(step)]


def test_a_group_that_comes_later_begins_its_own_schedule() -> None:
    tensors = parameters()
    optimizer = optim.SGD(tensors[:4], lr=RATE)
    advance(tensors[:4], optimizer, range(7))
    optimizer.add_param_group({"params": tensors[4:]})
    advance(tensors, optimizer, [7])
    assert [group["lr"] for group in optimizer.param_groups] == [RATE(7), RATE(0)]


@pytest.mark.parametrize("stop", [0, 1, 4, 5, 17, 36])
@pytest.mark.parametrize("given", [True, False], ids=["the same schedule", "no schedule"])
def test_a_resumed_run_goes_on_to_the_bit(stop, given) -> None:
    """The checkpoint brings the schedule, whatever the new optimizer was made with."""
    tensors = parameters()
    optimizer = optim.AdamW(tensors, lr=RATE, betas=(BETA, 0.99))
    advance(tensors, optimizer, range(stop))
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    buffer.seek(0)
    others = [torch.nn.Parameter(tensor.detach().clone()) for tensor in tensors]
    resumed = optim.AdamW(others, **({"lr": RATE, "betas": (BETA, 0.99)} if given else {}))
    resumed.load_state_dict(torch.load(buffer, weights_only=True))
    for step in range(stop, 40):
        advance(tensors, optimizer, [step])
        advance(others, resumed, [step])
        assert resumed.param_groups[0]["lr"] == RATE(step)
        assert resumed.param_groups[0]["betas"] == (BETA(step), 0.99)
    assert all(map(torch.equal, tensors, others))


def test_a_schedule_that_watches_a_run_is_refused() -> None:
    from thalweg.schedules import plateau

    with pytest.raises(InputError, match="Follow"):
        optim.SGD(parameters(), lr=0.1 * plateau())
