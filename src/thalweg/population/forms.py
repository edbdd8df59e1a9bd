"""Stacked forms of layers: what one layer does for each of K members, as few operations for all of them.

A form takes ``(K, B, …)`` and gives ``(K, B, …)``; row k of the result is what member k's own layer gives for row k of the
input. Known layers have a form written out (a linear layer is one ``baddbmm``, a convolution one in groups); any other goes
through ``torch.func.vmap`` of its own ``forward``. So a net of one's own is batched wherever vmap can, and inside it nothing
has to be known.

>>> net = form(Stacking(stacks, rolls), modules)
>>> net(x.expand(K, *x.shape)).shape                # (K, B, outputs)

``Unstackable`` says what has no form, in a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.models import LinearPath
from thalweg.models.residual import Residual
from thalweg.population.stacks import Stacking
from thalweg.population.vmapped import vmapped, without_rates

Form = Callable[[Tensor], Tensor]
ELEMENTWISE = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.ELU, nn.SELU, nn.CELU, nn.Softplus, nn.Softsign,
    nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Mish, nn.LogSigmoid, nn.Identity,
)  # fmt: skip
POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
RECURRENT = (nn.RNN, nn.LSTM, nn.GRU)


class Unstackable(InputError):
    """The members can't be one program. The message says why, in a sentence."""


def form(stacking: Stacking, modules: Sequence[nn.Module], name: str = "") -> Form:
    """The stacked form of one layer, given every member's. Raises ``Unstackable``."""
    first = modules[0]
    where = f"layer {name}" if name else "the model"
    if any(type(module) is not type(first) for module in modules):
        raise Unstackable(f"{where} is not of one kind in all members: put those of one architecture together")
    if any(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks for module in modules):
        raise Unstackable(f"{where} has hooks, which a stacked form would not call: train its members one by one")
    if type(first) in WRITTEN:
        return WRITTEN[type(first)](stacking, modules, name)
    if any(without_rates(module) != without_rates(first) for module in modules):
        raise Unstackable(
            f"{where} has other settings in one member than in another: only the rate of nn.Dropout may differ"
        )
    if isinstance(first, ELEMENTWISE):
        return first.forward
    found = {type(part).__name__ for part in first.modules() if isinstance(part, RECURRENT)}
    if found:
        raise Unstackable(f"{where} has {', '.join(sorted(found))}, of which PyTorch has no batched form: "
                          f"train its members one by one")  # fmt: skip
    known = EXPLICIT.get(type(first))
    made = None if known is None else known(stacking, first)
    return vmapped(stacking, modules) if made is None else made


def _sequential(stacking: Stacking, modules: Sequence[nn.Module], name: str) -> Form:
    """Layer after layer. A member without dropout at a place where others have it drops nothing there."""
    columns: list[list[nn.Module]] = []
    names: list[str] = []
    rests = [list(module._modules.items()) for module in modules]
    while any(rests):
        dropping = [bool(rest) and type(rest[0][1]) is nn.Dropout for rest in rests]
        if any(dropping):
            columns.append([
                rest.pop(0)[1] if drops else nn.Dropout(0.0)  # type: ignore[misc]
                for rest, drops in zip(rests, dropping, strict=True)
            ])  # fmt: skip
            names.append("dropout")
            continue
        if not all(rests):
            raise Unstackable(
                f"{f'layer {name}' if name else 'the model'} has more layers in one member than in another"
            )
        names.append(rests[0][0][0])
        columns.append([rest.pop(0)[1] for rest in rests])  # type: ignore[misc]
    forms = [
        form(stacking, column, f"{name}.{own}" if name else own) for column, own in zip(columns, names, strict=True)
    ]

    def run(x: Tensor) -> Tensor:
        for layer in forms:
            x = layer(x)
        return x

    return run


def _path(stacking: Stacking, modules: Sequence[nn.Module], name: str) -> Form:
    linear = form(stacking, [module.linear for module in modules], "linear")  # type: ignore[misc]
    deep = form(stacking, [module.deep for module in modules], "deep")  # type: ignore[misc]
    return lambda x: linear(x.flatten(2)) + deep(x)


def _residual(stacking: Stacking, modules: Sequence[nn.Module], name: str) -> Form:
    shortcut = form(stacking, [module.shortcut for module in modules], f"{name}.shortcut")  # type: ignore[misc]
    branch = form(stacking, [module.branch for module in modules], f"{name}.branch")  # type: ignore[misc]
    return lambda x: shortcut(x) + branch(x)


def _dropout(stacking: Stacking, modules: Sequence[nn.Module], name: str) -> Form:
    """Inverted dropout, each member at its own rate, by its own dice."""
    rates = [float(module.p) for module in modules]  # type: ignore[arg-type]

    def run(x: Tensor) -> Tensor:
        if not stacking.training or stacking.still or not any(rates):
            return x
        mask = torch.ones(x.shape, dtype=x.dtype, device=x.device)
        for row, rate, generator in zip(mask, rates, stacking.generators, strict=True):
            if rate >= 1:
                row.zero_()
            elif rate > 0:
                row.bernoulli_(1 - rate, generator=generator).div_(1 - rate)
        return x * mask

    return run


