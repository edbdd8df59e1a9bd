"""The gradient check, against nets whose gradients are right and against the classic wrong ones."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from thalweg.errors import InputError
from thalweg.gradcheck import GradientCheck, check


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def net(activation: type[nn.Module], *, norm: type[nn.Module] | None = None, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    layers: list[nn.Module] = [nn.Linear(12, 16)]
    layers += [norm(16)] if norm else []
    return nn.Sequential(*layers, activation(), nn.Linear(16, 16), activation(), nn.Linear(16, 3)).double()


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(16, 12, generator=generator, dtype=torch.float64),
        torch.randint(0, 3, (16,), generator=generator),
    )


def checked(model: nn.Module, **options) -> GradientCheck:
    inputs, targets = batch()
    return check(lambda: nn.functional.cross_entropy(model(inputs), targets), model, **options)


class TestRightGradients:
    @pytest.mark.parametrize("activation", [nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.GELU])
    @pytest.mark.parametrize("norm", [None, nn.LayerNorm, nn.BatchNorm1d])
    def test_pass(self, activation: type[nn.Module], norm: type[nn.Module] | None) -> None:
        found = checked(net(activation, norm=norm))
        assert found.ok
        assert found.ratio < 1e-6
        assert len(found.parameters) == (8 if norm else 6)

    def test_regularisation_is_part_of_the_loss(self) -> None:
        model, (inputs, targets) = net(nn.Tanh), batch()

        def loss() -> torch.Tensor:
            penalty = sum((weight**2).sum() for name, weight in model.named_parameters() if "weight" in name)
            return nn.functional.cross_entropy(model(inputs), targets) + 0.05 * penalty

        assert check(loss, model).verdict == "great"
        without = {
            name: gradient
            for (name, _), gradient in zip(
                model.named_parameters(),
                torch.autograd.grad(
                    nn.functional.cross_entropy(model(inputs), targets), list(model.parameters()), retain_graph=False
                ),
                strict=True,
            )
        }
        found = check(loss, model, gradients=without)
        assert {entry.parameter for entry in found.parameters if not entry.ok} == {"0.weight", "2.weight", "4.weight"}

    def test_two_sided_is_closer_than_one_sided(self) -> None:
        found = checked(net(nn.Tanh))
        assert 10 * found.ratio < found.one_sided < 1e-4

    def test_after_training_too(self) -> None:
        model, (inputs, targets) = net(nn.ReLU), batch()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(30):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
        assert checked(model).ok

    def test_large_parameters_are_not_rounded_away(self) -> None:
        weight = torch.tensor([1e7, -3e8], dtype=torch.float64, requires_grad=True)
        assert check(lambda: (weight**2).sum() * 1e-14, {"w": weight}).ok

    def test_leaves_everything_as_it_was(self) -> None:
        model = net(nn.ReLU, norm=nn.BatchNorm1d)
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        checked(model)
        assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
        assert all(parameter.grad is None for parameter in model.parameters())

    def test_same_seed_same_numbers(self) -> None:
        assert checked(net(nn.ReLU), seed=3) == checked(net(nn.ReLU), seed=3)

    def test_frozen_parameters_are_left_out(self) -> None:
        model = net(nn.ReLU)
        model[0].requires_grad_(False)
        assert [found.parameter for found in checked(model).parameters] == ["2.weight", "2.bias", "4.weight", "4.bias"]


class SigmoidAsItself(torch.autograd.Function):
    """σ' = s instead of s (1 − s)."""

    @staticmethod
    def forward(context, inputs):
        outputs = torch.sigmoid(inputs)
        context.save_for_backward(outputs)
        return outputs

    @staticmethod
    def backward(context, gradient):
        return gradient * context.saved_tensors[0]


class TanhWithoutSquare(torch.autograd.Function):
    """tanh' = 1 − t instead of 1 − t²."""

    @staticmethod
    def forward(context, inputs):
        outputs = torch.tanh(inputs)
        context.save_for_backward(outputs)
        return outputs

    @staticmethod
    def backward(context, gradient):
        return gradient * (1 - context.saved_tensors[0])


