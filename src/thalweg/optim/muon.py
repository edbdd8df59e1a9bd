"""Muon for matrices, AdamW for all else (Jordan et al. 2024).

>>> optimizer = Muon(model.parameters(), lr=0.02)                        # matrices by Muon, biases and norms by AdamW
>>> optimizer = Muon([{"params": hidden}, {"params": embeddings, "rule": "adamw", "lr": 3e-4}])

Parameters of two and more dimensions follow Muon; others are put into a group of their own behind it, with ``rule="adamw"`` and
that rule's own rate. Embeddings and the output layer, though matrices, train better under AdamW: put them there by hand.
"""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

import torch

from thalweg.errors import InputError
from thalweg.optim.inpass import InPass
from thalweg.optim.optimizer import Optimizer
from thalweg.optim.torchs import Betas, Params, Rate

RULES = ("muon", "adamw")


def _parameter(member: torch.Tensor | tuple[str, torch.Tensor]) -> torch.Tensor:
    """A parameter, given by itself or with its name."""
    return member[1] if isinstance(member, tuple) else member


class Muon(Optimizer):
    """Orthogonalised momentum. The arguments up to ``adjust_lr_fn`` are PyTorch's, and so are the numbers.

    ``rest_lr``, ``betas`` and ``rest_weight_decay`` are AdamW's, for what is no matrix.
    """

    rule_name = "muon"
    decay = "decoupled_decay"
    renamed: ClassVar = {
        "ns_a": ("ns_coefficients", 0), "ns_b": ("ns_coefficients", 1), "ns_c": ("ns_coefficients", 2),
        "beta1": ("betas", 0), "beta2": ("betas", 1),
    }  # fmt: skip
    keeps_step = False

    def __init__(
        self, params: Params, lr: Rate = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95, nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315), eps: float = 1e-7, ns_steps: int = 5,
        adjust_lr_fn: str | None = None, *, rest_lr: Rate = 3e-4, betas: Betas = (0.9, 0.95), rest_eps: float = 1e-8,
        rest_weight_decay: float = 0.0, maximize: bool = False, **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        if not 0 < ns_steps < 100:
            raise InputError(f"Muon: ns_steps = {ns_steps} must be from 1 to 99; 5 is usual")
        self.rest = {"rule": "adamw", "lr": rest_lr, "weight_decay": rest_weight_decay, "eps": rest_eps}
        defaults = {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
            "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn,
            "betas": betas, "rule": "muon", "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults, in_pass)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds parameters; those of a Muon group that are no matrices get a group of their own behind it."""
        if param_group.get("rule", "muon") not in RULES:
            raise InputError(f'Muon: rule = "{param_group["rule"]}" is neither muon nor adamw')
        if param_group.get("rule") == "adamw":
            super().add_param_group({**self.rest, **param_group})
            return
        params = param_group["params"]
        members = [params] if isinstance(params, torch.Tensor) else list(params)
        flat = [member for member in members if _parameter(member).ndim < 2]
        if not flat:
            super().add_param_group({**param_group, "params": members})
            return
        matrices = [member for member in members if _parameter(member).ndim >= 2]
        if matrices:
            super().add_param_group({**param_group, "params": matrices})
        super().add_param_group({**param_group, **self.rest, "params": flat})

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "rest": self.rest}

    def rule_of(self, group: dict[str, Any]) -> str:
        return "muon" if group["rule"] == "muon" else "adam"

    def counts(self, group: dict[str, Any]) -> bool:
        return group["rule"] != "muon" or super().counts(group)

    def options(self, group: dict[str, Any]) -> tuple[tuple[str, bool | str], ...]:
        if group["rule"] != "muon":
            return ()
        return (("nesterov", bool(group["nesterov"])), ("match_rms", group["adjust_lr_fn"] == "match_rms_adamw"))
