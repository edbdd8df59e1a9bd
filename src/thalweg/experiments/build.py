"""Names to objects: every word of a spec, looked up once.

A table for each kind of thing; a name that is not in it is answered with those that are.

>>> optimizer = build_optimizer(spec, model.parameters(), lr=0.01)
>>> schedule = build_schedule(spec, steps=1000)               # a factor of the rate, 0…1
"""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch

from thalweg.errors import InputError
from thalweg.experiments.own_module import build_own, is_own
from thalweg.experiments.recipe import Choice
from thalweg.experiments.spec import Spec
from thalweg.train import OBJECTIVES, Objective
from thalweg.train.objectives import CrossEntropy, MeanSquaredError

if TYPE_CHECKING:
    from thalweg.schedules import Schedule

DTYPES = {"float32": None, "bfloat16": torch.bfloat16}
FEW_OPERATIONS = 1e8
"""Floating-point operations in a step below which a second thread costs more than it brings."""


def look_up(name: str, table: Mapping[str, Any], kind: str) -> Any:
    """``table[name]``, or one sentence with the names there are."""
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1)
    hint = f'did you mean "{near[0]}"?' if near else f"choose among {', '.join(sorted(table))}"
    raise InputError(f'there is no {kind} "{name}": {hint}')


def build_device(name: str) -> torch.device:
    """``auto`` takes CUDA, then Apple's MPS, then the processor; a device that is not there is refused."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f'there is no device "{name}": choose auto, cpu, cuda, cuda:1 or mps') from None
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(device.type, False):
        raise InputError(f'the device "{name}" is not there: PyTorch sees no such device; use device = "cpu"')
    return device


def build_objective(task: str, *, scale: float, classes: int | None = None) -> Objective:
    """The loss of a task; ``scale`` is the size of one unit of standardised regression targets."""
    if task == "multiclass" and classes is not None:
        return CrossEntropy(classes=classes)
    return MeanSquaredError(scale=scale) if task == "regression" else OBJECTIVES[task]


def build_model(spec: Spec, *, input_shape: tuple[int, ...], n_outputs: int) -> torch.nn.Module:
    """The network of a spec, before ``initialise``; what a module of the user's draws comes from the seed."""
    torch.manual_seed(spec.seed)
    if is_own(spec.model):
        return build_own(spec.model, input_shape=input_shape, n_outputs=n_outputs)
    from thalweg.models import LinearPath, mlp

    look_up(spec.model, {"mlp": mlp}, "model")
    features = math.prod(input_shape)
    deep = mlp(
        features,
        n_outputs,
        hidden=tuple(spec.hidden or ()),
        activation=spec.activation,
        dropout=spec.dropout or 0.0,
        norm=spec.norm,
    )
    return LinearPath(features, n_outputs, deep) if spec.skip and spec.hidden else deep


def initialise(spec: Spec, model: torch.nn.Module) -> list[Choice]:
    """Draws the weights of a built-in model, or of the user's where ``init`` says how, from the seed."""
    from thalweg.initializers import initialize
    from thalweg.models import LinearPath

    if is_own(spec.model) and spec.init is None:
        return []
    done = initialize(model, scheme=spec.init or "auto", generator=torch.Generator().manual_seed(spec.seed))
    if isinstance(model, LinearPath):
        model.start_linear()
    schemes = ", ".join(dict.fromkeys(one.scheme for one in done))
    return [Choice("init", schemes, "fits what follows each layer")] if spec.init is None else []


def build_optimizer(
    spec: Spec, parameters: Iterable[torch.nn.Parameter], *, lr: float, measured: bool = False
) -> torch.optim.Optimizer:
    """The optimizer of a spec. Raises ``InputError`` for a rule or an option that does not exist.

    ``measured`` has it measure the gradient's norm in each step even where nothing is clipped.
    """
    from thalweg import optim

    rule = look_up(spec.rule, optim.NAMED, "rule")
    known = {
        name: parameter
        for name, parameter in inspect.signature(rule).parameters.items()
        if name not in ("self", "params", "in_pass")
    } | optim.InPass.__annotations__
    clip_norm = math.inf if measured and spec.clip_norm is None else spec.clip_norm
    arguments: dict[str, Any] = {"lr": lr, "clip_norm": clip_norm}
    if spec.rule == "muon":  # one rate for both its parts, so that one search and one schedule serve them
        arguments |= {"rest_lr": lr, "adjust_lr_fn": "match_rms_adamw"}
    if spec.weight_decay is not None:
        arguments["weight_decay"] = spec.weight_decay
    for name in ("lr", "weight_decay", "clip_norm"):
        if name in spec.options:
            raise InputError(f'"{name}" is a setting of its own: give {name}, not an option of the rule')
    for name, value in {**arguments, **spec.options}.items():
        look_up(name, known, f"option of {spec.rule}")
        arguments[name] = tuple(value) if isinstance(value, list) else value
    try:
        return rule(parameters, **arguments)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"{spec.rule}: {error}") from None


def averaged_weights(optimizer: torch.optim.Optimizer) -> AbstractContextManager[None]:
    """A context in which the model holds the weights to be measured and kept: their average, where the optimizer has one."""
    from thalweg.optim import HandOver, Optimizer

    return optimizer.averaged() if isinstance(optimizer, (Optimizer, HandOver)) else nullcontext()


def build_schedule(spec: Spec, *, steps: int) -> Schedule:
    """The factor of the rate over ``steps`` updates: warm-up, then the decay that the spec names."""
    from thalweg import schedules

    rising = round(spec.warmup * steps)
    falling = max(steps - rising, 1)
    decays = {
        "cosine": lambda: schedules.cosine(falling),
        "linear": lambda: schedules.linear(falling),
        "constant": lambda: schedules.constant(),
    }
    if "(" in spec.schedule:
        return schedules.parse(spec.schedule)
    decay = look_up(spec.schedule, decays, "schedule")()
    return schedules.warmup(rising) >> decay if rising else decay


def choose_threads(model: torch.nn.Module, batch_size: int) -> int:
    """One thread for a step of little arithmetic, else one for each core that PyTorch would use.

    Waking a second thread costs some tens of microseconds in every operation; a forward and backward pass has about
    six floating-point operations for each weight and example.
    """
    weights = sum(parameter.numel() for parameter in model.parameters())
    return 1 if 6 * weights * batch_size < FEW_OPERATIONS else torch.get_num_threads()
