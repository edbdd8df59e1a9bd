"""Eigenvalues by Lanczos against the dense Hessian."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from thalweg.errors import InputError
from thalweg.surfaces import hessian_eigenvalues, sharpness


def problem(dtype: torch.dtype = torch.float64, width: int = 8) -> tuple[nn.Sequential, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, width), nn.Tanh(), nn.Linear(width, 3)).to(dtype)
    return model, torch.randn(30, 5, dtype=dtype), torch.randint(0, 3, (30,))


def dense(model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> np.ndarray:
    """All eigenvalues, rising, of ``torch.autograd.functional.hessian``."""
    names = [name for name, _ in model.named_parameters()]
    sizes = [parameter.numel() for parameter in model.parameters()]
    shapes = [parameter.shape for parameter in model.parameters()]

    def loss(flat: torch.Tensor) -> torch.Tensor:
        parts = {n: p.reshape(s) for n, p, s in zip(names, flat.split(sizes), shapes, strict=True)}
        return nn.functional.cross_entropy(torch.func.functional_call(model, parts, (inputs,)), targets)

    flat = torch.cat([parameter.detach().reshape(-1) for parameter in model.parameters()])
    return torch.linalg.eigvalsh(torch.autograd.functional.hessian(loss, flat)).double().numpy()


@pytest.mark.parametrize("width", [2, 8], ids=["written down", "Lanczos"])
class TestAgainstTheDenseHessian:
    def test_both_ends(self, width: int) -> None:
        model, inputs, targets = problem(width=width)
        loss = lambda: nn.functional.cross_entropy(model(inputs), targets)  # noqa: E731
        truth = dense(model, inputs, targets)
        assert sharpness(loss, model.parameters()) == pytest.approx(truth[-1], rel=1e-5)
        np.testing.assert_allclose(hessian_eigenvalues(loss, model.parameters(), count=3), truth[::-1][:3], rtol=1e-5)
        found = hessian_eigenvalues(loss, model.parameters(), count=2, end="smallest")
        np.testing.assert_allclose(found, truth[:2], rtol=1e-4)
        assert truth[0] < 0  # an untrained net stands on a saddle, so the two ends differ in kind

    def test_float32(self, width: int) -> None:
        model, inputs, targets = problem(torch.float32, width)
        found = sharpness(lambda: nn.functional.cross_entropy(model(inputs), targets), model.parameters())
        assert found == pytest.approx(dense(model, inputs, targets)[-1], rel=1e-3)


def test_quadratic_is_its_matrix() -> None:
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(60, 60, generator=generator, dtype=torch.float64)
    matrix = root @ root.T
    w = torch.randn(60, generator=generator, dtype=torch.float64, requires_grad=True)
    assert sharpness(lambda: 0.5 * w @ matrix @ w, [w]) == pytest.approx(torch.linalg.eigvalsh(matrix)[-1].item())


def test_two_over_the_sharpness_is_where_descent_breaks() -> None:
    curvature = torch.logspace(-2, 1.3, 50, dtype=torch.float64)
    largest = sharpness(
        lambda: 0.5 * (curvature * w**2).sum(), [w := torch.ones(50, dtype=torch.float64, requires_grad=True)]
    )
    for factor, stable in ((0.99, True), (1.01, False)):
        at = np.ones(50)
        for _ in range(1000):
            at -= factor * 2 / largest * curvature.numpy() * at
        assert (np.abs(at).max() < 1) == stable


def test_same_seed_same_bits() -> None:
    model, inputs, targets = problem()
    values = {
        sharpness(lambda: nn.functional.cross_entropy(model(inputs), targets), model.parameters()) for _ in range(3)
    }
    assert len(values) == 1


def test_frozen_unused_and_straight_parameters() -> None:
    w = torch.ones(40, dtype=torch.float64, requires_grad=True)
    unused = torch.ones(3, dtype=torch.float64, requires_grad=True)
    frozen = torch.ones(3, dtype=torch.float64)
    assert sharpness(lambda: (1.5 * w**2).sum() + frozen.sum(), [w, unused, frozen]) == pytest.approx(3.0)
    assert sharpness(lambda: (2 * w).sum(), [w[:5].detach().requires_grad_(), w], tolerance=1e-3) == 0.0


class TestRefusals:
    def test_loss_without_a_graph(self) -> None:
        w = torch.ones(2, requires_grad=True)
        with pytest.raises(InputError, match="does not depend on the parameters"):
            sharpness(lambda: w.detach().sum(), [w])

    def test_gradient_that_is_not_finite(self) -> None:
        w = torch.zeros(2, requires_grad=True)
        with pytest.raises(InputError, match="gradient of the loss is not finite"):
            sharpness(lambda: w.log().sum(), [w])

    @pytest.mark.parametrize("count", [0, 3])
    def test_count(self, count: int) -> None:
        w = torch.ones(2, requires_grad=True)
        with pytest.raises(InputError, match=f"1 to 2 eigenvalues, not {count}"):
            hessian_eigenvalues(lambda: (w**2).sum(), [w], count=count)
