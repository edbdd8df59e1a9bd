"""Explicit back-propagation through fully connected nets: autograd's numbers at a fraction of its cost.

A small net's step is bound by overhead: autograd records a graph, allocates every intermediate result and every gradient, and
throws all of it away. Here the chain rule is written out, into buffers that are made once for each batch size; gradients
stay in the same tensors from step to step. There are two ways: ``Eager`` calls PyTorch's operations, for every activation,
type and device; ``Compiled`` is one kernel for the nets that need it most.

>>> gradients = Backprop(model, nn.CrossEntropyLoss())
>>> loss = gradients(inputs, targets)                       # mean loss; every p.grad is set
>>> Backprop.refuses(mlp(8, 2, norm="batch"), nn.CrossEntropyLoss())
'layer 2 is BatchNorm1d: explicit back-propagation knows Dropout, Flatten, GELU, Identity, LeakyReLU, Linear, …'
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.models import losses
from thalweg.models.compiled import Compiled, blocks, fits
from thalweg.models.layers import DERIVATIVES, Activation, Dense, Drop, Layer

KNOWN: tuple[type[nn.Module], ...] = (nn.Linear, nn.Dropout, nn.Flatten, nn.Identity, *DERIVATIVES)
MOST_SIZES = 4
"""Batch sizes whose buffers are kept; a training run has two, the last mini-batch of a pass being smaller."""


def flattened(model: nn.Sequential, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Name and module of each layer, in order; a Sequential inside is entered."""
    for name, module in model._modules.items():  # named_children leaves out a module that stands twice
        if type(module) is nn.Sequential and not _hooked(module):
            yield from flattened(module, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", module


def _hooked(module: nn.Module) -> bool:
    return bool(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    )


def _objection(named: tuple[str, nn.Module]) -> str:
    name, module = named
    if type(module) not in KNOWN:
        known = ", ".join(sorted(kind.__name__ for kind in KNOWN))
        return f"layer {name} is {type(module).__name__}: explicit back-propagation knows {known}"
    if _hooked(module):
        return f"layer {name} has hooks, which explicit back-propagation would not call"
    if isinstance(module, nn.Dropout) and module.p >= 1:
        return f"layer {name} drops everything"
    if isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) != (1, -1):
        return f"layer {name} flattens otherwise than to (B, features)"
    return ""


def _refuses_whole(named: list[tuple[str, nn.Module]], loss: object, *, soft: bool) -> str:
    linears = [module for _, module in named if isinstance(module, nn.Linear)]
    if not linears:
        return "the model has no Linear layer"
    parameters = [parameter for module in linears for parameter in module.parameters()]
    if len({id(parameter) for parameter in parameters}) < len(parameters):
        return "the model uses a parameter twice"
    if any(parameter._backward_hooks for parameter in parameters):
        return "a parameter has hooks, which explicit back-propagation would not call"
    first = parameters[0]
    if first.dtype not in (torch.float32, torch.float64) or any(
        (parameter.dtype, parameter.device) != (first.dtype, first.device) for parameter in parameters
    ):
        return "the model's parameters are not all float32 or all float64 on one device"
    classes = linears[-1].out_features
    if isinstance(losses.criterion_of(loss), nn.CrossEntropyLoss) and classes > losses.MOST_CLASSES:
        return f"the model has {classes} classes: explicit back-propagation is for {losses.MOST_CLASSES} at most"
    return losses.refuses(loss, soft=soft)


