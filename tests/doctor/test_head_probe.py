"""What the loss says to crafted outputs."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import thalweg


def of_logits(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(outputs, targets)


def of_logits_cut_off(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return F.binary_cross_entropy(outputs.clamp(1e-4, 1 - 1e-4), targets)


@pytest.mark.parametrize(("loss", "named"), [(of_logits, []), (of_logits_cut_off, ["wrong_loss"])])
def test_logits_cut_off_to_probabilities_have_no_slope_where_they_are_wrong(loss, named):
    torch.manual_seed(0)
    x = torch.randn(160, 4)
    y = (x[:, :1] > 0).float()
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    rule = torch.optim.SGD(model.parameters(), lr=0.2)
    with thalweg.watch(model, rule, loss=loss, train=(x, y), quiet=True) as doctor:
        for rows in torch.randperm(160).split(16) * 4:
            rule.zero_grad()
            loss(model(x[rows]), y[rows]).backward()
            rule.step()
    assert (doctor.history.last("loss/pull_back") == 0) == bool(named)
    assert [f.kind for f in doctor.findings() if f.kind == "wrong_loss"] == named
