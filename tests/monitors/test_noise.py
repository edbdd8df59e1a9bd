"""Gradient noise and its direction, against formulas written out row by row."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from thalweg.errors import InputError
from thalweg.history import History
from thalweg.monitors import ALWAYS, Attached, GradCosine, NoiseScale, Plan


def problem(n: int = 400, noise: float = 0.5) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    X = torch.randn(n, 3, generator=g)
    return X, X @ torch.tensor([[1.0], [-2.0], [0.5]]) + noise * torch.randn(n, 1, generator=g)


def steps(model, optimizer, X, y, *hooks, n=12, rows=20):
    with Attached(model, optimizer, *hooks):
        for k in range(n):
            optimizer.zero_grad()
            part = torch.arange(k * rows, (k + 1) * rows) % len(X)
            nn.functional.mse_loss(model(X[part]), y[part]).backward()
            optimizer.step()


class TestNoiseScale:
    def test_signal_and_noise_are_those_of_the_gradients_of_single_rows(self) -> None:
        X, y = problem()
        torch.manual_seed(0)
        model = nn.Linear(3, 1)
        history = History()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        steps(model, optimizer, X, y, NoiseScale(history, nn.functional.mse_loss, (X, y), plan=ALWAYS), n=600)
        w, b = model.weight.detach().numpy()[0].astype(float), float(model.bias.detach())
        wide = np.column_stack([X.numpy().astype(float), np.ones(len(X))])
        rows = 2 * (wide @ np.append(w, b) - y.numpy()[:, 0])[:, None] * wide
        signal, noise = (rows.mean(0) ** 2).sum(), rows.var(0, ddof=1).sum()
        assert history.column("noise_scale/signal").values.mean() == pytest.approx(signal, rel=0.05)
        assert history.column("noise_scale/noise").values.mean() == pytest.approx(noise, rel=0.05)
        assert np.median(history.column("noise_scale").values) == pytest.approx(noise / signal, rel=0.2)

    def test_the_same_steps_have_the_same_numbers_and_leave_everything_alone(self) -> None:
        X, y = problem(100)

        def run(watched: bool) -> tuple[History, list[torch.Tensor], torch.Tensor]:
            torch.manual_seed(0)
            model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1))
            optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
            history = History()
            hooks = (NoiseScale(history, nn.functional.mse_loss, (X, y)), GradCosine(history)) if watched else ()
            steps(model, optimizer, X, y, *hooks)
            return history, [*model.state_dict().values(), *(p.grad for p in model.parameters())], torch.rand(3)

        first, second, plain = run(True), run(True), run(False)
        for name in first[0].columns:
            assert first[0].column(name).values.tolist() == second[0].column(name).values.tolist()
        assert "noise_scale/noise" in first[0].columns
        for a, b in zip([*first[1], first[2]], [*plain[1], plain[2]], strict=True):
            assert torch.equal(a, b)

    def test_too_few_rows_are_refused(self) -> None:
        X, y = problem(20)
        with pytest.raises(InputError, match="4 parts of 8 rows, and data has 20"):
            NoiseScale(History(), nn.functional.mse_loss, (X, y))
        with pytest.raises(InputError, match="2 parts or more"):
            NoiseScale(History(), nn.functional.mse_loss, (X, y), parts=1)


class TestGradCosine:
    def test_it_is_the_cosine_of_this_gradient_and_the_one_before(self) -> None:
        X, y = problem()
        history, sparse = History(), History()
        torch.manual_seed(0)
        model = nn.Linear(3, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        kept: list[np.ndarray] = []
        optimizer.register_step_pre_hook(
            lambda *_: kept.append(torch.cat([p.grad.reshape(-1) for p in model.parameters()]).numpy().astype(float))
        )
        plan = Plan(dense=4)
        steps(model, optimizer, X, y, GradCosine(history, plan=ALWAYS), GradCosine(sparse, plan=plan))
        expected = [a @ b / math.sqrt((a @ a) * (b @ b)) for a, b in itertools.pairwise(kept)]
        np.testing.assert_allclose(history.column("grad_cosine").values, expected, atol=1e-6)
        assert sparse.column("grad_cosine").steps.tolist() == [2, 3, 4, 6, 8, 12]
        np.testing.assert_allclose(
            sparse.column("grad_cosine").values, [expected[s - 2] for s in (2, 3, 4, 6, 8, 12)], atol=1e-6
        )

    def test_across_a_valley_it_is_minus_one(self) -> None:
        history = History()
        weight = nn.Linear(1, 1, bias=False)
        optimizer = torch.optim.SGD(weight.parameters(), lr=0.95)
        steps(weight, optimizer, torch.ones(20, 1), torch.zeros(20, 1), GradCosine(history, plan=ALWAYS))
        np.testing.assert_allclose(history.column("grad_cosine").values, -1.0, atol=1e-6)
