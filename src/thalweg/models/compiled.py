"""The compiled way through a net: its layers as a table for one kernel call (see ``kernels``).

It takes what small nets are made of: float32 on the CPU, Linear layers with an activation or nothing between them, dropout, the
three losses. Everything else goes the eager way.

>>> plan = Compiled(blocks(modules), nn.CrossEntropyLoss(), rows=64)
>>> loss = plan.run(inputs, targets)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.cache import imported
from thalweg.errors import InputError
from thalweg.models.losses import wanted_distributions
from thalweg.models.smooth import KINDS, SLOPED

MOST_OUTPUTS = 512
"""Above this the kernel's scalar exponentials cost more than PyTorch's overhead."""
FEW_OPERATIONS = 1e8
"""Floating-point operations in a step from which several threads, where PyTorch may use them, outrun the kernel's one."""


@cache
def kernels() -> ModuleType:
    """``thalweg.models.kernels``, imported from the cache folder, where Numba keeps its machine code beside it."""
    here = Path(__file__).parent
    text = (here / "kernels.py").read_text(encoding="utf-8")
    called = "".join((here / name).read_text(encoding="utf-8") for name in ("tiles.py", "smooth.py"))
    return imported("backprop", text, version=called)


@dataclass(frozen=True)
class Block:
    """A linear layer, the activation after it, the dropout after that."""

    linear: nn.Linear
    activation: nn.Module | None
    dropout: nn.Dropout | None

    @property
    def kind(self) -> tuple[int, float]:
        """The kind of activation by ``smooth``, and what the kernel is told of it: the slope below 0 (1: none), ELU's α."""
        if self.activation is None or isinstance(self.activation, nn.ReLU):
            return SLOPED, 1.0 if self.activation is None else 0.0
        if isinstance(self.activation, nn.LeakyReLU):
            return SLOPED, self.activation.negative_slope
        return KINDS[type(self.activation)](self.activation)


def blocks(modules: list[nn.Module]) -> list[Block] | None:
    """The layers as blocks; None where they do not come in this order."""
    found: list[Block] = []
    rest = list(modules)
    while rest:
        linear = rest.pop(0)
        if not isinstance(linear, nn.Linear):
            return None
        activation, dropout = None, None
        if rest and (isinstance(rest[0], nn.ReLU | nn.LeakyReLU) or type(rest[0]) in KINDS):
            activation = rest.pop(0)
        if rest and isinstance(rest[0], nn.Dropout):
            dropout = rest.pop(0)
        assert dropout is None or isinstance(dropout, nn.Dropout)
        found.append(Block(linear, activation, dropout))
    bare = found[-1].activation is None and found[-1].dropout is None
    return found if bare and all(block.kind[1] >= 0 for block in found) else None


def fits(found: list[Block], rows: int) -> bool:
    """Whether these blocks can and should go the compiled way, here and now, with batches of ``rows``."""
    operations = 6 * rows * sum(parameter.numel() for block in found for parameter in block.linear.parameters())
    return readable(found) and (torch.get_num_threads() == 1 or operations <= FEW_OPERATIONS)


def readable(found: list[Block]) -> bool:
    """Whether the kernel can read these blocks."""
    widths = [found[0].linear.in_features]
    for linear in (block.linear for block in found):
        if linear.weight.shape != (linear.out_features, widths[-1]) or (
            linear.bias is not None and linear.bias.shape != (linear.out_features,)
        ):
            return False  # the kernel reads as far as the layer says; PyTorch's operations look
        widths.append(linear.out_features)
    if found[-1].linear.out_features > MOST_OUTPUTS:
        return False
    parameters = [parameter for block in found for parameter in block.linear.parameters()]
    return all(p.device.type == "cpu" and p.dtype == torch.float32 and p.is_contiguous() for p in parameters)


