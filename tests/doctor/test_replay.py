"""A run revisited: the doctor that was not there finds what one that was there finds."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import thalweg
from thalweg.doctor.replay import Record, revisit


def two_moons(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    angle = torch.rand(n, generator=generator) * torch.pi
    label = torch.arange(n) % 2
    sign = 1 - 2 * label
    points = torch.stack([sign * angle.cos() + label, sign * angle.sin() + 0.5 * label], 1)
    return points + 0.1 * torch.randn(n, 2, generator=generator), label


TRAIN, DEV = two_moons(400, 0), two_moons(200, 1)
STEPS = 250


def made(rate: float) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
    return model, torch.optim.Adam(model.parameters(), lr=rate)


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, count: int) -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        rows = torch.randint(0, 400, (32,), generator=generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(TRAIN[0][rows]), TRAIN[1][rows]).backward()
        optimizer.step()


@pytest.mark.parametrize(("rate", "kind"), [(3e-6, "lr_too_low"), (3.0, "lr_too_high"), (1e-2, "")])
def test_it_finds_what_a_watcher_finds(rate: float, kind: str) -> None:
    model, optimizer = made(rate)
    with thalweg.watch(model, optimizer, loss=nn.functional.cross_entropy, train=TRAIN, dev=DEV) as doctor:
        steps(model, optimizer, STEPS)
    watched = [finding.kind for finding in doctor.findings()]
    record = Record(steps=STEPS, epochs=0, rates=((1, rate),), end=model.state_dict())
    again, optimizer = made(rate)
    end = {name: value.clone() for name, value in model.state_dict().items()}
    revisited = revisit(
        again,
        optimizer,
        lambda: steps(again, optimizer, 32),
        record,
        loss=nn.functional.cross_entropy,
        train=TRAIN,
        dev=DEV,
    )
    assert [finding.kind for finding in revisited.findings()] == watched
    assert watched[:1] == ([kind] if kind else [])
    assert all(torch.equal(value, end[name]) for name, value in again.state_dict().items())
