"""Initialisers: the variances they promise, the signals they keep, the places they see."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.initializers import initialize, not_known, places
from thalweg.initializers.schemes import gain


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def deep(activation: nn.Module, *, layers: int = 20, width: int = 256) -> nn.Sequential:
    hidden = [module for _ in range(layers) for module in (nn.Linear(width, width), activation)]
    return nn.Sequential(*hidden, nn.Linear(width, 10))


def second_moments(model: nn.Sequential, x: Tensor) -> list[float]:
    """Mean square of the output of each linear layer but the last."""
    found = []
    with torch.no_grad():
        for module in model[:-1]:
            x = module(x)
            if isinstance(module, nn.Linear):
                found.append(float(x.square().mean()))
    return found


def average_moments(activation: nn.Module, layers: int) -> Tensor:
    """Mean square of what goes into each activation, averaged over draws; the first one is 1 by the scale of the inputs."""
    x = torch.randn(64, 256, generator=generator(9)) / gain(activation)
    runs = []
    for seed in range(8):
        model = deep(activation, layers=layers)
        initialize(model, generator=generator(seed))
        runs.append(second_moments(model, x))
    return torch.tensor(runs).mean(0)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.LeakyReLU(0.01), nn.LeakyReLU(0.3), nn.ELU()], ids=repr)
def test_signals_stay_through_twenty_layers(activation: nn.Module) -> None:
    moments = average_moments(activation, 20)
    assert float(moments.min()) > 0.6 and float(moments.max()) < 1.5


@pytest.mark.parametrize("activation", [nn.GELU(), nn.SiLU(), nn.Mish()], ids=repr)
def test_smooth_relatives_keep_signals_through_ten_layers(activation: nn.Module) -> None:
    """They pass a larger share of a larger signal, so any deviation grows: no gain keeps them for ever."""
    moments = average_moments(activation, 10)
    assert float(moments.min()) > 0.6 and float(moments.max()) < 1.5


def test_signals_stay_through_twenty_tanh_layers() -> None:
    model = deep(nn.Tanh())
    initialize(model, generator=generator())
    with torch.no_grad():
        x, spread = torch.randn(64, 256, generator=generator(9)), []
        for module in model[:-1]:
            x = module(x)
            if isinstance(module, nn.Tanh):
                spread.append(float(x.std()))
    assert min(spread) > 0.55 and max(spread) < 0.8


@pytest.mark.parametrize("std, fate", [("normal(0.01)", "dies"), ("normal(1)", "saturates")])
def test_a_fixed_standard_deviation_fails(std: str, fate: str) -> None:
    model = deep(nn.Tanh())
    initialize(model, scheme=std, generator=generator())
    with torch.no_grad():
        output = model[:-1](torch.randn(64, 256, generator=generator(9)))
    assert float(output.abs().mean()) < 1e-6 if fate == "dies" else float((output.abs() > 0.97).float().mean()) > 0.8


@pytest.mark.parametrize("scheme", ["zeros", "constant(0.5)"])
def test_equal_weights_stay_equal(scheme: str) -> None:
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))
    initialize(model, scheme=scheme, generator=generator())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(20, 5, generator=generator()), torch.arange(20) % 3
    for _ in range(10):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert torch.equal(model[0].weight, model[0].weight[:1].expand(8, 5)), "no two hidden units have become different"


@pytest.mark.parametrize(
    "scheme, variance",
    [
        ("xavier", lambda n_in, n_out: 2 / (n_in + n_out)),
        ("glorot", lambda n_in, n_out: 2 / (n_in + n_out)),
        ("xavier_in", lambda n_in, n_out: 1 / n_in),
        ("lecun", lambda n_in, n_out: 1 / n_in),
        ("he", lambda n_in, n_out: 2 / n_in),
        ("normal(0.3)", lambda n_in, n_out: 0.09),
    ],
)
@pytest.mark.parametrize(
    "layer, n_in, n_out",
    [
        (lambda: nn.Linear(300, 200), 300, 200),
        (lambda: nn.Conv2d(16, 48, 5), 16 * 25, 48 * 25),
        (lambda: nn.Conv2d(32, 64, 3, groups=4), 8 * 9, 64 * 9),
        (lambda: nn.ConvTranspose1d(64, 96, 7), 64 * 7, 96 * 7),
    ],
    ids=["linear", "convolution", "grouped", "transposed"],
)
def test_variances_are_those_of_the_formulas(scheme: str, variance, layer, n_in: int, n_out: int) -> None:
    module = layer()
    [weight] = initialize(module, scheme=scheme, generator=generator())
    expected = math.sqrt(variance(n_in, n_out))
    assert weight == ("weight", scheme, pytest.approx(expected))
    numbers = module.weight.numel()
    assert float(module.weight.detach().std()) == pytest.approx(expected, rel=4 / math.sqrt(2 * numbers))
    assert abs(float(module.weight.detach().mean())) < 4 * expected / math.sqrt(numbers)
    assert not module.bias.any()


def test_orthogonal_weights_keep_lengths() -> None:
    for shape in ((30, 50), (50, 30)):
        layer = nn.Linear(shape[1], shape[0])
        [weight] = initialize(layer, scheme="orthogonal", generator=generator())
        W = layer.weight.detach().double()
        square = W @ W.T if shape[0] < shape[1] else W.T @ W
        torch.testing.assert_close(square, torch.eye(30, dtype=torch.float64), atol=1e-5, rtol=0)
        assert weight.std == pytest.approx(float(W.square().mean().sqrt()), rel=1e-3)


@pytest.mark.parametrize(
    "activation, name, parameter",
    [
        (nn.ReLU(), "relu", None), (nn.LeakyReLU(0.01), "leaky_relu", 0.01), (nn.LeakyReLU(0.5), "leaky_relu", 0.5),
        (nn.PReLU(), "leaky_relu", 0.25), (nn.Tanh(), "tanh", None), (nn.Sigmoid(), "sigmoid", None), (None, "linear", None),
    ],
)  # fmt: skip
def test_gains_are_those_of_pytorch(activation: nn.Module | None, name: str, parameter: float | None) -> None:
    assert gain(activation) == pytest.approx(nn.init.calculate_gain(name, parameter), rel=1e-5)


@pytest.mark.parametrize("activation", [nn.GELU(), nn.SiLU(), nn.ELU(), nn.Softplus()], ids=repr)
def test_other_gains_keep_the_mean_square_of_a_sample(activation: nn.Module) -> None:
    z = torch.randn(2_000_000, generator=generator())
    assert float((gain(activation) * activation(z)).square().mean()) == pytest.approx(1.0, rel=0.01)


class Residual(nn.Module):
    """Written with functions, methods and a skip connection, layers registered in another order than they are used in."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 3)
        self.block = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8))
        self.inner = nn.Conv1d(1, 1, 3, padding=1)
        self.stem = nn.Linear(4, 8)
        self.gate = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        h = F.gelu(self.stem(x))
        h = (h + self.block(h)).relu()
        h = torch.tanh(self.inner(h[:, None])[:, 0])
        return F.log_softmax(self.head(self.gate(h) * h), dim=1)


