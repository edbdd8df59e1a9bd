"""A network of your own: thalweg train examples/mymodel.py:build --data digits"""

import torch
from torch import nn


class Residual(nn.Module):
    """Two layers and a way around them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.layers(x))


def build(n_inputs: int, n_outputs: int) -> nn.Module:
    """Called with the size of the data's inputs and the number of outputs they need."""
    return nn.Sequential(nn.Flatten(), nn.Linear(n_inputs, 96), Residual(96), Residual(96), nn.Linear(96, n_outputs))
