"""Gradients of a mini-batch by automatic differentiation: right for every module.

>>> gradients = Autograd(model, torch.nn.functional.cross_entropy)
>>> loss = gradients(inputs, targets)               # the mean loss; p.grad is set for every parameter that has one

With ``autocast=torch.bfloat16`` the forward pass runs in mixed precision (weights and gradients stay float32), as
``torch.autocast`` documents it; bfloat16 needs no loss scaling.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Autograd:
    """``Gradients`` of any module: forward, mean loss, backward."""

    def __init__(self, model: torch.nn.Module, loss: Loss, *, autocast: torch.dtype | None = None) -> None:
        self.model = model
        self.loss = loss
        self.autocast = autocast

    def __call__(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        for parameter in self.model.parameters():
            parameter.grad = None
        if self.autocast is None:
            loss = self.loss(self.model(inputs), targets)
        else:
            with torch.autocast(inputs.device.type, dtype=self.autocast):
                loss = self.loss(self.model(inputs), targets)
        loss.backward()
        return loss.detach()
