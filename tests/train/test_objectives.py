"""Losses and metrics against scikit-learn and NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics
import torch
from hypothesis import given
from hypothesis import strategies as st

from thalweg.errors import InputError
from thalweg.train.objectives import OBJECTIVES, CrossEntropy, Custom, MeanSquaredError, evaluate, predict


@given(st.integers(0, 10_000), st.integers(2, 7), st.integers(8, 40))
def test_cross_entropy(seed: int, classes: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(n, classes)), rng.integers(0, classes, n)
    labels[:classes] = np.arange(classes)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    objective = OBJECTIVES["multiclass"]
    outputs, targets = torch.tensor(logits), torch.tensor(labels)
    assert float(objective(outputs, targets)) == pytest.approx(sklearn.metrics.log_loss(labels, probabilities))
    assert objective.metrics(outputs, targets)["accuracy"] == pytest.approx(
        sklearn.metrics.accuracy_score(labels, logits.argmax(1))
    )


@given(st.integers(0, 10_000), st.integers(3, 40))
def test_binary(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=n), rng.integers(0, 2, n)
    labels[:2] = 0, 1
    objective = OBJECTIVES["binary"]
    outputs, targets = torch.tensor(logits)[:, None], torch.tensor(labels, dtype=torch.float32)
    assert float(objective(outputs, targets)) == pytest.approx(
        sklearn.metrics.log_loss(labels, 1 / (1 + np.exp(-logits)))
    )
    assert objective.metrics(outputs, targets)["accuracy"] == sklearn.metrics.accuracy_score(labels, logits > 0)


@given(st.integers(0, 10_000), st.integers(3, 40), st.floats(0.1, 100))
def test_regression(seed: int, n: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    guess, truth = rng.normal(size=n), rng.normal(size=n)
    objective = MeanSquaredError(scale=scale)
    outputs, targets = torch.tensor(guess)[:, None], torch.tensor(truth)
    assert float(objective(outputs, targets)) == pytest.approx(sklearn.metrics.mean_squared_error(truth, guess))
    metrics = objective.metrics(outputs, targets)
    assert metrics["r2"] == pytest.approx(sklearn.metrics.r2_score(truth, guess))
    assert metrics["rmse"] == pytest.approx(scale * np.sqrt(np.mean((truth - guess) ** 2)))


@pytest.mark.parametrize(
    ("task", "shape", "targets"),
    [
        ("multiclass", (6, 2), torch.tensor([0, 1, 2, 0, 1, 2])),
        ("multiclass", (6, 3, 1), torch.tensor([0, 1, 2, 0, 1, 2])),
        ("binary", (6, 2), torch.zeros(6)),
        ("regression", (6, 3), torch.zeros(6)),
    ],
)
def test_wrong_output_shapes_are_named(task, shape, targets) -> None:
    with pytest.raises(InputError, match=r"outputs of shape \(6, .*change the model's last layer"):
        OBJECTIVES[task].check(torch.zeros(shape), targets)


def test_label_smoothing_is_torchs() -> None:
    outputs, targets = torch.randn(9, 4), torch.randint(0, 4, (9,))
    expected = torch.nn.functional.cross_entropy(outputs, targets, label_smoothing=0.1)
    assert torch.equal(CrossEntropy(label_smoothing=0.1)(outputs, targets), expected)


def test_custom_loss_must_be_one_number() -> None:
    with pytest.raises(InputError, match="must give one number"):
        Custom(lambda outputs, targets: outputs - targets).check(torch.zeros(3), torch.ones(3))


def test_predict_is_in_evaluation_mode_and_puts_the_mode_back() -> None:
    model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(3))
    model.train()
    inputs = torch.randn(50, 3)
    first, second = predict(model, inputs, batch_size=7), predict(model, inputs)
    assert model.training and torch.equal(first, second)
    assert evaluate(model, inputs, torch.zeros(50), Custom(lambda o, t: o.square().mean()))["loss"] > 0
