"""The loss as a function of the weights alone: any module, any measure, any point in the space of its parameters.

A point is all parameters as one vector. The landscape works on a copy, so the model is left as it was:

>>> landscape = Landscape(model, lambda net: cross_entropy(net(x), y))
>>> here = landscape.point(model)                                  # (26122,)
>>> landscape.at(here)
{'loss': 0.31}

A measure may tell several numbers at once, by name; where the model has batch norm, ``rows`` are the training inputs from
which its statistics are computed anew at each point, for those of the end points mean nothing between them (Garipov et
al. 2018, arXiv 1802.10026; Izmailov et al. 2018, arXiv 1803.05407):

>>> landscape = Landscape(model, lambda net: {"train": loss(net(x), y), "dev": loss(net(u), v)}, rows=x)
>>> landscape.along([here, there])
{'train': array([0.31, 0.29]), 'dev': array([0.35, 0.36])}
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from thalweg.errors import InputError

Measure = Callable[[torch.nn.Module], torch.Tensor | Mapping[str, torch.Tensor]]
LOSS = "loss"
"""The name of what a measure tells that tells one number."""


class Landscape:
    """``measure(model)`` as a function of the model's parameters.

    ``measure`` gives one number (0-dim), or some by name, from a module in evaluation mode: the same each time, so without
    dropout or random batches. ``told`` is called after each point that is measured. Raises ``InputError`` for a model
    without parameters, with parameters of several types or places, or with batch norm where no ``rows`` are given.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        measure: Measure,
        *,
        rows: torch.Tensor | None = None,
        told: Callable[[], None] = lambda: None,
    ) -> None:
        self._measure, self._told = measure, told
        self.net = copy.deepcopy(model).eval()
        """The copy that is measured; its weights are those of the point measured last."""
        named = dict(self.net.named_parameters())
        if not named:
            raise InputError(
                "the model has no parameters, so there is no landscape over them: give a network with weights"
            )
        kinds = {(parameter.dtype, parameter.device) for parameter in named.values()}
        if len(kinds) > 1 or not next(iter(kinds))[0].is_floating_point:
            found = ", ".join(sorted({f"{dtype} on {device}" for dtype, device in kinds}))
            raise InputError(
                f"the parameters are {found}: a point of the landscape is one vector, so make them one type"
            )
        self.shapes = {name: parameter.shape for name, parameter in named.items()}
        self._weights = torch.cat([parameter.detach().reshape(-1) for parameter in named.values()])
        self._apart: list[tuple[torch.Tensor, torch.Tensor]] = []
        for parameter, view in zip(named.values(), self.split(self._weights).values(), strict=True):
            if parameter.is_contiguous():  # views of one vector: going to a point is one copy
                parameter.data = view
            else:  # convolutions on a CPU are faster with their weights' channels last
                self._apart.append((parameter.data, view))
        self._norms = [module for module in self.net.modules() if isinstance(module, _BatchNorm)]
        self._norms = [module for module in self._norms if module.track_running_stats]
        for module in self._norms:
            module.register_forward_hook(_plain_variance)
        self._rows = rows
        self.outputs: torch.Tensor | None = None
        """Of the model for ``rows`` at the point gone to last, where batch norm needed them: a measure may take them."""
        if self._norms and rows is None:
            raise InputError(
                "the model has batch norm, whose statistics belong to one set of weights: give rows, the training inputs from "
                "which they are computed anew at each point"
            )

    @property
    def size(self) -> int:
        """How many parameters there are."""
        return self._weights.numel()

    def point(self, source: torch.nn.Module | Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The weights ``(size,)`` of a module, or of a state dict, of this architecture; else ``InputError``."""
        known = dict(source.named_parameters()) if isinstance(source, torch.nn.Module) else dict(source)
        for name, shape in self.shapes.items():
            if name not in known:
                raise InputError(f'there is no "{name}" among the weights: all points must be of one architecture')
            if known[name].shape != shape:
                raise InputError(
                    f'"{name}" is {tuple(known[name].shape)} here and {tuple(shape)} there: all points must be of one '
                    f"architecture"
                )
        if isinstance(source, torch.nn.Module) and (more := sorted(set(known) - set(self.shapes))):
            raise InputError(f'"{more[0]}" is in one network alone: all points must be of one architecture')
        return torch.cat([known[name].detach().reshape(-1).to(self._weights) for name in self.shapes])

    def split(self, point: torch.Tensor) -> dict[str, torch.Tensor]:
        """A point as tensors by name: views, each in its shape."""
        parts = point.split([shape.numel() for shape in self.shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}

    @torch.no_grad()
    def go(self, point: torch.Tensor) -> torch.nn.Module:
        """The copy with these weights, and batch norm's statistics of them."""
        self._weights.copy_(point)
        for parameter, view in self._apart:
            parameter.copy_(view)
        if self._norms:
            assert self._rows is not None
            momenta = [module.momentum for module in self._norms]
            for module in self._norms:
                module.reset_running_stats()
                module.momentum, module.training = 1.0, True
            try:
                self.outputs = self.net(self._rows)
            finally:
                for module, momentum in zip(self._norms, momenta, strict=True):
                    module.momentum, module.training = momentum, False
        return self.net

    @torch.no_grad()
    def at(self, point: torch.Tensor) -> dict[str, float]:
        """What the measure tells at a point ``(size,)``, by name."""
        told = self._measure(self.go(point))
        self._told()
        return {name: float(value) for name, value in _named(told).items()}

    def along(self, points: Iterable[torch.Tensor]) -> dict[str, np.ndarray]:
        """The same at several points, ``(k,)`` for each name."""
        found = [self.at(point) for point in points]
        return {name: np.array([one[name] for one in found]) for name in (found[0] if found else ())}

    def loss(self, name: str | None = None) -> Callable[[], torch.Tensor]:
        """The measure ``name`` (the first, if None) at the point gone to last, with its graph: what is differentiated."""

        def value() -> torch.Tensor:
            told = _named(self._measure(self.net))
            return next(iter(told.values())) if name is None else told[name]

        return value


def _plain_variance(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
    """Takes back the n / (n − 1) of batch norm's statistics: they are of these rows, which go through as in training then."""
    if module.training:
        numbers = inputs[0].numel() // inputs[0].shape[1]
        module.get_buffer("running_var").mul_((numbers - 1) / numbers)


def _named(told: torch.Tensor | Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
    return told if isinstance(told, Mapping) else {LOSS: told}
