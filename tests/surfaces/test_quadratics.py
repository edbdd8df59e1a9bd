"""What is measured on quadratics against what the equations say, typed by hand: to 1 %."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from thalweg import optim
from thalweg.surfaces import BEALE, RAVINE, SADDLE
from thalweg.surfaces.expression import surface_of
from thalweg.surfaces.quadratics import centred, measured_contraction, measured_limit, quadratic

TILTED = surface_of("(x - 1)**2 + 3*(y + 2)**2 + x*y")
RULES = {
    "sgd": (lambda w, lr, beta: optim.SGD(w, lr=lr), lambda curvature, beta: 2 / curvature),
    "momentum": (
        lambda w, lr, beta: optim.Momentum(w, lr=lr, beta=beta),
        lambda curvature, beta: 2 * (1 + beta) / ((1 - beta) * curvature),
    ),
    "momentum_sum": (
        lambda w, lr, beta: optim.HeavyBall(w, lr=lr, beta=beta),
        lambda curvature, beta: 2 * (1 + beta) / curvature,
    ),
    "nesterov": (
        lambda w, lr, beta: optim.Nesterov(w, lr=lr, beta=beta),
        lambda curvature, beta: 2 * (1 + beta) / ((1 + 2 * beta) * curvature),
    ),
    "torch nesterov": (
        lambda w, lr, beta: torch.optim.SGD(w, lr=lr, momentum=beta, nesterov=True),
        lambda curvature, beta: 2 * (1 + beta) / ((1 + 2 * beta) * curvature),
    ),
}


def radius(name: str, lr: float, curvature: float, beta: float) -> float:
    """The spectral radius of (w, m) → next, from each rule's recurrence."""
    a = lr * curvature
    matrices = {
        "sgd": [[1 - a]],
        "momentum": [[1 - a * (1 - beta), -lr * beta], [(1 - beta) * curvature, beta]],
        "momentum_sum": [[1 - a, -lr * beta], [curvature, beta]],
        "nesterov": [[1 - a - a * beta, -lr * beta**2], [curvature, beta]],
    }
    return float(np.abs(np.linalg.eigvals(np.array(matrices[name.removeprefix("torch ")]))).max())


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(("surface", "beta"), [(RAVINE, 0.9), (TILTED, 0.5)], ids=["ravine", "tilted"])
class TestAgainstTheEquations:
    def test_the_limit(self, surface, beta: float, name: str) -> None:
        shape = quadratic(surface)
        make, exact = RULES[name]
        found = measured_limit(centred(surface, shape, surface.start), lambda lr: lambda w: make(w, lr, beta))
        assert found == pytest.approx(exact(shape.curvatures[1], beta), rel=0.002)  # 1 % is asked for

    def test_the_contraction(self, surface, beta: float, name: str) -> None:
        shape = quadratic(surface)
        make, exact = RULES[name]
        for share in (0.05, 0.6, 1.02):
            lr = share * exact(shape.curvatures[1], beta)
            wanted = max(radius(name, lr, curvature, beta) for curvature in shape.curvatures)
            found = measured_contraction(centred(surface, shape, surface.start), lambda w, lr=lr: make(w, lr, beta))
            assert found == pytest.approx(wanted, rel=0.002)


class TestShape:
    def test_the_ravine(self) -> None:
        shape = quadratic(RAVINE)
        assert shape.curvatures == pytest.approx((0.1, 2.0))
        assert shape.centre == (0.0, 0.0) and shape.bowl

    def test_a_tilted_one(self) -> None:
        shape = quadratic(TILTED)
        np.testing.assert_allclose(shape.hessian, [[2, 1], [1, 6]])
        assert shape.curvatures == pytest.approx((4 - math.sqrt(5), 4 + math.sqrt(5)))
        assert TILTED.gradient(*shape.centre) == pytest.approx((0, 0), abs=1e-12)
        moved = centred(TILTED, shape, TILTED.start)
        x, y = (a - b for a, b in zip((0.3, 1.7), shape.centre, strict=True))
        assert moved.gradient(x, y) == pytest.approx(TILTED.gradient(0.3, 1.7))
        assert moved.value(x, y) == pytest.approx(TILTED.value(0.3, 1.7) - TILTED.value(*shape.centre))

    def test_a_saddle_is_no_bowl(self) -> None:
        assert not quadratic(SADDLE).bowl

    @pytest.mark.parametrize("surface", [BEALE, surface_of("x**2"), surface_of("(x + y)**2"), surface_of("x + y")])
    def test_what_has_no_centre(self, surface) -> None:
        assert quadratic(surface) is None


class TestRulesThatAreNotLinear:
    def test_the_limit_is_where_the_first_climb_begins(self) -> None:
        """Adam's first step is lr in each direction: it climbs once it overshoots y by more than the start's height allows."""
        found = measured_limit(RAVINE, lambda lr: lambda w: optim.Adam(w, lr=lr), fades=False)
        x, y = 7.0, 2.0  # (x − α)²/20 + (y − α)² = x²/20 + y² at α = (x/10 + 2y)/(1 + 1/20)
        assert found == pytest.approx((x / 10 + 2 * y) / 1.05, rel=0.002)

    def test_what_never_climbs_has_none(self) -> None:
        assert measured_limit(RAVINE, lambda lr: lambda w: optim.SGD(w, lr=0.1), fades=False) is None

    def test_what_always_climbs_has_none(self) -> None:
        assert measured_limit(RAVINE, lambda lr: lambda w: optim.SGD(w, lr=10 + lr)) is None


def test_a_walk_that_arrives_at_once_contracts_to_nothing() -> None:
    bowl = surface_of("x**2/2 + y**2/2")
    assert measured_contraction(centred(bowl, quadratic(bowl), bowl.start), lambda w: torch.optim.SGD(w, lr=1.0)) == 0.0
