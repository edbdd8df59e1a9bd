"""Lines, planes and slices against what is known of quadratics, a double well, and formulas typed by hand."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from thalweg.errors import InputError
from thalweg.surfaces import Landscape, around, barrier, filter_normalised, line, plane, slices
from thalweg.surfaces.landscape import Axes, distance


class Weights(nn.Module):
    """A module that is nothing but a vector."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(size, dtype=torch.float64))


def bare(function: Callable[[torch.Tensor], torch.Tensor], size: int) -> Landscape:
    return Landscape(Weights(size), lambda net: function(net.w))


def vector(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def net(norm: bool = False, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(4, 6), nn.BatchNorm1d(6) if norm else nn.Identity(), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 3)
    )


ROWS = torch.randn(40, 4, generator=torch.Generator().manual_seed(1))
CLASSES = torch.arange(40) % 3


def loss(model: nn.Module) -> torch.Tensor:
    return nn.functional.cross_entropy(model(ROWS), CLASSES)


class TestTheLandscape:
    def test_is_the_models_own_loss_and_leaves_it_alone(self) -> None:
        model, other = net(), net(seed=1)
        before = copy.deepcopy(model.state_dict())
        landscape = Landscape(model, loss)
        for one in (model, other):
            with torch.no_grad():
                assert landscape.at(landscape.point(one))["loss"] == float(loss(one.eval()))
        assert landscape.size == sum(p.numel() for p in model.parameters())
        assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())

    def test_a_state_dict_is_a_point_too(self) -> None:
        landscape = Landscape(net(norm=True), loss, rows=ROWS)
        other = net(norm=True, seed=1)
        assert torch.equal(landscape.point(other), landscape.point(other.state_dict()))

    def test_weights_may_lie_in_any_order_in_memory(self) -> None:
        model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(12, 2))
        images = torch.randn(5, 2, 4, 4, generator=torch.Generator().manual_seed(0))
        measured = [Landscape(one, lambda n: n(images).square().sum()) for one in (model, copy.deepcopy(model))]
        model.to(memory_format=torch.channels_last)
        measured.append(Landscape(model, lambda n: n(images).square().sum()))
        points = [landscape.point(model) for landscape in measured]
        assert torch.equal(points[0], points[2])
        assert measured[2].net[0].weight.is_contiguous(memory_format=torch.channels_last)
        assert measured[2].at(points[2])["loss"] == pytest.approx(measured[0].at(points[0])["loss"], rel=1e-5)

    def test_several_measures_and_a_count(self) -> None:
        counted: list[int] = []
        model = net()
        landscape = Landscape(model, lambda n: {"a": loss(n), "b": 2 * loss(n)}, told=lambda: counted.append(1))
        found = landscape.along([landscape.point(model)] * 3)
        np.testing.assert_allclose(found["b"], 2 * found["a"], rtol=1e-6)
        assert len(counted) == 3

    def test_statistics_of_batch_norm_are_those_of_the_rows(self) -> None:
        first, second = net(norm=True), net(norm=True, seed=1)
        landscape = Landscape(first, loss, rows=ROWS)
        middle = (landscape.point(first) + landscape.point(second)) / 2
        found = landscape.at(middle)["loss"]
        w1, b1, gain, shift, w2, b2 = (t.double().numpy() for t in landscape.split(middle).values())
        hidden = ROWS.double().numpy() @ w1.T + b1
        scaled = (hidden - hidden.mean(0)) / np.sqrt(hidden.var(0) + 1e-5) * gain + shift
        logits = np.maximum(scaled, 0) @ w2.T + b2
        byhand = -(logits - np.log(np.exp(logits).sum(1, keepdims=True)))[np.arange(40), CLASSES.numpy()].mean()
        assert found == pytest.approx(byhand, rel=1e-5)
        assert landscape.outputs is not None
        torch.testing.assert_close(landscape.outputs, landscape.net(ROWS), rtol=1e-5, atol=1e-6)
        assert Landscape(net(), loss).outputs is None

    def test_refusals(self) -> None:
        with pytest.raises(InputError, match=r"batch norm.*give rows"):
            Landscape(net(norm=True), loss)
        with pytest.raises(InputError, match="no parameters"):
            Landscape(nn.ReLU(), loss)
        mixed = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double())
        with pytest.raises(InputError, match=r"float32 on cpu, torch\.float64 on cpu.*one type"):
            Landscape(mixed, loss)
        landscape = Landscape(net(), loss)
        with pytest.raises(InputError, match=r'no "0\.weight".*one architecture'):
            landscape.point(Weights(3))
        with pytest.raises(InputError, match=r'"0.weight" is \(7, 4\) here and \(6, 4\) there'):
            landscape.point(nn.Sequential(nn.Linear(4, 7), nn.Identity(), nn.ReLU(), nn.Dropout(), nn.Linear(7, 3)))
        with pytest.raises(InputError, match=r'"1.bias" is in one network alone'):
            landscape.point(net(norm=True))


