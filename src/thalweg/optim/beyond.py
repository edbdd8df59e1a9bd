"""Optimizers that PyTorch does not have, in its manner.

All take the arguments of ``inpass`` beside their own. Where the authors' code and other libraries differ, a class's text says
whose numbers it gives.
"""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from thalweg.optim.inpass import InPass
from thalweg.optim.optimizer import Optimizer
from thalweg.optim.scheduled import scheduled
from thalweg.optim.torchs import BETAS, FROM_0, Adam, Betas, NAdam, Params, Rate


class Momentum(Optimizer):
    """Momentum as an exponentially weighted average, ``m ← βm + (1−β)g``; PyTorch has no such class."""

    rule_name = "momentum"

    def __init__(
        self, params: Params, lr: Rate = 1e-2, beta: float = 0.9, weight_decay: float = 0.0, *, maximize: bool = False,
        **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        if not 0.0 <= scheduled(beta) < 1.0:
            raise ValueError(f"Invalid beta parameter: {beta}")
        defaults = {
            "lr": lr, "beta": beta, "weight_decay": weight_decay, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults, in_pass)


class Nesterov(Momentum):
    """Nesterov's accelerated gradient (sum form, one gradient a step)."""

    rule_name = "nesterov"


class HeavyBall(Momentum):
    """Momentum as a decaying sum, ``m ← βm + g`` (Polyak 1964)."""

    rule_name = "momentum_sum"


class AMSGrad(Adam):
    """Adam whose second moment never decreases (Reddi et al. 2018): ``Adam(amsgrad=True)``."""

    def __init__(
        self, params: Params, lr: Rate = 1e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, *, maximize: bool = False, **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, True, maximize=maximize, **in_pass,
        )  # fmt: skip


class NAdamW(NAdam):
    """NAdam with decoupled weight decay."""

    def __init__(
        self, params: Params, lr: Rate = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2, momentum_decay: float = 4e-3, *, maximize: bool = False, **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            momentum_decay,
            decoupled_weight_decay=True,
            maximize=maximize,
            **in_pass,
        )


class _Adaptive(Optimizer):
    """What the adaptive ones share: betas, ε, decay that is decoupled, as their authors have it."""

    renamed = BETAS
    decay = "decoupled_decay"

    def _begin(
        self, params: Params, in_pass: InPass, lr: Rate, betas: tuple[Any, ...], weight_decay: float, maximize: bool,
        **more: float,
    ) -> None:  # fmt: skip
        defaults = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize, **more}
        Optimizer.__init__(self, params, defaults, in_pass)


class AdaBelief(_Adaptive):
    """AdaBelief (Zhuang et al. 2020): large steps where the gradient is what was expected. The authors' numbers."""

    rule_name = "adabelief"

    def __init__(
        self, params: Params, lr: Rate = 1e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-16, weight_decay: float = 0.0, *,
        maximize: bool = False, **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        self._begin(params, in_pass, lr, betas, weight_decay, maximize, eps=eps)


class Lion(_Adaptive):
    """Lion (Chen et al. 2023): the sign of a mean; one state. Rates are about a tenth of Adam's, decay ten times."""

    rule_name = "lion"

    def __init__(
        self, params: Params, lr: Rate = 1e-4, betas: Betas = (0.9, 0.99), weight_decay: float = 0.0, *, maximize: bool = False,
        **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        self._begin(params, in_pass, lr, betas, weight_decay, maximize)


class Adan(_Adaptive):
    """Adan (Xie et al. 2022). ``betas`` weigh the past, as in Adam: the paper's are 1 minus these."""

    rule_name = "adan"
    renamed: ClassVar = {**BETAS, "beta3": ("betas", 2)}

    def __init__(
        self, params: Params, lr: Rate = 1e-3, betas: tuple[float, float, float] = (0.98, 0.92, 0.99), eps: float = 1e-8,
        weight_decay: float = 0.0, *, maximize: bool = False, **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        self._begin(params, in_pass, lr, betas, weight_decay, maximize, eps=eps)


class Yogi(_Adaptive):
    """Yogi (Zaheer et al. 2018). Both moments begin at ``initial_accumulator``, as in optax."""

    rule_name = "yogi"
    ranges: ClassVar = {"initial_accumulator": FROM_0}

    def __init__(
        self, params: Params, lr: Rate = 1e-2, betas: Betas = (0.9, 0.999), eps: float = 1e-3, weight_decay: float = 0.0,
        initial_accumulator: float = 1e-6, *, maximize: bool = False, **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        more = {"eps": eps, "initial_accumulator": initial_accumulator}
        self._begin(params, in_pass, lr, betas, weight_decay, maximize, **more)


class LAMB(_Adaptive):
    """LAMB (You et al. 2020), for large batches: each tensor's step is as long as the tensor."""

    rule_name = "lamb"
    decays_itself = True

    def __init__(
        self, params: Params, lr: Rate = 1e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-6, weight_decay: float = 0.0, *,
        maximize: bool = False, **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        self._begin(params, in_pass, lr, betas, weight_decay, maximize, eps=eps)


class LARS(Optimizer):
    """LARS (You et al. 2017), for large batches: momentum over gradients whose length is a share of their tensor's."""

    rule_name = "lars"
    ranges: ClassVar = {"momentum": FROM_0}
    decays_itself = True

    def __init__(
        self, params: Params, lr: Rate = 1.0, momentum: float = 0.9, weight_decay: float = 0.0,
        trust_coefficient: float = 1e-3, eps: float = 0.0, nesterov: bool = False, *, maximize: bool = False,
        **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        defaults = {
            "lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust_coefficient": trust_coefficient, "eps": eps,
            "nesterov": nesterov, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults, in_pass)

    def options(self, group: dict[str, Any]) -> tuple[tuple[str, bool | str], ...]:
        return (("nesterov", bool(group["nesterov"])),)
