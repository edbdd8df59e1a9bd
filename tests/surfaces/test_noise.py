"""Noise that is hashed: normal, independent, the same for all who ask, and on top of a walk's gradients."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.stats
import torch

from thalweg.surfaces import RAVINE, path
from thalweg.surfaces.functions import NOISY
from thalweg.surfaces.noise import normal


def test_it_is_standard_normal_and_independent() -> None:
    drawn = np.array([[normal(seed, step) for step in range(1, 2001)] for seed in range(4)])
    assert scipy.stats.kstest(drawn.ravel(), "norm").pvalue > 0.01
    across_seeds = np.corrcoef(drawn[..., 0])
    along = np.corrcoef(np.stack([drawn[0, :-1, 0], drawn[0, 1:, 0], drawn[0, 1:, 1], drawn[0, :-1, 1]]))
    for table in (across_seeds, along):
        assert np.abs(table - np.eye(len(table))).max() < 0.1


def test_all_rules_meet_the_same() -> None:
    """Of two steps of descent along a plane without slope, only the noise is left, scaled by the rate."""
    flat = dataclasses.replace(NOISY, value=lambda x, y: 0 * x, gradient=lambda x, y: (0.0, 0.0), noise=0.5)
    walks = [path(flat, lambda w, lr=lr: torch.optim.SGD(w, lr=lr), steps=30, seed=7) for lr in (0.1, 1.0)]
    pushes = np.array([normal(7, step) for step in range(1, 31)])
    np.testing.assert_allclose(np.diff(walks[1], axis=0), -0.5 * pushes, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(walks[0] - walks[0][0], 0.1 * (walks[1] - walks[1][0]), rtol=1e-9, atol=1e-12)


def test_a_cloud_is_as_wide_as_theory_says() -> None:
    """Descent on λw²/2 with gradient noise σ settles with variance ασ²/(λ(2 − αλ))."""
    walk = path(NOISY, lambda w: torch.optim.SGD(w, lr=0.3), steps=20_000, seed=1)[1000:]
    for way, curvature in enumerate((0.5, 2.0)):
        wanted = 0.3 * NOISY.noise**2 / (curvature * (2 - 0.3 * curvature))
        assert np.var(walk[:, way]) == pytest.approx(wanted, rel=0.1)


def test_without_noise_the_seed_is_nothing() -> None:
    walks = [path(RAVINE, lambda w: torch.optim.SGD(w, lr=0.5), steps=5, seed=seed) for seed in (0, 1)]
    np.testing.assert_array_equal(*walks)
