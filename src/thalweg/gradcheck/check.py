"""The doors of the gradient check: a torch loss with its parameters, a NumPy function with its derivative, one for both.

>>> gradcheck(lambda: loss_of(model(x), y), model)                                 # what ``thalweg.gradcheck(…)`` calls
>>> gradcheck((cost, gradient), {"W": W, "b": b})
>>> check(lambda: loss_of(model(x), y), model).ok                                  # autograd under test
>>> check(lambda: loss_of(model(x), y), model, gradients={"0.weight": by_hand}).ok    # a gradient computed by hand
>>> check_function(cost, gradient, {"W": W, "b": b}).worst
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch

from thalweg.errors import InputError
from thalweg.gradcheck.differences import Probe, examine
from thalweg.gradcheck.verdict import GradientCheck

Arrays = Mapping[str, np.ndarray]
Parameters = torch.nn.Module | Mapping[str, torch.Tensor] | Iterable[tuple[str, torch.Tensor]] | Iterable[torch.Tensor]


def gradcheck(
    loss: Callable[[], torch.Tensor] | tuple[Callable, Callable],
    parameters: Parameters | np.ndarray | Arrays,
    *,
    gradients: Mapping[str, torch.Tensor] | None = None,
    step: float = 1e-6,
    directions: int = 4,
    entries: int | None = 20,
    seed: int = 0,
) -> GradientCheck:
    """``check`` for a torch loss and its parameters; ``check_function`` for a pair ``(J, dJ)`` of NumPy functions as ``loss``.

    ``loss`` of a module, of an ``autograd.Function`` or of plain tensors is a function without arguments. Raises
    ``InputError`` as the two do.
    """
    if isinstance(loss, tuple):
        if len(loss) != 2 or gradients is not None:
            raise InputError("a NumPy function is checked as a pair (J, dJ), and gradients= is for a torch loss")
        J, dJ = loss
        at: Any = parameters
        return check_function(J, dJ, at, step=step, directions=directions, entries=entries, seed=seed)
    if isinstance(parameters, np.ndarray):
        raise InputError("the parameters are a NumPy array and the loss is one function: give the pair (J, dJ)")
    named: Any = parameters
    return check(loss, named, gradients=gradients, step=step, directions=directions, entries=entries, seed=seed)


def check(
    loss: Callable[[], torch.Tensor],
    parameters: Parameters,
    *,
    gradients: Mapping[str, torch.Tensor] | None = None,
    step: float = 1e-6,
    directions: int = 4,
    entries: int | None = 20,
    seed: int = 0,
) -> GradientCheck:
    """Checks the gradient of a torch loss (Ng, Improving Deep Neural Networks, week 1; directions as in
    ``torch.autograd.gradcheck(fast_mode=True)``).

    ``loss`` computes the whole objective, regularisation included, from the parameters as they stand: 0-dim, float64, the
    same number each time. ``parameters``: a module, names with tensors, or tensors; those that need no gradient are left out.
    ``gradients`` by name are put to the test; without them, autograd's are. For each parameter ``directions`` random
    directions and ``entries`` sampled entries (None: every one) are differenced with ``step``. Costs about
    ``2 (directions + entries)`` losses a parameter; parameters and buffers end as they were.

    Raises ``InputError`` where a parameter or the loss is not float64, the loss is not finite, not a scalar, does not
    depend on the parameters or is random (dropout in training mode is named), or a gradient has another shape.
    """
    module = parameters if isinstance(parameters, torch.nn.Module) else None
    tensors = {name: tensor for name, tensor in _named(parameters) if tensor.requires_grad or gradients is not None}
    if not tensors:
        raise InputError("there is nothing to check: no parameter needs a gradient; set requires_grad=True")
    for name, tensor in tensors.items():
        _require_float64(f'parameter "{name}"', str(tensor.dtype).removeprefix("torch."))
    if module is not None:
        _refuse_dropout(module)
    buffers = {} if module is None else {name: buffer.clone() for name, buffer in module.named_buffers()}
    try:
        value = _scalar(loss)
        given = _autograd(value, tensors) if gradients is None else {n: g.detach() for n, g in gradients.items()}
        base = {name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}

        def evaluate(name: str, array: np.ndarray) -> float:
            with torch.no_grad():
                tensors[name].copy_(torch.from_numpy(array))
                try:
                    return float(loss())
                finally:
                    tensors[name].copy_(torch.from_numpy(base[name]))

        analytic = {name: gradient.cpu().numpy() for name, gradient in given.items()}
        return _check(
            evaluate, base, analytic, value.item(), step=step, directions=directions, entries=entries, seed=seed
        )
    finally:
        if module is not None:
            with torch.no_grad():
                for name, buffer in module.named_buffers():
                    buffer.copy_(buffers[name])


def check_function(
    J: Callable,
    dJ: Callable,
    at: np.ndarray | Arrays,
    *,
    step: float = 1e-6,
    directions: int = 4,
    entries: int | None = 20,
    seed: int = 0,
) -> GradientCheck:
    """Checks a NumPy function against its derivative at a point; arguments as in ``check``.

    ``J(at)`` gives a number, ``dJ(at)`` what ``at`` is: an array of the same shape, or arrays by the same names.
    A single array is called ``w`` in the result. Raises ``InputError`` as ``check`` does.
    """
    single = not isinstance(at, Mapping)
    base = {name: np.array(array) for name, array in ({"w": at} if single else at).items()}  # type: ignore[union-attr]
    for name, array in base.items():
        _require_float64(f'array "{name}"', str(array.dtype))

    def call(function: Callable, arrays: Arrays) -> object:
        copies = {name: array.copy() for name, array in arrays.items()}
        return function(copies["w"]) if single else function(copies)

    def evaluate(name: str, array: np.ndarray) -> float:
        return _number(call(J, {**base, name: array}))

    loss = _number(call(J, base))
    if _number(call(J, base)) != loss:
        raise InputError(_RANDOM)
    gradient = call(dJ, base)
    analytic = {"w": gradient} if single else gradient
    if not isinstance(analytic, Mapping):
        raise InputError(f"dJ gives {type(gradient).__name__}, not arrays by the names {', '.join(base)}")
    given = {name: np.asarray(array) for name, array in analytic.items()}
    return _check(evaluate, base, given, loss, step=step, directions=directions, entries=entries, seed=seed)


def _named(parameters: Parameters) -> list[tuple[str, torch.Tensor]]:
    """Names with tensors; tensors without a name are called by their place."""
    if isinstance(parameters, torch.nn.Module):
        return list(parameters.named_parameters())
    given: list[Any] = list(parameters.items() if isinstance(parameters, Mapping) else parameters)
    if any(not isinstance(one, torch.Tensor | tuple) for one in given):
        raise InputError(f"the parameters hold {type(given[0]).__name__}: give a module, or tensors by name")
    return [(str(place), one) if isinstance(one, torch.Tensor) else one for place, one in enumerate(given)]


_RANDOM = (
    "the loss is random: two evaluations at the same parameters differ; turn off dropout, noise and augmentation, or "
    "draw them once before the check"
)


def _check(
    evaluate: Callable[[str, np.ndarray], float],
    base: Arrays,
    given: Arrays,
    loss: float,
    *,
    step: float,
    directions: int,
    entries: int | None,
    seed: int,
) -> GradientCheck:
    if not math.isfinite(loss):
        raise InputError(f"the loss is {loss} at these parameters: check the gradient where it is finite")
    if not (step > 0 and directions >= 1 and (entries is None or entries >= 1)):
        raise InputError("the gradient check needs a step above 0, at least 1 direction and at least 1 entry")
    for name, array in base.items():
        if name not in given:
            raise InputError(f'there is no gradient for "{name}": give one for each parameter')
        if given[name].shape != array.shape:
            raise InputError(f'the gradient of "{name}" has shape {given[name].shape}, the parameter {array.shape}')
    generator = np.random.default_rng(seed)
    return GradientCheck(
        loss,
        tuple(
            examine(
                name,
                Probe(lambda array, name=name: evaluate(name, array), array, loss=loss, step=step),  # type: ignore[misc]
                np.asarray(given[name], dtype=np.float64),
                directions=directions,
                entries=entries,
                generator=generator,
            )
            for name, array in base.items()
            if array.size
        ),
    )


def _require_float64(what: str, dtype: str) -> None:
    if dtype != "float64":
        raise InputError(
            f"{what} is {dtype}, and rounding drowns differences below float64: use model.double() and float64 data"
        )


def _refuse_dropout(module: torch.nn.Module) -> None:
    for name, layer in module.named_modules():
        if isinstance(layer, torch.nn.modules.dropout._DropoutNd) and layer.training and layer.p > 0:
            raise InputError(
                f'layer "{name}" is {type(layer).__name__} in training mode, so the loss is random: '
                "turn it off for the check, with model.eval() or by setting its p to 0"
            )


def _scalar(loss: Callable[[], torch.Tensor]) -> torch.Tensor:
    with torch.enable_grad():
        value = loss()
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        shape = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        raise InputError(f"the loss must be one number in a tensor, not {shape}: take the mean or the sum")
    if value.dtype != torch.float64:
        raise InputError(
            f"the loss is {str(value.dtype).removeprefix('torch.')} although the parameters are float64: an operation "
            "rounds on the way, often a loss with float32 targets; make inputs and targets float64"
        )
    with torch.no_grad():
        again = loss()
    if torch.isfinite(value) and bool(again != value):
        raise InputError(_RANDOM)
    return value.reshape(())


def _autograd(value: torch.Tensor, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    if not value.requires_grad:
        raise InputError(
            "the loss does not depend on the parameters through autograd: something detaches it (.item(), .detach(), "
            "no_grad), or give gradients="
        )
    found = torch.autograd.grad(value, list(tensors.values()), allow_unused=True)
    # A parameter autograd does not reach has gradient 0 as far as training goes; the differences tell whether rightly so.
    return {
        name: torch.zeros_like(tensor) if gradient is None else gradient.detach()
        for (name, tensor), gradient in zip(tensors.items(), found, strict=True)
    }


def _number(value: object) -> float:
    array = np.asarray(value)
    if array.size != 1:
        raise InputError(f"J must give one number, not shape {array.shape}: take the mean or the sum")
    _require_float64("the value of J", str(array.dtype))
    return float(array.reshape(()))
