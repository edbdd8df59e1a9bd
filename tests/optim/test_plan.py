"""What may change between steps, and what a step leaves behind: always as ``torch.optim`` does it."""

from __future__ import annotations

import copy
import io
import pickle
import weakref
from collections import defaultdict

import numpy as np
import pytest
import torch

from thalweg import optim
from thalweg.errors import InputError

TORCHS = ["SGD", "Adagrad", "Adadelta", "RMSprop", "Adam", "AdamW", "NAdam"]
named = pytest.mark.parametrize("name", TORCHS)


def net() -> torch.nn.Sequential:
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3)).double()


def train(model, optimizer, steps: int, *, change=None, set_to_none: bool = True) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    for step in range(steps):
        if change is not None:
            change(step, model, optimizer)
        inputs = torch.randn(12, 8, generator=generator, dtype=torch.float64)
        optimizer.zero_grad(set_to_none=set_to_none)
        torch.nn.functional.cross_entropy(model(inputs), torch.arange(12) % 3).backward()
        optimizer.step()
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def assert_same_story(name: str, change=None, *, set_to_none: bool = True, **options) -> None:
    found = []
    for library in (optim, torch.optim):
        model = net()
        optimizer = getattr(library, name)(model.parameters(), **{"lr": 0.01, **options})
        found.append(train(model, optimizer, 25, change=change, set_to_none=set_to_none))
    tolerance = 1e-8 if name == "NAdam" else 1e-12  # both keep mu_product in float32, and round it once or twice
    assert float((found[0] - found[1]).abs().max()) < tolerance


@named
@pytest.mark.parametrize("set_to_none", [True, False])
def test_a_net_trains_as_with_torch(name, set_to_none) -> None:
    """Gradients are new tensors in each step, or the same ones filled with zeros."""
    assert_same_story(name, set_to_none=set_to_none)


@named
def test_numbers_of_a_group_may_change_at_any_step(name) -> None:
    def change(step, model, optimizer) -> None:
        (group,) = optimizer.param_groups
        group["lr"] = 0.01 / (1 + step)
        if step == 7:
            group["weight_decay"] = 0.1
        if step == 12:
            group["maximize"] = True
        if step == 15 and "betas" in group:
            group["betas"] = (0.5, 0.8)
        if step == 18:
            group["weight_decay"] = 0

    assert_same_story(name, change)


def test_a_rate_that_is_a_tensor_may_change_in_place() -> None:
    def change(step, model, optimizer) -> None:
        optimizer.param_groups[0]["lr"].fill_(0.01 * (step + 1))

    results = []
    for library in (optim, torch.optim):
        model = net()
        optimizer = library.Adam(model.parameters(), lr=torch.tensor(0.01, dtype=torch.float64))
        results.append(train(model, optimizer, 10, change=change))
    assert float((results[0] - results[1]).abs().max()) < 1e-12


@named
def test_weights_may_be_replaced_and_frozen_and_thawed(name) -> None:
    def change(step, model, optimizer) -> None:
        if step == 5:
            model[0].weight.data = model[0].weight.data.clone() * 1.5
        if step == 9:
            model[0].requires_grad_(False)
        if step == 14:
            model[0].requires_grad_(True)
        if step == 17:
            model.load_state_dict({key: value * 0.9 for key, value in model.state_dict().items()})

    assert_same_story(name, change)


@named
def test_forgetting_the_state_begins_anew(name) -> None:
    def change(step, model, optimizer) -> None:
        if step == 6:
            optimizer.state = defaultdict(dict)
        if step == 13:
            optimizer.state.clear()

    assert_same_story(name, change, **({"momentum": 0.9, "dampening": 0.5} if name == "SGD" else {}))


@named
def test_going_back_to_an_earlier_state(name) -> None:
    saved: dict = {}

    def change(step, model, optimizer) -> None:
        if step == 5:
            saved["state"] = copy.deepcopy(optimizer.state_dict())
        if step == 15:
            optimizer.load_state_dict(saved["state"])

    assert_same_story(name, change)


