"""Layer-wise pre-training: what is learnt, what is left alone, whom it helps, what it refuses."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.initializers import initialize
from thalweg.models import LinearPath, Tabular, mlp, pretrain, resnet
from thalweg.models.pretrain import refuses


def adam(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=5e-3)


def still(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.0)


def numbers(rows: int = 200, columns: int = 8) -> Tensor:
    """Rows that lie near a plane of three dimensions, of unequal means and spreads."""
    generator = torch.Generator().manual_seed(0)
    plane = torch.randn(rows, 3, generator=generator) @ torch.randn(3, columns, generator=generator)
    return 5 + torch.arange(1, columns + 1) * (plane + 0.1 * torch.randn(rows, columns, generator=generator))


def passes(x: Tensor):
    def batches(epoch: int) -> Iterable[Tensor]:
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(epoch))
        return (x[rows] for rows in order.split(50))

    return batches


def drawn(model: nn.Module, seed: int = 0) -> nn.Module:
    initialize(model, generator=torch.Generator().manual_seed(seed))
    return model


class Chain(nn.Module):
    """A user's module: functions and methods between the layers."""

    def __init__(self) -> None:
        super().__init__()
        self.out, self.second, self.first = nn.Linear(6, 2), nn.Linear(8, 6), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        h = F.gelu(self.first(x.flatten(1)), approximate="tanh")
        return self.out(torch.clamp(self.second(h), -1.0, max=1.0).sigmoid())


MODELS = {
    "sigmoid": (lambda: mlp(8, 2, hidden=(8, 6), activation="sigmoid"), ["1", "3"]),
    "dropout and batch norm": (lambda: mlp(8, 2, hidden=(8, 6), norm="batch", dropout=0.5), ["1", "5"]),
    "linear path": (lambda: LinearPath(8, 2, mlp(8, 2, hidden=(8,), activation="tanh")), ["deep.1"]),
    "own module": (Chain, ["first", "second"]),
}


@pytest.mark.parametrize("corruption, noise", [("masking", 0.2), ("gaussian", 0.3)])
@pytest.mark.parametrize("name", MODELS)
def test_each_layer_rebuilds_more_than_the_mean_does(name: str, corruption: str, noise: float) -> None:
    """A loss of 1 is that of the mean of each number."""
    build, layers = MODELS[name]
    model = drawn(build()).train()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    heard: list[tuple[str, int]] = []
    done = pretrain(
        model, passes(numbers()), epochs=30, noise=noise, corruption=corruption, make_optimizer=adam, seed=1,
        tell=lambda layer, epoch, loss: heard.append((layer, epoch)),
    )  # fmt: skip
    assert [one.layer for one in done] == layers
    assert heard == [(layer, epoch) for layer in layers for epoch in range(30)]
    for one in done:
        assert one.last_loss < 0.75 and one.last_loss < 0.8 * one.first_loss, one
    last = [f"{layer}.{part}" for layer in ("out", "deep.3", "linear") for part in ("weight", "bias")]
    for parameter, value in model.named_parameters():
        assert value.grad is None
        if parameter in last:
            assert torch.equal(value, before[parameter]), f"{parameter} belongs to no autoencoder"
    assert all(module.training for module in model.modules())


def test_the_loss_is_that_of_an_autoencoder_typed_by_hand() -> None:
    """Tied weights on standardised inputs, then the same for the layer above; nothing is trained, so both are exact."""
    x = numbers()
    model = drawn(mlp(8, 2, hidden=(5, 4), activation="sigmoid"))
    W, b, V, d = (model[i].get_parameter(n).detach().clone() for i in (1, 3) for n in ("weight", "bias"))
    done = pretrain(model, lambda epoch: [x], epochs=1, noise=0.0, make_optimizer=still, seed=0)

    def loss(x: Tensor, W: Tensor, b: Tensor) -> tuple[float, Tensor]:
        h = torch.sigmoid(x @ W.T + b)
        return float((h @ W - x).square().mean()), h

    def standardised(x: Tensor) -> Tensor:
        return (x - x.mean(0)) / x.std(0, correction=0)

    first, h = loss(standardised(x), W, b)
    second, top = loss(standardised(h), V, d)
    assert [one.last_loss for one in done] == [pytest.approx(first, rel=1e-4), pytest.approx(second, rel=1e-4)]
    (
        torch.testing.assert_close(model[:5](x), top, rtol=1e-4, atol=1e-4),
        "means and spreads are in the weights afterwards",
    )


def test_the_seed_alone_decides() -> None:
    def weights(seed: int) -> list[Tensor]:
        torch.rand(3)
        model = drawn(mlp(8, 2, hidden=(6,), dropout=0.5))
        state = torch.get_rng_state()
        pretrain(model, passes(numbers()), epochs=2, make_optimizer=adam, seed=seed)
        assert torch.equal(torch.get_rng_state(), state)
        return [p.detach() for p in model.parameters()]

    assert all(map(torch.equal, weights(3), weights(3)))
    assert not torch.equal(weights(3)[0], weights(4)[0])