class InvertedRelu(torch.autograd.Function):
    """The gradient goes through where the unit is off."""

    @staticmethod
    def forward(context, inputs):
        context.save_for_backward(inputs)
        return inputs.clamp(min=0)

    @staticmethod
    def backward(context, gradient):
        return gradient * (context.saved_tensors[0] <= 0)


class Applied(nn.Module):
    def __init__(self, function: type[torch.autograd.Function]) -> None:
        super().__init__()
        self.function = function

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.function.apply(inputs)


class TestWrongGradients:
    @pytest.mark.parametrize("function", [SigmoidAsItself, TanhWithoutSquare, InvertedRelu])
    def test_wrong_derivative_of_an_activation_is_seen_below_it_only(self, function) -> None:
        model = net(nn.Tanh)
        model[3] = Applied(function)
        found = checked(model)
        assert found.verdict == "wrong"
        assert not found.ok
        assert {one.parameter for one in found.parameters if not one.ok} == {
            "0.weight",
            "0.bias",
            "2.weight",
            "2.bias",
        }
        assert found.worst.parameter in str(found)

    def test_sign_of_one_bias_names_it(self) -> None:
        model, (inputs, targets) = net(nn.ReLU), batch()
        loss = nn.functional.cross_entropy(model(inputs), targets)
        given = dict(
            zip(dict(model.named_parameters()), torch.autograd.grad(loss, list(model.parameters())), strict=True)
        )
        given["2.bias"] = -given["2.bias"]
        found = checked(model, gradients=given)
        assert [one.parameter for one in found.parameters if not one.ok] == ["2.bias"]
        assert found.ratio == pytest.approx(1.0)
        assert found.worst.parameter == "2.bias"
        assert found.worst.given == pytest.approx(-found.worst.measured, rel=1e-5)

    @pytest.mark.parametrize("seed", range(5))
    def test_one_entry_among_ten_thousand_is_found_by_halving(self, seed: int) -> None:
        weight = torch.linspace(1, 2, 10_000, dtype=torch.float64).reshape(100, 100)
        given = 2 * weight.clone()
        given[61, 17] *= 1.05
        weight.requires_grad_()
        found = check(lambda: (weight**2).sum(), {"w": weight}, gradients={"w": given}, entries=5, seed=seed)
        assert not found.ok
        assert found.worst.index == (61, 17)
        assert found.worst.measured == pytest.approx(2 * weight[61, 17].item(), rel=1e-4)

    def test_detached_path_is_wrong(self) -> None:
        model, (inputs, targets) = net(nn.Tanh), batch()
        detached = nn.Sequential(*list(model)[:2])
        rest = nn.Sequential(*list(model)[2:])
        found = check(lambda: nn.functional.cross_entropy(rest(detached(inputs).detach()), targets), model)
        assert {one.parameter for one in found.parameters if not one.ok} == {"0.weight", "0.bias"}

    def test_small_layer_does_not_drown_in_a_large_one(self) -> None:
        large = torch.full((1000,), 3.0, dtype=torch.float64, requires_grad=True)
        small = torch.full((2,), 1e-3, dtype=torch.float64, requires_grad=True)
        given = {"large": 2 * large.detach(), "small": 1.1 * 2 * small.detach()}
        found = check(lambda: (large**2).sum() + (small**2).sum(), {"large": large, "small": small}, gradients=given)
        assert [one.parameter for one in found.parameters if not one.ok] == ["small"]

    def test_infinite_gradient_is_wrong(self) -> None:
        weight = torch.ones(3, dtype=torch.float64, requires_grad=True)
        found = check(lambda: weight.sum(), {"w": weight}, gradients={"w": torch.tensor([1.0, float("nan"), 1.0])})
        assert not found.ok
        assert found.worst.index == (1,)


