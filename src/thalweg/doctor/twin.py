"""A copy of the model and its optimizer, on which a suspicion is tried: the same start, one thing changed.

>>> twin = Twin.of(model, optimizer)             # before the first hook is hung up
>>> tried = twin.train(train, loss, steps=100, batch=64, rate=lambda step: 0.01)
>>> tried.losses[-1]
0.41

The original is never touched, nor is anybody's random state. Everything drawn here comes from ``seed``.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from thalweg.doctor.examples import Examples

Loss = Callable[[Any, torch.Tensor], torch.Tensor]
Change = Callable[[torch.nn.Module, torch.optim.Optimizer], torch.optim.Optimizer]
Judge = Callable[[torch.nn.Module], tuple[float, float]]


@dataclass(frozen=True)
class Tried:
    """What came of a trial: mini-batch losses, then loss and error on the rows it is judged by."""

    losses: tuple[float, ...]
    loss: float
    error: float
    model: torch.nn.Module

    @property
    def finite(self) -> bool:
        return all(map(math.isfinite, (*self.losses, self.loss)))


@dataclass(frozen=True)
class Twin:
    """Model and optimizer as they were at the start."""

    model: torch.nn.Module
    optimizer: torch.optim.Optimizer

    @classmethod
    def of(cls, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Twin:
        return cls(*copy.deepcopy((model, optimizer)))

    def copy(self) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        """Another pair, with no gradients left in it."""
        model, optimizer = copy.deepcopy((self.model, self.optimizer))
        for parameter in model.parameters():
            parameter.grad = None
        return model, optimizer

    def at(self, state: dict[str, torch.Tensor] | None, *, training: bool = False) -> torch.nn.Module:
        """The model with the weights of some moment."""
        model = copy.deepcopy(self.model)
        if state is not None:
            model.load_state_dict(state, strict=False)
        return model.train(training)

    def train(
        self,
        examples: Examples,
        loss: Loss,
        judge: Judge,
        *,
        steps: int,
        batch: int,
        rate: Callable[[int, int], float] | None,
        start: dict[str, torch.Tensor] | None = None,
        change: Change | None = None,
        shape: Callable[[Any], Any] | None = None,
        times: float = 1.0,
        seed: int = 0,
    ) -> Tried:
        """A plain loop of ``steps`` over shuffled rows. ``rate(step, group)`` is the learning rate from step 1 on; None leaves
        the optimizer's own. ``change`` may alter the copy and return another optimizer; ``shape`` alters the inputs; the loss
        is taken ``times`` so many."""
        with quietly(seed):
            model, optimizer = self.copy()
            if start is not None:
                model.load_state_dict(start, strict=False)
            if change is not None:
                optimizer = change(model, optimizer)
            model.train()
            losses: list[float] = []
            for step, index in enumerate(_rows(len(examples), min(batch, len(examples)), steps, seed), 1):
                if rate is not None:
                    for number, group in enumerate(optimizer.param_groups):
                        group["lr"] = rate(step, number)
                inputs, targets = examples.take(index)
                value = _stepped(model, optimizer, loss, shape(inputs) if shape else inputs, targets, times)
                losses.append(value)
                if not math.isfinite(value):
                    break
            end, error = judge(model.eval())
        return Tried(tuple(losses), end, error, model)


def _stepped(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Loss,
    inputs: Any,
    targets: torch.Tensor,
    times: float,
) -> float:
    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(model(inputs), targets)
        (value if times == 1 else times * value).backward()
        return value

    if isinstance(optimizer, torch.optim.LBFGS):
        return float(optimizer.step(closure).detach())
    value = closure()
    optimizer.step()
    return float(value.detach())


def _rows(n: int, batch: int, steps: int, seed: int) -> Iterator[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    order, at = torch.randperm(n, generator=generator), 0
    for _ in range(steps):
        if at + batch > n:
            order, at = torch.randperm(n, generator=generator), 0
        yield order[at : at + batch]
        at += batch


@contextmanager
def quietly(seed: int) -> Iterator[None]:
    """Leaves torch's random state as it was; modules that draw (dropout) draw from ``seed`` meanwhile."""
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(seed)
        yield


def outputs(model: torch.nn.Module, inputs: Any, *, chunk: int = 512) -> torch.Tensor:
    """The first float tensor a model puts out, for all rows, without gradients."""
    with torch.no_grad():
        n = len(next(leaf for leaf in tree_leaves(inputs) if isinstance(leaf, torch.Tensor)))
        whole = Examples(inputs, torch.zeros(n))
        parts = [model(whole.take(torch.arange(at, min(at + chunk, n)))[0]) for at in range(0, n, chunk)]
        found = [
            next(x for x in tree_leaves(part) if isinstance(x, torch.Tensor) and x.is_floating_point())
            for part in parts
        ]
        return torch.cat(found)
