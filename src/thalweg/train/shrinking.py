"""Hooks that keep weights small or few: a cost on their squares, on their sizes, a limit on each unit's.

>>> hooks = (L2(10.0, len(x_train)), ClipNorm(1.0))                 # J + λ/2m Σ‖W‖²; before what clips
>>> hooks = (ProximalL1(10.0, len(x_train)), MaxNorm(3.0))          # for any torch.optim.Optimizer

m is the number of training examples, so that λ means the same whatever the batch size. Weights are the parameters of two or
more dimensions; biases and the scales of norms are left out. The loss that a run reports stays that of the data.

>>> sparsity(model)["total"]                                        # the share of weights that are exactly 0
0.83
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import nn

from thalweg.errors import InputError
from thalweg.train.hooks import Hook, State
from thalweg.train.parallel import local, whole

WITH_UNITS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def _checked(name: str, strength: float, examples: int) -> None:
    if not 0.0 <= strength < float("inf"):
        raise InputError(f"the {name} strength is {strength}: it must be 0 or more and finite")
    if examples < 1:
        raise InputError(
            f"{name} is given {examples} training examples: it divides its cost by their number, at least 1"
        )


def _weights(parameters: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
    return (parameter for parameter in parameters if parameter.ndim >= 2)


class L2(Hook):
    """Adds ``λ/2m Σ‖W‖²_F`` to the cost: ``λ/m W`` to the gradient of each weight that has one.

    Under plain gradient descent that is weight decay, ``W ← (1 − αλ/m) W − α ∂L/∂W``; under a rule that divides by the
    gradient's size it is not (Loshchilov, Hutter 2019). Its place is before a hook that clips.
    """

    def __init__(self, strength: float, examples: int) -> None:
        _checked("L2", strength, examples)
        self.decay = strength / examples

    @torch.no_grad()
    def on_gradient(self, state: State) -> None:
        for group in state.optimizer.param_groups:
            for weight in _weights(group["params"]):
                if weight.grad is not None:
                    weight.grad.add_(weight, alpha=self.decay)


class ProximalL1(Hook):
    """The proximal step of a cost ``λ/2m Σ|w|``: after each update weights move towards 0 by ``α λ/2m`` and stop there.

    A subgradient would make weights small; this makes them 0 (Daubechies, Defrise, De Mol 2004). α is the group's rate.
    thalweg's optimizers do this inside their own pass (``l1 = λ/2m``); this hook serves every other optimizer.
    """

    def __init__(self, strength: float, examples: int) -> None:
        _checked("L1", strength, examples)
        self.slope = strength / (2 * examples)

    @torch.no_grad()
    def on_step(self, state: State) -> None:
        for group in state.optimizer.param_groups:
            threshold = float(group["lr"]) * self.slope
            for weight in _weights(group["params"]):
                weight.copy_(torch.nn.functional.softshrink(weight, threshold))


class MaxNorm(Hook):
    """After each update the weights into every unit (a row of Linear, a filter of a convolution) have norm ≤ ``limit``.

    Longer ones are scaled down to it (Srivastava et al. 2014, section 5.1), as ``torch.renorm`` does.
    """

    def __init__(self, limit: float) -> None:
        if not 0.0 < limit < float("inf"):
            raise InputError(f"the largest norm of a unit's weights is {limit}: it must be above 0 and finite")
        self.limit = limit

    @torch.no_grad()
    def on_step(self, state: State) -> None:
        for module in state.model.modules():
            if isinstance(module, WITH_UNITS) and module.weight.requires_grad:
                weight = local(module.weight)  # shards are of whole rows
                torch.renorm(weight, 2, 0, self.limit, out=weight)


def sparsity(model: nn.Module) -> dict[str, float]:
    """The share of exact zeros: ``total`` over all weights, and each weight's by its name."""
    weights = {name: parameter.detach() for name, parameter in model.named_parameters() if parameter.ndim >= 2}
    zeros = {name: int(whole((weight == 0).sum())) for name, weight in weights.items()}
    total = sum(zeros.values()) / max(sum(weight.numel() for weight in weights.values()), 1)
    return {"total": total, **{name: zeros[name] / max(weight.numel(), 1) for name, weight in weights.items()}}
