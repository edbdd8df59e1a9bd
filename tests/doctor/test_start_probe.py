"""Gradients by moment of a recurrent layer, against autograd asked by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import thalweg


class Last(nn.Module):
    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.cells = nn.RNN(2, 4, batch_first=batch_first)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.cells(x if self.batch_first else x.transpose(0, 1))[0]
        return self.head(found[:, -1] if self.batch_first else found[-1])


@pytest.mark.parametrize("batch_first", [True, False])
def test_the_gradient_of_early_moments_is_autograds(batch_first):
    torch.manual_seed(0)
    x, y = torch.randn(32, 20, 2), torch.arange(32) % 2
    model = Last(batch_first)
    asked = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(nn.functional.cross_entropy(model(asked), y), asked)
    by_moment = slope.square().sum((0, 2)).sqrt()
    rule = torch.optim.SGD(model.parameters(), lr=1e-3)
    with thalweg.watch(model, rule, loss=nn.CrossEntropyLoss(), train=(x, y), quiet=True) as doctor:
        for _ in range(3):
            rule.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            rule.step()
    early = float(doctor.history.column("moments/early").values[0])
    assert early == pytest.approx(float(by_moment[:2].max() / by_moment.max()), rel=1e-3)
