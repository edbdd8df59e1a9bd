"""PyTorch's optimizers, with its names, arguments and defaults.

Each says which rule it follows; the numbers are PyTorch's to rounding. All take the arguments of ``inpass`` beside PyTorch's.
With ε inside the root: ``class_from(rules.variant("adam", eps_inside=True))``, and so for ``rmsprop`` and ``adagrad``.
``foreach``, ``fused`` and ``capturable`` are accepted and do nothing: there is one form, the fused one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Unpack

from torch import Tensor

from thalweg.optim.inpass import InPass
from thalweg.optim.optimizer import Optimizer
from thalweg.optim.scheduled import scheduled

Params = Iterable[Any]
Rate = float | Tensor
Betas = tuple[float | Tensor, float | Tensor]
FROM_0 = (0.0, float("inf"))
BETAS: dict[str, tuple[str, int | None]] = {"beta1": ("betas", 0), "beta2": ("betas", 1)}


class SGD(Optimizer):
    """Gradient descent with PyTorch's momentum (a decaying sum that starts as the undamped gradient)."""

    rule_name = "sgd"
    ranges: ClassVar = {"momentum": FROM_0}
    keeps_step = False

    def __init__(
        self, params: Params, lr: Rate = 1e-3, momentum: float = 0.0, dampening: float = 0.0,
        weight_decay: float | Tensor = 0.0, nesterov: bool = False, *, maximize: bool = False, foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None, **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
            "maximize": maximize, "foreach": foreach, "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults, in_pass)

    def options(self, group: dict[str, Any]) -> tuple[tuple[str, bool | str], ...]:
        return (("momentum_on", group["momentum"] != 0), ("nesterov", bool(group["nesterov"])))


class Adagrad(Optimizer):
    """AdaGrad (Duchi et al. 2011)."""

    rule_name = "adagrad"
    ranges: ClassVar = {"lr_decay": FROM_0, "initial_accumulator_value": FROM_0}

    def __init__(
        self, params: Params, lr: Rate = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
        initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, *, maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None, **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        defaults = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults, in_pass)


class Adadelta(Optimizer):
    """AdaDelta (Zeiler 2012)."""

    rule_name = "adadelta"
    ranges: ClassVar = {"rho": (0.0, 1.0)}

    def __init__(
        self, params: Params, lr: Rate = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0,
        foreach: bool | None = None, *, capturable: bool = False, maximize: bool = False, differentiable: bool = False,
        **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        defaults = {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize, "capturable": capturable,
            "foreach": foreach, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults, in_pass)


class RMSprop(Optimizer):
    """RMSProp (Tieleman & Hinton 2012), centered and with momentum where asked."""

    rule_name = "rmsprop"
    ranges: ClassVar = {"momentum": FROM_0, "alpha": FROM_0}

    def __init__(
        self, params: Params, lr: Rate = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0,
        momentum: float = 0, centered: bool = False, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False, **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        defaults = {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered, "weight_decay": weight_decay,
            "capturable": capturable, "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults, in_pass)

    def options(self, group: dict[str, Any]) -> tuple[tuple[str, bool | str], ...]:
        return (("centered", bool(group["centered"])), ("momentum_on", group["momentum"] > 0))


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015); AMSGrad and decoupled decay where asked."""

    rule_name = "adam"
    renamed = BETAS
    decoupled = False

    def __init__(
        self, params: Params, lr: Rate = 1e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, amsgrad: bool = False, *, foreach: bool | None = None, maximize: bool = False,
        capturable: bool = False, differentiable: bool = False, fused: bool | None = None,
        decoupled_weight_decay: bool = False, **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad, "maximize": maximize,
            "foreach": foreach, "capturable": capturable, "differentiable": differentiable, "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }  # fmt: skip
        super().__init__(params, defaults, in_pass)

    def options(self, group: dict[str, Any]) -> tuple[tuple[str, bool | str], ...]:
        return (("amsgrad", bool(group["amsgrad"])),)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    def __init__(
        self, params: Params, lr: Rate = 1e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False, foreach: bool | None = None,
        capturable: bool = False, differentiable: bool = False, fused: bool | None = None, **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True, **in_pass,
        )  # fmt: skip


class NAdam(Optimizer):
    """NAdam (Dozat 2016): Nesterov's look-ahead inside Adam."""

    rule_name = "nadam"
    ranges: ClassVar = {"momentum_decay": FROM_0}
    renamed = BETAS

    def __init__(
        self, params: Params, lr: Rate = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False, differentiable: bool = False,
        **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize, "foreach": foreach,
            "capturable": capturable, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults, in_pass)


class RAdam(Optimizer):
    """RAdam (Liu et al. 2020): Adam once its second moment can be trusted, momentum before."""

    rule_name = "radam"
    renamed = BETAS

    def __init__(
        self, params: Params, lr: Rate = 1e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0,
        decoupled_weight_decay: bool = False, *, foreach: bool | None = None, maximize: bool = False,
        capturable: bool = False, differentiable: bool = False, **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize, "foreach": foreach,
            "capturable": capturable, "decoupled_weight_decay": decoupled_weight_decay, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults, in_pass)


class Adamax(Optimizer):
    """Adamax (Kingma & Ba 2015, section 7.1)."""

    rule_name = "adamax"
    renamed = BETAS

    def __init__(
        self, params: Params, lr: Rate = 2e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0,
        foreach: bool | None = None, *, maximize: bool = False, differentiable: bool = False, capturable: bool = False,
        **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults, in_pass)


class ASGD(Optimizer):
    """Averaged gradient descent (Polyak & Juditsky 1992); ``averaged()`` puts the average in the weights' place."""

    rule_name = "asgd"

    def __init__(
        self, params: Params, lr: Rate = 1e-2, lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6,
        weight_decay: float = 0, foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
        capturable: bool = False, **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        defaults = {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults, in_pass)


class Rprop(Optimizer):
    """Resilient back-propagation (Riedmiller & Braun 1993), for full batches."""

    rule_name = "rprop"
    decays_itself = True  # that is, not at all: PyTorch's has no decay either
    renamed: ClassVar = {
        "eta_minus": ("etas", 0), "eta_plus": ("etas", 1), "step_min": ("step_sizes", 0), "step_max": ("step_sizes", 1),
    }  # fmt: skip

    def __init__(
        self, params: Params, lr: Rate = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False, **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        low, high = scheduled(etas)
        if not 0.0 < low < 1.0 < high:
            raise ValueError(f"Invalid eta values: {low}, {high}")
        defaults = {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults, in_pass)
