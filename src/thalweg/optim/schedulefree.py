"""Schedule-free optimizers (Defazio et al. 2024): no schedule, no end known beforehand, and better weights to look at.

While training the weights hold y, where gradients are taken; what is to be evaluated and saved is the average x. Use ``with
optimizer.averaged():`` around an evaluation, or ``eval()`` and ``train()`` as in the authors' package. Models with batch
norm should see some batches in evaluation mode before its running statistics are used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Unpack

import torch

from thalweg.errors import InputError
from thalweg.optim.inpass import InPass
from thalweg.optim.optimizer import Optimizer
from thalweg.optim.scheduled import scheduled
from thalweg.optim.torchs import Betas, Params, Rate


class _ScheduleFree(Optimizer):
    decays_itself = True

    def beta_of(self, group: dict[str, Any]) -> float:
        """The share of x in y."""
        raise NotImplementedError

    def averages(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """x for each parameter that has made a step: ``y = (1 − β) z + β x``."""
        for group in self.param_groups:
            beta = self.beta_of(group)
            for parameter in group["params"]:
                z = self.state.get(parameter, {}).get("z")
                if z is not None and group.get("train_mode", True):
                    yield parameter, z + (parameter.detach() - z) / beta if beta else parameter.detach().clone()

    def _refuse_inside(self, what: str) -> None:
        if self._averaged:
            raise InputError(
                f"{type(self).__name__}: {what}() inside averaged(): the weights hold the average until its end"
            )

    @torch.no_grad()
    def eval(self) -> None:
        """Puts x into the weights, to evaluate or save them. Does nothing where they are there."""
        self._refuse_inside("eval")
        for parameter, average in list(self.averages()):
            parameter.copy_(average)
        for group in self.param_groups:
            group["train_mode"] = False

    @torch.no_grad()
    def train(self) -> None:
        """Puts y back, to go on training."""
        self._refuse_inside("train")
        for group in self.param_groups:
            beta = self.beta_of(group)
            if not group.get("train_mode", True):
                for parameter in group["params"]:
                    z = self.state.get(parameter, {}).get("z")
                    if z is not None:
                        parameter.copy_(z + (parameter - z) * beta)
            group["train_mode"] = True

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step, in training mode."""
        if not all(group.get("train_mode", True) for group in self.param_groups):
            raise InputError(
                f"{type(self).__name__}: the weights hold the average; call optimizer.train() before step()"
            )
        return super().step(closure)

    step.hooked = True  # type: ignore[attr-defined]


class ScheduleFreeSGD(_ScheduleFree):
    """Gradient descent without a schedule. The authors' arguments and numbers; rates are larger than SGD's."""

    rule_name = "schedule_free_sgd"

    def __init__(
        self, params: Params, lr: Rate = 1.0, momentum: float = 0.9, weight_decay: float = 0.0, warmup_steps: int = 0,
        r: float = 0.0, weight_lr_power: float = 2.0, *, maximize: bool = False, **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        if not 0.0 < scheduled(momentum) < 1.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        defaults = {
            "lr": lr, "momentum": momentum, "weight_decay": weight_decay, "warmup_steps": warmup_steps, "r": r,
            "weight_lr_power": weight_lr_power, "maximize": maximize, "train_mode": True,
        }  # fmt: skip
        super().__init__(params, defaults, in_pass)

    def beta_of(self, group: dict[str, Any]) -> float:
        return float(group["momentum"])


class ScheduleFreeAdamW(_ScheduleFree):
    """AdamW without a schedule. The authors' arguments and numbers; rates are one to ten times AdamW's."""

    rule_name = "schedule_free_adamw"
    renamed: ClassVar = {"beta1": ("betas", 0), "beta2": ("betas", 1)}

    def __init__(
        self, params: Params, lr: Rate = 2.5e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.0,
        warmup_steps: int = 0, r: float = 0.0, weight_lr_power: float = 2.0, *, maximize: bool = False,
        **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        if not scheduled(betas)[0] > 0.0:
            raise ValueError(f"Invalid beta parameter at index 0: {betas[0]}")
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "warmup_steps": warmup_steps, "r": r,
            "weight_lr_power": weight_lr_power, "maximize": maximize, "train_mode": True,
        }  # fmt: skip
        super().__init__(params, defaults, in_pass)

    def beta_of(self, group: dict[str, Any]) -> float:
        return float(group["betas"][0])