def _affine(values: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """``w_k z + b_k`` over a layer's last dimensions; weight and bias ``(K, …)``."""
    if weight is not None:
        values = values * _beside(weight, values)
    return values if bias is None else values + _beside(bias, values)


def _beside(parameter: Tensor, values: Tensor) -> Tensor:
    return parameter.reshape(len(parameter), *[1] * (values.ndim - parameter.ndim), *parameter.shape[1:])


def _linear(stacking: Stacking, module: nn.Linear) -> Form:
    weight, bias = stacking.tensor(module, "weight"), stacking.tensor(module, "bias")
    assert weight is not None

    def run(x: Tensor) -> Tensor:
        if x.ndim == 3 and _shared(x):  # the first layer under one order: one product for all members
            z = F.linear(x[0], weight.flatten(0, 1), None if bias is None else bias.flatten())
            return _narrow(z, len(x))
        flat = x if x.ndim == 3 else x.reshape(len(x), -1, x.shape[-1])
        turned = weight.transpose(1, 2)
        z = torch.bmm(flat, turned) if bias is None else torch.baddbmm(bias.unsqueeze(1), flat, turned)
        return z if x.ndim == 3 else z.view(*x.shape[:-1], -1)

    return run


def _shared(x: Tensor) -> bool:
    """Whether all members see the same numbers: an input that was expanded."""
    return len(x) > 1 and x.stride(0) == 0


def _wide(x: Tensor) -> Tensor:
    """``(K, B, C, …)`` → ``(B, K·C, …)``."""
    return x.transpose(0, 1).reshape(x.shape[1], -1, *x.shape[3:])


def _narrow(z: Tensor, members: int) -> Tensor:
    """``(B, K·C, …)`` → ``(K, B, C, …)``."""
    return z.view(z.shape[0], members, -1, *z.shape[2:]).transpose(0, 1)


def _convolution(stacking: Stacking, module: nn.Conv2d) -> Form | None:
    if module.padding_mode != "zeros":
        return None
    weight, bias = stacking.tensor(module, "weight"), stacking.tensor(module, "bias")
    assert weight is not None
    members, groups = stacking.members, module.groups * stacking.members

    def convolved(x: Tensor, groups: int) -> Tensor:
        flat = None if bias is None else bias.flatten()
        kernels = weight.flatten(0, 1)
        return _narrow(F.conv2d(x, kernels, flat, module.stride, module.padding, module.dilation, groups), members)

    def run(x: Tensor) -> Tensor:
        return convolved(x[0], 1) if _shared(x) and module.groups == 1 else convolved(_wide(x), groups)

    return run


def _flat(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.view(-1)


def _batch_norm(stacking: Stacking, module: nn.BatchNorm1d | nn.BatchNorm2d) -> Form | None:
    if module.momentum is None:
        return None
    weight, bias, mean, variance, count = (
        stacking.tensor(module, name) for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    )  # fmt: skip
    members, momentum, eps = stacking.members, module.momentum, module.eps

    def run(x: Tensor) -> Tensor:
        if stacking.training and count is not None:
            count.add_(1)
        by_batch = stacking.training or mean is None
        numbers = _flat(mean), _flat(variance), _flat(weight), _flat(bias), by_batch, momentum, eps
        return _narrow(F.batch_norm(_wide(x), *numbers), members)

    return run


def _layer_norm(stacking: Stacking, module: nn.LayerNorm) -> Form:
    weight, bias = stacking.tensor(module, "weight"), stacking.tensor(module, "bias")
    return lambda x: _affine(F.layer_norm(x, module.normalized_shape, eps=module.eps), weight, bias)


def _embedding(stacking: Stacking, module: nn.Embedding) -> Form | None:
    if module.padding_idx is not None or module.max_norm is not None or module.sparse or module.scale_grad_by_freq:
        return None
    weight, words = stacking.tensor(module, "weight"), module.num_embeddings
    assert weight is not None
    offsets = torch.arange(stacking.members, device=weight.device) * words

    def run(x: Tensor) -> Tensor:
        return F.embedding(x + _beside(offsets, x), weight.flatten(0, 1))

    return run


def _pool(stacking: Stacking, module: nn.Module) -> Form | None:
    if getattr(module, "return_indices", False):
        return None
    return lambda x: module.forward(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def _flatten(stacking: Stacking, module: nn.Flatten) -> Form:
    start, end = (d + 1 if d >= 0 else d for d in (module.start_dim, module.end_dim))
    return lambda x: x.flatten(start, end)


WRITTEN: dict[type[nn.Module], Callable[[Stacking, Sequence[nn.Module], str], Form]] = {
    nn.Sequential: _sequential, nn.Dropout: _dropout, LinearPath: _path, Residual: _residual,
}  # fmt: skip
EXPLICIT: dict[type[nn.Module], Callable[..., Form | None]] = {
    nn.Linear: _linear, nn.Conv2d: _convolution, nn.BatchNorm1d: _batch_norm, nn.BatchNorm2d: _batch_norm,
    nn.LayerNorm: _layer_norm, nn.Embedding: _embedding, nn.Flatten: _flatten, **dict.fromkeys(POOLS, _pool),
}  # fmt: skip
