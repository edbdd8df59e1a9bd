"""Tables with columns of codes: what the net reads, which codes count, what is refused."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from thalweg.errors import InputError
from thalweg.initializers import initialize
from thalweg.models import Backprop, LinearPath, Tabular, dimension, mlp


@pytest.mark.parametrize(
    "size, expected", [(1, 2), (2, 2), (3, 3), (10, 6), (100, 21), (300, 39), (900, 50), (10**6, 50)]
)
def test_dimensions_are_those_of_the_rule(size: int, expected: int) -> None:
    assert dimension(size) == expected


def test_the_net_reads_numbers_then_vectors() -> None:
    model = Tabular(4, [(2, 5), (0, 3)], build=lambda width: nn.Linear(width, width))
    x = torch.tensor([[2.0, 0.5, 4.0, -1.5], [1.0, 7.0, 3.0, 0.0]])
    first, second = (each.weight for each in model.embeddings)
    expected = torch.cat([x[:, [1, 3]], first[[4, 3]], second[[2, 1]]], 1)
    torch.testing.assert_close(model.concatenated(x), expected, rtol=0, atol=0)
    assert model.net.in_features == 2 + dimension(5) + dimension(3)
    torch.testing.assert_close(model(x), model.net(expected))


@given(code=st.floats(width=32) | st.integers(-3, 8).map(float))
def test_any_code_that_does_not_exist_is_code_0(code: float) -> None:
    model = Tabular(1, [(0, 5)], build=lambda width: nn.Identity())
    known = int(code) if 0 <= code < 5 else 0
    assert torch.equal(model(torch.tensor([[code]])), model.embeddings[0].weight[[known]])
    if not known:
        assert not model(torch.tensor([[code]])).any()


def test_it_learns_what_depends_on_a_category_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(1, 40, (400,), generator=generator)
    effect = torch.randn(40, generator=generator)
    x = torch.stack([torch.randn(400, generator=generator), codes.float()], 1)
    y = effect[codes] + 0.3 * x[:, 0]
    model = Tabular(2, [(1, 40)], build=lambda width: LinearPath(width, 1, mlp(width, 1, hidden=(16,))))
    initialize(model, generator=generator)
    for module in model.modules():
        if isinstance(module, LinearPath):
            module.start_linear()
    assert not model(x).any(), "the linear path and the deep net begin at zero"
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(150):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x).flatten(), y)
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.01 * float(y.var())
    assert not model.embeddings[0].weight[0].any(), "the vector of the unknown stays 0"


def test_states_hold_parameters_alone_and_autograd_is_called_for() -> None:
    model = Tabular(3, [(1, 4)], build=lambda width: mlp(width, 2, hidden=(5,)))
    assert list(model.state_dict()) == [
        "embeddings.0.weight",
        "net.1.weight",
        "net.1.bias",
        "net.3.weight",
        "net.3.bias",
    ]
    assert Backprop.refuses(model, nn.CrossEntropyLoss()).startswith("the model is Tabular")


@pytest.mark.parametrize(
    "embedded, words",
    [
        ([(3, 5)], "numbered 0 to 2"),
        ([(-1, 5)], "feature -1"),
        ([(1, 5), (1, 6)], "embedded twice"),
        ([(1, 0)], "with 0 codes"),
    ],
)
def test_columns_that_cannot_be_are_refused(embedded: list, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Tabular(3, embedded, build=lambda width: nn.Linear(width, 1))