class TestTheLine:
    def test_of_a_double_well(self) -> None:
        landscape = bare(lambda w: (w[0] ** 2 - 1) ** 2 + w[1] ** 2, 2)  # (x² − 1)²: wells at ±1, a hill of 1 between
        found = line(landscape, vector(-1, 0), vector(1, 0), points=41)
        assert found.barrier("loss").height == pytest.approx(1.0)
        assert found.barrier("loss").at == pytest.approx(0.5)
        assert found.distance == pytest.approx(2.0)
        np.testing.assert_allclose(found.values["loss"], ((2 * found.at - 1) ** 2 - 1) ** 2, atol=1e-12)

    def test_of_unequal_wells_stands_on_the_slope_between_them(self) -> None:
        landscape = bare(lambda w: (w[0] ** 2 - 1) ** 2 + 3 * w[0], 1)
        found = line(landscape, vector(-1), vector(1), points=41).barrier("loss")
        assert found.height == pytest.approx(1.0)  # the slope is taken off, and the well is what it was

    @given(st.lists(st.floats(-5, 5), min_size=2, max_size=2), st.lists(st.floats(-5, 5), min_size=2, max_size=2))
    def test_of_what_is_convex_is_nothing(self, first: list[float], second: list[float]) -> None:
        landscape = bare(lambda w: w[0] ** 2 + 3 * w[1] ** 2 + w[0] * w[1], 2)
        found = line(landscape, vector(*first), vector(*second), points=9)
        assert found.barrier("loss").height == pytest.approx(0, abs=1e-9)

    def test_of_a_net_with_its_units_in_another_order(self) -> None:
        """The same function at both ends, and a barrier between: units must be matched before weights mean the same."""
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 30), nn.Tanh(), nn.Linear(30, 3))
        with torch.no_grad():
            model[2].weight *= 10
            taught = model(ROWS).argmax(1)
        other, order = copy.deepcopy(model), torch.randperm(30, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            other[0].weight.copy_(model[0].weight[order])
            other[0].bias.copy_(model[0].bias[order])
            other[2].weight.copy_(model[2].weight[:, order])
        landscape = Landscape(model, lambda n: nn.functional.cross_entropy(n(ROWS), taught))
        found = line(landscape, landscape.point(model), landscape.point(other))
        assert found.values["loss"][0] == pytest.approx(found.values["loss"][-1], rel=1e-5)
        assert found.barrier("loss").height > 0.1 and found.barrier("loss").at == pytest.approx(0.5, abs=0.05)

    def test_goes_beyond_its_ends(self) -> None:
        landscape = bare(lambda w: w[0] ** 2, 1)
        found = line(landscape, vector(0), vector(2), points=7, beyond=0.25)
        assert found.at[0] == -0.25 and found.at[-1] == 1.25 and {0.0, 1.0} <= set(found.at)
        np.testing.assert_allclose(found.values["loss"], (2 * found.at) ** 2)

    def test_a_loss_that_overflows_is_a_high_barrier(self) -> None:
        assert barrier(np.array([0, 0.5, 1]), np.array([1.0, np.nan, 1.0])).height == np.inf

    def test_refusals(self) -> None:
        landscape = bare(lambda w: w.sum(), 1)
        with pytest.raises(InputError, match="at least 3 points"):
            line(landscape, vector(0), vector(1), points=2)
        with pytest.raises(InputError, match="must hold 0 and 1"):
            barrier(np.array([0, 0.5]), np.array([1.0, 2.0]))


class TestThePlane:
    def test_of_a_quadratic_is_a_quadratic(self) -> None:
        generator = np.random.default_rng(0)
        root = generator.normal(size=(7, 7))
        matrix = root @ root.T
        landscape = bare(lambda w: w @ torch.from_numpy(matrix) @ w / 2, 7)
        ends = [torch.from_numpy(generator.normal(size=7)) for _ in range(3)]
        found = plane(landscape, *ends, points=6)
        basis = np.linalg.qr(np.stack([(ends[1] - ends[0]).numpy(), (ends[2] - ends[0]).numpy()]).T)[0]
        u, v = (
            column * np.sign(column @ (end - ends[0]).numpy()) for column, end in zip(basis.T, ends[1:], strict=True)
        )
        for row, up in enumerate(found.y):
            for column, across in enumerate(found.x):
                w = ends[0].numpy() + across * u + up * v
                assert found.values["loss"][row, column] == pytest.approx(w @ matrix @ w / 2, rel=1e-9)
        for end, corner in zip(ends, found.corners, strict=True):
            assert corner.off == pytest.approx(0, abs=1e-9)
            np.testing.assert_allclose(found.axes.at(corner.x, corner.y), end, atol=1e-9)

    def test_holds_what_is_around(self) -> None:
        landscape = bare(lambda w: w.sum(), 3)
        far = vector(10, -5, 7)
        found = plane(landscape, vector(0, 0, 0), vector(1, 0, 0), vector(0, 1, 0), points=3, around=[far])
        place = found.axes.place(far)
        assert (place.x, place.y, place.off) == pytest.approx((10, -5, 7))
        assert found.x[0] <= 0 and found.x[-1] >= 10 and found.y[0] <= -5

    def test_share_of_a_path_is_that_of_its_variance(self) -> None:
        generator = np.random.default_rng(0)
        path = generator.normal(size=(12, 5)) * [1, 2, 3, 4, 5] + 7
        axes = Axes(torch.zeros(5).double(), torch.eye(5).double()[1], torch.eye(5).double()[3])
        variance = path.var(0)
        assert axes.share([torch.from_numpy(p) for p in path]) == pytest.approx(
            (variance[1] + variance[3]) / variance.sum()
        )

    def test_refuses_points_on_one_line(self) -> None:
        landscape = bare(lambda w: w.sum(), 2)
        for third in (vector(2, 2), vector(0, 0)):
            with pytest.raises(InputError, match="lie on one line"):
                plane(landscape, vector(0, 0), vector(1, 1), third)
        with pytest.raises(InputError, match="at least 2"):
            plane(landscape, vector(0, 0), vector(1, 1), vector(1, 0), points=1)


class TestTheSlices:
    def test_filters_have_the_length_of_the_networks(self) -> None:
        model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 4))
        landscape = Landscape(model, lambda n: n(torch.zeros(1, 2, 4, 4)).sum(), rows=torch.randn(5, 2, 4, 4))
        here = landscape.point(model)
        found = landscape.split(filter_normalised(landscape, here, seed=3))
        generator = torch.Generator().manual_seed(3)
        for name, weights in model.named_parameters():
            drawn = torch.randn(weights.shape, generator=generator, dtype=torch.float64).numpy()
            direction = found[name].numpy()
            if weights.ndim == 1:
                assert not direction.any()
                continue
            for j, row in enumerate(weights.detach().numpy()):  # d_ij / ‖d_ij‖ · ‖w_ij‖, typed by hand
                byhand = drawn[j] / np.sqrt((drawn[j] ** 2).sum()) * np.sqrt((row.astype(float) ** 2).sum())
                np.testing.assert_allclose(direction[j], byhand, rtol=1e-5)

    def test_do_not_see_the_scale_of_layers(self) -> None:
        """ReLU(αWx)/α computes the same: so does every slice around it, but no slice of fixed length."""
        model = nn.Sequential(nn.Linear(4, 6, bias=False), nn.ReLU(), nn.Linear(6, 3, bias=False)).double()
        scaled = copy.deepcopy(model)
        with torch.no_grad():
            scaled[0].weight *= 10
            scaled[2].weight /= 10
        landscape = Landscape(model, lambda n: nn.functional.cross_entropy(n(ROWS.double()), CLASSES))
        first, second = landscape.point(model), landscape.point(scaled)
        one, other = slices(landscape, first, points=5), slices(landscape, second, points=5)
        np.testing.assert_allclose(one.values["loss"], other.values["loss"], rtol=1e-9)
        fixed = torch.ones_like(first)
        assert landscape.at(first + fixed)["loss"] != pytest.approx(landscape.at(second + fixed)["loss"], rel=0.01)

    def test_rise_of_a_bowl(self) -> None:
        model = nn.Linear(3, 2, bias=False).double()
        landscape = Landscape(model, lambda n: n.weight.square().sum())
        here = landscape.point(model)
        found = slices(landscape, here, directions=4, points=9)
        lengths = [float(filter_normalised(landscape, here, seed=seed).square().sum()) for seed in range(4)]
        assert found.rise("loss").mean == pytest.approx(
            np.mean(lengths)
        )  # the odd part cancels in the mean of both ways
        assert found.rise("loss", distance=0.5).mean == pytest.approx(np.mean(lengths) / 4)
        assert found.rise("loss").sd == pytest.approx(0, abs=1e-9)
        assert found.values["loss"].shape == (4, 9)

    def test_two_directions_are_those_of_the_slices(self) -> None:
        model = net()
        landscape = Landscape(model, loss)
        here = landscape.point(model)
        flat, wide = slices(landscape, here, directions=2, points=5), around(landscape, here, points=5)
        np.testing.assert_allclose(wide.values["loss"][2], flat.values["loss"][0], rtol=1e-5)
        np.testing.assert_allclose(wide.values["loss"][:, 2], flat.values["loss"][1], rtol=1e-5)

    def test_refusals(self) -> None:
        landscape = bare(lambda w: w.sum(), 1)
        with pytest.raises(InputError, match="odd number of points"):
            slices(landscape, vector(0), points=4)


@given(st.integers(2, 8), st.integers(0, 10**6))
def test_axes_are_orthonormal_and_give_back_what_they_were_made_of(size: int, seed: int) -> None:
    points = [torch.from_numpy(row) for row in np.random.default_rng(seed).normal(size=(3, size))]
    axes = Axes.through(*points)
    gram = np.array([[float(a @ b) for a in (axes.u, axes.v)] for b in (axes.u, axes.v)])
    np.testing.assert_allclose(gram, np.eye(2), atol=1e-9)
    assert distance(axes.at(*axes.place(points[2])[:2]), points[2]) == pytest.approx(0, abs=1e-9)