class TestKinks:
    def test_relu_at_zero_does_not_cry_wolf(self) -> None:
        model = net(nn.ReLU)
        nn.init.zeros_(model[0].weight)
        nn.init.zeros_(model[0].bias)
        found = checked(model)
        assert found.ok
        assert not {one.parameter: one for one in found.parameters}["0.bias"].defined
        assert "0.bias: not decided, the loss has a kink" in str(found)

    def test_kink_nearby_is_stepped_over(self) -> None:
        weight = torch.tensor([3e-7, 1.0], dtype=torch.float64, requires_grad=True)
        found = check(lambda: weight.abs().sum(), {"w": weight}, entries=None)
        assert found.ok
        assert found.parameters[0].kinks >= 1
        assert found.parameters[0].defined

    def test_kink_nearby_does_not_excuse_a_fault(self) -> None:
        weight = torch.tensor([3e-7, 1.0], dtype=torch.float64, requires_grad=True)
        found = check(
            lambda: weight.abs().sum(), {"w": weight}, entries=None, gradients={"w": torch.tensor([0.4, 1.0])}
        )
        assert not found.ok
        assert found.worst.index == (0,)

    def test_strong_curvature_is_no_kink(self) -> None:
        weight = torch.tensor([1.0], dtype=torch.float64, requires_grad=True)
        found = check(lambda: (50.0 * weight**2).sum(), {"w": weight}, gradients={"w": torch.tensor([100.01])})
        assert not found.ok
        assert found.parameters[0].kinks == 0


class TestRefusals:
    def test_float32_parameter_is_named(self) -> None:
        model = net(nn.ReLU)
        model[2].float()
        with pytest.raises(InputError, match=r'parameter "2.weight" is float32.*model.double\(\)'):
            checked(model)

    def test_float32_loss_of_a_float64_net(self) -> None:
        model, (inputs, _) = net(nn.ReLU), batch()
        with pytest.raises(InputError, match=r"the loss is float32 although the parameters are float64"):
            check(lambda: model(inputs).mean().float(), model)

    def test_active_dropout_is_named(self) -> None:
        model = nn.Sequential(nn.Linear(12, 8), nn.Dropout(0.5), nn.Linear(8, 3)).double()
        with pytest.raises(InputError, match=r'layer "1" is Dropout in training mode.*model.eval\(\)'):
            checked(model)
        model.eval()
        assert checked(model).ok

    def test_random_loss(self) -> None:
        model, (inputs, targets) = net(nn.ReLU), batch()

        def loss() -> torch.Tensor:
            return nn.functional.cross_entropy(nn.functional.dropout(model(inputs), 0.5), targets)

        with pytest.raises(InputError, match=r"the loss is random"):
            check(loss, model)

    def test_vector_loss(self) -> None:
        model, (inputs, _) = net(nn.ReLU), batch()
        with pytest.raises(InputError, match=r"one number in a tensor, not \(16, 3\)"):
            check(lambda: model(inputs), model)

    def test_loss_without_a_graph(self) -> None:
        model, (inputs, _) = net(nn.ReLU), batch()
        with pytest.raises(InputError, match=r"does not depend on the parameters through autograd"):
            check(lambda: model(inputs).mean().detach(), model)

    def test_loss_that_is_not_finite(self) -> None:
        model, (inputs, _) = net(nn.ReLU), batch()
        with pytest.raises(InputError, match=r"the loss is nan at these parameters"):
            check(lambda: model(inputs * float("nan")).mean(), model)

    def test_missing_and_misshapen_gradients(self) -> None:
        weight = torch.ones(3, dtype=torch.float64)
        with pytest.raises(InputError, match=r'there is no gradient for "w"'):
            check(lambda: weight.sum(), {"w": weight}, gradients={"v": weight})
        with pytest.raises(InputError, match=r'the gradient of "w" has shape \(2,\), the parameter \(3,\)'):
            check(lambda: weight.sum(), {"w": weight}, gradients={"w": weight[:2]})

    def test_nothing_to_check(self) -> None:
        model = net(nn.ReLU).requires_grad_(False)
        with pytest.raises(InputError, match=r"nothing to check"):
            checked(model)

    @pytest.mark.parametrize("options", [{"step": 0.0}, {"directions": 0}, {"entries": 0}])
    def test_numbers_that_make_no_sense(self, options: dict) -> None:
        with pytest.raises(InputError, match=r"a step above 0"):
            checked(net(nn.ReLU), **options)


def test_entries_that_are_zero_but_for_rounding_say_nothing() -> None:
    """The key's part of an attention bias moves all scores of a row alike, so its gradient is 0 in exact arithmetic."""
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True).double()
    x = torch.randn(3, 4, 8, dtype=torch.float64)
    for seed in range(8):
        found = check(lambda: (layer(x) ** 2 * torch.arange(8)).mean(), layer, entries=1, seed=seed)
        assert found.ok, str(found)
