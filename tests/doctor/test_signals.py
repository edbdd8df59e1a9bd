"""What is measured of layers before a run, against sums typed by hand; a mini-batch learned by heart on copies."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from thalweg.doctor.before import before, named
from thalweg.doctor.examples import Examples
from thalweg.doctor.one_batch import contradictions, one_batch
from thalweg.doctor.signals import signals
from thalweg.doctor.task import Task

generator = torch.Generator().manual_seed(0)
X = torch.randn(64, 6, generator=generator)
Y = torch.randint(0, 3, (64,), generator=generator)
LOSS = nn.functional.cross_entropy


def net(activation: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), activation, nn.Linear(8, 3))


class TestLayers:
    def test_numbers_by_hand(self) -> None:
        model = net(nn.ReLU())
        first, rectified, last = signals(model, LOSS, X, Y)
        w, b = (p.detach().double().numpy() for p in model[0].parameters())
        v, c = (p.detach().double().numpy() for p in model[2].parameters())
        z = X.double().numpy() @ w.T + b
        a = np.maximum(z, 0)
        out = a @ v.T + c
        chances = np.exp(out) / np.exp(out).sum(1, keepdims=True)
        at_output = chances - np.eye(3)[Y.numpy()]  # of each row's own loss
        at_hidden = at_output @ v
        assert [first.label, rectified.label, last.label] == ["0 Linear", "1 ReLU", "2 Linear"]
        assert first.sd == pytest.approx(z.std(), rel=1e-5)
        assert first.spread == pytest.approx(z.std(0).mean(), rel=1e-5)
        assert rectified.zeros == pytest.approx((a == 0).mean())
        assert rectified.dead == pytest.approx((a <= 0).all(0).mean())
        assert last.gradient == pytest.approx(np.sqrt((at_output**2).sum(1).mean()), rel=1e-5)
        assert rectified.gradient == pytest.approx(np.sqrt((at_hidden**2).sum(1).mean()), rel=1e-5)
        assert first.gradient == pytest.approx(np.sqrt(((at_hidden * (z > 0)) ** 2).sum(1).mean()), rel=1e-5)
        counts, _ = np.histogram(z.astype(np.float32), bins=len(first.counts))
        assert int(first.counts.sum()) == z.size and np.abs(first.counts - counts).sum() <= 4
        assert int(last.sizes.sum()) == at_output.size

    def test_an_activation_in_place_hides_nothing(self) -> None:
        apart, inside = signals(net(nn.ReLU()), LOSS, X, Y), signals(net(nn.ReLU(inplace=True)), LOSS, X, Y)
        for one, other in zip(apart, inside, strict=True):
            assert (one.mean, one.sd) == (other.mean, other.sd)
            assert one.gradient == pytest.approx(other.gradient)

    def test_an_activation_that_is_a_function(self) -> None:
        class Functional(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                torch.manual_seed(0)
                self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 3)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.b(torch.relu(self.a(x)))

        model = Functional()
        same = nn.Sequential(model.a, nn.ReLU(), model.b)
        found, plain = signals(model, LOSS, X, Y), signals(same, LOSS, X, Y)
        assert [layer.name for layer in found] == ["a", "relu", "b"]
        assert [layer.dead for layer in found][1] == plain[1].dead
        assert [layer.gradient for layer in found] == [layer.gradient for layer in plain]

    def test_rails(self) -> None:
        model = net(nn.Tanh())
        with torch.no_grad():
            model[0].weight.mul_(50)
        squashed = signals(model, LOSS, X, Y)[1]
        with torch.no_grad():
            share = (model[1](model[0](X)).abs() > 0.97).double().mean().item()
        assert squashed.saturated == pytest.approx(share, abs=1e-6) and share > 0.8 and math.isnan(squashed.dead)

    def test_modes_and_buffers_are_put_back(self) -> None:
        model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
        signals(model, LOSS, X, Y)
        assert all(module.training for module in model.modules())


class TestBeforeARun:
    def test_the_causes_speak(self) -> None:
        torch.manual_seed(0)
        model = nn.Sequential(net(nn.ReLU()), nn.Softmax(1))
        case, said = before(model, torch.optim.SGD(model.parameters(), lr=0.1), loss=LOSS, train=Examples(X, Y))
        assert case.steps == 0 and said == ()
        assert [finding.kind for finding in named(case, ("wrong_activation", "wrong_loss"))] == ["wrong_activation"]


def sgd(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)


class TestOneBatch:
    def learned(self, model: nn.Module, rates: tuple[float, ...] = (0.1,), rows: int = 16):
        inputs, targets = X[:rows], Y[:rows]
        return one_batch(
            model, sgd, LOSS, (inputs, targets), train=Examples(X, Y), task=Task("classes", 3), rates=rates, given=None,
            blank=math.log(3),
        )  # fmt: skip

    def test_is_learned_without_touching_the_model(self) -> None:
        model = net(nn.Tanh())
        before = {name: value.clone() for name, value in model.state_dict().items()}
        found = self.learned(model)
        assert found.reached(found.best) and found.best.losses[-1] <= 0.02 * math.log(3)
        with torch.no_grad():
            assert found.best.losses[0] == pytest.approx(LOSS(model(X[:16]), Y[:16]).item(), rel=1e-6)
        assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())

    def test_the_next_rate_is_tried_where_one_fails(self) -> None:
        found = self.learned(net(nn.Tanh()), rates=(1e-9, 0.1, 0.2))
        assert [trial.rate for trial in found.trials] == [1e-9, 0.1]

    def test_frozen_parameters_are_freed_on_trial(self) -> None:
        model = net(nn.Tanh()).requires_grad_(False)
        model[2].bias.requires_grad_(True)
        found = self.learned(model)
        assert not found.reached(found.best) and found.unfrozen is not None and found.reached(found.unfrozen)


class TestContradictions:
    def test_the_floor_of_classes_by_hand(self) -> None:
        inputs = torch.tensor([[1.0], [1.0], [1.0], [2.0], [3.0], [3.0]])
        labels = torch.tensor([0, 0, 1, 2, 1, 1])
        floor, rows = contradictions(Examples(inputs, labels), Task("classes", 3))
        assert floor == pytest.approx(-(2 * math.log(2 / 3) + math.log(1 / 3)) / 6) and rows == 3

    def test_the_floor_of_numbers_by_hand(self) -> None:
        inputs = torch.tensor([[1.0], [1.0], [2.0], [3.0]])
        floor, rows = contradictions(Examples(inputs, torch.tensor([0.0, 2.0, 5.0, 6.0])), Task("numbers"))
        assert floor == pytest.approx(2 * 1.0 / 4) and rows == 2

    def test_repeated_rows_that_agree_are_none(self) -> None:
        inputs = torch.tensor([[1.0], [1.0], [2.0]])
        assert contradictions(Examples(inputs, torch.tensor([1, 1, 0])), Task("classes", 2)) == (0.0, 0)
