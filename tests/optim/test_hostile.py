"""What may happen to an optimizer from outside, found by trying to break it: right numbers or one sentence."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import sympy
import torch

from thalweg import optim
from thalweg.errors import InputError
from thalweg.rules import Rule, sum_all
from thalweg.rules.symbols import beta, g, hyper, lr, state, t, w
from thalweg.schedules import constant, cosine, linear


def made(cls: Any, size: int = 3, **options: Any) -> tuple[torch.nn.Parameter, torch.optim.Optimizer]:
    weight = torch.nn.Parameter(torch.full((size,), 5.0))
    return weight, cls([weight], **options)


def go(weight: torch.nn.Parameter, optimizer: torch.optim.Optimizer, steps: int, value: float = 1.0) -> list[float]:
    for _ in range(steps):
        weight.grad = torch.full_like(weight, value)
        optimizer.step()
    return weight.tolist()


@pytest.mark.parametrize("how", ["data", "shared"])
def test_states_may_be_moved_in_place(how) -> None:
    ours, theirs = made(optim.AdamW, 5000), made(torch.optim.AdamW, 5000)
    for _ in range(4):
        assert go(*ours, 3) == pytest.approx(go(*theirs, 3), rel=1e-6)
        for value in ours[1].state[ours[0]].values():
            if how == "data":
                value.data = value.data.clone()
            else:
                value.share_memory_()
    assert float(ours[1].state[ours[0]]["step"]) == 12


@pytest.mark.parametrize("options", [{"ema": 0.9}, {"swa": (1, 2)}])
def test_an_average_that_begins_late_begins_at_the_weights(options) -> None:
    theirs = made(torch.optim.AdamW, lr=0.01)
    go(*theirs, 20)
    weight, optimizer = made(optim.AdamW, **options)
    weight.data.copy_(theirs[0].data)
    optimizer.load_state_dict(theirs[1].state_dict())
    seen = [go(weight, optimizer, 1)[0] for _ in range(8)]
    with optimizer.averaged():
        assert min(seen) <= weight[0].item() <= 5.0
    optimizer.param_groups[0].update(dict.fromkeys(options))
    go(weight, optimizer, 1)
    with optimizer.averaged():
        assert weight[0].item() < min(seen)  # no longer asked for, no longer given


def test_a_default_device_is_not_where_counts_live() -> None:
    weight, optimizer = made(optim.NAdam, lr=0.1)
    with torch.device("meta"):
        weight.grad = torch.ones(3, device="cpu")
        optimizer.step()
    assert bool(weight.isfinite().all()) and weight.device.type == "cpu"


def test_a_gradient_of_another_type_or_size_is_not_read_as_memory() -> None:
    weight, optimizer = made(optim.SGD, 8, lr=0.1)
    go(weight, optimizer, 1)
    weight.grad.data = weight.grad.data.double()
    optimizer.step()
    assert weight.tolist() == pytest.approx([4.8] * 8)
    weight.grad = torch._neg_view(-torch.ones(8))
    optimizer.step()
    assert weight.tolist() == pytest.approx([4.7] * 8)
    weight.grad.data = torch.ones(2)
    with pytest.raises(InputError, match=r"shape \(8,\), its gradient \(2,\)"):
        optimizer.step()


BAD_GROUPS: list[dict[str, Any]] = [
    {"clip_norm": -1.0}, {"decay": "matrix"}, {"ema": 2.0}, {"ema": 0.9, "swa": (1, 1)}, {"betas": (2.0, 0.9)}, {"eps": -1.0},
    {"state_dtype": "int4"}, {"swa": 5}, {"betas": (0.9,)}, {"clip_norm": "x"}, {"lr": "cosine(10)"}, {"l1": "1"}, {"lr": None},
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_GROUPS, ids=str)
def test_what_a_group_says_is_checked_like_what_the_class_is_given(bad) -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    with pytest.raises(ValueError):
        optim.Adam([{"params": [weight], **bad}])
    with pytest.raises(ValueError):
        optim.Adam([weight], **bad)
    optimizer = optim.Adam([weight])
    go(weight, optimizer, 1)
    optimizer.param_groups[0].update(bad)
    with pytest.raises(ValueError):
        go(weight, optimizer, 1)


def test_scales_of_eight_bits_keep_their_name_and_their_size() -> None:
    m, scale = state("m"), state("m_scale")
    with pytest.raises(InputError, match='a state cannot be called "m_scale" beside m'):
        Rule("two", m=beta * m + g, m_scale=beta * scale + g, step=lr * (m + scale))
    weight, optimizer = made(optim.Adam, 1000, state_dtype="8bit")
    go(weight, optimizer, 1)
    optimizer.state[weight]["exp_avg_scale"] = torch.ones(1)
    with pytest.raises(InputError, match="exp_avg_scale has the shape"):
        go(weight, optimizer, 1)


def test_complex_gradients_may_be_conjugated_lazily() -> None:
    results = []
    for library in (optim, torch.optim):
        weight = torch.nn.Parameter(torch.tensor([1 + 1j, 2 - 1j]))
        optimizer = library.SGD([weight], lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            (weight.conj() * torch.tensor([1j, 2j])).real.sum().backward()
            optimizer.step()
        results.append(torch.view_as_real(weight.detach()))
    assert torch.allclose(*results)
    weight = torch.nn.Parameter(torch.tensor([1 + 1j]))
    weight.grad = weight.detach().clone()
    with pytest.raises(InputError, match="state_dtype is for real parameters"):
        optim.AdamW([weight], state_dtype="8bit").step()


def test_an_array_that_is_the_rate_is_read_in_each_step() -> None:
    weight, optimizer = made(optim.SGD, lr=np.array(0.1))
    for _ in range(3):
        go(weight, optimizer, 1)
        optimizer.param_groups[0]["lr"] *= 0.1
    assert weight[0].item() == pytest.approx(5 - 0.111)


@pytest.mark.parametrize(
    ("step", "value"),
    [
        (lr * sympy.sign(sum_all(g)) * w, float("nan")),
        (lr * sympy.log(sum_all(g)) * g, -1.0),
        (lr * (1 - t) ** sympy.Rational(1, 3) * g, 1.0),
    ],
)
def test_what_is_not_a_number_on_the_host_reaches_the_weights(step, value) -> None:
    weight, optimizer = made(lambda params: optim.FromRule(params, Rule("host", step=step), lr=1e-3))
    go(weight, optimizer, 2, value)
    assert bool(weight.isnan().all())


def test_a_step_that_fails_is_not_counted(monkeypatch) -> None:
    weight, optimizer = made(optim.Adam)
    go(weight, optimizer, 1)

    def broken(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(optimizer._plan.rows[0]), "fill", broken)
        with pytest.raises(KeyboardInterrupt):
            go(weight, optimizer, 1)
    go(weight, optimizer, 1)
    assert float(optimizer.state[weight]["step"]) == 2


def test_a_checkpoint_without_schedules_and_options_leaves_them() -> None:
    theirs = made(torch.optim.AdamW)
    go(*theirs, 3)
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = optim.AdamW([{"params": [weight], "clip_norm": 0.1}], lr=0.1 * cosine(100), l1=linear(10))
    optimizer.load_state_dict(theirs[1].state_dict())
    go(weight, optimizer, 1)
    (group,) = optimizer.param_groups
    assert group["lr"] == pytest.approx(0.1 * cosine(100)(3)) and group["clip_norm"] == 0.1


def test_a_checkpoint_of_another_rule_is_told() -> None:
    theirs = made(torch.optim.RMSprop)
    go(*theirs, 3)
    weight, optimizer = made(optim.Adam)
    with pytest.warns(UserWarning, match="Adam: the checkpoint has no exp_avg, exp_avg_sq: begun anew"):
        saved = theirs[1].state_dict()
        saved["param_groups"] = [{**optimizer.state_dict()["param_groups"][0]}]
        optimizer.load_state_dict(saved)
        go(weight, optimizer, 1)


def test_muon_remembers_what_the_rest_follows() -> None:
    optimizer = copy.deepcopy(optim.Muon(torch.nn.Linear(3, 3).parameters(), rest_lr=0.5))
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(3))]})
    assert optimizer.param_groups[-1]["lr"] == 0.5


def test_averages_are_not_taken_of_averages() -> None:
    weight, optimizer = made(optim.ScheduleFreeSGD, lr=0.1)
    go(weight, optimizer, 5)
    held = weight.tolist()
    with optimizer.averaged():
        first = weight.tolist()
        with optimizer.averaged():
            assert weight.tolist() == first
        for act in (optimizer.eval, optimizer.train, optimizer.step):
            with pytest.raises(InputError, match=r"inside averaged\(\)"):
                act()
    assert weight.tolist() == held


@pytest.mark.parametrize("word", ["μ", "ﬁ", "é"])
def test_names_are_letters_every_engine_can_write(word) -> None:
    with pytest.raises(InputError, match="cannot be called"):
        Rule("r", step=lr * state("m"), **{word: beta * state(word) + g, "m": g + state(word) * state("m")})


@pytest.mark.parametrize("word", ["updates", "schedules", "betas", "differentiable", "engine"])
def test_names_that_mean_something_else_to_a_group_are_refused(word) -> None:
    with pytest.raises(InputError, match=word):
        made(optim.FromRule, rule=Rule("u", step=lr * g * hyper(word)), lr=constant(1.0), hyperparameters={word: 0.5})


@pytest.mark.parametrize("start", [2 * w, t, g, state("m"), sum_all(w)], ids=str)
def test_a_start_is_known_before_the_first_step(start) -> None:
    with pytest.raises(InputError, match="m starts as"):
        Rule("r", m=beta * state("m") + g, step=lr * state("m"), starts={"m": start})


@pytest.mark.parametrize("step", [None, [1], "lr*g*lambda"], ids=str)
def test_a_step_is_an_expression(step) -> None:
    with pytest.raises(InputError, match="is no expression"):
        Rule("r", step=step)


def test_keys_of_a_group_may_be_exchanged() -> None:
    weight, optimizer = made(optim.SGD, lr=0.1)
    optimizer.param_groups[0]["one"] = 1
    go(weight, optimizer, 1)
    del optimizer.param_groups[0]["one"]
    optimizer.param_groups[0]["other"] = 1
    assert go(weight, optimizer, 1)[0] == pytest.approx(4.8)


@pytest.mark.parametrize("options", [{}, {"state_dtype": "8bit"}, {"clip_adaptive": 0.01, "ema": 0.9}], ids=str)
def test_images_may_lie_channels_last(options) -> None:
    """The fused kernels walk memory in the order in which it lies; the numbers are those of any other order."""
    results = []
    for order in (torch.channels_last, torch.contiguous_format):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 3)).to(
            memory_format=order
        )
        optimizer = optim.AdamW(model.parameters(), lr=0.01, **options)
        for step in range(5):
            inputs = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(step)).to(memory_format=order)
            optimizer.zero_grad()
            model(inputs).square().mean().backward()
            optimizer.step()
        engines = {batch.kind.engine for batch in optimizer._plan.batches}
        assert engines == {"cpu"} or (order == torch.channels_last and "state_dtype" in options)
        results.append([parameter.detach() for parameter in model.parameters()])
    for found, expected in zip(*results, strict=True):
        assert torch.allclose(found, expected, atol=3e-3 if "state_dtype" in options else 1e-6)


def test_an_own_rules_numbers_have_its_own_bounds() -> None:
    """``alpha`` and ``momentum`` are letters like others in a user's equations."""
    rule = Rule("lean", defaults={"alpha": -1.0, "momentum": -2.0}, step=lr * (hyper("alpha") + hyper("momentum")) * g)
    weight, optimizer = made(optim.FromRule, rule=rule, lr=0.1)
    assert go(weight, optimizer, 1)[0] == pytest.approx(5.3)
    with pytest.raises(ValueError, match="Invalid momentum value: -2"):
        optim.SGD([weight], momentum=-2.0)
