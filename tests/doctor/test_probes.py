"""What single probes write, on loops where it is known."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import thalweg

LOSS = nn.CrossEntropyLoss()


def blobs(n: int = 160) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(1)
    y = torch.randint(0, 2, (n,), generator=g)
    return torch.randn(n, 4, generator=g) + 2 * y[:, None] - 1, y


def watched(model: nn.Module, rule: torch.optim.Optimizer, *, parts: int = 1, divide: bool = True, steps: int = 8):
    X, y = blobs()
    with thalweg.watch(model, rule, loss=LOSS, train=(X, y), dev=(X[:40] + 0.01, y[:40]), quiet=True) as doctor:
        for _ in range(steps):
            rule.zero_grad()
            for rows in torch.randperm(len(X))[:32].chunk(parts):
                (LOSS(model(X[rows]), y[rows]) / (parts if divide else 1)).backward()
            rule.step()
    return doctor


def net(norm: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), *[nn.BatchNorm1d(16)] * norm, nn.ReLU(), nn.Linear(16, 2))


@pytest.mark.parametrize(("parts", "divide", "added"), [(1, True, None), (4, True, 1.0), (4, False, 4.0)])
def test_gradients_that_are_added_and_not_averaged_are_measured(parts, divide, added):
    model = net()
    doctor = watched(model, torch.optim.SGD(model.parameters(), 0.1), parts=parts, divide=divide)
    assert doctor.history.last("loop/passes") == parts
    said = [n for n in (*doctor.findings(), *doctor.notes()) if n.where == "gradient accumulation"]
    if added is None:
        assert "loop/added" not in doctor.history
    else:
        assert doctor.history.last("loop/added") == pytest.approx(added, rel=1e-3)
    assert bool(said) == (added == 4.0)
    assert all(n.kind == "lr_too_high" for n in said)


def test_running_statistics_that_lag_show_in_the_two_modes():
    model = net(norm=True)
    model[1].momentum = 0.0
    with torch.no_grad():
        model[1].running_mean.fill_(5.0)
    doctor = watched(model, torch.optim.Adam(model.parameters(), 1e-2), steps=70)
    assert doctor.history.last("norm/rows") == 32
    assert doctor.history.last("norm/eval_mode") > doctor.history.last("norm/train_mode") + 0.1
    assert ("wrong_mode", "batch normalisation") in [(f.kind, f.where) for f in doctor.findings()]


class Skipping(nn.Module):
    """A linear path of zeros beside a hidden layer that is drawn, or of zeros, too."""

    def __init__(self, zeros: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.path, self.hidden, self.last = nn.Linear(4, 2), nn.Linear(4, 16), nn.Linear(16, 2)
        for layer in (self.path, *([self.hidden] * zeros)):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.path(x) + self.last(self.hidden(x).relu())


@pytest.mark.parametrize(("zeros", "alike"), [(False, []), (True, ["hidden.weight"])])
def test_zeros_are_alike_where_their_gradients_are(zeros, alike):
    model = Skipping(zeros)
    doctor = watched(model, torch.optim.SGD(model.parameters(), 0.1))
    found = [one.where for one in (*doctor.findings(), *doctor.notes()) if "same weights" in one.sentence]
    assert found == alike


def test_a_logit_that_starts_between_0_and_1_is_no_probability():
    """Its error is that of its sign: with the cut at a half most of the rows would count as wrong."""
    X, y = blobs()
    y, cost = y.float()[:, None], nn.functional.binary_cross_entropy_with_logits
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    nn.init.normal_(model.weight, std=1e-3)
    nn.init.constant_(model.bias, 0.1)
    rule = torch.optim.SGD(model.parameters(), 0.03)
    with thalweg.watch(model, rule, loss=cost, train=(X, y), quiet=True) as doctor:
        for _ in range(8):
            rule.zero_grad()
            cost(model(X), y).backward()
            rule.step()
    wrong = ((model(X) > 0).float() != y).float().mean().item()
    assert ((model(X) > 0.5).float() != y).float().mean().item() > wrong + 0.1
    assert doctor.history.last("train/error") == pytest.approx(wrong, abs=1e-6)


def test_decay_on_biases_is_a_remark():
    model = net()
    doctor = watched(model, torch.optim.SGD(model.parameters(), 0.1, weight_decay=1e-2))
    assert doctor.history.last("optimizer/decayed_vectors") == 2
    assert "weight decay" in [note.where for note in doctor.notes()]
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 1e-2},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    doctor = watched(model, torch.optim.SGD(groups, 0.1))
    assert "weight decay" not in [note.where for note in doctor.notes()]


def test_the_end_on_a_saddle_has_negative_curvature():
    model = nn.Sequential(nn.Linear(4, 8, bias=False), nn.Tanh(), nn.Linear(8, 2, bias=False))
    torch.manual_seed(0)
    for p in model.parameters():
        nn.init.normal_(p, 0, 1e-4)
    rule = torch.optim.SGD(model.parameters(), 1e-6)
    X, y = blobs()
    y = y ^ (X[:, 0] * X[:, 1] > 0)
    with thalweg.watch(model, rule, loss=LOSS, train=(X, y), quiet=True) as doctor:
        for k in range(8):
            scale = 1.0 if k == 0 else 0.0
            rule.zero_grad()
            (scale * LOSS(model(X), y)).backward()
            rule.step()
        with torch.no_grad():
            for p in model.parameters():
                p.zero_()
    assert doctor.history.last("end/gradient") < 0.05
    assert doctor.history.last("curvature/negative") > 0.05
