"""Layer-sequential unit variance, against the paper's loop typed by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.initializers import initialize


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Backwards(nn.Module):
    """Layers registered in another order than they run in; one runs twice; activations are functions."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(12, 3)
        self.twice = nn.Linear(12, 12)
        self.conv = nn.Conv2d(1, 4, 3, stride=2)
        self.norm = nn.BatchNorm1d(12)
        self.stem = nn.Linear(36, 12, bias=False)
        self.unused = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.stem(F.gelu(self.conv(x)).flatten(1)))
        h = F.dropout(self.norm(F.relu(self.twice(h))), 0.5, self.training)
        return self.head(torch.sin(self.twice(h)))


def images() -> Tensor:
    return 3 + 5 * torch.randn(64, 1, 8, 8, generator=generator(1))


def test_each_layer_gives_unit_variance_in_the_order_of_execution() -> None:
    model = Backwards().train()
    model.norm.eval()
    found: dict[str, float] = {}
    before = torch.get_rng_state()
    done = initialize(model, scheme="lsuv", generator=generator(), batch=images())
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training and not model.norm.training, "modes are put back"
    for name, module in model.named_children():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.register_forward_hook(
                lambda _, __, output, name=name: found.setdefault(name, float(output.var(correction=0))) and None
            )
    model.eval()
    with torch.no_grad():
        model(images())
    assert found == {name: pytest.approx(1.0, rel=1e-4) for name in ("conv", "stem", "twice", "head")}
    words = {one.parameter: one.scheme for one in done}
    assert words["head.weight"] == "lsuv" and words["unused.weight"] == "orthogonal"
    for name, _, std in done:
        assert float(model.get_parameter(name).detach().square().mean().sqrt()) == pytest.approx(std, rel=1e-4)


def test_it_is_the_loop_of_the_paper() -> None:
    """Algorithm 1: run the net up to the layer, divide by √Var, until |Var − 1| < tolerance."""
    model = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 5))
    x = torch.randn(50, 10, generator=generator(2))
    initialize(model, scheme="orthogonal", generator=generator())
    with torch.no_grad():
        for index in (0, 2, 4):
            for _ in range(10):
                variance = float(model[: index + 1](x).var(correction=0))
                if abs(variance - 1) < 1e-6:
                    break
                model[index].weight /= variance**0.5
    by_hand = [p.clone() for p in model.parameters()]
    initialize(model, scheme="lsuv", generator=generator(), batch=x)
    for ours, theirs in zip(model.parameters(), by_hand, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_it_needs_a_batch_whose_examples_differ() -> None:
    model = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Linear(4, 2))
    with pytest.raises(InputError, match="give initialize one"):
        initialize(model, scheme="lsuv", generator=generator())
    with pytest.raises(
        InputError, match=r"layer 0 gives outputs of standard deviation 0 .* different, finite examples"
    ):
        initialize(model, scheme="lsuv", generator=generator(), batch=torch.zeros(4, 3))
    assert not model[0]._forward_hooks, "no hook is left behind"
