"""The gradient check of NumPy functions, with derivatives typed by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit

import thalweg
from thalweg.errors import InputError
from thalweg.gradcheck import check_function
from thalweg.gradcheck.verdict import verdict_of

X = np.random.default_rng(0).normal(size=(20, 3))
Y = (X[:, 0] > 0).astype(float)


def cost(parameters: dict[str, np.ndarray]) -> float:
    a = expit(X @ parameters["W"] + parameters["b"])
    return float(-np.mean(Y * np.log(a) + (1 - Y) * np.log(1 - a)) + 0.1 / 2 * np.sum(parameters["W"] ** 2))


def derivative(parameters: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    error = expit(X @ parameters["W"] + parameters["b"]) - Y
    return {"W": X.T @ error / len(X) + 0.1 * parameters["W"], "b": np.array(error.mean())}


AT = {"W": np.array([0.3, -0.2, 0.9]), "b": np.array(0.1)}


class TestLogisticRegression:
    def test_right(self) -> None:
        found = check_function(cost, derivative, AT)
        assert found.verdict == "great"
        assert [one.shape for one in found.parameters] == [(3,), ()]

    def test_forgotten_regularisation(self) -> None:
        found = check_function(cost, lambda p: {**derivative(p), "W": derivative(p)["W"] - 0.1 * p["W"]}, AT)
        assert [one.parameter for one in found.parameters if not one.ok] == ["W"]

    def test_forgotten_mean_over_the_examples(self) -> None:
        assert check_function(cost, lambda p: {**derivative(p), "b": derivative(p)["b"] * len(X)}, AT).ratio > 0.5

    def test_the_functions_may_change_what_they_are_given(self) -> None:
        def careless(w: np.ndarray) -> float:
            w **= 2
            return float(w.sum())

        at = np.array([1.0, 2.0])
        assert check_function(careless, lambda w: 2 * w, at).ok
        assert at.tolist() == [1.0, 2.0]


FINITE = st.floats(-10, 10).filter(lambda x: abs(x) > 1e-3)


class TestAnyPoint:
    @given(at=arrays(np.float64, st.integers(1, 30), elements=FINITE))
    @settings(max_examples=40, deadline=None)
    def test_cube_passes_and_its_double_fails(self, at: np.ndarray) -> None:
        assert check_function(lambda w: np.sum(w**3), lambda w: 3 * w**2, at).ok
        twice = check_function(lambda w: np.sum(w**3), lambda w: 6 * w**2, at)
        assert not twice.ok
        assert twice.ratio == pytest.approx(1 / 3, rel=1e-3)  # ‖2d − d‖ / (‖2d‖ + ‖d‖)

    @given(error=st.floats(1e-4, 1e-1), at=arrays(np.float64, 8, elements=FINITE))
    @settings(max_examples=40, deadline=None)
    def test_ratio_is_the_formula(self, error: float, at: np.ndarray) -> None:
        true = 2 * at
        wrong = true.copy()
        wrong[3] += error * np.linalg.norm(true)
        found = check_function(lambda w: np.sum(w**2), lambda _: wrong, at, entries=None)
        formula = np.linalg.norm(wrong - true) / (np.linalg.norm(wrong) + np.linalg.norm(true))
        assert found.ratio >= formula * (1 - 1e-3)
        assert found.worst.index == (3,)


class TestVerdict:
    @pytest.mark.parametrize(
        ("ratio", "word"),
        [
            (0.0, "great"),
            (1e-7, "great"),
            (1e-6, "good"),
            (1e-5, "good"),
            (1e-4, "look"),
            (2e-3, "wrong"),
            (np.nan, "wrong"),
        ],
    )
    def test_bands(self, ratio: float, word: str) -> None:
        assert verdict_of(ratio) == word

    def test_look_is_not_ok(self) -> None:
        found = check_function(lambda w: np.sum(w**2), lambda w: 2 * w * (1 + 1e-4), np.array([1.0, 2.0]))
        assert found.verdict == "look"
        assert not found.ok

    def test_printed(self) -> None:
        found = check_function(lambda w: np.sum(w**3), lambda w: 2 * w**2, np.array([1.0, 2.0]))
        assert str(found).splitlines() == [
            "gradient check: wrong, ratio 2.0e-01 (one-sided differences: 2.0e-01)",
            "  w: ratio 2.0e-01, worst at (1,): 8 given, 12 measured",
        ]


class TestFlat:
    def test_gradients_of_zero_agree(self) -> None:
        found = check_function(lambda w: 1.0, lambda w: np.zeros(3), np.ones(3))
        assert found.ok
        assert found.ratio == 0.0

    def test_rounding_of_a_gradient_that_is_really_zero_is_not_a_fault(self) -> None:
        # A bias before batch normalisation: the true gradient is 0, the computed one some 1e-18.
        found = check_function(
            lambda w: float(np.sum((w - w.mean()) * 0 + 1.7)), lambda w: np.full(4, 1e-18), np.ones(4)
        )
        assert found.ok


class TestRefusals:
    def test_float32(self) -> None:
        with pytest.raises(InputError, match=r'array "w" is float32'):
            check_function(np.sum, np.ones_like, np.ones(2, dtype=np.float32))

    def test_integers(self) -> None:
        with pytest.raises(InputError, match=r'array "w" is int64'):
            check_function(np.sum, np.ones_like, np.ones(2, dtype=np.int64))

    def test_float32_value(self) -> None:
        with pytest.raises(InputError, match=r"the value of J is float32"):
            check_function(lambda w: np.float32(w.sum()), np.ones_like, np.ones(2))

    def test_vector_value(self) -> None:
        with pytest.raises(InputError, match=r"J must give one number, not shape \(2,\)"):
            check_function(lambda w: w**2, np.ones_like, np.ones(2))

    def test_random(self) -> None:
        generator = np.random.default_rng(0)
        with pytest.raises(InputError, match=r"the loss is random"):
            check_function(lambda w: float(w.sum() + generator.normal()), np.ones_like, np.ones(2))

    def test_derivative_of_another_kind(self) -> None:
        with pytest.raises(InputError, match=r"dJ gives ndarray, not arrays by the names W, b"):
            check_function(cost, lambda p: p["W"], AT)
        with pytest.raises(InputError, match=r'the gradient of "w" has shape \(1,\), the parameter \(2,\)'):
            check_function(lambda w: float(w.sum()), lambda w: np.ones(1), np.ones(2))


class TestOneNameForAll:
    """``thalweg.gradcheck(…)`` is the room itself, called."""

    def test_a_module(self) -> None:
        model = torch.nn.Linear(3, 2).double()
        inputs = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).double()
        found = thalweg.gradcheck(lambda: model(inputs).square().mean(), model)  # type: ignore[operator]
        assert found.verdict == "great" and [one.parameter for one in found.parameters] == ["weight", "bias"]

    def test_tensors_without_names_are_called_by_their_place(self) -> None:
        model = torch.nn.Linear(3, 2).double()
        inputs = torch.ones(5, 3).double()
        found = thalweg.gradcheck(lambda: model(inputs).square().mean(), list(model.parameters()))  # type: ignore[operator]
        assert found.ok and [one.parameter for one in found.parameters] == ["0", "1"]

    def test_an_autograd_function(self) -> None:
        class Cube(torch.autograd.Function):
            @staticmethod
            def forward(context, x):
                context.save_for_backward(x)
                return x**3

            @staticmethod
            def backward(context, gradient):
                return 2 * context.saved_tensors[0] ** 2 * gradient

        x = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
        found = thalweg.gradcheck(lambda: Cube.apply(x).sum(), {"x": x})  # type: ignore[operator]
        assert found.verdict == "wrong" and found.worst.parameter == "x"
        assert (found.worst.given, found.worst.measured) == pytest.approx((8.0, 12.0))

    def test_a_pair_of_numpy_functions(self) -> None:
        assert thalweg.gradcheck((cost, derivative), AT) == check_function(cost, derivative, AT)  # type: ignore[operator]

    def test_what_is_neither_is_said(self) -> None:
        with pytest.raises(InputError, match="pair"):
            thalweg.gradcheck(cost, np.ones(3))  # type: ignore[operator]
        with pytest.raises(InputError, match="pair"):
            thalweg.gradcheck((cost, derivative, cost), AT)  # type: ignore[operator]
        with pytest.raises(InputError, match="hold int"):
            thalweg.gradcheck(lambda: torch.ones(()), [3])  # type: ignore[operator]
