"""Each metric of the table against scikit-learn, with weights and without."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics as reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.errors import InputError
from thalweg.train.metrics import METRICS, higher_is_better, metric

SEEDS = st.integers(0, 10**6)


def weights_of(rng: np.random.Generator, n: int, weighted: bool) -> np.ndarray | None:
    return rng.exponential(size=n) + 0.01 if weighted else None


def measured(name: str, guess: np.ndarray, truth: np.ndarray, weights: np.ndarray | None) -> float:
    measure = METRICS[name].measure
    assert measure is not None
    return measure(torch.tensor(guess), torch.tensor(truth), None if weights is None else torch.tensor(weights))


@settings(max_examples=50)
@given(SEEDS, st.integers(2, 50), st.booleans())
def test_two_classes(seed: int, n: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    scores, truth = rng.integers(-4, 5, n) / 2.0 + 0.25 * rng.integers(0, 2), rng.integers(0, 2, n)
    truth[:2] = 0, 1
    weights, chosen = weights_of(rng, n, weighted), scores > 0
    expected = {
        "accuracy": reference.accuracy_score(truth, chosen, sample_weight=weights),
        "balanced_accuracy": reference.balanced_accuracy_score(truth, chosen, sample_weight=weights),
        "f1": reference.f1_score(truth, chosen, sample_weight=weights, zero_division=0.0),
        "auc": reference.roc_auc_score(truth, scores, sample_weight=weights),
    }
    for name, value in expected.items():
        assert measured(name, scores, truth, weights) == pytest.approx(value), name


@settings(max_examples=40)
@given(SEEDS, st.integers(3, 6), st.integers(6, 50), st.booleans())
def test_more_classes(seed: int, classes: int, n: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    scores, truth = rng.normal(size=(n, classes)), rng.integers(0, classes, n)
    truth[:classes] = np.arange(classes)
    weights, chosen = weights_of(rng, n, weighted), scores.argmax(1)
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    areas = [reference.roc_auc_score(truth == c, probabilities[:, c], sample_weight=weights) for c in range(classes)]
    expected = {
        "accuracy": reference.accuracy_score(truth, chosen, sample_weight=weights),
        "balanced_accuracy": reference.balanced_accuracy_score(truth, chosen, sample_weight=weights),
        "f1": reference.f1_score(truth, chosen, average="macro", sample_weight=weights),
        "auc": np.mean(areas),
    }
    if weights is None:
        assert np.mean(areas) == pytest.approx(reference.roc_auc_score(truth, probabilities, multi_class="ovr"))
    for name, value in expected.items():
        assert measured(name, scores, truth, weights) == pytest.approx(value), name


@settings(max_examples=50)
@given(SEEDS, st.integers(2, 50), st.integers(1, 4), st.booleans())
def test_numbers(seed: int, n: int, outputs: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    guess, truth = rng.normal(size=(2, n, outputs)) * 10.0 ** rng.integers(-3, 4, outputs)
    weights = weights_of(rng, n, weighted)
    expected = {
        "r2": reference.r2_score(truth, guess, sample_weight=weights),
        "rmse": reference.root_mean_squared_error(truth, guess, sample_weight=weights),
        "mae": reference.mean_absolute_error(truth, guess, sample_weight=weights),
    }
    for name, value in expected.items():
        assert measured(name, guess, truth, weights) == pytest.approx(value), name


def test_whole_weights_are_repeated_rows() -> None:
    rng = np.random.default_rng(0)
    times = rng.integers(0, 4, 30)
    classes, numbers = rng.integers(0, 3, 30), rng.normal(size=(30, 2))
    scores, guess = rng.normal(size=(30, 3)), rng.normal(size=(30, 2))
    for name, row in METRICS.items():
        if row.measure is None:
            continue
        pair = (guess, numbers) if "regression" in row.tasks else (scores, classes)
        repeated = (np.repeat(values, times, axis=0) for values in pair)
        assert measured(name, *pair, times.astype(float)) == pytest.approx(measured(name, *repeated, None)), name


def test_no_meaning_is_nan_and_empty_classes_do_not_count() -> None:
    scores = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 0.5], [3.0, 0.0, 1.0]])
    truth = np.array([0, 1, 1])
    assert math.isnan(measured("auc", scores, np.zeros(3, dtype=int), None))
    assert math.isnan(measured("r2", scores, np.ones((3, 3)), None))
    assert measured("balanced_accuracy", scores, truth, None) == 0.75
    assert measured("f1", scores, truth, None) == pytest.approx(2 / 3)  # class 2 is nowhere
    one_constant = np.stack([np.ones(3), np.arange(3.0)], 1)
    assert measured("r2", one_constant + np.array([0.1, 0.0]), one_constant, None) == 1.0


def test_the_table_knows_which_way_is_better() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 200)
    for name, row in METRICS.items():
        if row.measure is None:
            continue
        exact = truth[:, None].astype(float) if "regression" in row.tasks else 4.0 * np.eye(3)[truth]
        wanted = truth[:, None] if "regression" in row.tasks else truth
        worse = exact + 5.0 * rng.normal(size=exact.shape)
        gain = measured(name, exact, wanted, None) - measured(name, worse, wanted, None)
        assert (gain > 0) is higher_is_better(name), name
    assert not higher_is_better("loss")


def test_an_unknown_name_gets_a_near_one() -> None:
    with pytest.raises(InputError, match='there is no metric "acuracy": did you mean "accuracy"'):
        higher_is_better("acuracy")
    with pytest.raises(InputError, match='"r2" is for regression, not for binary: choose among loss, accuracy'):
        metric("r2", task="binary")
    with pytest.raises(InputError, match="choose among loss, r2, rmse, mae"):
        metric("zzz", task="regression")
