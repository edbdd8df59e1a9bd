"""What any optimizer does in the same pass, against what others do in passes of their own: torch, sklearn, typed formulas."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from optim import typed
from optim.trials import advance, arrays, engines, ours, parameters
from thalweg import optim
from thalweg.errors import InputError

RULES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.01, "momentum": 0.9}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.1}),
    ("LAMB", {"lr": 0.01, "weight_decay": 0.1}),
]
rules = pytest.mark.parametrize(("name", "options"), RULES, ids=[name for name, _ in RULES])


class Model(torch.nn.Module):
    """Tensors as torch's averaging wants them: in a module."""

    def __init__(self, tensors: list[torch.nn.Parameter]) -> None:
        super().__init__()
        self.tensors = torch.nn.ParameterList(tensors)


@rules
@engines
def test_ema_is_torchs_averaged_model(name, options, engine) -> None:
    tensors = parameters()
    optimizer = getattr(optim, name)(tensors, **options, ema=0.95, engine=engine)
    model = Model(tensors)
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.95))
    for step in range(30):
        advance(tensors, optimizer, [step])
        averaged.update_parameters(model)
        found = [average for _, average in optimizer.averages()]
        assert typed.difference(arrays(found), arrays(averaged.module.tensors), typed.weights()) <= 1e-13


@rules
@engines
@pytest.mark.parametrize("swa", [(1, 1), (5, 1), (4, 3)], ids=str)
def test_swa_is_the_plain_mean_of_torchs_averaged_model(name, options, engine, swa) -> None:
    start, every = swa
    tensors = parameters()
    optimizer = getattr(optim, name)(tensors, **options, swa=swa, engine=engine)
    model = Model(tensors)
    averaged = AveragedModel(model)
    for step in range(1, 31):
        advance(tensors, optimizer, [step - 1])
        if step >= start and (step - start) % every == 0:
            averaged.update_parameters(model)
        expected = averaged.module.tensors if step >= start else tensors  # before there is one: the weights themselves
        found = [average for _, average in optimizer.averages()]
        assert typed.difference(arrays(found), arrays(expected), typed.weights()) <= 1e-13, step


AVERAGED = {
    "ema": lambda p: optim.AdamW(p, ema=0.9),
    "swa": lambda p: optim.SGD(p, swa=(2, 2)),
    "asgd": lambda p: optim.ASGD(p, t0=2),
    "schedule-free": lambda p: optim.ScheduleFreeSGD(p, lr=0.01),
    "narrow states": lambda p: optim.AdamW(p, ema=0.9, state_dtype="8bit"),
}


@pytest.mark.parametrize("kind", AVERAGED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_average_takes_the_weights_place_and_gives_it_back_to_the_bit(kind, dtype) -> None:
    tensors = parameters(dtype=dtype)
    optimizer = AVERAGED[kind](tensors)
    advance(tensors, optimizer, range(6))
    before = [tensor.detach().clone() for tensor in tensors]
    expected = [average.clone() for _, average in optimizer.averages()]
    with optimizer.averaged():
        assert all(torch.equal(tensor, average.to(dtype)) for tensor, average in zip(tensors, expected, strict=True))
        assert not torch.equal(tensors[0], before[0])
    assert all(map(torch.equal, tensors, before))
    with pytest.raises(ZeroDivisionError), optimizer.averaged():
        raise ZeroDivisionError
    assert all(map(torch.equal, tensors, before))


def test_there_is_nothing_to_swap_where_nothing_is_averaged() -> None:
    tensors = parameters()
    optimizer = optim.AdamW(tensors)
    advance(tensors, optimizer, range(2))
    before = arrays(tensors)
    with optimizer.averaged():
        assert all(map(np.array_equal, arrays(tensors), before))


@engines
def test_l1_stops_at_zero(engine) -> None:
    numbers = torch.tensor([0.1, 0.0999, -0.0999, -0.1, 0.0, 1e-12, 0.1001, -2.0], dtype=torch.float64)
    tensor = torch.nn.Parameter(numbers.clone())
    tensor.grad = torch.zeros_like(tensor)
    optim.SGD([tensor], lr=0.5, l1=0.2, engine=engine).step()  # the proximal step is of 0.1
    assert torch.equal(tensor, numbers.sign() * (numbers.abs() - 0.1).clamp(min=0))
    assert (tensor[:6] == 0).all()
    assert (tensor[6:] != 0).all()


@engines
@rules
def test_l1_is_a_proximal_step_after_the_rules_own(name, options, engine) -> None:
    plain, shrunk = parameters(), parameters()
    one = getattr(optim, name)(plain, **options)
    other = getattr(optim, name)(shrunk, **options, l1=0.3, engine=engine)
    for step in range(20):
        advance(plain, one, [step])
        for tensor in plain:
            tensor.data = tensor.data.sign() * (tensor.data.abs() - options["lr"] * 0.3).clamp(min=0)
        advance(shrunk, other, [step])
    assert typed.difference(arrays(shrunk), arrays(plain), typed.weights()) <= 1e-12


@engines
def test_proximal_descent_finds_the_lasso(engine) -> None:
    random = np.random.default_rng(3)
    x = random.normal(size=(60, 12))
    y = x @ np.r_[2.0, -3.0, 0.5, np.zeros(9)] + 0.1 * random.normal(size=60)
    # sklearn: |y − Xw|² / 2n + α |w|₁. So the smooth part's gradient is Xᵀ(Xw − y)/n, and α is l1.
    expected = Lasso(alpha=0.1, fit_intercept=False, tol=1e-14, max_iter=100_000).fit(x, y).coef_
    tensor = torch.nn.Parameter(torch.zeros(12, dtype=torch.float64))
    optimizer = optim.SGD([tensor], lr=0.3, l1=0.1, engine=engine)
    for _ in range(2000):
        tensor.grad = torch.tensor(x.T @ (x @ tensor.detach().numpy() - y) / 60)
        optimizer.step()
    found = tensor.detach().numpy()
    assert np.abs(found - expected).max() <= 1e-6
    assert ((found == 0) == (expected == 0)).all()
    assert (found == 0).sum() >= 6


def named_net(dtype: torch.dtype = torch.float64) -> torch.nn.Module:
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 2),
        torch.nn.BatchNorm2d(3),
        torch.nn.Flatten(),
        torch.nn.Linear(12, 4),
        torch.nn.LayerNorm(4),
    ).to(dtype)


