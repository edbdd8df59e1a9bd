"""Test functions as problems: rows of one optimizer walk as alone, against formulas typed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from thalweg.experiments.racing.functions import (
    FUNCTIONS,
    FunctionProblem,
    noisy_quadratic,
    quadratic,
    ravine,
    rosenbrock,
)
from thalweg.experiments.racing.problem import Candidate, Curve


def start_of(problem: FunctionProblem, seed: int) -> np.ndarray:
    drawn = np.random.default_rng([seed, 0]).standard_normal(len(problem.start))
    return np.asarray(problem.start) + problem.spread * drawn


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_are_those_of_the_heights(name: str) -> None:
    problem = FUNCTIONS[name]()
    at = start_of(problem, 3)
    found = problem.gradient(at[None])[0]
    told = approx_fprime(at, lambda w: float(problem.height(w[None])[0]), 1e-7)
    np.testing.assert_allclose(found, told, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rule", ["sgd", "heavy_ball", "adam"])
def test_many_candidates_walk_as_formulas_say(rule: str) -> None:
    problem = ravine(steps=40)
    candidates = [Candidate(rule, {"lr": lr}, seed, "constant", 0.0) for lr in (0.03, 0.3) for seed in (1, 2)]
    curves = problem.run(candidates)
    assert curves is not None
    for one, curve in zip(candidates, curves, strict=True):
        w, m, v = start_of(problem, one.seed), np.zeros(2), np.zeros(2)
        heights = []
        for step in range(1, 41):
            g = w * np.array([0.1, 2.0])
            lr = float(one.values["lr"])
            if rule == "sgd":
                w = w - lr * g
            elif rule == "heavy_ball":
                m = 0.9 * m + g
                w = w - lr * m
            else:
                m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
                w = w - lr * m / (1 - 0.9**step) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
            heights.append(w[0] ** 2 / 20 + w[1] ** 2)
        np.testing.assert_allclose(curve.dev, np.log10(heights), rtol=1e-7)
        assert curve.steps == tuple(range(1, 41))


def test_noise_is_of_the_seed_and_shared_by_rules() -> None:
    problem = noisy_quadratic(steps=20)
    alone = problem.run([Candidate("sgd", {"lr": 0.1}, 5)])
    together = problem.run([Candidate("sgd", {"lr": 0.1}, seed) for seed in (4, 5, 6)])
    assert alone is not None
    assert together is not None
    np.testing.assert_allclose(together[1].dev, alone[0].dev, rtol=1e-12)
    assert together[0].dev != together[1].dev
    still = quadratic(condition=100.0, steps=20).run([Candidate("sgd", {"lr": 0.1}, 5)])
    assert still is not None
    assert still[0].dev != alone[0].dev


def test_a_rate_beyond_the_limit_diverges_and_says_so() -> None:
    curves = quadratic(steps=2000).run(
        [Candidate("sgd", {"lr": 9.0}, 1, "constant", 0.0), Candidate("sgd", {"lr": 0.5}, 1)]
    )
    assert curves is not None
    assert [curve.diverged for curve in curves] == [True, False]
    assert len(curves[0].dev) < len(curves[1].dev)


def test_whoever_looks_on_stops_it() -> None:
    assert rosenbrock().run([Candidate("adam", {"lr": 0.1}, 1)], lambda passes: True) is None


def test_a_curve_is_kept_as_it_was() -> None:
    curve = Curve((1, 2), (0.5, math.nan), (1.0, 2.0), 0.25, diverged=True)
    again = Curve.from_dict(curve.to_dict())
    assert again.to_dict() == curve.to_dict()
    assert math.isnan(again.dev[1])
    assert again.best(more=True) == 0.5
    assert Curve((), ()).best(more=True) == -math.inf
