"""Muon against torch's, AdamW for the rest against torch's, and which parameter goes where."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch

from optim import typed
from optim.trials import advance, arrays, engines, parameters
from thalweg import optim
from thalweg.errors import InputError

MATRICES = [(7, 5), (5, 7), (6, 6), (1, 9), (9, 1), (40, 12)]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"lr": 0.02, "nesterov": False},
    {"lr": 0.02, "weight_decay": 0.0, "momentum": 0.8},
    {"lr": 0.02, "adjust_lr_fn": "original"},
    {"lr": 0.02, "adjust_lr_fn": "match_rms_adamw", "weight_decay": 0.3},
    {"lr": 0.02, "adjust_lr_fn": "match_rms_adamw", "nesterov": False},
    {"lr": 0.02, "ns_steps": 3, "ns_coefficients": (2.0, -1.5, 0.5), "eps": 1e-5},
]
options = pytest.mark.parametrize("options", OPTIONS, ids=lambda value: "-".join(map(str, value)) or "as it is")
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
# The iteration runs in bfloat16: a difference of one rounding before it may become one of 2⁻⁸ of a few of its elements.
TOLERANCE = {torch.float64: 1e-13, torch.float32: 1e-3}


def saved(optimizer: torch.optim.Optimizer) -> Any:
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@options
@engines
@dtypes
def test_two_hundred_steps_give_torchs_numbers(options, engine, dtype) -> None:
    tensors, others = parameters(MATRICES, dtype), parameters(MATRICES, dtype)
    advance(tensors, optim.Muon(tensors, **options, engine=engine), range(200))
    advance(others, torch.optim.Muon(others, **options), range(200))
    assert typed.difference(arrays(tensors), arrays(others), typed.weights(MATRICES)) <= TOLERANCE[dtype]


@options
@pytest.mark.parametrize("direction", ["from torch", "to torch"])
def test_checkpoints_cross_over(options, direction) -> None:
    tensors, others = parameters(MATRICES), parameters(MATRICES)
    ours, theirs = optim.Muon(tensors, **options), torch.optim.Muon(others, **options)
    advance(tensors, ours, range(7))
    advance(others, theirs, range(7))
    old, new = (theirs, ours) if direction == "from torch" else (ours, theirs)
    fresh = [torch.nn.Parameter(other.detach().clone()) for other in others]
    taken = type(new)(fresh, nesterov=options.get("nesterov", True))  # a change of it would be told of
    taken.load_state_dict(saved(old))
    assert taken.param_groups[0]["momentum"] == theirs.param_groups[0]["momentum"]
    advance(fresh, taken, range(7, 20))
    advance(others, theirs, range(7, 20))
    assert typed.difference(arrays(fresh), arrays(others), typed.weights(MATRICES)) <= TOLERANCE[torch.float64]


def test_the_state_is_torchs() -> None:
    tensors, others = parameters(MATRICES), parameters(MATRICES)
    ours, theirs = optim.Muon(tensors), torch.optim.Muon(others)
    advance(tensors, ours, range(2))
    advance(others, theirs, range(2))
    one, two = ours.state_dict(), theirs.state_dict()
    assert {index: list(state) for index, state in one["state"].items()} == {
        index: list(state) for index, state in two["state"].items()
    }
    assert set(two["param_groups"][0]) <= set(one["param_groups"][0])


def net() -> torch.nn.Module:
    torch.manual_seed(2)
    return torch.nn.Sequential(
        torch.nn.Conv2d(2, 5, 3),
        torch.nn.BatchNorm2d(5),
        torch.nn.Flatten(),
        torch.nn.Linear(20, 6),
        torch.nn.Linear(6, 3),
    ).double()


def learn(model: torch.nn.Module, *optimizers: torch.optim.Optimizer) -> None:
    for step in range(15):
        generator = torch.Generator().manual_seed(step)
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        for optimizer in optimizers:
            optimizer.step()


REST = {"rest_lr": 0.003, "betas": (0.8, 0.9), "rest_eps": 1e-6, "rest_weight_decay": 0.05}


@engines
@pytest.mark.parametrize("given", ["parameters", "named", "groups"])
def test_what_is_no_matrix_follows_torchs_adamw(engine, given) -> None:
    mine, theirs = net(), net()
    params: Any = {
        "parameters": mine.parameters,
        "named": mine.named_parameters,
        "groups": lambda: [{"params": mine[:2].parameters()}, {"params": list(mine[2:].parameters())}],
    }[given]()
    optimizer = optim.Muon(params, lr=0.02, **REST, engine=engine)
    learn(mine, optimizer)
    flat = [p for p in theirs.parameters() if p.ndim < 2]
    # torch's takes matrices only: a convolution's weights are (outputs, all else).
    copies = [torch.nn.Parameter(p.detach().flatten(1).clone()) for p in theirs.parameters() if p.ndim >= 2]
    full = [p for p in theirs.parameters() if p.ndim >= 2]
    muon = torch.optim.Muon(copies, lr=0.02)
    adamw = torch.optim.AdamW(flat, lr=0.003, betas=(0.8, 0.9), eps=1e-6, weight_decay=0.05)
    muon.register_step_pre_hook(
        lambda *_: [setattr(copy, "grad", p.grad.flatten(1)) for copy, p in zip(copies, full, strict=True)] and None
    )
    learn(theirs, muon, adamw)
    for p, copy in zip(full, copies, strict=True):
        p.data.copy_(copy.data.view_as(p))
    assert typed.difference(arrays(mine.parameters()), arrays(theirs.parameters()), arrays(net().parameters())) <= 1e-12
    rules = [group["rule"] for group in optimizer.param_groups]
    assert rules == (["muon", "adamw"] * (2 if given == "groups" else 1))
    if given == "named":
        names = [name for group in optimizer.param_groups for name in group["param_names"]]
        assert sorted(names) == sorted(name for name, _ in mine.named_parameters())


def test_matrices_may_be_put_under_adamw_by_hand() -> None:
    """Embeddings, and the layer before the loss."""
    tensors, others = parameters([(8, 4), (4, 4)]), parameters([(8, 4), (4, 4)])
    groups = [{"params": [tensors[1]]}, {"params": [tensors[0]], "rule": "adamw", "lr": 0.01, "weight_decay": 0.2}]
    optimizer = optim.Muon(groups, lr=0.02)
    assert [group["rule"] for group in optimizer.param_groups] == ["muon", "adamw"]
    theirs = [
        torch.optim.AdamW([others[0]], lr=0.01, betas=(0.9, 0.95), weight_decay=0.2),
        torch.optim.Muon([others[1]], lr=0.02),
    ]
    for step in range(15):
        advance(tensors, optimizer, [step])
        advance(others, theirs[0], [step])
        theirs[1].step()
    assert typed.difference(arrays(tensors), arrays(others), arrays(parameters([(8, 4), (4, 4)]))) <= 1e-12


def test_groups_added_later_are_sorted_too() -> None:
    tensors = parameters([(3, 3), (3,), (), (2, 2)])
    optimizer = optim.Muon(tensors[:1])
    optimizer.add_param_group({"params": tensors[1:], "lr": 0.5})
    assert [(group["rule"], len(group["params"])) for group in optimizer.param_groups] == [
        ("muon", 1), ("muon", 1), ("adamw", 2)
    ]  # fmt: skip
    optimizer.add_param_group({"params": torch.nn.Parameter(torch.zeros(3))})
    assert optimizer.param_groups[-1]["rule"] == "adamw"


@engines
def test_a_checkpoint_with_both_rules_goes_on_to_the_bit(engine) -> None:
    one, other = net(), net()
    ours, resumed = optim.Muon(one.parameters(), engine=engine), optim.Muon(other.parameters(), engine=engine)
    learn(one, ours)
    other.load_state_dict(one.state_dict())
    resumed.load_state_dict(saved(ours))
    learn(one, ours)
    learn(other, resumed)
    assert all(map(torch.equal, one.parameters(), other.parameters()))


@engines
def test_an_empty_matrix_and_one_without_gradient_are_let_be(engine) -> None:
    tensors = [torch.nn.Parameter(torch.ones(shape)) for shape in ((0, 3), (2, 2), (3, 3))]
    optimizer = optim.Muon(tensors, lr=0.1, engine=engine)
    tensors[0].grad, tensors[1].grad = torch.zeros(0, 3), torch.ones(2, 2)
    optimizer.step()
    assert not torch.equal(tensors[1], torch.ones(2, 2))
    assert torch.equal(tensors[2], torch.ones(3, 3))


@engines
def test_a_gradient_of_zero_only_decays(engine) -> None:
    tensor = torch.nn.Parameter(torch.ones(3, 4, dtype=torch.float64))
    tensor.grad = torch.zeros_like(tensor)
    optim.Muon([tensor], lr=0.1, weight_decay=0.5, engine=engine).step()
    assert torch.allclose(tensor, torch.full_like(tensor, 0.95), rtol=1e-15)


@engines
def test_the_step_is_nearly_orthogonal(engine) -> None:
    """Singular values of a step are all within what five iterations leave: about 0.7 to 1.2."""
    tensor = torch.nn.Parameter(torch.zeros(30, 20))
    tensor.grad = torch.randn(30, 20, generator=torch.Generator().manual_seed(0))
    optim.Muon([tensor], lr=1.0, weight_decay=0.0, engine=engine).step()
    sizes = torch.linalg.svdvals(tensor.detach()) / (30 / 20) ** 0.5
    assert 0.6 < float(sizes.min()) <= float(sizes.max()) < 1.3


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"ns_steps": 0}, InputError, "ns_steps"),
    ({"ns_steps": 100}, InputError, "ns_steps"),
    ({"adjust_lr_fn": "mine"}, ValueError, "mine"),
    ({"lr": -1.0}, ValueError, "learning rate"),
]


@pytest.mark.parametrize(("options", "error", "words"), WRONG, ids=lambda value: str(value))
def test_what_cannot_be_is_refused(options, error, words) -> None:
    with pytest.raises(error, match=words):
        optim.Muon(parameters(MATRICES), **options)


def test_an_unknown_rule_and_a_complex_matrix_are_refused() -> None:
    with pytest.raises(InputError, match="sgd"):
        optim.Muon([{"params": parameters(MATRICES), "rule": "sgd"}])
    tensor = torch.nn.Parameter(torch.ones(2, 2, dtype=torch.complex64))
    tensor.grad = torch.ones_like(tensor)
    with pytest.raises(InputError, match="real matrices"):
        optim.Muon([tensor]).step()
