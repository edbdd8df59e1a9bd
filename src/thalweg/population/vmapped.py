"""The form of what is not known: its own ``forward``, mapped over the members' parameters by ``torch.func.vmap``.

>>> net = vmapped(stacking, modules)
>>> net(x.expand(K, *x.shape)).shape                # (K, B, outputs)

``nn.Dropout`` inside it may have a rate of its own in each member: for the mapping it is replaced by one whose rate is a
number of the member, like a parameter. Dice are torch's own there, seeded anew for each step.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from thalweg.population.stacks import Stacking

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
RATE = re.compile(r"\bDropout\(p=[^,)]*")


def without_rates(module: nn.Module) -> str:
    """What a module is, but for the rates of ``nn.Dropout`` in it."""
    return RATE.sub("Dropout(", repr(module))


class _Rated(nn.Module):
    """Inverted dropout whose rate is a tensor, as vmap needs it."""

    rate: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("rate", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * (torch.rand_like(x) >= self.rate) / (1 - self.rate)


def _rated(modules: Sequence[nn.Module]) -> tuple[nn.Module, dict[str, Tensor]]:
    """A module like the first one, and the rates of dropout, ``(K,)`` by the names of their buffers in it."""
    pattern = deepcopy(modules[0])
    columns = zip(*([part for part in module.modules() if type(part) is nn.Dropout] for module in modules), strict=True)
    names = [name for name, part in pattern.named_modules() if type(part) is nn.Dropout]
    rates = {}
    for name, column in zip(names, columns, strict=True):
        values = torch.tensor([float(part.p) for part in column])
        if len(values.unique()) > 1:
            owner, _, own = name.rpartition(".")
            setattr(pattern.get_submodule(owner), own, _Rated())
            rates[f"{name}.rate"] = values
    return pattern, rates


def vmapped(stacking: Stacking, modules: Sequence[nn.Module]) -> Callable[[Tensor], Tensor]:
    """The stacked form of modules of any kind."""
    parameters, buffers = stacking.stacks.of(modules[0])
    pattern, rates = _rated(modules)
    drops = [part for part in pattern.modules() if isinstance(part, (*DROPOUTS, _Rated))]

    def one(values: dict[str, Tensor], kept: dict[str, Tensor], x: Tensor) -> Tensor:
        out: Tensor = torch.func.functional_call(pattern, (values, kept), (x,))
        return out

    by_member = torch.func.vmap(one, randomness="different")

    def mapped(x: Tensor) -> Tensor:
        kept = {**buffers, **{name: values.to(x.device) for name, values in rates.items()}}
        with (
            warnings.catch_warnings()
        ):  # some operations go member by member inside; whether it pays all the same is measured
            warnings.filterwarnings("ignore", "There is a performance drop")
            out: Tensor = by_member(parameters, kept, x)
        return out

    def run(x: Tensor) -> Tensor:
        pattern.train(stacking.training)
        if not drops or not stacking.training:
            return mapped(x)
        for part in drops:
            part.train(not stacking.still)
        with torch.random.fork_rng(devices=[]):  # such a layer draws from torch's own generator
            torch.random.default_generator.manual_seed(stacking.seed + stacking.draws)
            stacking.draws += 1
            return mapped(x)

    return run
