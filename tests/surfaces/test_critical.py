"""Minimum, saddle or slope: on functions whose critical points are known, and the Newton step against linear algebra."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from thalweg.errors import InputError
from thalweg.surfaces import critical


def at(function: Callable[[torch.Tensor], torch.Tensor], *place: float, **more: float):
    w = torch.tensor(place, dtype=torch.float64, requires_grad=True)
    return critical(lambda: function(w), [w], **more)


@pytest.mark.parametrize(
    ("function", "kind", "negative", "words"),
    [
        (lambda w: w[0] ** 2 - w[1] ** 2, "saddle", 0.5, "A saddle.* at least one direction curves downwards"),
        (lambda w: w[0] ** 2 + 3 * w[1] ** 2, "minimum", 0.0, "A minimum as far as can be seen.*upwards by 6"),
        (lambda w: -(w**2).sum(), "maximum", 1.0, "A maximum.*100.0 % of the directions.*none upwards"),
        (lambda w: (w**2).sum() + w.sum(), "slope", 0.0, "No critical point yet: a Newton step .* by about 0.5"),
        (lambda w: w.sum(), "slope", 0.0, "without any curvature"),
        (lambda w: 0 * w.sum() ** 2, "flat", 0.0, "neither gradient nor curvature"),
    ],
    ids=["saddle", "bowl", "hill", "slope", "plane", "nothing"],
)
def test_known_points(function, kind: str, negative: float, words: str) -> None:
    found = at(function, 0.0, 0.0)
    assert found.kind == kind
    assert found.negative == pytest.approx(negative)
    assert re.search(words, found.sentence)


def test_gain_is_that_of_the_saddle_free_newton_step() -> None:
    generator = np.random.default_rng(0)
    basis = np.linalg.qr(generator.normal(size=(12, 12)))[0]
    matrix = basis @ np.diag(np.linspace(-2, 5, 12)) @ basis.T
    slope = generator.normal(size=12)
    found = at(
        lambda w: w @ torch.from_numpy(matrix) @ w / 2 + torch.from_numpy(slope) @ w, *np.zeros(12), iterations=12
    )
    values, vectors = np.linalg.eigh(matrix)
    assert found.gradient == pytest.approx(np.linalg.norm(slope))
    assert found.gain == pytest.approx(0.5 * ((vectors.T @ slope) ** 2 / np.abs(values)).sum(), rel=1e-6)
    assert (found.spectrum.smallest, found.spectrum.largest) == pytest.approx((-2, 5))


def test_what_matters_is_the_size_of_the_loss() -> None:
    bowl = lambda w: 1 + (w**2).sum()  # noqa: E731
    assert at(bowl, 0.01).kind == "minimum"  # 1e-4 of 1
    assert at(bowl, 0.01, scale=1e-3).kind == "slope"
    assert at(bowl, 0.1).kind == "slope"


def test_rounding_is_no_curvature() -> None:
    """An over-determined linear model has no negative curvature, whatever float32 says."""
    torch.manual_seed(0)
    model, inputs, targets = nn.Linear(30, 5), torch.randn(20, 30), torch.randint(0, 5, (20,))
    found = critical(lambda: nn.functional.cross_entropy(model(inputs), targets), model.parameters())
    assert found.negative == 0.0 and found.spectrum.size == 155
    assert 0 < found.tolerance < 1e-3 * found.spectrum.largest


def test_an_untrained_deep_net_stands_on_no_minimum() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 12), nn.Tanh(), nn.Linear(12, 3))
    inputs, targets = torch.randn(30, 5), torch.randint(0, 3, (30,))
    found = critical(lambda: nn.functional.cross_entropy(model(inputs), targets), model.parameters())
    assert found.kind == "slope" and found.negative > 0.05 and "downwards" in found.sentence


def test_refusals() -> None:
    with pytest.raises(InputError, match="none of the parameters needs a gradient"):
        critical(lambda: torch.zeros(()), [torch.zeros(2)])