class Branching(nn.Module):
    """Cannot be traced: its path depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.layer(x)) if x.sum() > 0 else x


def test_the_activation_that_follows_is_found_in_the_graph() -> None:
    found = places(Residual())
    assert {name: type(place.activation).__name__ for name, place in found.items()} == {
        "stem": "GELU", "block.0": "ReLU", "block.1": "NoneType", "inner": "Tanh", "gate": "NoneType", "head": "NoneType",
    }  # fmt: skip
    assert [name for name, place in found.items() if place.last] == ["head"]
    done = {parameter: scheme for parameter, scheme, _ in initialize(Residual(), generator=generator())}
    assert done["stem.weight"] == done["block.0.weight"] == "he"
    assert done["inner.weight"] == done["gate.weight"] == "xavier"
    assert done["head.weight"] == "a tenth of xavier"
    assert done["block.1.weight"] == "zero (ends a residual branch)"
    plain = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    assert len(initialize(plain, generator=generator())) == 2 and bool((plain[1].weight == 1).all()), (
        "norms are left alone"
    )


def test_a_sequential_is_read_in_its_order_even_when_it_cannot_be_traced() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.SiLU(), nn.Sequential(Branching()))
    model[4] = nn.Sequential(Once(), nn.Linear(4, 2))
    found = places(model)
    assert isinstance(found["0"].activation, nn.SiLU) and not found["0"].last
    assert found["4.1"].activation is None and found["4.1"].last


class Once(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def test_what_is_not_known_is_said() -> None:
    [weight] = initialize(Branching(), generator=generator())
    assert weight.scheme == "he (what follows is not known)"
    assert weight.std == pytest.approx(math.sqrt(2 / 4))
    assert not_known([weight]).startswith(
        "what follows layer layer is not known, because the model's code cannot be traced"
    )
    assert not_known(initialize(Residual(), generator=generator())) == ""
    many = nn.Sequential(Branching(), *(nn.Linear(4, 4) for _ in range(7)))
    many[1] = nn.ModuleList([nn.Linear(4, 4)])
    assert "0.layer, 1.0, 2, 3, 4 and 3 more are not" in not_known(initialize(many, generator=generator())).replace(
        " is ", " are "
    )


def test_the_first_loss_is_that_of_knowing_nothing() -> None:
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    initialize(model, generator=generator())
    with torch.no_grad():
        loss = F.cross_entropy(model(torch.randn(500, 64, generator=generator())), torch.arange(500) % 10)
    assert float(loss) == pytest.approx(math.log(10), rel=0.01)


def test_it_draws_from_the_given_generator_alone() -> None:
    for model in (Residual(), Branching(), deep(nn.ReLU(), layers=2)):
        before = torch.get_rng_state()
        initialize(model, generator=generator(5))
        first = [p.clone() for p in model.parameters()]
        assert torch.equal(torch.get_rng_state(), before)
        initialize(model, generator=generator(5))
        assert all(torch.equal(p, q) for p, q in zip(model.parameters(), first, strict=True))
        initialize(model, generator=generator(6))
        assert not all(torch.equal(p, q) for p, q in zip(model.parameters(), first, strict=True))


def test_embeddings_are_normal_and_shared_weights_are_drawn_once() -> None:
    model = nn.Sequential(nn.Embedding(500, 40, padding_idx=3), nn.Linear(40, 500, bias=False))
    model[1].weight = model[0].weight
    done = initialize(model, generator=generator())
    assert done == [("0.weight", "normal", 1.0)]
    assert not model[0].weight[3].any()
    assert float(model[0].weight.detach().std()) == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize("scheme", ["hee", "normal", "constant()", "normal(x)", "he(2)", ""])
def test_an_unknown_scheme_is_refused(scheme: str) -> None:
    with pytest.raises(InputError, match="choose auto, xavier"):
        initialize(nn.Linear(2, 2), scheme=scheme, generator=generator())


def test_a_layer_without_a_size_is_refused() -> None:
    with pytest.raises(InputError, match="layer 0 has no size yet"):
        initialize(nn.Sequential(nn.LazyLinear(3)), generator=generator())
