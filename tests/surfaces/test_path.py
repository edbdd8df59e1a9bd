"""Walks over a surface against the recurrences they follow."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thalweg.errors import InputError
from thalweg.surfaces import BEALE, PLATEAU, RAVINE, ROSENBROCK, SADDLE, Surface, path


def test_descent_in_the_ravine_is_two_geometric_series() -> None:
    walk = path(RAVINE, lambda w: torch.optim.SGD(w, lr=0.9), steps=30)
    powers = np.arange(31)
    np.testing.assert_allclose(walk[:, 0], -7 * (1 - 0.9 / 10) ** powers, rtol=1e-12)
    np.testing.assert_allclose(walk[:, 1], 2 * (1 - 0.9 * 2) ** powers, rtol=1e-12)
    assert np.all(np.sign(walk[1:, 1]) == -np.sign(walk[:-1, 1]))  # the zigzag


def test_momentum_by_hand() -> None:
    walk = path(BEALE, lambda w: torch.optim.SGD(w, lr=0.01, momentum=0.9), steps=20, start=(1.5, 0.3))
    at, speed = np.array([1.5, 0.3]), np.zeros(2)
    for row in walk[1:]:
        speed = 0.9 * speed + np.array(BEALE.gradient(*at))
        at = at - 0.01 * speed
        np.testing.assert_allclose(row, at, rtol=1e-12)


@pytest.mark.parametrize(
    ("surface", "make", "steps"),
    [
        (ROSENBROCK, lambda w: torch.optim.LBFGS(w, lr=1, line_search_fn="strong_wolfe"), 20),
        (BEALE, lambda w: torch.optim.Adam(w, lr=0.05), 1500),
        (RAVINE, lambda w: torch.optim.Adagrad(w, lr=1.5), 300),
    ],
    ids=["LBFGS", "Adam", "Adagrad"],
)
def test_optimizers_arrive(surface: Surface, make, steps: int) -> None:
    walk = path(surface, make, steps=steps)
    assert walk.shape == (steps + 1, 2)
    assert tuple(walk[0]) == surface.start
    np.testing.assert_allclose(walk[-1], surface.minimum, atol=1e-3)


def test_saddle_holds_descent_up_and_lets_it_go() -> None:
    walk = path(SADDLE, lambda w: torch.optim.SGD(w, lr=0.1), steps=60)
    speed = np.linalg.norm(np.diff(walk, axis=0), axis=1)
    slowest = int(speed.argmin())
    assert 5 < slowest < 40
    assert speed[slowest] < 0.05 * speed[0]
    assert speed[-1] > speed[0]


def test_plateau_stops_descent_but_not_adam() -> None:
    end = {
        name: np.linalg.norm(path(PLATEAU, make, steps=200)[-1])
        for name, make in {
            "sgd": lambda w: torch.optim.SGD(w, lr=0.5),
            "adam": lambda w: torch.optim.Adam(w, lr=0.5),
        }.items()
    }
    assert end["sgd"] > 2
    assert end["adam"] < 0.1


def test_a_walk_may_leave_all_bounds() -> None:
    walk = path(ROSENBROCK, lambda w: torch.optim.SGD(w, lr=1.0), steps=30)
    assert walk.shape == (31, 2)
    assert not np.isfinite(walk[-1]).all()


def test_no_steps_is_the_start() -> None:
    assert path(RAVINE, lambda w: torch.optim.SGD(w, lr=0.1), steps=0, start=(1.0, 2.0)).tolist() == [[1.0, 2.0]]


def test_mistakes() -> None:
    with pytest.raises(InputError, match="0 steps or more, not -1"):
        path(RAVINE, lambda w: torch.optim.SGD(w, lr=0.1), steps=-1)
    with pytest.raises(InputError, match=r"two numbers \(x, y\)"):
        path(RAVINE, lambda w: torch.optim.SGD(w, lr=0.1), steps=1, start=(1.0, 2.0, 3.0))  # type: ignore[arg-type]