def test_an_untied_decoder_is_trained_apart_and_frozen_layers_are_left() -> None:
    losses = {}
    for tied in (True, False):
        model = drawn(mlp(8, 2, hidden=(6, 4), activation="tanh"))
        model[3].requires_grad_(False)
        before = model[3].weight.clone()
        counts: list[int] = []

        def make(parameters: list[nn.Parameter], counts: list[int] = counts) -> torch.optim.Optimizer:
            counts.append(len(parameters))
            return adam(parameters)

        [one] = pretrain(model, passes(numbers()), epochs=3, make_optimizer=make, seed=0, tied=tied)
        losses[tied] = one
        assert torch.equal(model[3].weight, before) and counts == [3 if tied else 4]
    assert losses[True].first_loss == pytest.approx(losses[False].first_loss), "it begins as the transpose"
    assert losses[True].last_loss != losses[False].last_loss


def test_tables_rebuild_numbers_and_vectors() -> None:
    x = torch.cat([numbers(columns=3), torch.randint(0, 6, (200, 1), generator=torch.Generator().manual_seed(0))], 1)
    model = drawn(Tabular(4, [(3, 6)], build=lambda width: mlp(width, 1, hidden=(12,), activation="tanh")))
    before = model.embeddings[0].weight.clone()
    [one] = pretrain(model, passes(x), epochs=10, make_optimizer=adam, seed=0, noise=0.1)
    assert one.layer == "net.1" and one.last_loss < 0.7
    assert torch.equal(model.embeddings[0].weight, before)


def test_a_constant_input_is_no_reason_for_nan() -> None:
    x = numbers()
    x[:, 2] = 7.0
    model = drawn(mlp(8, 2, hidden=(6,)))
    pretrain(model, passes(x), epochs=2, make_optimizer=adam, seed=0)
    assert all(bool(p.isfinite().all()) for p in model.parameters()) and bool(model(x).isfinite().all())


def test_it_saves_a_deep_sigmoid_net_with_few_labels() -> None:
    """Six sigmoid layers, 200 labelled digits: plain training stays near guessing."""
    digits = load_digits()
    x, y = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)

    def accuracy(*, pretrained: bool) -> float:
        generator = torch.Generator().manual_seed(0)
        order = torch.randperm(len(x), generator=generator)
        model = mlp(64, 10, hidden=(32,) * 6, activation="sigmoid")
        initialize(model, generator=generator)
        if pretrained:
            pretrain(model, lambda epoch: x[order].split(128), epochs=4, make_optimizer=adam, seed=0)
        optimizer = adam(list(model.parameters()))
        for _ in range(20):
            for rows in order[:200].split(32):
                optimizer.zero_grad()
                F.cross_entropy(model(x[rows]), y[rows]).backward()
                optimizer.step()
        with torch.no_grad():
            rest = order[200:]
            return float((model(x[rest]).argmax(1) == y[rest]).float().mean())

    assert accuracy(pretrained=True) > accuracy(pretrained=False) + 0.4


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    "model, words",
    [
        (resnet((1, 8, 8), 2, width=4), "are no chain"),
        (nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(12, 4), nn.Linear(4, 2)), "layer 0 is Conv1d"),
        (mlp(8, 2, hidden=(4, 4), residual=True), "an mlp without residual"),
        (mlp(8, 2, hidden=()), "no hidden Linear layer"),
        (Branching(), "the code of Branching cannot be traced"),
    ],
)
def test_what_is_no_chain_of_layers_is_refused(model: nn.Module, words: str) -> None:
    assert words in refuses(model)
    with pytest.raises(InputError, match=words):
        pretrain(model, passes(numbers()), epochs=1, make_optimizer=adam, seed=0)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"noise": 1.0}, "a probability below 1"),
        ({"noise": -1.0, "corruption": "gaussian"}, "a standard deviation"),
        ({"corruption": "salt"}, "choose masking or gaussian"),
        ({"epochs": 0}, "at least 1"),
        ({"epoch_batches": lambda epoch: []}, "no examples"),
        ({"epoch_batches": passes(numbers() * torch.inf)}, "layer 1 has a loss of nan in pass 0"),
    ],
)
def test_nonsense_is_refused(arguments: dict, words: str) -> None:
    given = {"epoch_batches": passes(numbers()), "epochs": 1, "make_optimizer": adam, "seed": 0} | arguments
    with pytest.raises(InputError, match=words):
        pretrain(drawn(mlp(8, 2, hidden=(6,))), **given)
