"""The optimizers, with PyTorch's names, arguments and defaults where PyTorch has the class.

Each says which rule it follows; the numbers are PyTorch's to rounding. All take two arguments more: ``clip_norm`` (the largest
norm of the whole gradient, as ``clip_grad_norm_``) and ``clip_value`` (the largest size of an element), both in the same pass.
``foreach``, ``fused`` and ``capturable`` are accepted and do nothing: there is one form, the fused one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from torch import Tensor

from thalweg.optim.optimizer import Form, Optimizer

Params = Iterable[Any]
Rate = float | Tensor
BETAS: dict[str, tuple[str, int | None]] = {"beta1": ("betas", 0), "beta2": ("betas", 1)}


def _check(name: str, value: float, low: float, high: float = float("inf")) -> None:
    if not low <= value <= high:
        raise ValueError(f"Invalid {name} value: {value}")


class SGD(Optimizer):
    """Gradient descent with PyTorch's momentum (a decaying sum that starts as the undamped gradient)."""

    rule_name = "sgd"
    keeps_step = False

    def __init__(
        self, params: Params, lr: Rate = 1e-3, momentum: float = 0.0, dampening: float = 0.0,
        weight_decay: float | Tensor = 0.0, nesterov: bool = False, *, maximize: bool = False, foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None, clip_norm: float | None = None, clip_value: float | None = None, engine: str = "auto",
    ) -> None:  # fmt: skip
        _check("momentum", momentum, 0.0)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
            "maximize": maximize, "foreach": foreach, "differentiable": differentiable, "fused": fused,
            "clip_norm": clip_norm, "clip_value": clip_value,
        }  # fmt: skip
        super().__init__(params, defaults, engine=engine)

    def options(self, group: dict[str, Any]) -> tuple[tuple[str, bool], ...]:
        return (("momentum_on", group["momentum"] != 0), ("nesterov", bool(group["nesterov"])))


class Momentum(Optimizer):
    """Momentum as an exponentially weighted average, ``m ← βm + (1−β)g``; PyTorch has no such class."""

    rule_name = "momentum"

    def __init__(
        self, params: Params, lr: Rate = 1e-2, beta: float = 0.9, weight_decay: float = 0.0, *, maximize: bool = False,
        clip_norm: float | None = None, clip_value: float | None = None, engine: str = "auto",
    ) -> None:  # fmt: skip
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter: {beta}")
        defaults = {
            "lr": lr, "beta": beta, "weight_decay": weight_decay, "maximize": maximize, "clip_norm": clip_norm,
            "clip_value": clip_value,
        }  # fmt: skip
        super().__init__(params, defaults, engine=engine)


class Nesterov(Momentum):
    """Nesterov's accelerated gradient (sum form, one gradient a step)."""

    rule_name = "nesterov"


class HeavyBall(Momentum):
    """Momentum as a decaying sum, ``m ← βm + g`` (Polyak 1964)."""

    rule_name = "momentum_sum"


class Adagrad(Optimizer):
    """AdaGrad (Duchi et al. 2011)."""

    rule_name = "adagrad"
    start: ClassVar[dict[str, str]] = {"sum": "initial_accumulator_value"}

    def __init__(
        self, params: Params, lr: Rate = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
        initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, *, maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None, clip_norm: float | None = None, clip_value: float | None = None, engine: str = "auto",
    ) -> None:  # fmt: skip
        _check("lr_decay", lr_decay, 0.0)
        _check("initial_accumulator_value", initial_accumulator_value, 0.0)
        defaults = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "fused": fused, "clip_norm": clip_norm, "clip_value": clip_value,
        }  # fmt: skip
        super().__init__(params, defaults, engine=engine)


class Adadelta(Optimizer):
    """AdaDelta (Zeiler 2012)."""

    rule_name = "adadelta"

    def __init__(
        self, params: Params, lr: Rate = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0,
        foreach: bool | None = None, *, capturable: bool = False, maximize: bool = False, differentiable: bool = False,
        clip_norm: float | None = None, clip_value: float | None = None, engine: str = "auto",
    ) -> None:  # fmt: skip
        _check("rho", rho, 0.0, 1.0)
        defaults = {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize, "capturable": capturable,
            "foreach": foreach, "differentiable": differentiable, "clip_norm": clip_norm, "clip_value": clip_value,
        }  # fmt: skip
        super().__init__(params, defaults, engine=engine)


