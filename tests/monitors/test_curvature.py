"""Sharpness and negative curvature against Hessians that are written down."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from thalweg.history import History
from thalweg.monitors import Attached, Curvature
from thalweg.monitors.curvature import FLAT, spectrum
from thalweg.surfaces.spectrum import lanczos

LOSS = nn.functional.cross_entropy


def symmetric(values: np.ndarray, seed: int = 0) -> np.ndarray:
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values), len(values))))
    return turn @ np.diag(values) @ turn.T


def tanh_net() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Dropout(0.5), nn.Linear(6, 3))


def rows(n: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(n, 4, generator=g), torch.randint(0, 3, (n,), generator=g)


def dense(model: nn.Module, X: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    """The eigenvalues of the whole Hessian, by ``torch.autograd.functional``."""
    model = model.eval().double()
    names = [name for name, _ in model.named_parameters()]
    sizes = [p.numel() for p in model.parameters()]

    def loss(flat: torch.Tensor) -> torch.Tensor:
        parts = dict(zip(names, flat.split(sizes), strict=True))
        shaped = {name: parts[name].reshape(p.shape) for name, p in model.named_parameters()}
        return LOSS(torch.func.functional_call(model, shaped, (X.double(),)), y)

    flat = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    return np.linalg.eigvalsh(torch.autograd.functional.hessian(loss, flat).numpy())


class TestLanczos:
    def test_as_many_steps_as_dimensions_give_the_whole_spectrum(self) -> None:
        values = np.array([-3.0, -0.5, 0.1, 1.0, 4.0, 9.0])
        matrix = symmetric(values)
        found, weights = lanczos(lambda v: matrix @ v, np.random.default_rng(1).normal(size=6), iterations=20)
        np.testing.assert_allclose(found, values, atol=1e-9)
        assert weights.sum() == pytest.approx(1.0)

    def test_a_start_that_reaches_few_directions_ends_early(self) -> None:
        found, weights = lanczos(lambda v: np.array([2.0, 5.0, 7.0]) * v, np.array([1.0, 1.0, 0.0]), iterations=3)
        np.testing.assert_allclose(found, [2.0, 5.0])
        np.testing.assert_allclose(weights, 0.5)

    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.floats(-100, 100), min_size=2, max_size=25), st.integers(0, 5))
    def test_ritz_values_lie_within_the_spectrum(self, values: list[float], seed: int) -> None:
        matrix = symmetric(np.array(values), seed)
        found, weights = lanczos(
            lambda v: matrix @ v, np.random.default_rng(seed).normal(size=len(values)), iterations=5
        )
        scale = max(map(abs, values)) + 1e-300
        assert found.min() >= min(values) - 1e-7 * scale and found.max() <= max(values) + 1e-7 * scale
        assert weights.min() >= 0 and weights.sum() == pytest.approx(1.0)

    def test_the_share_below_zero_of_a_large_matrix(self) -> None:
        values = np.concatenate([np.linspace(-4, -1, 150), np.linspace(0.5, 3, 340), np.linspace(5, 60, 10)])
        matrix = symmetric(values)
        largest, negative = spectrum(lambda v: matrix @ v, 500, iterations=25, starts=4)
        assert largest == pytest.approx(60, rel=1e-3)
        assert negative == pytest.approx(0.3, abs=0.06)


class TestCurvature:
    def test_a_network_against_its_whole_hessian(self) -> None:
        X, y = rows()
        model, history = tanh_net(), History()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        size = sum(p.numel() for p in model.parameters())
        hook = Curvature(history, LOSS, (X, y), iterations=size, starts=20)
        expected = []
        with Attached(model, optimizer, hook):
            for step in range(5):
                if step in (0, 1, 2, 4):
                    twin = tanh_net()
                    twin.load_state_dict(model.state_dict())
                    expected.append(dense(twin, X, y))
                optimizer.zero_grad()
                LOSS(model(X), y).backward()
                optimizer.step()
        steps, found = history.column("curvature/sharpness")
        assert steps.tolist() == [0, 1, 2, 4]
        np.testing.assert_allclose(found, [values[-1] for values in expected], rtol=1e-3)
        shares = [float((values < -FLAT * np.abs(values).max()).mean()) for values in expected]
        assert max(shares) > 0.1
        np.testing.assert_allclose(history.column("curvature/negative").values, shares, atol=0.1)

    def test_few_products_find_the_largest(self) -> None:
        X, y = rows()
        history = History()
        model = tanh_net()
        state = Attached(model, torch.optim.SGD(model.parameters(), lr=0.1)).state
        Curvature(history, LOSS, (X, y)).on_gradient(state)
        assert history.last("curvature/sharpness") == pytest.approx(dense(tanh_net(), X, y)[-1], rel=0.01)

    def test_attention_and_batch_norm_are_differentiated_twice_and_left_as_they_were(self) -> None:
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), nn.Flatten(), nn.BatchNorm1d(12), nn.Linear(12, 3)
        )
        model[2].eval()
        X, y = torch.randn(16, 3, 4), torch.randint(0, 3, (16,))
        LOSS(model(X), y).backward()
        before = [*model.state_dict().values(), *(p.grad for p in model.parameters()), torch.get_rng_state()]
        before = [value.clone() for value in before]
        history = History()
        Curvature(history, LOSS, (X, y)).on_gradient(Attached(model, torch.optim.SGD(model.parameters())).state)
        after = [*model.state_dict().values(), *(p.grad for p in model.parameters()), torch.get_rng_state()]
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
        assert model.training and not model[2].training and model[0].training
        assert history.last("curvature/sharpness") > 0

    def test_a_loss_that_is_none_has_no_curvature(self) -> None:
        X, y = rows()
        history, model = History(), tanh_net()
        Curvature(history, LOSS, (X * float("nan"), y)).on_gradient(
            Attached(model, torch.optim.SGD(model.parameters())).state
        )
        assert history.columns == ()

    def test_sparse_embeddings_and_frozen_parameters_are_left_out(self) -> None:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Embedding(10, 4, sparse=True), nn.Flatten(), nn.Tanh(), nn.Linear(12, 3))
        model[3].bias.requires_grad_(False)
        X, y = torch.randint(0, 10, (30, 3)), torch.randint(0, 3, (30,))
        history = History()
        hook = Curvature(history, LOSS, (X, y), iterations=36)
        hook.on_gradient(Attached(model, torch.optim.SGD(model.parameters())).state)
        weight = model[3].weight.detach().double()
        inside, bias = model[:3](X).detach().double(), model[3].bias.double()

        def loss(flat: torch.Tensor) -> torch.Tensor:
            return LOSS(inside @ flat.reshape(3, 12).T + bias, y)

        largest = np.linalg.eigvalsh(torch.autograd.functional.hessian(loss, weight.reshape(-1)).numpy())[-1]
        assert history.last("curvature/sharpness") == pytest.approx(largest, rel=1e-3)

    def test_a_gradient_that_is_not_finite_ends_nothing(self) -> None:
        model, history = nn.Linear(4, 1), History()
        nn.init.zeros_(model.weight)
        nn.init.zeros_(model.bias)
        hook = Curvature(history, lambda out, y: out.abs().sqrt().sum(), rows())
        hook.on_gradient(Attached(model, torch.optim.SGD(model.parameters())).state)
        assert history.columns == ()
