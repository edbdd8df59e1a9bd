"""Each member of a population is the candidate that it would be alone."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import nn

import thalweg.optim as optim
from thalweg.data.batches import TensorBatches
from thalweg.models import ACTIVATIONS, LinearPath, mlp
from thalweg.population import Member, Part, train_population
from thalweg.train.objectives import BinaryCrossEntropy, CrossEntropy, MeanSquaredError, Objective

ROWS, BATCH = 200, 16
Make = Callable[[], nn.Module]


def built(make: Make, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def classes(count: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, count, (ROWS,), generator=torch.Generator().manual_seed(seed))


def alone(module: nn.Module, member: Member, epochs: int) -> nn.Module:
    """The same candidate in a plain loop of PyTorch."""
    part = member.train
    rows = part.numbers()
    optimizer = member.optimizer(module.parameters())
    batches = TensorBatches(part.inputs[rows], part.targets[rows], batch_size=BATCH, seed=member.order)
    step = 0
    module.train()
    for epoch in range(epochs):
        for inputs, targets in batches.epoch(epoch):
            if member.schedule is not None:
                for group in optimizer.param_groups:
                    group["lr"] = member.schedule(step)
            optimizer.zero_grad()
            member.objective(module(inputs), targets).backward()
            optimizer.step()
            step += 1
    return module


RULES: list[Callable] = [
    lambda p: optim.AdamW(p, lr=3e-3, weight_decay=0.1, clip_norm=1.0),
    lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-3),
    lambda p: optim.RMSprop(p, lr=1e-3),
    lambda p: optim.AdamW(p, lr=1e-3, decay="matrices"),
    lambda p: optim.NAdam(p, lr=2e-3),
    lambda p: optim.SGD(p, lr=0.1),
]


def held(
    make: Make, part: Part, objectives: list[Objective], *, way: str, tolerance: float = 1e-5, rules=RULES
) -> None:
    """Four passes of thirteen mini-batches, member by member against the loop above."""
    members = [
        Member(
            built(make, k), rules[k % len(rules)], objectives[k % len(objectives)], part, order=k % 2,
            schedule=(lambda step: 0.01 / (1 + 0.1 * step)) if k == 1 else None,
        )
        for k in range(6)
    ]  # fmt: skip
    singles = [deepcopy(member.module) for member in members]
    trained = train_population(members, batch_size=BATCH, epochs=4, way=way)
    assert trained.way == way
    for k, (member, single, outcome) in enumerate(zip(members, singles, trained.outcomes, strict=True)):
        wanted = alone(single, member, 4).state_dict()
        assert outcome.steps == 52 and not outcome.diverged
        assert outcome.weights.keys() == wanted.keys()
        for name, tensor in outcome.weights.items():
            off = float((tensor - wanted[name]).abs().max())
            assert off <= tolerance, f"member {k}: {name} is off by {off}"


SMOOTHED = [CrossEntropy(label_smoothing=s) for s in (0.0, 0.1, 0.3)]
TABLE = Part(numbers(ROWS, 12), classes(5))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_compiled_nets(activation: str) -> None:
    held(lambda: mlp(12, 5, hidden=(24, 17), activation=activation), TABLE, SMOOTHED, way="compiled")


@pytest.mark.parametrize("last", [lambda: nn.ELU(0.7), lambda: nn.GELU("tanh"), nn.Tanh])
def test_compiled_layers_with_several_activations(last: Make) -> None:
    def net() -> nn.Module:
        return nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 9), last(), nn.Linear(9, 7), nn.Linear(7, 5))

    held(net, TABLE, SMOOTHED, way="compiled")


def test_compiled_softmax_regression() -> None:
    held(lambda: mlp(12, 5, hidden=()), TABLE, SMOOTHED, way="compiled")


def test_compiled_without_biases() -> None:
    def net() -> nn.Module:
        return nn.Sequential(nn.Linear(12, 16, bias=False), nn.ReLU(), nn.Linear(16, 9), nn.Linear(9, 5, bias=False))

    held(net, TABLE, SMOOTHED, way="compiled")


def test_compiled_losses_of_numbers() -> None:
    part = Part(numbers(ROWS, 12), numbers(ROWS, 3, seed=4))
    held(lambda: mlp(12, 3, hidden=(16,)), part, [MeanSquaredError()], way="compiled")
    part = Part(numbers(ROWS, 12), (numbers(ROWS, seed=5) > 0).float())
    held(lambda: mlp(12, 1, hidden=(16,)), part, [BinaryCrossEntropy()], way="compiled")


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "gelu", "silu", "relu"])
@pytest.mark.parametrize("norm", [None, "batch", "layer"])
def test_batched_nets(activation: str, norm: str | None) -> None:
    held(lambda: mlp(12, 5, hidden=(24, 17), activation=activation, norm=norm), TABLE, SMOOTHED, way="batched")


@pytest.mark.parametrize("norm", [None, "batch", "layer"])
def test_batched_residual_nets(norm: str | None) -> None:
    held(lambda: mlp(12, 5, hidden=(16, 16, 9), norm=norm, residual=True), TABLE, SMOOTHED, way="batched")


FORMS: dict[str, dict] = {
    "relu": {}, "tanh": {"activation": "tanh"}, "gelu": {"activation": "gelu"}, "silu": {"activation": "silu"},
    "batch norm": {"norm": "batch"}, "layer norm": {"norm": "layer", "activation": "tanh"},
    "residual": {"norm": "batch", "residual": True},
}  # fmt: skip


@pytest.mark.parametrize(
    ("form", "way"),
    [(f, "batched") for f in FORMS] + [(f, "compiled") for f, options in FORMS.items() if "norm" not in options],
)
def test_in_company_as_alone_with_its_own_dropout_and_all_else(form: str, way: str) -> None:
    """The dice of dropout are a population's own: so alone is a population of one."""

    def member(k: int) -> Member:
        net = built(lambda: mlp(12, 5, hidden=(16, 16), dropout=(0.0, 0.2, 0.5)[k % 3], **FORMS[form]), k)
        schedule = (lambda step: 0.01 / (1 + 0.1 * k * step)) if k % 2 else None
        return Member(net, RULES[k], SMOOTHED[k % 3], TABLE, schedule=schedule, order=k // 2, seed=k)

    together = train_population([member(k) for k in range(6)], batch_size=BATCH, epochs=4, way=way)
    for k, outcome in enumerate(together.outcomes):
        single = train_population([member(k)], batch_size=BATCH, epochs=4, way=way).outcomes[0]
        assert outcome.steps == single.steps == 52
        for name, tensor in outcome.weights.items():
            off = float((tensor - single.weights[name]).abs().max())
            assert off <= 1e-5, f"member {k}: {name} is off by {off}"


def test_batched_in_float64_is_closer() -> None:
    part = Part(numbers(ROWS, 12).double(), classes(5))
    held(lambda: mlp(12, 5, activation="tanh").double(), part, SMOOTHED, way="batched", tolerance=1e-9)


def test_torch_s_own_optimizers() -> None:
    rules = [
        lambda p: torch.optim.Adam(p, lr=1e-3),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.5),
        lambda p: optim.LAMB(p, lr=1e-3),
    ]
    held(lambda: mlp(12, 5, activation="tanh"), TABLE, SMOOTHED, way="batched", rules=rules)