def test_a_parameter_may_have_two_optimizers() -> None:
    results = []
    for library in (optim, torch.optim):
        model = net()
        first, second = library.Adam(model.parameters()), library.SGD(model[2].parameters(), lr=0.1, momentum=0.9)
        train(model, first, 5)
        train(model, second, 5)
        results.append(train(model, first, 5))
    assert float((results[0] - results[1]).abs().max()) < 1e-12


def test_stepping_between_forward_and_backward_is_noticed_as_in_torch() -> None:
    """Weights that autograd needs have changed: it has to be told."""
    for library in (optim, torch.optim):
        model = net()
        optimizer = library.SGD(model.parameters(), lr=0.1)
        train(model, optimizer, 1)
        loss = model(torch.ones(1, 8, dtype=torch.float64)).sum()
        optimizer.step()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


@named
def test_step_counts_are_there_at_any_time(name) -> None:
    model = net()
    optimizer = getattr(optim, name)(model.parameters(), lr=0.01)
    train(model, optimizer, 4)
    counts = {float(state["step"]) for state in optimizer.state.values()}
    assert counts == {4.0}
    saved = optimizer.state_dict()
    train(model, optimizer, 2)
    for state in saved["state"].values():
        assert "step" not in state or float(state["step"]) == 4.0
        assert "step" not in state or (state["step"].shape == () and state["step"].untyped_storage().nbytes() == 4)


@named
def test_an_optimizer_goes_through_pickle_and_torch_save(name) -> None:
    for way in ("pickle", "torch"):
        model = net()
        optimizer = getattr(optim, name)(model.parameters(), lr=0.01, engine="reference", clip_norm=0.1)
        train(model, optimizer, 3)
        if way == "pickle":
            model_twin, twin = pickle.loads(pickle.dumps((model, optimizer)))
        else:
            buffer = io.BytesIO()
            torch.save((model, optimizer), buffer)
            buffer.seek(0)
            model_twin, twin = torch.load(buffer, weights_only=False)
        assert twin.engine == "reference"
        assert torch.equal(train(model, optimizer, 5), train(model_twin, twin, 5))


def test_named_parameters_keep_their_names() -> None:
    model = net()
    optimizer = optim.AdamW(model.named_parameters())
    train(model, optimizer, 3)
    saved = optimizer.state_dict()
    assert saved["param_groups"][0]["param_names"] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    theirs = torch.optim.AdamW(net().named_parameters())
    theirs.load_state_dict(saved)


@pytest.mark.parametrize("name", optim.NAMED)
def test_every_name_is_a_class_that_descends(name) -> None:
    model = net()
    optimizer = optim.NAMED[name](model.parameters())
    rate = optimizer.param_groups[0]["lr"]
    weight = model[0].bias
    weight.grad = torch.ones_like(weight)
    before = weight.detach().clone()
    optimizer.step()
    assert rate > 0
    assert bool((weight.detach() < before).all())
    assert "\n  w ← w − " in optim.formula(optimizer)


def test_the_formula_has_the_groups_decay_and_clipping() -> None:
    optimizer = optim.Adam(net().parameters(), weight_decay=0.1, clip_norm=1.0)
    text = optim.formula(optimizer)
    assert "g ← g + weight_decay·w" in text and "gradient_norm" in text


