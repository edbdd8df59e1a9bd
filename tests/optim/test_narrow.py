"""States in half and in a quarter of the memory, and weights rounded at random: what it costs and what it must not."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
import torch

from optim import typed
from optim.trials import advance, engines, parameters
from thalweg import optim

SHAPES = [(64, 40), (300,), (16, 4, 3, 3), (), (0, 3), (5,)]
RULES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 1e-3, "momentum": 0.9}),
    ("Adam", {"lr": 1e-3}),
    ("AdamW", {"lr": 1e-3, "weight_decay": 0.1, "ema": 0.99}),
    ("Adam", {"lr": 1e-3, "amsgrad": True}),
    ("RMSprop", {"lr": 1e-3, "momentum": 0.9, "centered": True}),
    ("Adan", {"lr": 1e-3}),
    ("LAMB", {"lr": 1e-3}),
    ("SWATS", {"lr": 1e-3}),
]
rules = pytest.mark.parametrize(("name", "options"), RULES, ids=lambda value: value if isinstance(value, str) else "")
widths = pytest.mark.parametrize("kept", ["bfloat16", "8bit"])
AVERAGES = ("ema_weight",)


def begin(name: str, options: dict[str, Any], kept: str | None, engine: str = "auto", shapes=SHAPES):
    tensors = parameters(shapes, torch.float32)
    return tensors, getattr(optim, name)(tensors, **options, state_dtype=kept, engine=engine)


def bytes_of(optimizer: torch.optim.Optimizer) -> int:
    """Of all that grows with the weights and is no average of them."""
    return sum(
        value.numel() * value.element_size()
        for state in optimizer.state.values()
        for name, value in state.items()
        if isinstance(value, torch.Tensor) and name not in AVERAGES and value.numel() > 1
    )


@rules
def test_states_take_a_half_and_a_quarter(name, options) -> None:
    sizes = {}
    for kept in ("float32", "bfloat16", "8bit"):
        tensors, optimizer = begin(name, options, kept, shapes=[(64, 40), (2560,), (16, 4, 4, 4)])
        advance(tensors, optimizer, range(2))
        sizes[kept] = bytes_of(optimizer)
    assert sizes["bfloat16"] * 2 == sizes["float32"]
    assert sizes["8bit"] == sizes["float32"] * (1 / 4 + 1 / 256)  # a byte, and four for each block of 256


@widths
@rules
@engines
def test_both_engines_roll_the_same_dice(kept, name, options, engine) -> None:
    tensors, optimizer = begin(name, options, kept, engine)
    others, reference = begin(name, options, kept, "reference")
    advance(tensors, optimizer, range(12))
    advance(others, reference, range(12))
    for tensor, other in zip(tensors, others, strict=True):
        torch.testing.assert_close(tensor, other, rtol=2e-4, atol=2e-5)


BOUNDS = {"bfloat16": 0.02, "8bit": 0.13}
"""Shares of the way that the weights have gone in 300 steps: threefold what the worst of these rules, Adan, was measured at."""


@widths
@rules
def test_numbers_stay_near_those_of_float32(kept, name, options) -> None:
    tensors, optimizer = begin(name, options, kept)
    others, exact = begin(name, options, "float32")
    starts = [tensor.detach().clone() for tensor in tensors]
    learn(tensors, optimizer, range(300))
    learn(others, exact, range(300))
    apart, way = (
        math.sqrt(sum(float((a - b).detach().square().sum()) for a, b in zip(*pair, strict=True)))
        for pair in ((tensors, others), (others, starts))
    )
    assert 0 < apart <= BOUNDS[kept] * way


def learn(tensors, optimizer, steps) -> None:
    """Steps down a noisy slope that depends on where they are."""
    generator = torch.Generator()
    for step in steps:
        generator.manual_seed(step)
        for index, tensor in enumerate(tensors):
            noise = torch.randn(tensor.shape, generator=generator)
            tensor.grad = (tensor.detach() + noise) * 10.0 ** (index - 3)
        optimizer.step()


def saved(optimizer: torch.optim.Optimizer) -> Any:
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@pytest.mark.parametrize("kept", ["float32", "bfloat16", "8bit"])
@rules
def test_a_checkpoint_goes_on_to_the_bit(kept, name, options) -> None:
    tensors, optimizer = begin(name, options, kept)
    advance(tensors, optimizer, range(6))
    others, resumed = begin(name, options, kept)
    for other, tensor in zip(others, tensors, strict=True):
        other.data.copy_(tensor.data)
    resumed.load_state_dict(saved(optimizer))
    for step in range(6, 12):
        advance(tensors, optimizer, [step])
        advance(others, resumed, [step])
    assert all(map(torch.equal, tensors, others))
    for tensor, other in zip(tensors, others, strict=True):
        one, two = optimizer.state[tensor], resumed.state[other]
        assert one.keys() == two.keys()
        for key in one.keys() - ({"step"} if (name, kept) == ("SGD", "float32") else set()):
            assert one[key].dtype == two[key].dtype
            assert torch.equal(one[key], two[key]), key


HELD = {"float32": torch.float32, "bfloat16": torch.bfloat16, "8bit": torch.int8}


@pytest.mark.parametrize("new", HELD)
@pytest.mark.parametrize("old", HELD)
def test_a_checkpoint_of_another_storage_is_taken_over(old, new) -> None:
    """What the group asks for now counts: set ``state_dtype`` in the groups after loading."""
    tensors, optimizer = begin("Adam", {"lr": 1e-3}, old)
    advance(tensors, optimizer, range(20))
    others, resumed = begin("Adam", {"lr": 1e-3}, new)
    for other, tensor in zip(others, tensors, strict=True):
        other.data.copy_(tensor.data)
    resumed.load_state_dict(saved(optimizer))
    for group in resumed.param_groups:
        group["state_dtype"] = new
    advance(tensors, optimizer, range(20, 25))
    advance(others, resumed, range(20, 25))
    for tensor, other in zip(tensors, others, strict=True):
        state = resumed.state[other]
        assert state["exp_avg"].dtype == HELD[new]
        assert ("exp_avg_scale" in state) == (new == "8bit")
        assert float(state["step"]) == 25
        assert float((tensor - other).detach().abs().max() if tensor.numel() else 0.0) <= 5 * 1e-3


def test_a_checkpoint_of_torch_is_narrowed_and_one_of_ours_is_widened() -> None:
    theirs = parameters(SHAPES, torch.float32)
    expected = torch.optim.Adam(theirs, lr=1e-3)
    advance(theirs, expected, range(5))
    tensors, optimizer = begin("Adam", {"lr": 1e-3}, "bfloat16")
    optimizer.load_state_dict(saved(expected))
    for group in optimizer.param_groups:
        group["state_dtype"] = "bfloat16"
    advance(tensors, optimizer, [5])
    assert optimizer.state[tensors[0]]["exp_avg"].dtype == torch.bfloat16
    again = torch.optim.Adam(parameters(SHAPES, torch.float32), lr=1e-3)
    again.load_state_dict(saved(optimizer))
    found = again.state_dict()["state"][0]["exp_avg"]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, optimizer.state[tensors[0]]["exp_avg"].float())


MANY = 20_000


def drift(dtype: torch.dtype, engine: str, *, rounding: bool, steps: int = 200) -> torch.Tensor:
    """How far weights of 1 go with steps of 1e-4 down: the next bfloat16 below is 0.0039 away."""
    tensor = torch.nn.Parameter(torch.ones(MANY, dtype=dtype))
    optimizer = optim.SGD([tensor], lr=1e-4, stochastic_rounding=rounding, engine=engine)
    for _ in range(steps):
        tensor.grad = torch.ones_like(tensor)
        optimizer.step()
    return tensor.detach().double() - 1


@engines
def test_dice_of_a_resumed_run_go_on(engine) -> None:
    """Also where the weights have no state at all."""
    tensors = [torch.nn.Parameter(torch.ones(300, dtype=torch.bfloat16)) for _ in range(2)]
    options: dict[str, Any] = {"lr": 2.0**-9, "stochastic_rounding": True, "engine": engine}
    optimizer = optim.SGD(tensors, **options)
    for step in range(8):
        if step == 4:
            others = [torch.nn.Parameter(tensor.detach().clone()) for tensor in tensors]
            resumed = optim.SGD(others, **options)
            resumed.load_state_dict(saved(optimizer))
        if step >= 4:
            advance(others, resumed, [step])
        advance(tensors, optimizer, [step])
    assert all(map(torch.equal, tensors, others))


@engines
def test_weights_rounded_at_random_go_as_far_as_exact_ones(engine) -> None:
    assert torch.equal(drift(torch.bfloat16, engine, rounding=False), torch.zeros(MANY, dtype=torch.float64))
    exact = drift(torch.float32, engine, rounding=False).mean()
    found = drift(torch.bfloat16, engine, rounding=True)
    # A step is one of 2⁻⁸ down with the chance 1e-4·2⁸ = p: so 200 of them have the variance 200·p(1−p)·2⁻¹⁶.
    chance, gap = 1e-4 * 2**8, 2.0**-8
    deviation = math.sqrt(200 * chance * (1 - chance)) * gap
    assert abs(found.mean() - exact) <= 5 * deviation / math.sqrt(MANY)
    assert float(found.std()) == pytest.approx(deviation, rel=0.05)
    assert set((found / gap).unique().tolist()) <= {float(-n) for n in range(40)}


@engines
def test_dice_of_two_tensors_and_two_steps_are_not_the_same(engine) -> None:
    tensors = [torch.nn.Parameter(torch.ones(MANY, dtype=torch.bfloat16)) for _ in range(2)]
    optimizer = optim.SGD(tensors, lr=2.0**-9, stochastic_rounding=True, engine=engine)
    moved = []
    for _ in range(2):
        for tensor in tensors:
            tensor.data.fill_(1.0)
            tensor.grad = torch.ones_like(tensor)
        optimizer.step()
        moved += [(tensor.detach() != 1).float() for tensor in tensors]
    for one in moved:
        assert float(one.mean()) == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(MANY))
    for index, one in enumerate(moved):
        for other in moved[:index]:
            assert float(((one - 0.5) * (other - 0.5)).mean()) == pytest.approx(0, abs=5 * 0.25 / math.sqrt(MANY))


def test_rounding_at_random_changes_nothing_for_wider_weights() -> None:
    assert torch.equal(
        drift(torch.float32, "auto", rounding=True, steps=5), drift(torch.float32, "auto", rounding=False, steps=5)
    )


def test_the_mean_of_a_narrow_second_moment_is_right() -> None:
    """With β = 0.999 the nearest bfloat16 never changes; rounded at random, the mean follows float32's."""
    means = {}
    for kept in ("float32", "bfloat16", "8bit"):
        tensor = torch.nn.Parameter(torch.zeros(MANY))
        optimizer = optim.RMSprop([tensor], alpha=0.999, state_dtype=kept)
        for step in range(400):
            tensor.grad = torch.full_like(tensor, 1.0 if step < 200 else 1.5)
            optimizer.step()
        state = optimizer.state[tensor]["square_avg"]
        if kept == "8bit":
            from thalweg.engines import decoded

            state = decoded(state, optimizer.state[tensor]["square_avg_scale"])
        means[kept] = float(state.double().mean())
    assert means["bfloat16"] == pytest.approx(means["float32"], rel=2e-3)
    assert means["8bit"] == pytest.approx(means["float32"], rel=2e-2)
    assert typed.norm([means["float32"]]) > 0.5