class RMSprop(Optimizer):
    """RMSProp (Tieleman & Hinton 2012), centered and with momentum where asked."""

    rule_name = "rmsprop"

    def __init__(
        self, params: Params, lr: Rate = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0,
        momentum: float = 0, centered: bool = False, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False, *, clip_norm: float | None = None,
        clip_value: float | None = None, engine: str = "auto",
    ) -> None:  # fmt: skip
        _check("momentum", momentum, 0.0)
        _check("alpha", alpha, 0.0)
        defaults = {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered, "weight_decay": weight_decay,
            "capturable": capturable, "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
            "clip_norm": clip_norm, "clip_value": clip_value,
        }  # fmt: skip
        super().__init__(params, defaults, engine=engine)

    def options(self, group: dict[str, Any]) -> tuple[tuple[str, bool], ...]:
        return (("centered", bool(group["centered"])), ("momentum_on", group["momentum"] > 0))


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015); AMSGrad and decoupled decay where asked."""

    rule_name = "adam"
    renamed = BETAS
    decoupled = False

    def __init__(
        self, params: Params, lr: Rate = 1e-3, betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, amsgrad: bool = False, *, foreach: bool | None = None, maximize: bool = False,
        capturable: bool = False, differentiable: bool = False, fused: bool | None = None,
        decoupled_weight_decay: bool = False, clip_norm: float | None = None, clip_value: float | None = None,
        engine: str = "auto",
    ) -> None:  # fmt: skip
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad, "maximize": maximize,
            "foreach": foreach, "capturable": capturable, "differentiable": differentiable, "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay, "clip_norm": clip_norm, "clip_value": clip_value,
        }  # fmt: skip
        super().__init__(params, defaults, engine=engine)

    def options(self, group: dict[str, Any]) -> tuple[tuple[str, bool], ...]:
        return (("amsgrad", bool(group["amsgrad"])),)

    def decay_of(self, group: dict[str, Any]) -> str:
        return "decoupled_decay" if group["decoupled_weight_decay"] else "coupled_decay"


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    def __init__(
        self, params: Params, lr: Rate = 1e-3, betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False, foreach: bool | None = None,
        capturable: bool = False, differentiable: bool = False, fused: bool | None = None, clip_norm: float | None = None,
        clip_value: float | None = None, engine: str = "auto",
    ) -> None:  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True, clip_norm=clip_norm,
            clip_value=clip_value, engine=engine,
        )  # fmt: skip


class AMSGrad(Adam):
    """Adam whose second moment never decreases (Reddi et al. 2018): ``Adam(amsgrad=True)``."""

    def __init__(
        self, params: Params, lr: Rate = 1e-3, betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, *, maximize: bool = False, clip_norm: float | None = None, clip_value: float | None = None,
        engine: str = "auto",
    ) -> None:  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, True, maximize=maximize, clip_norm=clip_norm, clip_value=clip_value,
            engine=engine,
        )  # fmt: skip


class NAdam(Optimizer):
    """NAdam (Dozat 2016): Nesterov's look-ahead inside Adam."""

    rule_name = "nadam"
    renamed = BETAS

    def __init__(
        self, params: Params, lr: Rate = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False, differentiable: bool = False,
        clip_norm: float | None = None, clip_value: float | None = None, engine: str = "auto",
    ) -> None:  # fmt: skip
        _check("momentum_decay", momentum_decay, 0.0)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize, "foreach": foreach,
            "capturable": capturable, "differentiable": differentiable, "clip_norm": clip_norm, "clip_value": clip_value,
        }  # fmt: skip
        super().__init__(params, defaults, engine=engine)

    def decay_of(self, group: dict[str, Any]) -> str:
        return "decoupled_decay" if group["decoupled_weight_decay"] else "coupled_decay"


NAMED: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "heavy_ball": HeavyBall,
    "nesterov": Nesterov,
    "adagrad": Adagrad,
    "adadelta": Adadelta,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
    "amsgrad": AMSGrad,
    "nadam": NAdam,
}

__all__ = ["NAMED", "Form", *(kind.__name__ for kind in NAMED.values())]
