"""Stochastic Lanczos quadrature against the eigenvalues of the dense Hessian."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from thalweg.errors import InputError
from thalweg.surfaces import spectrum
from thalweg.surfaces.spectrum import quadrature


def problem() -> tuple[nn.Sequential, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 12), nn.Tanh(), nn.Linear(12, 3)).double()
    return model, torch.randn(30, 5).double(), torch.randint(0, 3, (30,))


def dense() -> np.ndarray:
    """All eigenvalues of ``torch.autograd.functional.hessian``, rising."""
    model, inputs, targets = problem()
    named = {name: parameter.detach() for name, parameter in model.named_parameters()}
    sizes, shapes = [p.numel() for p in named.values()], [p.shape for p in named.values()]

    def loss(flat: torch.Tensor) -> torch.Tensor:
        parts = {n: p.reshape(s) for n, p, s in zip(named, flat.split(sizes), shapes, strict=True)}
        return nn.functional.cross_entropy(torch.func.functional_call(model, parts, (inputs,)), targets)

    flat = torch.cat([parameter.reshape(-1) for parameter in named.values()])
    return np.linalg.eigvalsh(torch.autograd.functional.hessian(loss, flat).numpy())


def measured(**more: int):
    model, inputs, targets = problem()
    return spectrum(lambda: nn.functional.cross_entropy(model(inputs), targets), model.parameters(), **more)


def test_ends_of_the_spectrum() -> None:
    truth, found = dense(), measured(iterations=60, starts=3)
    assert found.size == len(truth)
    assert found.largest == pytest.approx(truth[-1], rel=1e-6)
    assert found.smallest == pytest.approx(truth[0], rel=1e-6)
    assert found.reach == pytest.approx(np.abs(truth).max(), rel=1e-6)


@pytest.mark.parametrize("power", [0, 1, 2, 3])
def test_moments_are_traces_of_powers(power: int) -> None:
    """E vᵀHᵏv = trace(Hᵏ) for v of ±1, whose variance is 2 Σ_{i≠j} (Hᵏ)²_ij: no more than 2 Σ λ²ᵏ."""
    truth, starts = dense(), 200
    found = measured(iterations=10, starts=starts)
    spread = (2 * (truth ** (2 * power)).sum() / starts) ** 0.5
    assert abs(found.size * found.moment(power) - (truth**power).sum()) <= 4 * spread * (power > 0) + 1e-9


def test_trace_is_hutchinsons_estimate_and_knows_its_error() -> None:
    generator = np.random.default_rng(0)
    root = generator.normal(size=(40, 40))
    matrix = root + root.T
    found = quadrature(lambda v: matrix @ v, 40, iterations=5, starts=50, seed=3)
    draw = np.random.default_rng(3)
    byhand = [(v := 2.0 * draw.integers(0, 2, 40) - 1) @ matrix @ v for _ in range(50)]
    assert found.trace == pytest.approx(np.mean(byhand))
    assert found.trace_error == pytest.approx(np.std(byhand, ddof=1) / 50**0.5)
    assert np.isnan(quadrature(lambda v: matrix @ v, 40, iterations=5, starts=1).trace_error)


def test_density_is_the_smoothed_histogram() -> None:
    truth, found = dense(), measured(iterations=60, starts=60)
    at = np.linspace(truth[0] - 1, truth[-1] + 1, 4000)
    width = 0.05 * (truth[-1] - truth[0])
    smooth = np.exp(-(((at[:, None] - truth) / width) ** 2) / 2).mean(1) / (width * (2 * np.pi) ** 0.5)
    density = found.density(at, width=width)
    step = at[1] - at[0]
    assert density.sum() * step == pytest.approx(1, abs=1e-6)
    assert np.abs(density - smooth).sum() * step < 0.03  # total variation: at most 2


def test_share_of_what_curves_downwards() -> None:
    truth, found = dense(), measured(iterations=120, starts=40)
    for bound in (-0.01, 0.02):
        assert found.share_below(bound) == pytest.approx((truth < bound).mean(), abs=0.03)


def test_a_known_diagonal_is_exact_with_as_many_products_as_values() -> None:
    values = np.array([-2.0] * 3 + [0.0] * 10 + [5.0] * 2)
    found = quadrature(lambda v: values * v, 15, iterations=15, starts=2)
    assert found.share_below(-1) == pytest.approx(3 / 15) and found.share_below(1) == pytest.approx(13 / 15)
    assert found.trace == pytest.approx(4.0) and (found.smallest, found.largest) == pytest.approx((-2, 5))


def test_same_seed_same_bits_and_each_product_is_told() -> None:
    counted: list[int] = []
    model, inputs, targets = problem()
    loss = lambda: nn.functional.cross_entropy(model(inputs), targets)  # noqa: E731
    first = spectrum(loss, model.parameters(), iterations=7, starts=2, told=lambda: counted.append(1))
    second = spectrum(loss, model.parameters(), iterations=7, starts=2)
    assert len(counted) == 14
    assert all(np.array_equal(a, b) for a, b in zip(first.values, second.values, strict=True))


def test_refusals() -> None:
    with pytest.raises(InputError, match="at least one of each"):
        quadrature(lambda v: v, 3, iterations=0, starts=1)
    weights = torch.ones(2, requires_grad=True)
    with pytest.raises(InputError, match="does not depend on the parameters"):
        spectrum(lambda: weights.detach().sum(), [weights])
