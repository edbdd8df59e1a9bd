"""What the probes may cost: counted in rows and operations, the same on every machine, and kept."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import thalweg
from thalweg.doctor.budget import CALL, FLOOR, SHARE, Budget


def of(model: nn.Module, inputs: torch.Tensor, *, steps: int = 0) -> Budget:
    return Budget.of(model, inputs, rows=len(inputs), batch=8, steps=steps)


@pytest.mark.parametrize(
    ("model", "inputs", "row"),
    [
        (nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3)), torch.zeros(4, 7), 2 * (7 * 5 + 5 * 3)),
        (nn.Conv2d(2, 6, 3), torch.zeros(4, 2, 10, 10), 2 * 6 * 2 * 9 * 64),
        (nn.Conv2d(4, 4, 3, groups=4), torch.zeros(4, 4, 10, 10), 2 * 4 * 9 * 64 / 4),
        (nn.GRU(3, 5, batch_first=True), torch.zeros(4, 11, 3), 2 * 11 * (15 * 3 + 15 * 5)),
        (nn.Sequential(nn.Embedding(20, 6), nn.Linear(6, 2)), torch.zeros(4, 9, dtype=torch.int64), 2 * 9 * 12),
    ],
)
def test_a_row_costs_two_operations_for_each_weight_at_each_place(model, inputs, row):
    assert of(model, inputs).row == pytest.approx(row)


def test_a_recurrent_layer_is_called_moment_by_moment():
    short, long = (of(nn.GRU(3, 5, batch_first=True), torch.zeros(4, n, 3)).call for n in (10, 20))
    assert long - short == pytest.approx(10 * CALL)


def test_short_runs_are_allowed_a_floor_and_long_ones_a_share_of_themselves():
    model, inputs = nn.Linear(500, 500), torch.zeros(2, 500)
    assert of(model, inputs, steps=3).total == FLOOR
    long = of(model, inputs, steps=10**6)
    assert long.total == pytest.approx(SHARE * long.steps(10**6)) and long.total > FLOOR
    assert long.steps(1) == pytest.approx(3 * (8 * long.row + long.call) + long.update)


def test_what_was_spent_is_not_there_any_more():
    budget = of(nn.Linear(500, 500), torch.zeros(2, 500))
    before = budget.rows(0.5)
    assert before * budget.row <= 0.5 * budget.total
    budget.spend(0.9 * budget.total)
    assert budget.rows(0.5) < before
    assert budget.fits(0.09 * budget.total) and not budget.fits(0.11 * budget.total)


def rows_seen(width: int, steps: int) -> tuple[int, int]:
    """Rows the loop put through a model of that width, and rows the probes did."""
    seen = {"rows": 0}

    class Counting(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen["rows"] += len(x)
            return super().forward(x)

    torch.manual_seed(0)
    X = torch.randn(400, width)
    y = (X[:, 0] > 0).long()
    model = nn.Sequential(Counting(width, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 2))
    optimizer = torch.optim.SGD(model.parameters(), 1e-6)
    with thalweg.watch(model, optimizer, loss=nn.CrossEntropyLoss(), train=(X, y), dev=(X[:50], y[:50]), quiet=True):
        for k in range(steps):
            optimizer.zero_grad()
            rows = torch.arange(k * 16, k * 16 + 16) % 400
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()
        ran = seen["rows"]
    return ran, seen["rows"] - ran


def test_a_large_model_is_asked_for_fewer_rows_than_a_small_one():
    _, small = rows_seen(4, 6)
    _, large = rows_seen(2000, 6)
    row = 2 * (2000 * 1024 + 1024 * 1024)
    assert large < small
    assert large * row < 2 * FLOOR
