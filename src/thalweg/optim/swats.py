"""SWATS: Adam until the rate for gradient descent is known, then gradient descent with that rate (Keskar & Socher 2017).

>>> optimizer = SWATS(model.parameters(), lr=1e-3)
>>> optimizer.switches()                                     # after some training
[Switch(group=0, parameter=None, step=3127, rate=0.0412)]

The rate is that of gradient descent with averaged momentum, ``m ← βm + (1−β)g``; as PyTorch's ``SGD(momentum=β₁)`` counts,
it is ``(1 − β₁)`` times that. Schedules go on acting: the rate moves as ``lr`` does from the switch on.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Unpack

import numpy as np

from thalweg.errors import InputError
from thalweg.optim.inpass import InPass
from thalweg.optim.optimizer import Optimizer
from thalweg.optim.plan import Plan
from thalweg.optim.scheduled import scheduled
from thalweg.optim.torchs import BETAS, Betas, Params, Rate

SCOPES = ("global", "group", "tensor")


class Switch(NamedTuple):
    """When and to what: the step after which gradient descent leads, and its rate Λ at the present ``lr``.

    ``parameter`` is the number of the parameter in its group where each switches by itself (``scope="tensor"``).
    """

    group: int
    parameter: int | None
    step: int
    rate: float


class SWATS(Optimizer):
    """Adam that becomes gradient descent.

    ``scope``: one rate for all parameters (``"global"``, the paper's), for each ``"group"`` or each ``"tensor"``. ``tol``: how
    settled the rate must be, relative to itself (see ``rules.switching``); ``criterion="paper"`` takes it absolutely and
    compares the average with this step's own estimate, as the paper does.
    """

    rule_name = "swats"
    renamed = BETAS

    def __init__(
        self, params: Params, lr: Rate = 1e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-9, weight_decay: float = 0.0,
        tol: float | None = None, scope: str = "global", criterion: str = "settled", *, maximize: bool = False,
        **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        if scope not in SCOPES:
            raise InputError(f'SWATS: scope = "{scope}" is none of {", ".join(SCOPES)}')
        if criterion not in ("settled", "paper"):
            raise InputError(f'SWATS: criterion = "{criterion}" is neither settled nor paper')
        tol = tol if tol is not None else (1e-9 if criterion == "paper" else 0.1)
        if not scheduled(tol) > 0:
            raise InputError(f"SWATS: tol = {tol} must be above 0")
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "tol": tol, "scope": scope,
            "criterion": criterion, "maximize": maximize, "rate": None, "switch_step": None,
        }  # fmt: skip
        super().__init__(params, defaults, in_pass)

    def options(self, group: dict[str, Any]) -> tuple[tuple[str, bool | str], ...]:
        if group["rate"] is not None:
            return (("switched_over", True),)
        return (("scope", group["scope"]), ("paper", group["criterion"] == "paper"))

    def stepped(self, plan: Plan) -> None:
        """A group that has switched as a whole goes on with fewer numbers to read."""
        for row in plan.rows:
            group = row.group.settings
            if group["rate"] is not None or group["scope"] == "tensor":
                continue
            names = [name for name, _ in row.program.hosts]
            if not np.ravel(row.hosts[names.index("switched")])[0]:
                continue
            numbers = {name: np.ravel(value)[0] for name, value in zip(names, row.hosts, strict=True)}
            group["rate"], group["switch_step"] = float(numbers["rate"]), int(numbers["switch_step"])
            for parameter in group["params"]:
                self.state.get(parameter, {}).pop("exp_avg_sq", None)

    def switches(self) -> list[Switch]:
        """The switches made so far."""
        found = []
        for number, group in enumerate(self.param_groups):
            if group["rate"] is not None:
                found.append(Switch(number, None, group["switch_step"], group["rate"] * float(group["lr"])))
            for index, parameter in enumerate(group["params"] if group["scope"] == "tensor" else ()):
                state = self.state.get(parameter, {})
                if float(state.get("switched", 0.0)):
                    rate = float(state["rate"]) * float(group["lr"])
                    found.append(Switch(number, index, int(state["switch_step"]), rate))
        return found
