"""Rows that count by weights: a whole weight is a repeated row."""

from __future__ import annotations

import pytest
import torch

from thalweg.errors import InputError
from thalweg.train import Weighted, evaluate, pack
from thalweg.train.objectives import BinaryCrossEntropy, CrossEntropy, MeanSquaredError

N, RANDOM = 12, torch.Generator().manual_seed(0)
CASES = {
    "classes": (CrossEntropy(also=("auc", "f1"), label_smoothing=0.1), (N, 3), torch.arange(N) % 3),
    "distributions": (CrossEntropy(), (N, 3), torch.rand(N, 3, generator=RANDOM).softmax(1)),
    "binary": (BinaryCrossEntropy(also=("auc",)), (N, 1), (torch.arange(N) % 2).float()),
    "regression": (MeanSquaredError(scale=3.0, also=("mae",)), (N, 1), torch.randn(N, generator=RANDOM)),
    "two outputs": (MeanSquaredError(), (N, 2), torch.randn(N, 2, generator=RANDOM)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_whole_weight_is_a_repeated_row(name) -> None:
    objective, shape, targets = CASES[name]
    outputs, times = torch.randn(shape), torch.randint(0, 4, (N,))
    times[:6] = 1
    packed = pack(targets, times.float())
    rows = torch.arange(N).repeat_interleave(times)
    repeated = objective(outputs[rows], targets[rows])
    torch.testing.assert_close(Weighted(objective)(outputs, packed) * N / times.sum(), repeated)
    metrics = Weighted(objective).metrics(outputs, packed)
    assert metrics.pop("loss") == pytest.approx(float(repeated), rel=1e-5)
    assert metrics == pytest.approx(objective.metrics(outputs[rows], targets[rows]), rel=1e-5)
    Weighted(objective).check(outputs, packed)


def test_equal_weights_change_nothing_and_gradients_flow() -> None:
    objective, _, targets = CASES["classes"]
    plain, weighted = (torch.nn.Linear(5, 3) for _ in range(2))
    weighted.load_state_dict(plain.state_dict())
    inputs = torch.randn(N, 5)
    objective(plain(inputs), targets).backward()
    Weighted(objective)(weighted(inputs), pack(targets, torch.ones(N))).backward()
    torch.testing.assert_close(plain.weight.grad, weighted.weight.grad)
    assert evaluate(plain, inputs, targets, objective) == pytest.approx(
        evaluate(plain, inputs, pack(targets, torch.full((N,), 0.3)), Weighted(objective)), rel=1e-5
    )


def test_class_numbers_stay_exact() -> None:
    targets = torch.tensor([0, 999_983, 2**24])
    assert torch.equal(pack(targets, torch.ones(3))[:, 0].long(), targets)


def test_weights_that_are_no_weights() -> None:
    with pytest.raises(InputError, match="give one weight for each row"):
        pack(torch.zeros(3), torch.ones(2))
    for bad in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="the sample weight of row 1 is"):
            pack(torch.zeros(3), torch.tensor([1.0, bad, 1.0]))