@engines
@pytest.mark.parametrize(
    ("name", "decay"), [("AdamW", 0.3), ("Adam", 0.3), ("SGD", 0.3)], ids=["decoupled", "coupled", "sgd"]
)
def test_decay_of_matrices_is_torchs_with_two_groups(name, decay, engine) -> None:
    mine, theirs = named_net(), named_net()
    bare = [p for p in theirs.parameters() if p.ndim < 2]
    assert len(bare) == 6
    groups = [{"params": [p for p in theirs.parameters() if p.ndim >= 2]}, {"params": bare, "weight_decay": 0.0}]
    expected = getattr(torch.optim, name)(groups, lr=0.01, weight_decay=decay)
    optimizer = getattr(optim, name)(mine.parameters(), lr=0.01, weight_decay=decay, decay="matrices", engine=engine)
    steps(mine, optimizer), steps(theirs, expected)
    starts = arrays(named_net().parameters())
    # Batch norm makes the gradient of the bias before it nothing but rounding, which Adam takes to the size of a step.
    assert typed.difference(arrays(mine.parameters()), arrays(theirs.parameters()), starts) <= 1e-8


def steps(net: torch.nn.Module, optimizer: torch.optim.Optimizer, count: int = 20) -> None:
    for step in range(count):
        torch.manual_seed(step)
        optimizer.zero_grad()
        net(torch.randn(8, 2, 3, 3, dtype=torch.float64)).square().mean().backward()
        optimizer.step()


@engines
def test_l1_spares_what_decay_spares(engine) -> None:
    tensors = parameters()
    optimizer = optim.SGD(tensors, lr=1.0, l1=100.0, weight_decay=0.1, decay="matrices", engine=engine)
    for tensor in tensors:
        tensor.grad = torch.zeros_like(tensor)
    optimizer.step()
    for tensor, start in zip(tensors, typed.weights(), strict=True):
        expected = np.zeros_like(start) if tensor.ndim >= 2 else start
        assert np.array_equal(tensor.detach().numpy(), expected)


@engines
@rules
@pytest.mark.parametrize("limit", [0.5, 1e3])
def test_clipping_each_tensor_is_torchs_for_each(name, options, engine, limit) -> None:
    tensors, others = parameters(), parameters()
    optimizer = getattr(optim, name)(tensors, **options, clip_tensor_norm=limit, engine=engine)
    clipped = getattr(optim, name)(others, **options)
    hook = clipped.register_step_pre_hook(
        lambda *_: [torch.nn.utils.clip_grad_norm_(p, limit) for p in others] and None
    )
    advance(tensors, optimizer, range(20))
    advance(others, clipped, range(20))
    hook.remove()
    assert typed.difference(arrays(tensors), arrays(others), typed.weights()) <= 1e-12