def test_linear_path_and_regression() -> None:
    part = Part(numbers(ROWS, 12), numbers(ROWS, seed=4))
    net = lambda: LinearPath(12, 1, mlp(12, 1, hidden=(16, 16)))  # noqa: E731
    held(net, part, [MeanSquaredError()], way="batched")
    part = Part(numbers(ROWS, 12), (numbers(ROWS, seed=5) > 0).float())
    held(net, part, [BinaryCrossEntropy(label_smoothing=0.1)], way="batched")


def test_convolutions() -> None:
    part = Part(numbers(ROWS, 3, 8, 8), classes(5))

    def net() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, groups=2), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
        )  # fmt: skip

    held(net, part, SMOOTHED, way="batched")


def test_embeddings() -> None:
    words = torch.randint(0, 30, (ROWS, 7), generator=torch.Generator().manual_seed(3))
    held(lambda: nn.Sequential(nn.Embedding(30, 4), nn.Flatten(), nn.Linear(28, 5)), Part(words, classes(5)), SMOOTHED,
         way="batched")  # fmt: skip


class Gated(nn.Module):
    """A net of the user's own: vmap takes it as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.gate = nn.Linear(12, 20), nn.Linear(12, 20)
        self.norm = nn.BatchNorm1d(20)
        self.last = nn.Linear(20, 5, bias=False)
        self.scale = nn.Parameter(torch.ones(20))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.norm(torch.tanh(self.first(x)) * torch.sigmoid(self.gate(x))) * self.scale)


def test_a_module_of_one_s_own() -> None:
    held(Gated, TABLE, SMOOTHED, way="batched")


def test_one_by_one() -> None:
    held(lambda: mlp(12, 5, hidden=(24, 17)), TABLE, SMOOTHED, way="one by one")


OPTIONS: dict[str, dict] = {
    "sgd": {"lr": 0.1, "clip_value": 0.01, "l1": 1e-3, "ema": 0.9},
    "adam": {
        "amsgrad": True,
        "weight_decay": 0.1,
        "clip_norm": 0.1,
        "state_dtype": "bfloat16",
        "stochastic_rounding": True,
    },
    "adamw": {"decay": "matrices", "clip_norm": 0.1, "state_dtype": "8bit"},
    "rmsprop": {"centered": True, "momentum": 0.5},
    "lamb": {"lr": 1e-2},
}


@pytest.mark.parametrize("name", optim.NAMED)
def test_every_rule_s_native_update_is_its_own(name: str) -> None:
    """Against the rule's optimizer itself, one by one: eleven updates, in two groups, one at half the rate."""

    def rule(parameters):
        listed = list(parameters)
        options = {"lr": 1e-2, **OPTIONS.get(name, {})}
        if name == "muon":
            return optim.Muon(listed, lr=1e-2)
        first = optim.NAMED[name](listed[:2], **options)
        first.add_param_group({"params": listed[2:], "lr": options["lr"] / 2})
        return first

    part = Part(TABLE.inputs[:176], TABLE.targets[:176])
    ways = []
    for way in ("auto", "one by one"):
        members = [
            Member(built(lambda: mlp(12, 5, hidden=(16,)), k), rule, CrossEntropy(), part, order=k) for k in range(3)
        ]
        trained = train_population(members, batch_size=BATCH, epochs=1, way=way)
        ways.append(trained.way)
        if way == "auto":
            found = [outcome.weights for outcome in trained.outcomes]
    native = name not in ("lamb", "lars", "muon", "swats", "schedule_free_sgd", "schedule_free_adamw")
    assert ways == ["compiled" if native else "batched", "one by one"]
    for mine, outcome in zip(found, trained.outcomes, strict=True):
        for key, tensor in outcome.weights.items():
            torch.testing.assert_close(mine[key], tensor, atol=2e-5, rtol=1e-5)
