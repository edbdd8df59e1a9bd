"""The built-in net: its layers, its shapes, its refusals."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from thalweg.errors import InputError
from thalweg.models import ACTIVATIONS, Backprop, Residual, mlp


def kinds(model: nn.Sequential) -> list[type]:
    return [type(module) for module in model]


def test_hidden_layers_stand_in_order() -> None:
    model = mlp(5, 3, hidden=(7, 4), activation="tanh", dropout=0.25)
    assert kinds(model) == [nn.Flatten, nn.Linear, nn.Tanh, nn.Dropout, nn.Linear, nn.Tanh, nn.Dropout, nn.Linear]
    assert [tuple(p.shape) for p in model.parameters()] == [(7, 5), (7,), (4, 7), (4,), (3, 4), (3,)]


def test_without_hidden_layers_it_is_softmax_regression() -> None:
    model = mlp(5, 3, hidden=())
    assert kinds(model) == [nn.Flatten, nn.Linear]
    x = torch.randn(4, 5)
    torch.testing.assert_close(model(x), x @ model[1].weight.T + model[1].bias)


def test_images_are_flattened() -> None:
    assert mlp(3 * 8 * 8, 10)(torch.randn(2, 3, 8, 8)).shape == (2, 10)


def test_norms_stand_before_activations_and_batch_norm_takes_the_bias() -> None:
    batch = mlp(5, 3, hidden=(7,), norm="batch")
    assert kinds(batch) == [nn.Flatten, nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]
    assert batch[1].bias is None and batch[4].bias is not None
    layer = mlp(5, 3, hidden=(7,), norm="layer")
    assert kinds(layer)[2] is nn.LayerNorm and layer[1].bias is not None


def test_dropout_can_differ_by_layer() -> None:
    model = mlp(5, 3, hidden=(7, 6), dropout=(0.0, 0.5))
    assert [module.p for module in model if isinstance(module, nn.Dropout)] == [0.5]


def test_inputs_can_be_dropped() -> None:
    model = mlp(5, 3, hidden=(7,), input_dropout=0.2, dropout=0.5)
    assert kinds(model) == [nn.Flatten, nn.Dropout, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]
    assert model[1].p == 0.2


def test_residual_layers_are_pre_activated_with_a_projection_where_widths_differ() -> None:
    model = mlp(5, 3, hidden=(7, 7, 4), norm="layer", activation="tanh", residual=True).double()
    assert kinds(model) == [nn.Flatten, nn.Linear, Residual, Residual, nn.LayerNorm, nn.Tanh, nn.Linear]
    x = torch.randn(6, 5, dtype=torch.float64)

    def act(h: torch.Tensor) -> torch.Tensor:
        centred = h - h.mean(1, keepdim=True)
        return torch.tanh(centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt())

    _, first, second, third, _, _, last = model
    h = x @ first.weight.T + first.bias
    h = h + act(h) @ second.branch[2].weight.T + second.branch[2].bias
    h = h @ third.shortcut.weight.T + act(h) @ third.branch[2].weight.T + third.branch[2].bias
    torch.testing.assert_close(model(x), act(h) @ last.weight.T + last.bias)
    assert "layer 2 is Residual" in Backprop.refuses(model, nn.CrossEntropyLoss())


def test_residual_has_the_layers_and_dropout_of_the_plain_net() -> None:
    arguments: dict = {"hidden": (8, 8, 8), "norm": "batch", "dropout": (0.1, 0.2, 0.3), "residual": True}
    model = mlp(5, 3, **arguments)
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.1, 0.2, 0.3]
    linears = [m for m in model.modules() if isinstance(m, nn.Linear)]
    assert [m.bias is None for m in linears] == [True, True, True, False]
    assert kinds(mlp(5, 3, hidden=(), residual=True)) == [nn.Flatten, nn.Linear]
    assert kinds(mlp(5, 3, hidden=(8,), residual=True)) == kinds(mlp(5, 3, hidden=(8,)))


@pytest.mark.parametrize(
    "name, formula",
    [
        ("sigmoid", lambda x: 1 / (1 + torch.exp(-x))),
        ("tanh", lambda x: (torch.exp(x) - torch.exp(-x)) / (torch.exp(x) + torch.exp(-x))),
        ("relu", lambda x: torch.where(x > 0, x, 0.0)),
        ("leaky_relu", lambda x: torch.where(x > 0, x, 0.01 * x)),
        ("gelu", lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5))),
        ("silu", lambda x: x / (1 + torch.exp(-x))),
    ],
)
def test_activations_are_their_formulas(name: str, formula) -> None:
    x = torch.linspace(-4, 4, 41, dtype=torch.float64)
    torch.testing.assert_close(ACTIVATIONS[name]()(x), formula(x))


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"activation": "rely"}, 'no activation "rely"'),
        ({"norm": "group"}, 'no norm "group"'),
        ({"hidden": (8, 0)}, "at least 1 unit"),
        ({"dropout": 1.0}, "below 1"),
        ({"dropout": -0.1}, "at least 0"),
        ({"input_dropout": 1.0}, "input_dropout is 1.0"),
        ({"dropout": (0.1,)}, "1 dropout probabilities for 2 hidden layers"),
    ],
)
def test_nonsense_is_refused(arguments: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        mlp(5, 3, **arguments)