class Plan(Protocol):
    """A way through a net for one batch size."""

    def run(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss, 0-dim; leaves the gradients in the buffers the parameters had when the plan was made."""
        ...


class Eager:
    """``Plan`` of PyTorch operations into buffers, layer by layer."""

    def __init__(self, modules: list[nn.Module], criterion: nn.Module, rows: int) -> None:
        linears = [module for module in modules if isinstance(module, nn.Linear)]
        trained = [any(p.requires_grad for p in module.parameters()) for module in modules]
        # What lies below the first trained layer needs no gradient: there the way back ends.
        first = trained.index(True) if True in trained else len(modules)
        self.layers: list[Layer] = []
        self.backward: list[Layer] = []
        z, owned = linears[0].weight.new_empty(rows, linears[0].in_features), False
        for index, module in enumerate(modules):
            layer: Layer
            if isinstance(module, nn.Linear):
                layer = Dense(module, rows, class_major=index == len(modules) - 1, below=index > first)
                z, owned = layer.z, True
            elif isinstance(module, nn.Dropout):
                layer = Drop(module, z)
                owned = False  # without a mask it hands on the very buffer that an activation may need
            else:
                layer = Activation(module, z, owned=owned)
                z, owned = (z if layer.z is None else layer.z), False
            self.layers.append(layer)
            if index >= first:
                self.backward.insert(0, layer)
        self.loss = losses.explicit(criterion, z)

    def run(self, inputs: Tensor, targets: Tensor) -> Tensor:
        z = inputs
        for layer in self.layers:
            z = layer.forward(z)
        value, g = self.loss(z, targets)
        for layer in self.backward:
            g = layer.backward(g)
        return value


class Watched(NamedTuple):
    """A parameter as it was planned for."""

    owner: dict[str, Any]
    name: str
    parameter: nn.Parameter
    address: int
    elements: int
    contiguous: bool
    trained: bool
    gradient: Tensor | None


class Backprop:
    """Gradients of a fully connected ``nn.Sequential``, equal to autograd's.

    ``model`` may hold Linear, Dropout, Flatten, Identity and the activations of ``mlp``; ``loss`` is one of PyTorch's
    ``CrossEntropyLoss`` (with label smoothing, class weights, or targets that are distributions),
    ``BCEWithLogitsLoss``, ``MSELoss``, its functional form, or anything with a ``torch_criterion()``. Parameters may be
    frozen, moved, converted or replaced between calls, and the model switched between training and evaluation; its
    layers may not be exchanged.

    Raises ``InputError`` where ``refuses`` gives a reason.
    """

    def __init__(self, model: nn.Module, loss: object) -> None:
        reason = self.refuses(model, loss)
        if reason:
            raise InputError(f"{reason}; use autograd for it")
        assert isinstance(model, nn.Sequential)
        self.criterion = losses.criterion_of(loss)
        self._classes = isinstance(self.criterion, nn.CrossEntropyLoss)
        modules = [module for _, module in flattened(model)]
        ahead = takewhile(lambda module: not isinstance(module, nn.Linear), modules)
        self._flattens = any(isinstance(module, nn.Flatten) for module in ahead)
        self._modules = [module for module in modules if not isinstance(module, nn.Flatten | nn.Identity)]
        self._blocks = blocks(self._modules)
        linears = [module for module in self._modules if isinstance(module, nn.Linear)]
        # Reading module.weight goes through nn.Module.__getattr__, ten times as slow as the dictionary behind it.
        self._owners: list[tuple[dict[str, Any], str]] = [
            (module._parameters, name) for module in linears for name, _ in module.named_parameters()
        ]
        self._watched: list[Watched] = []
        self._plans: dict[int, Plan] = {}

    @staticmethod
    def refuses(model: nn.Module, loss: object, *, soft: bool = False) -> str:
        """Why this pair needs autograd, in a sentence; empty where it does not.

        ``soft`` says that the targets of a cross-entropy are distributions ``(B, C)``, as mixup makes them.
        """
        if type(model) is not nn.Sequential:
            return f"the model is {type(model).__name__}: explicit back-propagation knows nn.Sequential alone"
        if _hooked(model):
            return "the model has hooks, which explicit back-propagation would not call"
        named = list(flattened(model))
        return next(filter(None, map(_objection, named)), "") or _refuses_whole(named, loss, soft=soft)

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of ``inputs`` ``(B, …)``, 0-dim, detached; leaves ∂L/∂p in ``p.grad``, the same tensors each time."""
        for owner, name, parameter, address, elements, contiguous, trained, gradient in self._watched:
            if (
                owner[name] is not parameter
                or parameter.data_ptr() != address
                or parameter.numel() != elements  # a slice or a transposed view lies where it lay
                or parameter.is_contiguous() is not contiguous
                or parameter.requires_grad is not trained
            ):
                self._watched = []
                break
            if trained and parameter.grad is not gradient:
                parameter.grad = gradient
        if not self._watched:
            self._watch()
        if inputs.ndim != 2:
            if not self._flattens:
                raise InputError(
                    f"the inputs have {inputs.ndim} dimensions but the model takes (B, features): begin it with Flatten"
                )
            inputs = inputs.flatten(1)
        if inputs.requires_grad:
            inputs = inputs.detach()
        rows = inputs.shape[0]
        if rows == 0:
            raise InputError("the mini-batch is empty: it has no mean loss")
        soft = targets.ndim == 2 and self._classes
        key = -rows if soft else rows
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) == MOST_SIZES:
                self._plans.clear()
            plan = self._plans[key] = self._plan(rows, soft=soft)
        return plan.run(inputs, targets)

    def _plan(self, rows: int, *, soft: bool) -> Plan:
        assert self.criterion is not None
        if not soft and self._blocks is not None and fits(self._blocks, rows):
            return Compiled(self._blocks, self.criterion, rows)
        return Eager(self._modules, self.criterion, rows)

    def _watch(self) -> None:
        """Takes the parameters as they are now: makes their gradients, and plans nothing for those that were."""
        self._plans.clear()
        self._watched = []
        for owner, name in self._owners:
            parameter = owner[name]
            parameter.grad = torch.empty_like(parameter, requires_grad=False) if parameter.requires_grad else None
            self._watched.append(
                Watched(
                    owner,
                    name,
                    parameter,
                    parameter.data_ptr(),
                    parameter.numel(),
                    parameter.is_contiguous(),
                    parameter.requires_grad,
                    parameter.grad,
                )
            )
