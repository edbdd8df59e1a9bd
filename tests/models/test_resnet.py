"""The residual convolutional net, against the paper's description typed with PyTorch's functions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.initializers import initialize, not_known
from thalweg.models import Backprop, Residual, resnet


def by_hand(model: nn.Sequential, x: Tensor, blocks: int) -> Tensor:
    """Section 4.2 of He et al. 2015, projections where the shape changes; batch statistics."""

    def norm(x: Tensor, module: nn.BatchNorm2d) -> Tensor:
        return F.batch_norm(x, None, None, module.weight, module.bias, training=True)

    x = F.relu(norm(F.conv2d(x, model.stem[0].weight, padding=1), model.stem[1]))
    for stage in (1, 2, 3):
        for block in range(blocks):
            residual = model.get_submodule(f"stage{stage}.{2 * block}")
            a, b, _, c, d = residual.branch
            stride = 2 if stage > 1 and block == 0 else 1
            h = F.relu(norm(F.conv2d(x, a.weight, stride=stride, padding=1), b))
            h = norm(F.conv2d(h, c.weight, padding=1), d)
            if stride == 2:
                x = norm(F.conv2d(x, residual.shortcut[0].weight, stride=2), residual.shortcut[1])
            x = F.relu(x + h)
    return F.linear(x.mean((2, 3)), model.head.weight, model.head.bias)


@pytest.mark.parametrize("depth, shape", [(8, (1, 28, 28)), (14, (3, 17, 9)), (20, (3, 8, 8))])
def test_it_is_the_net_of_the_paper(depth: int, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = resnet(shape, 7, depth=depth, width=4).double()
    x = torch.randn(3, *shape, dtype=torch.float64)
    torch.testing.assert_close(model(x), by_hand(model, x, (depth - 2) // 6))
    longest = [m for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear) and "shortcut" not in n]
    assert len(longest) == depth


def test_parameters_are_counted_as_in_the_paper() -> None:
    """Table 6: 0.27 million with 20 layers, 0.85 with 56 on CIFAR-10; projections add 0.7 % at most."""
    for depth, millions in ((20, 0.27), (56, 0.85)):
        count = sum(p.numel() for p in resnet((3, 32, 32), 10, depth=depth, width=16).parameters())
        assert count / 1e6 == pytest.approx(millions, abs=0.008)


def test_it_begins_with_each_block_as_its_shortcut() -> None:
    model = resnet((1, 12, 12), 5, depth=14, width=4)
    done = initialize(model, generator=torch.Generator().manual_seed(0))
    assert not_known(done) == ""
    blocks = [module for module in model.modules() if isinstance(module, Residual)]
    assert len(blocks) == 6
    for block in blocks:
        assert not block.branch[4].weight.any() and bool((block.branch[1].weight == 1).all())
    zero = [one.parameter for one in done if one.std == 0]
    assert zero == [f"stage{stage}.{block}.branch.4.weight" for stage in (1, 2, 3) for block in (0, 2)]
    stem = model.stem[0].weight.detach()
    assert float(stem.std()) == pytest.approx((2 / 9) ** 0.5, rel=0.4)
    loss = F.cross_entropy(model(torch.randn(40, 1, 12, 12)), torch.arange(40) % 5)
    assert float(loss.detach()) == pytest.approx(torch.tensor(5.0).log().item(), rel=0.1)


def test_memory_is_channels_last_whatever_comes_in() -> None:
    model = resnet((3, 8, 8), 2, width=4)
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in model.parameters() if p.ndim == 4)
    initialize(model, generator=torch.Generator())
    x = torch.randn(2, 3, 8, 8)
    seen = []
    model.stem[0].register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    model(x)
    assert all(t.is_contiguous(memory_format=torch.channels_last) for t in seen[0])
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in model.parameters() if p.ndim == 4)


def test_large_images_are_reduced_first() -> None:
    model = resnet((3, 100, 64), 2, width=4)
    seen: list[tuple[int, ...]] = []
    model.stem.register_forward_hook(lambda _, __, output: seen.append(tuple(output.shape)))
    assert model(torch.randn(2, 3, 100, 64)).shape == (2, 2) and seen == [(2, 4, 25, 16)]
    small = resnet((3, 96, 64), 2, width=4)
    assert small.stem[0].stride == (1, 1)


def test_dropout_stands_before_the_head() -> None:
    model = resnet((1, 8, 8), 2, width=4, dropout=0.3)
    assert model.drop.p == 0.3 and [name for name, _ in model.named_children()][-2:] == ["drop", "head"]


def test_it_is_trained_with_autograd() -> None:
    assert "explicit back-propagation knows" in Backprop.refuses(resnet((1, 8, 8), 2), nn.CrossEntropyLoss())


@pytest.mark.parametrize(
    "shape, arguments, words",
    [
        ((1, 28, 28), {"depth": 18}, r"6n \+ 2: take 20"),
        ((1, 28, 28), {"depth": 2}, "take 8"),
        ((1, 28, 28), {"depth": 9}, "take 8"),
        ((1, 28, 7), {}, "28 × 7 are too small"),
        ((784,), {}, r"shape \(784,\)"),
        ((1, 8, 8), {"width": 0}, "width 0"),
        ((1, 8, 8), {"dropout": 1.0}, "below 1"),
    ],
)
def test_what_cannot_be_is_refused(shape: tuple[int, ...], arguments: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        resnet(shape, 2, **arguments)
