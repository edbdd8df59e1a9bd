"""Stacked forms against the layers that they stand for, and the storage that they share."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from thalweg.models.residual import Residual
from thalweg.population.forms import Unstackable, form
from thalweg.population.losses import member_losses
from thalweg.population.stacks import Stacking, Stacks, differ
from thalweg.train.objectives import CrossEntropy

K, B = 3, 6
LAYERS = {
    "linear": (lambda: nn.Linear(4, 5), (4,)),
    "linear without bias": (lambda: nn.Linear(4, 5, bias=False), (4,)),
    "linear over a sequence": (lambda: nn.Linear(4, 5), (7, 4)),
    "convolution": (lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1, dilation=2), (4, 9, 9)),
    "convolution in groups": (lambda: nn.Conv2d(4, 6, 3, groups=2, bias=False, padding="same"), (4, 9, 9)),
    "circular convolution": (lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"), (4, 9, 9)),
    "convolution of a line": (lambda: nn.Conv1d(4, 6, 3), (4, 9)),
    "batch norm": (lambda: nn.BatchNorm1d(4), (4,)),
    "batch norm of images": (lambda: nn.BatchNorm2d(4, momentum=0.3), (4, 5, 5)),
    "batch norm without statistics": (lambda: nn.BatchNorm1d(4, track_running_stats=False), (4,)),
    "batch norm without weights": (lambda: nn.BatchNorm1d(4, affine=False), (4,)),
    "layer norm": (lambda: nn.LayerNorm(4), (4,)),
    "layer norm over two": (lambda: nn.LayerNorm((7, 4), bias=False), (3, 7, 4)),
    "group norm": (lambda: nn.GroupNorm(2, 4), (4, 5, 5)),
    "pools": (lambda: nn.Sequential(nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Flatten()), (4, 8, 8)),
    "adaptive pools": (lambda: nn.Sequential(nn.AdaptiveMaxPool2d(4), nn.AdaptiveAvgPool2d(1)), (4, 8, 8)),
    "residual": (lambda: Residual(nn.Sequential(nn.Linear(4, 5), nn.Tanh()), nn.Linear(4, 5)), (4,)),
    "softmax, which has no form": (lambda: nn.Sequential(nn.Linear(4, 5), nn.Softmax(-1)), (4,)),
    "attention, which has no form": (lambda: nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True), (7, 4)),
    "activation with a parameter": (lambda: nn.Sequential(nn.Linear(4, 5), nn.PReLU()), (4,)),
}


def built(make) -> list[nn.Module]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        modules = [make().double() for _ in range(K)]
        for module in modules:
            for parameter in module.parameters():
                nn.init.normal_(parameter, 0.1, 0.5)
    return modules


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("shared", [True, False])
def test_a_form_is_its_layer_member_by_member(name: str, shared: bool) -> None:
    make, shape = LAYERS[name]
    modules, alone = built(make), built(make)
    x = torch.randn(1 if shared else K, B, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = x.expand(K, *x.shape[1:])
    stacks = Stacks(modules)
    stacking = Stacking(stacks, [torch.Generator() for _ in range(K)])
    net = form(stacking, modules)
    for stacking.training in (False, True):
        z = net(x)
        for module, mine, single in zip(x, z, alone, strict=True):
            single.train(stacking.training)
            torch.testing.assert_close(mine, single(module))
    if stacks.parameters:
        upstream = torch.randn(z.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        found = torch.autograd.grad((net(x) * upstream).sum(), stacks.parameters)
        for k, single in enumerate(alone):
            wanted = torch.autograd.grad((single(x[k]) * upstream[k]).sum(), list(single.parameters()))
            for mine, theirs in zip(found, wanted, strict=True):
                torch.testing.assert_close(mine[k], theirs)
    for module, single in zip(modules, alone, strict=True):  # running statistics, written through the rows
        for mine, theirs in zip(module.buffers(), single.buffers(), strict=True):
            torch.testing.assert_close(mine, theirs)


def test_rows_of_the_stacks_are_the_modules_own_tensors() -> None:
    modules = built(lambda: nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5)))
    parameters = [list(module.parameters()) for module in modules]
    before = [{name: tensor.clone() for name, tensor in module.state_dict().items()} for module in modules]
    stacks = Stacks(modules)
    assert all(
        p is q
        for module, old in zip(modules, parameters, strict=True)
        for p, q in zip(module.parameters(), old, strict=True)
    )
    with torch.no_grad():
        modules[1][0].bias.fill_(7.0)
    assert stacks.parameters[1][1].eq(7.0).all() and not stacks.parameters[1][0].eq(7.0).any()
    stacks.keep([0, 2])
    stacks.parameters[0].data.zero_()
    assert len(stacks.modules) == 2 and modules[2][0].weight.eq(0).all()
    torch.testing.assert_close(modules[1][0].weight.detach(), before[1]["0.weight"])  # it left with tensors of its own
    stacks.release(range(2))
    stacks.parameters[0].data.fill_(1.0)
    assert modules[2][0].weight.eq(0).all()
    torch.testing.assert_close(modules[0].state_dict()["1.running_var"], before[0]["1.running_var"])


class Dropping(nn.Module):
    """A module of the user's own with dropout in it."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.inner = nn.ModuleDict({"drop": nn.Dropout(rate)})
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * self.inner["drop"](x)


