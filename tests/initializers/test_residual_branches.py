"""What a residual branch ends in begins at zero, and only that."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from thalweg.initializers import initialize, places


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Block(nn.Module):
    """``shortcut(x) + branch(x)``, or the other way round."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module | None = None, *, turned: bool = False) -> None:
        super().__init__()
        self.branch, self.shortcut, self.turned = branch, shortcut or nn.Identity(), turned

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.shortcut(x), self.branch(x)
        return b.add(a) if self.turned else a + b


class Convolutional(nn.Module):
    """A block in the manner of torchvision: in-place sum, the projection named downsample."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.conv2, self.bn2 = nn.Conv2d(6, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Sequential(nn.Conv2d(3, 6, 1, bias=False), nn.BatchNorm2d(6))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += self.downsample(x)
        return self.relu(out)


def ends(model: nn.Module) -> list[str]:
    return [name for name, place in places(model).items() if place.ends_branch]


def test_the_last_layer_of_a_branch_without_a_norm_is_zero_and_the_block_is_its_shortcut() -> None:
    for turned in (False, True):
        block = Block(
            nn.Sequential(nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.Dropout(0.5)), turned=turned
        )
        model = nn.Sequential(nn.Linear(4, 6), block, nn.Linear(6, 2))
        assert ends(model) == ["1.branch.3"]
        done = {name: (words, std) for name, words, std in initialize(model, generator=generator())}
        assert done["1.branch.3.weight"] == ("zero (ends a residual branch)", 0.0)
        assert done["1.branch.1.weight"][0] == "he"
        x = torch.randn(5, 6, generator=generator())
        assert torch.equal(block(x), x)
        block(x).square().sum().backward()
        assert bool(block.branch[3].weight.grad.any()), "it learns from the first step on"


def test_the_scale_of_a_norm_that_ends_a_branch_is_zero() -> None:
    model = nn.Sequential(Convolutional(), nn.Flatten(), nn.LazyLinear(2))
    model(torch.randn(2, 3, 8, 8))
    assert ends(model) == ["0.bn2"]
    initialize(model, generator=generator())
    block = model[0]
    assert not block.bn2.weight.any() and bool((block.bn1.weight == 1).all())
    assert bool((block.downsample[1].weight == 1).all()), "the projection is no branch"
    assert bool(block.conv2.weight.any())


def test_an_activation_at_the_end_of_a_branch_forbids_zero() -> None:
    """ReLU has derivative 0 at 0: the branch would never learn."""
    assert ends(nn.Sequential(Block(nn.Sequential(nn.Linear(4, 4), nn.ReLU())), nn.Linear(4, 2))) == []


def test_sums_that_are_no_residual_blocks_are_left_alone() -> None:
    def pair() -> nn.Sequential:
        return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))

    assert ends(Block(pair(), pair())) == [], "two ways of one length"
    assert ends(Block(nn.Sequential(pair(), pair()), pair())) == [], "two deep ways"

    class Towers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = pair(), nn.Linear(4, 4)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.left(x) + self.right(y) + 1.0

    assert ends(Towers()) == [], "two inputs"


def test_a_scheme_by_name_takes_no_account_of_branches() -> None:
    model = nn.Sequential(Block(nn.Linear(4, 4)), nn.Linear(4, 2))
    initialize(model, scheme="he", generator=generator())
    assert bool(model[0].branch.weight.any())


def test_signals_keep_their_size_through_a_hundred_blocks() -> None:
    def moment(scheme: str) -> float:
        blocks = [Block(nn.Sequential(nn.ReLU(), nn.Linear(64, 64))) for _ in range(100)]
        model = nn.Sequential(*blocks)
        initialize(model, scheme=scheme, generator=generator())
        with torch.no_grad():
            return float(model(torch.randn(32, 64, generator=generator(1))).square().mean())

    assert 0.9 < moment("auto") < 1.1 and moment("he") > 1e20
