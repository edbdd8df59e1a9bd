"""Schedule-free learning: against its three sequences typed by hand, against optax, and against the authors' way to use it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch

from optim import typed
from optim.trials import advance, arrays, engines, ours, parameters
from thalweg import optim
from thalweg.errors import InputError

LOOK = [1, 2, 10, 200]


def free(w, g, t, s, o):
    """Defazio et al. 2024, algorithm 1: z takes the steps, x averages, y is where the gradient is taken."""
    if o.adaptive:
        beta, b2 = o.betas
        v = typed.mean(s, "v", b2, g * g)
        g = g / (np.sqrt(v / (1 - b2**t)) + o.eps)
    else:
        beta = o.momentum
    z, x = s.get("z", w), s.get("x", w)
    lr = o.lr * (t / o.warmup_steps if t < o.warmup_steps else 1)
    s["largest"] = max(s.get("largest", 0.0), lr)
    weight = t**o.r * s["largest"] ** o.weight_lr_power
    s["total"] = s.get("total", 0.0) + weight
    share = weight / s["total"]
    s["z"] = z - lr * (g + o.weight_decay * w)
    s["x"] = (1 - share) * x + share * s["z"]
    return (1 - beta) * s["z"] + beta * s["x"]


HELD = {"weight_decay": 0.0, "warmup_steps": 0, "r": 0.0, "weight_lr_power": 2.0}
SGD = {**HELD, "lr": 0.02, "momentum": 0.9}
ADAMW = {**HELD, "lr": 0.01, "betas": (0.9, 0.99), "eps": 1e-8}
TABLE: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("ScheduleFreeSGD", SGD),
    "sgd, decay": ("ScheduleFreeSGD", {**SGD, "momentum": 0.8, "weight_decay": 0.1}),
    "sgd, warm-up": ("ScheduleFreeSGD", {**SGD, "warmup_steps": 50}),
    "sgd, powers": ("ScheduleFreeSGD", {**SGD, "warmup_steps": 5, "r": 0.7, "weight_lr_power": 1.0}),
    "adamw": ("ScheduleFreeAdamW", ADAMW),
    "adamw, decay": ("ScheduleFreeAdamW", {**ADAMW, "betas": (0.7, 0.95), "weight_decay": 0.1}),
    "adamw, warm-up": ("ScheduleFreeAdamW", {**ADAMW, "warmup_steps": 50, "r": 0.5, "weight_decay": 0.1}),
    "adamw, ascent": ("ScheduleFreeAdamW", {**ADAMW, "maximize": True}),
}
ALIKE = ["sgd", "sgd, decay", "adamw", "adamw, decay"]
"""optax's warm-up begins at 1/n a step later, and it has no power of the step's number."""
cases = pytest.mark.parametrize("case", TABLE)


@cases
@engines
def test_two_hundred_steps_follow_the_three_sequences_typed_by_hand(case, engine) -> None:
    name, options = TABLE[case]
    found = ours(name, options, engine, LOOK)
    adaptive = {**options, "adaptive": name == "ScheduleFreeAdamW"}
    for step, expected in enumerate(typed.trajectory(free, adaptive, max(LOOK)), 1):
        if step in LOOK:
            assert typed.difference(found[step], expected, typed.weights()) <= 1e-11, step


@pytest.fixture(scope="module")
def optax_of(optax_runs):
    return optax_runs({case: (TABLE[case][0], TABLE[case][1], LOOK) for case in ALIKE})


@pytest.mark.parametrize("case", ALIKE)
@engines
def test_two_hundred_steps_give_optaxs_numbers(case, engine, optax_of) -> None:
    found = ours(*TABLE[case], engine, LOOK)
    for step in LOOK:
        assert typed.difference(found[step], optax_of(case, step), typed.weights()) <= 1e-9, step


@pytest.mark.parametrize("name", ["ScheduleFreeSGD", "ScheduleFreeAdamW"])
def test_with_a_constant_rate_x_is_the_mean_of_all_z(name) -> None:
    tensors = parameters()
    optimizer = getattr(optim, name)(tensors, lr=0.01)
    seen: list[list[np.ndarray]] = []
    for step in range(40):
        advance(tensors, optimizer, [step])
        seen.append([optimizer.state[tensor]["z"].clone().numpy() for tensor in tensors])
        with optimizer.averaged():
            found = arrays(tensors)
        mean = [np.mean([tensors[i] for tensors in seen], axis=0) for i in range(len(found))]
        assert typed.difference(found, mean, typed.weights()) <= 1e-12


@cases
def test_eval_and_train_go_there_and_back(case) -> None:
    name, options = TABLE[case]
    tensors, others = parameters(), parameters()
    optimizer, undisturbed = (getattr(optim, name)(params, **options) for params in (tensors, others))
    for step in range(20):
        advance(tensors, optimizer, [step])
        advance(others, undisturbed, [step])
        expected = [average.clone() for _, average in optimizer.averages()]
        optimizer.eval()
        optimizer.eval()  # which changes nothing
        assert all(map(torch.equal, tensors, expected))
        assert list(optimizer.averages()) == []
        optimizer.train()
        optimizer.train()
    assert typed.difference(arrays(tensors), arrays(others), typed.weights()) <= 1e-12


def test_before_the_first_step_there_is_nothing_to_swap() -> None:
    tensors = parameters()
    optimizer = optim.ScheduleFreeSGD(tensors)
    optimizer.eval()
    optimizer.train()
    assert all(map(np.array_equal, arrays(tensors), typed.weights()))


def test_a_step_from_the_average_is_refused() -> None:
    tensors = parameters()
    optimizer = optim.ScheduleFreeAdamW(tensors)
    advance(tensors, optimizer, range(3))
    optimizer.eval()
    before = [array.copy() for array in arrays(tensors)]
    with pytest.raises(InputError, match=r"optimizer\.train\(\)"):
        optimizer.step()
    assert all(map(np.array_equal, arrays(tensors), before))
    optimizer.train()
    advance(tensors, optimizer, [3])


def saved(optimizer: torch.optim.Optimizer) -> Any:
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@pytest.mark.parametrize("mode", ["training", "evaluating"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@cases
def test_a_run_that_was_stopped_goes_on_to_the_bit(case, mode, dtype) -> None:
    """Also from a checkpoint of the average: that is what one saves."""
    name, options = TABLE[case]
    tensors = parameters(dtype=dtype)
    optimizer = getattr(optim, name)(tensors, **options)
    advance(tensors, optimizer, range(7))
    if mode == "evaluating":
        optimizer.eval()
    others = [torch.nn.Parameter(tensor.detach().clone()) for tensor in tensors]
    resumed = getattr(optim, name)(others, **options)
    resumed.load_state_dict(saved(optimizer))
    for which in (optimizer, resumed):
        if mode == "evaluating":
            assert list(which.averages()) == []
            which.train()
    advance(tensors, optimizer, range(7, 30))
    advance(others, resumed, range(7, 30))
    assert all(map(torch.equal, tensors, others))


def test_z_stays_as_exact_as_the_arithmetic() -> None:
    """It is weights, not a moment: narrow states do not narrow it."""
    tensors = parameters(dtype=torch.bfloat16)
    optimizer = optim.ScheduleFreeAdamW(tensors, state_dtype="8bit")
    advance(tensors, optimizer, range(3))
    state = optimizer.state[tensors[0]]
    assert state["z"].dtype == torch.float32
    assert state["exp_avg_sq"].dtype == torch.int8


def test_a_long_run_keeps_count_of_its_weights() -> None:
    """The share of the n-th z among n equal ones is 1/n, also where the sum has long outgrown float32's digits."""
    tensor = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = optim.ScheduleFreeSGD([tensor], lr=1e-3)
    tensor.grad = torch.zeros_like(tensor)
    optimizer.step()
    steps = 3_000_000
    optimizer.state[tensor]["weight_sum"].fill_(1e-6 * steps)
    optimizer.state[tensor]["step"].fill_(steps)
    for _ in range(1000):
        optimizer.step()
    grown = float(optimizer.state[tensor]["weight_sum"]) / (1e-6 * steps) - 1
    assert grown == pytest.approx(1000 / steps, rel=1e-2)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ScheduleFreeSGD", {"momentum": 0.0}),
        ("ScheduleFreeSGD", {"momentum": 1.0}),
        ("ScheduleFreeAdamW", {"betas": (0.0, 0.9)}),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(name, options) -> None:
    with pytest.raises(ValueError, match="Invalid"):
        getattr(optim, name)(parameters(), **options)


@engines
def test_it_finds_the_minimum_of_least_squares(engine) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(50, 8))
    y = x @ random.normal(size=8) + 0.01 * random.normal(size=50)
    expected = np.linalg.lstsq(x, y, rcond=None)[0]
    tensor = torch.nn.Parameter(torch.zeros(8, dtype=torch.float64))
    optimizer = optim.ScheduleFreeSGD([tensor], lr=0.5, engine=engine)
    for _ in range(4000):
        tensor.grad = torch.tensor(x.T @ (x @ tensor.detach().numpy() - y) / 50)
        optimizer.step()
    with optimizer.averaged():
        assert np.abs(tensor.detach().numpy() - expected).max() <= 1e-3