def agc(w: np.ndarray, g: np.ndarray, share: float) -> np.ndarray:
    """timm's ``adaptive_clip_grad``: norms over all but the first dimension; vectors and numbers whole."""
    axes = tuple(range(1, w.ndim)) if w.ndim > 1 else tuple(range(w.ndim))
    size, length = (np.sqrt((x * x).sum(axes, keepdims=True)) for x in (w, g))
    limit = np.maximum(size, 1e-3) * share
    return np.where(length < limit, g, g * (limit / np.maximum(length, 1e-6)))


@engines
@pytest.mark.parametrize("share", [0.01, 0.5])
def test_adaptive_clipping_is_timms(engine, share) -> None:
    def clipped(w, g, t, s, o):
        return typed.adam(w, agc(w, g, share), t, s, o)

    options = {"lr": 0.01, "betas": (0.9, 0.99), "eps": 1e-8}
    found = ours("Adam", {**options, "clip_adaptive": share}, engine, [1, 50])
    for step, expected in enumerate(typed.trajectory(clipped, options, 50), 1):
        if step in found:
            assert typed.difference(found[step], expected, typed.weights()) <= 1e-11


@engines
def test_adaptive_clipping_is_optaxs(engine, optax_runs) -> None:
    options = {"lr": 0.1, "clip_adaptive": 0.1}
    expected = optax_runs({"agc": ("clip_adaptive", options, [1, 50])})
    found = ours("SGD", options, engine, [1, 50])
    for step in found:
        assert typed.difference(found[step], expected("agc", step), typed.weights()) <= 1e-11


@engines
def test_all_that_clips_acts_in_its_order(engine) -> None:
    """The whole, each tensor, each unit, each element; then decay."""
    options = {"clip_norm": 3.0, "clip_tensor_norm": 1.0, "clip_adaptive": 0.3, "clip_value": 0.2}
    found = ours("SGD", {"lr": 0.1, "weight_decay": 0.1, **options}, engine, [1, 20])
    now = typed.weights()
    for step in range(20):
        gradients = typed.gradients(step)
        whole = np.sqrt(sum(typed.norm(g) ** 2 for g in gradients))
        gradients = [g * min(1, 3.0 / (whole + 1e-6)) for g in gradients]
        gradients = [g * min(1, 1.0 / (typed.norm(g) + 1e-6)) for g in gradients]
        gradients = [np.clip(agc(w, g, 0.3), -0.2, 0.2) for w, g in zip(now, gradients, strict=True)]
        now = [w - 0.1 * (g + 0.1 * w) for w, g in zip(now, gradients, strict=True)]
        if step + 1 in found:
            assert typed.difference(found[step + 1], now, typed.weights()) <= 1e-12


@pytest.mark.parametrize(
    ("name", "averaging"),
    [
        ("AdamW", {"ema": 0.9}),
        ("SGD", {"ema": 0.9}),
        ("AdamW", {"swa": (3, 2)}),
        ("SGD", {"swa": (3, 2)}),
    ],
    ids=str,
)
def test_averages_are_in_checkpoints(name, averaging) -> None:
    tensors = parameters()
    optimizer = getattr(optim, name)(tensors, **averaging)
    advance(tensors, optimizer, range(5))
    others = [torch.nn.Parameter(tensor.detach().clone()) for tensor in tensors]
    resumed = getattr(optim, name)(others, **averaging)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for pair in ((tensors, optimizer), (others, resumed)):
        advance(*pair, range(5, 9))
    expected = dict(enumerate(average for _, average in optimizer.averages()))
    assert all(torch.equal(average, expected[i]) for i, (_, average) in enumerate(resumed.averages()))


WRONG: list[dict[str, Any]] = [
    {"clip_tensor_norm": 0.0}, {"clip_adaptive": -1.0}, {"l1": -0.1}, {"ema": 1.0}, {"ema": -0.1}, {"swa": (0, 1)},
    {"swa": (1, 0)}, {"ema": 0.9, "swa": (1, 1)}, {"decay": "biases"}, {"state_dtype": "float16"}, {"engine": "tpu"},
]  # fmt: skip


@pytest.mark.parametrize("options", WRONG, ids=str)
def test_what_cannot_be_is_refused_and_named(options) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        optim.AdamW(parameters(), **options)


def test_an_argument_that_no_optimizer_has_is_pythons_own_error() -> None:
    with pytest.raises(TypeError, match="clip_nrom"):
        optim.AdamW(parameters(), clip_nrom=1.0)
