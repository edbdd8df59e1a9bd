"""The layers of explicit back-propagation: each computes its output and, later, its gradients into buffers of its own.

``forward`` takes the layer below's output and gives its own; ``backward`` takes ∂L/∂output, leaves the gradients of its
parameters in their buffers and gives ∂L/∂input. Letters: ``B`` examples in the batch, ``x`` input, ``z`` output, ``g`` = ∂L/∂z.

>>> layer = Dense(linear, rows=64, like=linear.weight, class_major=False)
>>> z = layer.forward(x)                    # x Wᵀ + b
>>> g = layer.backward(g)                   # W.grad ← gᵀ x, b.grad ← Σ g, returns g W
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

aten = torch.ops.aten


class Layer(Protocol):
    """One layer for one batch size."""

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output for ``x``, ``(B, …)``, in a buffer that the next call overwrites."""
        ...

    def backward(self, g: Tensor) -> Tensor:
        """∂L/∂input from ∂L/∂output; may overwrite ``g``."""
        ...


class Dense:
    """``z = x Wᵀ + b``.

    With ``class_major`` the output lies transposed in memory: a softmax over few classes then runs along whole vectors of
    examples, seven times as fast. ``below`` says whether ∂L/∂x is wanted.
    """

    def __init__(self, linear: nn.Linear, rows: int, *, class_major: bool, below: bool) -> None:
        weight, bias = linear.weight, linear.bias
        self.weight = weight.detach()
        self.weight_t = self.weight.t()
        self.bias = None if bias is None else bias.detach()
        out, n_in = weight.shape
        self.z = weight.new_empty(out, rows).t() if class_major else weight.new_empty(rows, out)
        self.x = self.z
        self.weight_grad = weight.grad if weight.requires_grad else None
        self.bias_grad = bias.grad if bias is not None and bias.requires_grad else None
        self.g = weight.new_empty(rows, n_in) if below else None

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        if self.bias is None:
            return torch.mm(x, self.weight_t, out=self.z)
        return torch.addmm(self.bias, x, self.weight_t, out=self.z)

    def backward(self, g: Tensor) -> Tensor:
        if self.weight_grad is not None:
            torch.mm(g.t(), self.x, out=self.weight_grad)
        if self.bias_grad is not None:
            torch.sum(g, 0, out=self.bias_grad)
        return g if self.g is None else torch.mm(g, self.weight, out=self.g)


class Derivative(NamedTuple):
    """An activation: its value, and ∂L/∂x from ∂L/∂z, both into ``out``.

    ``saved`` is what the derivative is written in: the output ``z`` where that is enough, so the input can be overwritten.
    """

    forward: Callable[[Tensor, Tensor], object]
    backward: Callable[[Tensor, Tensor], object]
    from_output: bool


def _gelu(module: nn.GELU) -> Derivative:
    how = module.approximate
    return Derivative(
        lambda x, out: aten.gelu.out(x, approximate=how, out=out),
        lambda g, saved: aten.gelu_backward.grad_input(g, saved, approximate=how, grad_input=g),
        from_output=False,
    )


def _leaky_relu(module: nn.LeakyReLU) -> Derivative:
    slope = module.negative_slope
    return Derivative(
        lambda x, out: aten.leaky_relu.out(x, slope, out=out),
        lambda g, saved: aten.leaky_relu_backward.grad_input(g, saved, slope, False, grad_input=g),
        from_output=slope >= 0,  # the output then has the sign of the input
    )


def _elu(module: nn.ELU) -> Derivative:
    alpha = module.alpha
    return Derivative(
        lambda x, out: aten.elu.out(x, alpha, out=out),
        lambda g, saved: aten.elu_backward.grad_input(g, alpha, 1.0, 1.0, False, saved, grad_input=g),
        from_output=False,
    )


DERIVATIVES: dict[type[nn.Module], Callable[..., Derivative]] = {
    nn.ReLU: lambda _: Derivative(
        lambda x, out: torch.clamp_min(x, 0, out=out),
        lambda g, saved: aten.threshold_backward.grad_input(g, saved, 0, grad_input=g),
        from_output=True,
    ),
    nn.Sigmoid: lambda _: Derivative(
        lambda x, out: torch.sigmoid(x, out=out),
        lambda g, saved: aten.sigmoid_backward.grad_input(g, saved, grad_input=g),
        from_output=True,
    ),
    nn.Tanh: lambda _: Derivative(
        lambda x, out: torch.tanh(x, out=out),
        lambda g, saved: aten.tanh_backward.grad_input(g, saved, grad_input=g),
        from_output=True,
    ),
    nn.SiLU: lambda _: Derivative(
        lambda x, out: aten.silu.out(x, out=out),
        lambda g, saved: aten.silu_backward.grad_input(g, saved, grad_input=g),
        from_output=False,
    ),
    nn.LeakyReLU: _leaky_relu,
    nn.GELU: _gelu,
    nn.ELU: _elu,
}


class Activation:
    """An element-wise function. Works in place where its derivative can be written in its output."""

    def __init__(self, module: nn.Module, like: Tensor, *, owned: bool) -> None:
        """``like`` has the shape, type and place of the input; ``owned`` says that it is a buffer that may be overwritten."""
        self.value, self.derivative, self.from_output = DERIVATIVES[type(module)](module)
        self.z = None if owned and self.from_output else torch.empty_like(like)
        self.saved = like

    def forward(self, x: Tensor) -> Tensor:
        z = x if self.z is None else self.z
        self.value(x, z)
        self.saved = z if self.from_output else x
        return z

    def backward(self, g: Tensor) -> Tensor:
        self.derivative(g, self.saved)
        return g


class Drop:
    """Inverted dropout: ``z = x · mask/keep`` (Srivastava et al. 2014). The masks are those ``nn.Dropout`` would draw."""

    def __init__(self, module: nn.Dropout, like: Tensor) -> None:
        self.module = module
        self.keep = 1.0 - module.p
        self.mask = torch.empty_like(like, memory_format=torch.contiguous_format)
        self.z = torch.empty_like(like)
        self.active = False

    def forward(self, x: Tensor) -> Tensor:
        self.active = self.module.training and self.module.p > 0
        if not self.active:
            return x
        self.mask.bernoulli_(self.keep).div_(self.keep)
        return torch.mul(x, self.mask, out=self.z)

    def backward(self, g: Tensor) -> Tensor:
        return g.mul_(self.mask) if self.active else g