class TestClipping:
    def test_the_norm_is_measured_only_where_it_is_needed(self) -> None:
        model = net()
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        train(model, optimizer, 1)
        assert np.isnan(optimizer.gradient_norm)
        optimizer.param_groups[0]["clip_norm"] = 5.0
        train(model, optimizer, 1)
        expected = torch.cat([parameter.grad.flatten() for parameter in model.parameters()]).norm()
        assert optimizer.gradient_norm == pytest.approx(float(expected), rel=1e-12)

    def test_the_norm_is_over_all_groups_and_types(self) -> None:
        weights = [torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))]
        weights.append(torch.nn.Parameter(torch.zeros(2, dtype=torch.bfloat16)))
        optimizer = optim.SGD([{"params": [weight]} for weight in weights], lr=1.0, clip_norm=1.0)
        for weight in weights:
            weight.grad = torch.full_like(weight, 2.0)
        optimizer.step()
        assert optimizer.gradient_norm == pytest.approx(np.sqrt(7 * 4), rel=1e-12)
        assert weights[0][0].item() == pytest.approx(-2 / (np.sqrt(28) + 1e-6), rel=1e-6)

    @pytest.mark.parametrize("bad", [float("nan"), float("inf")])
    def test_a_norm_that_is_not_finite_reaches_all_weights_as_in_torch(self, bad) -> None:
        results = []
        for library in (optim, torch.optim):
            weight = torch.nn.Parameter(torch.ones(4))
            weight.grad = torch.tensor([1.0, bad, 2.0, 3.0])
            if library is optim:
                optim.SGD([weight], lr=0.1, clip_norm=1.0).step()
            else:
                torch.nn.utils.clip_grad_norm_([weight], 1.0)
                torch.optim.SGD([weight], lr=0.1).step()
            results.append(weight.detach())
        assert torch.equal(results[0].isnan(), results[1].isnan())
        assert torch.equal(results[0].nan_to_num(), results[1].nan_to_num())

    @pytest.mark.parametrize("name", ["clip_norm", "clip_value"])
    def test_a_limit_of_zero_is_refused(self, name) -> None:
        with pytest.raises(InputError, match=f"{name} = 0 must be above 0"):
            optim.SGD(net().parameters(), **{name: 0})


class TestRefusals:
    def test_an_engine_that_does_not_exist(self) -> None:
        with pytest.raises(InputError, match='Adam: there is no engine "tpu": choose auto, cpu, gpu or reference'):
            optim.Adam(net().parameters(), engine="tpu")

    def test_the_cpu_engine_where_it_cannot_run(self) -> None:
        weight = torch.nn.Parameter(torch.ones(4, 3).t())
        weight.grad = torch.ones(4, 3).t()
        with pytest.raises(
            InputError, match=r"shape \(3, 4\) in group 0 is float32, not contiguous, on cpu, so the cpu engine"
        ):
            optim.Adam([weight], engine="cpu").step()

    def test_a_gradient_that_becomes_sparse(self) -> None:
        weight = torch.nn.Parameter(torch.ones(4, 3))
        optimizer = optim.Adam([weight])
        weight.grad = torch.ones(4, 3)
        optimizer.step()
        weight.grad = torch.ones(4, 3).to_sparse()
        with pytest.raises(InputError, match="parameter group 0 has a sparse gradient"):
            optimizer.step()


def test_gradients_may_change_their_layout() -> None:
    results = []
    for library in (optim, torch.optim):
        weight = torch.nn.Parameter(torch.ones(3, 4))
        optimizer = library.Adam([weight], lr=0.1)
        for step in range(6):
            gradient = torch.arange(12.0).reshape(4, 3) + step
            weight.grad = gradient.t() if step % 2 else gradient.t().contiguous()
            optimizer.step()
        results.append(weight.detach())
    assert torch.allclose(*results, rtol=1e-6)


def test_freed_gradients_are_not_kept() -> None:
    """Held on to, they would double the memory of gradients while the next ones are computed."""
    for engine in ("cpu", "reference"):
        weight = torch.nn.Parameter(torch.ones(5))
        weight.grad = torch.ones(5)
        optimizer = optim.Adam([weight], engine=engine)
        optimizer.step()
        seen = weakref.ref(weight.grad)
        optimizer.zero_grad()
        assert seen() is None


def test_zero_grad_is_torchs() -> None:
    for set_to_none in (True, False):
        found = []
        for library in (optim, torch.optim):
            weights = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
            optimizer = library.SGD(weights)
            (weights[0].grad,) = torch.autograd.grad((weights[0] ** 3).sum(), weights[0], create_graph=True)
            optimizer.zero_grad(set_to_none=set_to_none)
            found.append([None if w.grad is None else (w.grad.tolist(), w.grad.requires_grad) for w in weights])
        assert found[0] == found[1]


