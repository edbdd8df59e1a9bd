"""A linear path beside the hidden layers, for tables with few rows.

``outputs = A x + b + deep(x)``, where ``A``, ``b`` and the last layer of ``deep`` start at zero: training begins as linear (or
logistic) regression and the hidden layers add to it what a straight line cannot say. With a few hundred rows, where a deep net
alone fits noise, it keeps what the linear model knows (Cheng et al. 2016, wide & deep; He et al. 2016, the shortcut).

>>> LinearPath(10, 1, mlp(10, 1, hidden=(64, 64), dropout=0.5))
"""

from __future__ import annotations

import torch
from torch import nn


class LinearPath(nn.Module):
    """The sum of a linear map and a deep net; inputs ``(B, …)``, outputs ``(B, n_out)``."""

    def __init__(self, n_in: int, n_out: int, deep: nn.Sequential) -> None:
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        self.deep = deep
        self.start_linear()

    @torch.no_grad()
    def start_linear(self) -> None:
        """Sets the linear path and the deep net's last layer to zero: outputs are zero, gradients are not."""
        last = [module for module in self.deep if isinstance(module, nn.Linear)][-1]
        for layer in (self.linear, last):
            layer.weight.zero_()
            layer.bias.zero_()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.linear(inputs.flatten(1)) + self.deep(inputs)