def test_dropout_in_a_module_of_one_s_own_has_each_member_s_rate() -> None:
    rates = (0.0, 0.3, 0.3, 0.8)
    modules = [Dropping(rate) for rate in rates]
    stacking = Stacking(Stacks(modules), [])
    net = form(stacking, modules)
    x = torch.ones(4, 50, 400)
    state = torch.random.get_rng_state()
    z = net(x)
    assert torch.equal(torch.random.get_rng_state(), state)
    for rate, mine in zip(rates, z, strict=True):
        assert float((mine == 0).float().mean()) == pytest.approx(rate, abs=0.01)
        assert float(mine.mean().detach()) == pytest.approx(1.0, abs=0.05)
    assert not torch.equal(z[1], z[2]) and not torch.equal(net(x)[1], z[1])
    stacking.still = True
    assert torch.equal(net(x), x)
    stacking.still, stacking.training = False, False
    assert torch.equal(net(x), x)
    assert [module.inner["drop"].p for module in modules] == list(rates)


def test_what_has_no_form_says_so() -> None:
    def stacked(*modules: nn.Module) -> None:
        form(Stacking(Stacks(modules), []), modules)

    with pytest.raises(Unstackable, match=r"layer 1 has GRU, of which PyTorch has no batched form"):
        stacked(*(nn.Sequential(nn.Tanh(), nn.GRU(3, 3)) for _ in range(2)))
    with pytest.raises(Unstackable, match=r"layer 0 has other settings in one member"):
        stacked(nn.Sequential(nn.LeakyReLU(0.1)), nn.Sequential(nn.LeakyReLU(0.2)))
    with pytest.raises(Unstackable, match=r"layer 0 is not of one kind in all members"):
        stacked(nn.Sequential(nn.ReLU()), nn.Sequential(nn.Tanh()))
    with pytest.raises(Unstackable, match=r"the model has more layers in one member"):
        stacked(nn.Sequential(nn.ReLU()), nn.Sequential(nn.ReLU(), nn.ReLU()))
    watched = nn.Sequential(nn.Linear(2, 2))
    watched[0].register_forward_hook(lambda *_: None)
    with pytest.raises(Unstackable, match=r"has hooks"):
        stacked(watched, watched)
    assert differ([nn.Linear(2, 2), nn.Linear(2, 2)]) == ""
    assert "member 1" in differ([nn.Linear(2, 2), nn.Linear(2, 2).double()])


@settings(max_examples=30, deadline=None)
@given(
    smoothing=st.lists(st.floats(0, 0.9), min_size=1, max_size=4), rows=st.integers(1, 7), count=st.integers(2, 6),
    scale=st.floats(0.1, 50),
)  # fmt: skip
def test_losses_of_members(smoothing: list[float], rows: int, count: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(rows)
    outputs = scale * torch.randn(len(smoothing), rows, count, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, count, (len(smoothing), rows), generator=generator)
    objectives = [CrossEntropy(label_smoothing=s) for s in smoothing]
    found = member_losses(objectives, outputs, targets)
    wanted = [
        nn.functional.cross_entropy(mine, truth, label_smoothing=s)
        for mine, truth, s in zip(outputs, targets, smoothing, strict=True)
    ]
    torch.testing.assert_close(found, torch.stack(wanted))
