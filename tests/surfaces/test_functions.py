"""Surfaces against SymPy (gradients) and SciPy (minima)."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import sympy

from thalweg.surfaces import RASTRIGIN, SADDLE, SURFACES, Surface

EACH = pytest.mark.parametrize("surface", SURFACES.values(), ids=SURFACES)
x, y = sympy.symbols("x y")


@EACH
class TestEachSurface:
    def test_value_and_gradient_are_those_of_the_formula(self, surface: Surface) -> None:
        formula = sympy.sympify(surface.formula)
        value = sympy.lambdify((x, y), formula, "numpy")
        slopes = [sympy.lambdify((x, y), sympy.diff(formula, letter), "numpy") for letter in (x, y)]
        generator = np.random.default_rng(0)
        points = np.stack([generator.uniform(low, high, size=200) for low, high in surface.domain])
        np.testing.assert_allclose(surface.value(*points), value(*points), rtol=1e-12, atol=1e-12)
        for found, slope in zip(surface.gradient(*points), slopes, strict=True):
            np.testing.assert_allclose(found, slope(*points), rtol=1e-11, atol=1e-11)

    def test_grids_and_numbers(self, surface: Surface) -> None:
        grid = np.meshgrid(np.linspace(-1, 1, 4), np.linspace(-1, 1, 3))
        assert surface.value(*grid).shape == (3, 4)
        assert surface.value(*grid)[1, 2] == pytest.approx(surface.value(grid[0][1, 2], grid[1][1, 2]))

    def test_start_and_minimum_lie_in_the_domain(self, surface: Surface) -> None:
        for point in (surface.start, surface.minimum):
            if point is not None:
                assert all(low <= at <= high for at, (low, high) in zip(point, surface.domain, strict=True))


@pytest.mark.parametrize("surface", [s for s in SURFACES.values() if s.minimum], ids=lambda surface: surface.name)
def test_minimum_is_where_a_global_search_ends(surface: Surface) -> None:
    found = scipy.optimize.differential_evolution(
        lambda at: float(surface.value(*at)), surface.domain, rng=0, tol=1e-10, popsize=60
    )
    np.testing.assert_allclose(found.x, surface.minimum, atol=1e-4)
    assert surface.value(*surface.minimum) == pytest.approx(found.fun, abs=1e-8)
    np.testing.assert_allclose(surface.gradient(*surface.minimum), 0, atol=1e-12)


def test_saddle_rises_one_way_and_falls_the_other() -> None:
    assert SADDLE.minimum is None
    assert SADDLE.gradient(0.0, 0.0) == (0.0, 0.0)
    assert SADDLE.value(0.1, 0.0) > SADDLE.value(0.0, 0.0) > SADDLE.value(0.0, 0.1)


def test_rastrigin_has_other_minima() -> None:
    found = scipy.optimize.minimize(
        lambda at: RASTRIGIN.value(*at), (2.0, -1.0), jac=lambda at: RASTRIGIN.gradient(*at)
    )
    assert found.success
    assert found.fun > 1
