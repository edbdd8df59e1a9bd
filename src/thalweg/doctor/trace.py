"""Which activations a forward pass goes through, module or function alike, and what they put out.

>>> seen = trace(model, inputs)
>>> [(op.kind, op.where) for op in seen.squashed]
[('relu', '1'), ('relu', '3'), ('softmax', '5')]

``torch.relu(x)`` inside ``forward`` is seen as ``nn.ReLU`` is: every torch function called on the way passes by here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_OTHERS = (
    "leaky_relu", "gelu", "elu", "selu", "silu", "softplus", "prelu", "mish", "celu", "hardswish", "lstm", "gru",
    "rnn_tanh", "rnn_relu", "scaled_dot_product_attention", "multi_head_attention_forward",
    "sin", "cos", "exp", "maximum", "clamp", "clamp_min", "where",
    "abs", "square", "pow",
)  # fmt: skip
_POOLS = ("max_pool2d", "max_pool1d", "_max_pool2d", "_max_pool1d", "boolean_dispatch", "fn")
KINDS = (
    dict.fromkeys(("relu", "relu_", "relu6"), "relu")
    | dict.fromkeys(("tanh", "tanh_", "hardtanh", "softsign"), "tanh")
    | dict.fromkeys(("sigmoid", "sigmoid_", "hardsigmoid"), "sigmoid")
    | {"softmax": "softmax", "log_softmax": "log_softmax", "logsigmoid": "log_softmax"}
    | dict.fromkeys(_OTHERS, "other")
    | dict.fromkeys(_POOLS, "pool")
)
"""What a torch function is to us, by its name."""
LINEAR = {
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "bilinear",
    "matmul",
    "__matmul__",
    "mm",
    "addmm",
    "lstm",
    "gru",
    "embedding",
}


@dataclass
class Op:
    """An activation: its kind, the module it ran in, what it put out."""

    kind: str
    where: str
    output: torch.Tensor
    linear_before: int


@dataclass
class Seen:
    """The activations in order, the linear maps counted, the output."""

    ops: list[Op] = field(default_factory=list)
    linear: int = 0
    linear_where: list[str] = field(default_factory=list)
    output: Any = None

    @property
    def hidden(self) -> list[Op]:
        """Activations with a linear map after them."""
        return [op for op in self.ops if op.linear_before < self.linear]


class _Listener(TorchFunctionMode):
    def __init__(self, seen: Seen, place: list[str]) -> None:
        super().__init__()
        self.seen, self.place = seen, place

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        output = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name in LINEAR:
            self.seen.linear += 1
            self.seen.linear_where.append(self.place[-1])
        kind = KINDS.get(name)
        if kind is not None and isinstance(output, torch.Tensor) and output.is_floating_point():
            self.seen.ops.append(Op(kind, self.place[-1], output, self.seen.linear))
        return output


def trace(model: torch.nn.Module, *inputs: Any) -> Seen:
    """One forward pass ``model(*inputs)`` of a copy of yours, listened to."""
    seen, place = Seen(), [""]
    handles = []
    for name, module in model.named_modules():

        def enter(_m: Any, _i: Any, name: str = name) -> None:
            place.append(name)

        def leave(_m: Any, _i: Any, _o: Any) -> None:
            place.pop()

        handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    try:
        with _Listener(seen, place):
            seen.output = model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def units(output: torch.Tensor) -> torch.Tensor:
    """Outputs as ``(everything else, units)``: channels of an image are units, else the last axis is."""
    if output.ndim >= 4:
        output = output.transpose(1, -1)
    return output.reshape(-1, output.shape[-1]) if output.ndim else output.reshape(1, 1)
