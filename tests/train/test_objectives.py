"""Losses and metrics against scikit-learn and NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics
import torch
from hypothesis import given
from hypothesis import strategies as st

from thalweg.errors import InputError
from thalweg.train.objectives import (
    OBJECTIVES,
    BinaryCrossEntropy,
    CrossEntropy,
    Custom,
    MeanSquaredError,
    balanced_weights,
    evaluate,
    predict,
)


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


WEIGHTS = (0.5, 2.0, 1.0, 0.25)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
class TestSoftAndWeighted:
    def both(self, smoothing, weights):
        return CrossEntropy(label_smoothing=smoothing, class_weights=weights), torch.nn.CrossEntropyLoss(
            weight=None if weights is None else torch.tensor(weights), label_smoothing=smoothing
        )

    def test_class_numbers_are_torchs(self, smoothing, weights) -> None:
        ours, theirs = self.both(smoothing, weights)
        outputs, targets = torch.randn(9, 4), torch.randint(0, 4, (9,))
        assert torch.equal(ours(outputs, targets), theirs(outputs, targets))
        assert torch.equal(ours.torch_criterion()(outputs, targets), theirs(outputs, targets))
        theirs.reduction = "none"
        assert torch.equal(ours.each(outputs, targets), theirs(outputs, targets))

    def test_distributions_by_the_formula(self, smoothing, weights) -> None:
        ours, _ = self.both(smoothing, weights)
        outputs, wanted = torch.randn(9, 4).double(), torch.rand(9, 4).double()
        wanted /= wanted.sum(1, keepdim=True)
        w = np.array(weights or (1.0,) * 4)
        log_p = outputs.numpy() - np.log(np.exp(outputs.numpy()).sum(1, keepdims=True))
        smooth = (1 - smoothing) * wanted.numpy() + smoothing / 4
        expected = -(smooth * w * log_p).sum() / (wanted.numpy() * w).sum()
        assert float(ours(outputs, wanted)) == pytest.approx(expected)

    def test_a_certain_distribution_is_its_class(self, smoothing, weights) -> None:
        ours, _ = self.both(smoothing, weights)
        outputs, targets = torch.randn(9, 4), torch.randint(0, 4, (9,))
        certain = torch.nn.functional.one_hot(targets, 4).float()
        torch.testing.assert_close(ours(outputs, certain), ours(outputs, targets))
        torch.testing.assert_close(ours.each(outputs, certain), ours.each(outputs, targets))

    def test_one_logit_is_two_classes(self, smoothing, weights) -> None:
        """The logit z of the second class is the pair (0, z)."""
        pair = None if weights is None else weights[:2]
        one, two = BinaryCrossEntropy(smoothing, pair), CrossEntropy(smoothing, class_weights=pair)
        z, y = torch.randn(9, 1), torch.rand(9)
        outputs, wanted = torch.cat([torch.zeros_like(z), z], 1), torch.stack([1 - y, y], 1)
        torch.testing.assert_close(one(z, y), two(outputs, wanted))
        torch.testing.assert_close(one.each(z, y), two.each(outputs, wanted))
        assert (one.torch_criterion() is None) is bool(smoothing or weights)


def test_balanced_class_weights_are_scikit_learns() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.random.default_rng(0).choice(4, size=50, p=[0.6, 0.2, 0.15, 0.05])
    expected = compute_class_weight("balanced", classes=np.arange(4), y=labels)
    counts = np.bincount(labels).tolist()
    assert balanced_weights(counts) == pytest.approx(expected)
    assert balanced_weights([*counts, 0]) == pytest.approx([*(expected * 0.8), 0.0])


def test_several_outputs_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    guess, truth = rng.normal(size=(2, 20, 3))
    scale, objective = np.array([1.0, 10.0, 0.1]), MeanSquaredError(scale=(1.0, 10.0, 0.1), also=("mae",))
    outputs, targets = torch.tensor(guess), torch.tensor(truth)
    assert float(objective(outputs, targets)) == pytest.approx(sklearn.metrics.mean_squared_error(truth, guess))
    metrics = objective.metrics(outputs, targets)
    assert list(metrics) == ["r2", "rmse", "mae"]
    assert metrics["r2"] == pytest.approx(sklearn.metrics.r2_score(truth, guess))
    assert metrics["rmse"] == pytest.approx(sklearn.metrics.root_mean_squared_error(truth * scale, guess * scale))
    objective.check(outputs, targets)
    with pytest.raises(InputError, match=r"3 numbers for each example, \(20, 3\)"):
        objective.check(outputs[:, :2], targets)
    with pytest.raises(InputError, match="3 scales for 2 outputs"):
        objective.check(outputs[:, :2], targets[:, :2])


@pytest.mark.parametrize("shape", [(20,), (20, 2)])
def test_metrics_in_units_behind_a_way_back_that_is_no_factor(shape) -> None:
    rng = np.random.default_rng(0)
    guess, truth = rng.normal(size=(2, *shape))
    metrics = MeanSquaredError(restore=np.expm1).metrics(torch.tensor(guess).reshape(20, -1), torch.tensor(truth))
    assert metrics["r2"] == pytest.approx(sklearn.metrics.r2_score(np.expm1(truth), np.expm1(guess)))
    assert metrics["rmse"] == pytest.approx(sklearn.metrics.root_mean_squared_error(np.expm1(truth), np.expm1(guess)))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: CrossEntropy(also=("rmse",)), "for regression, not for multiclass"),
        (lambda: BinaryCrossEntropy(also=("acu",)), 'did you mean "auc"'),
        (lambda: MeanSquaredError(also=("f1",)), "not for regression"),
        (lambda: CrossEntropy(label_smoothing=1.0), "label_smoothing = 1.0"),
        (lambda: CrossEntropy(classes=3, class_weights=(1.0, 2.0)), "2 class weights for 3 classes"),
        (lambda: BinaryCrossEntropy(class_weights=(1.0, float("nan"))), "class_weights"),
    ],
)
def test_wrong_settings(make, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        make()


def test_half_precision_is_computed_in_single() -> None:
    outputs, targets = torch.randn(50, 4).bfloat16(), torch.randint(0, 4, (50,))
    weighted = CrossEntropy(class_weights=WEIGHTS)
    assert torch.equal(weighted(outputs, targets), weighted(outputs.float(), targets))


def test_large_examples_go_through_in_smaller_pieces() -> None:
    class Sizes(torch.nn.Module):
        def forward(self, inputs):
            seen.append(len(inputs))
            return inputs.flatten(1).sum(1)

    for inputs, expected in (
        (torch.zeros(9000, 2), [4096, 4096, 808]),
        (torch.zeros(5000, 1, 8, 8), [4096, 904]),
        (torch.zeros(1000, 1, 28, 28), [334, 334, 332]),
        (torch.zeros(2, 3, 500, 500), [1, 1]),
    ):
        seen: list[int] = []
        predict(Sizes(), inputs)
        assert seen == expected


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


def test_mass_is_what_the_mean_divides_by() -> None:
    """Σ of the rows' losses = mean × mass, so means of shares can be put together."""
    generator = torch.Generator().manual_seed(0)
    outputs, classes = torch.randn(12, 3, generator=generator), torch.randint(3, (12,), generator=generator)
    mixed = torch.nn.functional.one_hot(classes, 3).float() * 0.7 + 0.1
    for weights in (None, (0.5, 1.0, 4.0)):
        objective = CrossEntropy(class_weights=weights)
        for targets in (classes, mixed):
            total = objective.each(outputs, targets).sum()
            torch.testing.assert_close(objective(outputs, targets) * objective.mass(targets), total)
    binary = BinaryCrossEntropy(class_weights=(1.0, 3.0))
    yes = (classes > 0).float()
    torch.testing.assert_close(binary(outputs[:, :1], yes) * binary.mass(yes), binary.each(outputs[:, :1], yes).sum())