@pytest.mark.parametrize("default", [torch.float64, torch.bfloat16])
def test_counts_do_not_depend_on_a_narrow_default_type(default) -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(default)
    try:
        weight = torch.nn.Parameter(torch.ones(3, dtype=torch.float32))
        weight.grad = torch.ones(3, dtype=torch.float32)
        ours, theirs = optim.Adam([weight]), torch.optim.Adam([weight])
        for _ in range(3):
            ours.step()
            theirs.step()
        assert ours.state[weight]["step"].dtype == theirs.state[weight]["step"].dtype
    finally:
        torch.set_default_dtype(before)


@named
@pytest.mark.parametrize("how", ["cleared", "replaced", "tensors", "count", "counted in place"])
def test_a_users_change_of_the_state_counts(name, how) -> None:
    def change(step, model, optimizer) -> None:
        if step != 6:
            return
        for parameter in model.parameters():
            state = optimizer.state[parameter]
            if how == "cleared":
                state.clear()
            elif how == "replaced":
                optimizer.state[parameter] = {}
            elif how == "tensors":
                state |= {key: value * 0.5 for key, value in state.items() if value is not None and value.ndim}
            elif "mu_product" not in state and "momentum_buffer" not in state and how == "count":
                state["step"] = torch.tensor(2.0)
            elif "mu_product" not in state and "momentum_buffer" not in state:
                state["step"].fill_(2.0)

    assert_same_story(name, change, **({"momentum": 0.9, "dampening": 0.5} if name == "SGD" else {}))


@named
def test_a_parameter_may_take_the_place_of_another(name) -> None:
    def change(step, model, optimizer) -> None:
        if step == 6:
            model[0].weight = torch.nn.Parameter(model[0].weight.detach() * 0.5)
            optimizer.param_groups[0]["params"][0] = model[0].weight

    assert_same_story(name, change)


def test_momentum_that_begins_late_is_undamped_at_first() -> None:
    def change(step, model, optimizer) -> None:
        optimizer.param_groups[0]["momentum"] = 0.9 if step >= 6 else 0.0

    assert_same_story("SGD", change, dampening=0.5)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_a_weight_cut_where_it_lay_does_not_spoil_what_lies_behind(name) -> None:
    weight = torch.nn.Parameter(torch.zeros(4, 3))
    whole = weight.data
    optimizer = getattr(optim, name)([weight], lr=0.1)
    weight.grad = torch.ones(4, 3)
    optimizer.step()
    behind = whole[2:].clone()
    weight.data = whole[:2]
    weight.grad = torch.ones(2, 3)
    if name == "SGD":
        optimizer.step()
    else:
        with pytest.raises(InputError, match=r"group 0 has the shape \(2, 3\), its exp_avg \(4, 3\)"):
            optimizer.step()
    assert torch.equal(whole[2:], behind)


def test_a_weight_turned_where_it_lay() -> None:
    weights = []
    for library in (optim, torch.optim):
        weight = torch.nn.Parameter(torch.zeros(3, 3))
        optimizer = library.SGD([weight], lr=0.1)
        for _ in range(2):
            weight.grad = torch.arange(9.0).reshape(3, 3)
            optimizer.step()
            weight.data = weight.data.t()
        weights.append(weight.detach())
    assert torch.equal(*weights)


def test_a_state_of_another_shape_is_refused() -> None:
    small, large = (torch.nn.Parameter(torch.zeros(size)) for size in (2, 3))
    saved = optim.Adam([small])
    small.grad = torch.ones(2)
    saved.step()
    optimizer = optim.Adam([large])
    optimizer.load_state_dict(saved.state_dict())
    large.grad = torch.ones(3)
    with pytest.raises(InputError, match="its exp_avg"):
        optimizer.step()