class Compiled:
    """Buffers and table for one batch size. Parameters and their gradients are where they were when it was made."""

    def __init__(self, found: list[Block], criterion: nn.Module, rows: int) -> None:
        code = kernels()
        self.step, self.mask = code.step, code.MASK
        self.rows = rows
        self.n_in, self.n_out = found[0].linear.in_features, found[-1].linear.out_features
        self.layers = np.zeros((len(found), 13), dtype=np.int64)
        self.factors = np.ones((len(found), 2), dtype=np.float32)
        self.masks: list[tuple[int, nn.Dropout, Tensor]] = []
        self._kept: list[Tensor] = []
        trained = False
        for index, block in enumerate(found):
            linear = block.linear
            weight, bias, width = linear.weight, linear.bias, linear.out_features
            trained = trained or any(p.requires_grad for p in linear.parameters())
            bias_grad = None if bias is None or not bias.requires_grad else bias.grad
            places = (
                weight,
                weight.new_zeros(width) if bias is None else bias,
                weight.grad if weight.requires_grad else None,
                weight.new_empty(width) if bias_grad is None else bias_grad,
                weight.new_empty(width, rows),
                weight.new_empty(width, rows),
                weight.new_empty(rows, linear.in_features),
                weight.new_empty(width, rows) if block.kind[0] else None,
            )
            self._kept += [place for place in places if place is not None]
            addresses = [0 if place is None else place.data_ptr() for place in places]
            kind, told = block.kind
            self.layers[index] = [linear.in_features, width, *addresses[:-1], 0, trained, kind, addresses[-1]]
            self.factors[index, code.SLOPE] = told
            if block.dropout is not None and block.dropout.p > 0:
                self.factors[index, code.SCALE] = 1.0 / (1.0 - block.dropout.p)
                self.masks.append((index, block.dropout, weight.new_empty(rows, width)))
        self.blank = torch.empty((), dtype=torch.float32)
        self.work = np.empty((3, rows), dtype=np.float32)
        self.wanted = np.empty((0, 0), dtype=np.float32)
        self.kind = code.SQUARES if isinstance(criterion, nn.MSELoss) else code.BINARY
        self.classes = isinstance(criterion, nn.CrossEntropyLoss)
        if isinstance(criterion, nn.CrossEntropyLoss):
            self.kind = code.CROSS_ENTROPY
            self.wanted = wanted_distributions(criterion, self._kept[0].new_empty(rows, self.n_out)).numpy()

    def run(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss; gradients are left in their buffers."""
        if inputs.shape != (self.rows, self.n_in) or not inputs.is_cpu or inputs.dtype != torch.float32:
            raise InputError(
                f"the inputs are {inputs.dtype} {tuple(inputs.shape)} on {inputs.device}, but the first layer takes "
                f"torch.float32 (B, {self.n_in}) on cpu"
            )
        if not inputs.is_contiguous():
            inputs = inputs.contiguous()
        targets = self._targets(targets)
        for index, dropout, mask in self.masks:
            self.layers[index, self.mask] = mask.bernoulli_(1.0 - dropout.p).data_ptr() if dropout.training else 0
        loss = torch.empty_like(self.blank)
        wrong = self.step(
            self.layers, self.factors, self.rows, inputs.data_ptr(), targets.data_ptr(), loss.data_ptr(),
            self.kind, self.wanted, self.work,
        )  # fmt: skip
        if wrong >= 0:
            raise InputError(
                f"class {int(targets[wrong])} in the targets: the model has {self.n_out} outputs, for 0 … {self.n_out - 1}"
            )
        return loss

    def _targets(self, targets: Tensor) -> Tensor:
        """The kernel reads memory as it is told to: what it is handed must be what it expects."""
        if self.classes:
            if targets.dtype != torch.int64 or targets.shape != (self.rows,) or not targets.is_cpu:
                raise InputError(
                    f"the targets are {targets.dtype} {tuple(targets.shape)} on {targets.device}: cross-entropy needs class "
                    f"numbers, int64 ({self.rows},) on cpu"
                )
        else:
            if targets.numel() != self.rows * self.n_out:
                raise InputError(
                    f"the model gives {self.rows * self.n_out} numbers for {targets.numel()} targets: change its last layer"
                )
            targets = targets.to("cpu", torch.float32)
        return targets if targets.is_contiguous() else targets.contiguous()
