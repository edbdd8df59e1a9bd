"""A sum of two ways through a net: what a residual block is, whatever stands in its branch.

With the identity as shortcut, ``∂L/∂x = ∂L/∂y (1 + ∂f/∂x)``: the gradient reaches every block whole, however many there
are (He et al. 2015; 2016, equation 5).

>>> Residual(nn.Sequential(nn.ReLU(), nn.Linear(64, 64)))                             # x + f(x)
>>> Residual(nn.Sequential(nn.ReLU(), nn.Linear(64, 32)), nn.Linear(64, 32))          # a projection where widths differ
"""

from __future__ import annotations

from torch import Tensor, nn


class Residual(nn.Module):
    """``shortcut(x) + branch(x)``; the shortcut is the identity unless given."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = nn.Identity() if shortcut is None else shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.branch(x)
