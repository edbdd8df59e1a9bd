"""Costs and limits on weights against the formulas and against PyTorch's own weight decay."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from thalweg.errors import InputError
from thalweg.train import L2, Autograd, ClipNorm, MaxNorm, ProximalL1, Repeated, State, sparsity, train
from thalweg.train.objectives import CrossEntropy

STRENGTH, EXAMPLES, RATE = 20.0, 40, 0.1


@pytest.fixture
def problem():
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Linear(8, 3)
    ).double()
    return model, Repeated([(torch.randn(20, 6).double(), torch.randint(0, 3, (20,))) for _ in range(2)])


def split(model):
    weights = [p for p in model.parameters() if p.ndim >= 2]
    return weights, [p for p in model.parameters() if p.ndim < 2]


def after(model, batches, make, *hooks, decay=0.0):
    model = copy.deepcopy(model)
    weights, others = split(model)
    optimizer = make([{"params": weights, "weight_decay": decay}, {"params": others}])
    train(model, optimizer, Autograd(model, CrossEntropy()), batches, epochs=3, hooks=hooks)
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def sgd(groups):
    return torch.optim.SGD(groups, lr=RATE)


def adamw(groups):
    return torch.optim.AdamW([{"weight_decay": 0.0, **group} for group in groups], lr=RATE)


class TestL2:
    def test_is_the_gradient_of_the_cost(self, problem) -> None:
        model, batches = problem
        inputs, targets = next(batches.epoch(0))

        def loss(outputs, wanted):
            cost = sum(weight.square().sum() for weight in split(model)[0])
            return CrossEntropy()(outputs, wanted) + STRENGTH / (2 * EXAMPLES) * cost

        Autograd(model, loss)(inputs, targets)
        expected = [p.grad.clone() for p in model.parameters()]
        Autograd(model, CrossEntropy())(inputs, targets)
        L2(STRENGTH, EXAMPLES).on_gradient(State(model, sgd(model.parameters())))
        for parameter, wanted in zip(model.parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.grad, wanted)

    def test_is_weight_decay_under_gradient_descent(self, problem) -> None:
        found = after(*problem, sgd, L2(STRENGTH, EXAMPLES))
        torch.testing.assert_close(found, after(*problem, sgd, decay=STRENGTH / EXAMPLES), rtol=1e-12, atol=1e-12)
        decoupled = after(*problem, adamw, decay=STRENGTH / EXAMPLES)
        assert (after(*problem, adamw, L2(STRENGTH, EXAMPLES)) - decoupled).abs().max() > 0.01

    def test_one_step_by_the_formula(self, problem) -> None:
        model, batches = problem
        inputs, targets = next(batches.epoch(0))
        Autograd(model, CrossEntropy())(inputs, targets)
        weight = model[0].weight
        expected = (1 - RATE * STRENGTH / EXAMPLES) * weight.detach() - RATE * weight.grad
        optimizer = sgd(model.parameters())
        L2(STRENGTH, EXAMPLES).on_gradient(State(model, optimizer))
        optimizer.step()
        torch.testing.assert_close(weight.detach(), expected)

    def test_is_clipped_with_the_rest(self, problem) -> None:
        model, batches = problem
        Autograd(model, CrossEntropy())(*next(batches.epoch(0)))
        state = State(model, sgd(model.parameters()))
        for hook in (L2(1e6, EXAMPLES), ClipNorm(1.0)):
            hook.on_gradient(state)
        assert float(torch.cat([p.grad.flatten() for p in model.parameters()]).norm()) == pytest.approx(1.0, rel=1e-5)


class TestProximalL1:
    def test_is_soft_thresholding(self, problem) -> None:
        model, _ = problem
        before = [p.detach().numpy().copy() for p in model.parameters()]
        ProximalL1(STRENGTH, EXAMPLES).on_step(State(model, sgd(model.parameters())))
        threshold = RATE * STRENGTH / (2 * EXAMPLES)
        for parameter, was in zip(model.parameters(), before, strict=True):
            shrunk = np.sign(was) * np.maximum(np.abs(was) - threshold, 0)
            np.testing.assert_allclose(parameter.detach().numpy(), shrunk if was.ndim >= 2 else was, rtol=1e-12)

    def test_reaches_the_minimum_of_the_lasso(self) -> None:
        """½ ‖w − c‖² + s Σ|w| is least at the soft threshold of c: gradient descent with the hook must end there."""
        target = torch.tensor([[3.0, -0.2, 0.5, -2.0]])
        model = torch.nn.Linear(4, 1, bias=False)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
        hook = ProximalL1(1.2, 1)
        for _ in range(100):
            model.weight.grad = model.weight.detach() - target
            optimizer.step()
            hook.on_step(State(model, optimizer))
        torch.testing.assert_close(model.weight.detach(), torch.tensor([[2.4, 0.0, 0.0, -1.4]]))
        assert sparsity(model) == {"total": 0.5, "weight": 0.5}

    def test_sparsity_counts_exact_zeros_of_weights(self) -> None:
        model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Linear(4, 2))
        with torch.no_grad():
            model[0].weight[0] = 0.0
            model[0].bias.zero_()
            model[1].weight.zero_()[0, 0] = 1e-30
        assert sparsity(model) == {"total": 9 / 16, "0.weight": 0.25, "1.weight": 7 / 8}


def test_max_norm_by_the_formula() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(2, 5, 3), torch.nn.BatchNorm2d(5), torch.nn.Linear(7, 4), torch.nn.Embedding(3, 9)
    ).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(torch.linspace(0.1, 3.0, len(parameter)).view(-1, *[1] * (parameter.ndim - 1)))
    before = [p.detach().clone() for p in model.parameters()]
    MaxNorm(0.7).on_step(State(model, sgd(model.parameters())))
    for (name, parameter), was in zip(model.named_parameters(), before, strict=True):
        if name not in ("0.weight", "2.weight"):
            assert torch.equal(parameter.detach(), was)
            continue
        norms = was.flatten(1).norm(dim=1)
        scaled = was * torch.where(norms > 0.7, 0.7 / norms, 1.0).view(-1, *[1] * (was.ndim - 1))
        torch.testing.assert_close(parameter.detach(), scaled, rtol=1e-6, atol=0)
        assert (norms > 0.7).any() and (norms < 0.7).any()
        assert parameter.detach().flatten(1).norm(dim=1).max() <= 0.7


def test_wrong_numbers() -> None:
    for make in (lambda: L2(-1.0, 10), lambda: ProximalL1(float("nan"), 10), lambda: L2(1.0, 0), lambda: MaxNorm(0.0)):
        with pytest.raises(InputError, match=r"must be|at least 1"):
            make()
