"""Names to objects: every word of a spec, looked up once.

A table for each kind of thing; a name that is not in it is answered with those that are.

>>> optimizer = build_optimizer(spec, model.parameters(), lr=0.01)
>>> schedule = build_schedule(spec, steps=1000)               # a factor of the rate, 0…1
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg.errors import InputError
from thalweg.experiments.own_module import build_own, is_own
from thalweg.experiments.recipe import Choice
from thalweg.experiments.spec import Spec
from thalweg.train import L2, Batches, Hook, MaxNorm, Objective, ProximalL1, Weighted, balanced_weights
from thalweg.train.objectives import BinaryCrossEntropy, CrossEntropy, MeanSquaredError
from thalweg.wording import meant

if TYPE_CHECKING:
    from thalweg.data import Preprocessor
    from thalweg.experiments.parts import Pair, Prepared
    from thalweg.history import History
    from thalweg.schedules import Schedule
    from thalweg.train.parallel import Ranks

DTYPES = {"float32": None, "bfloat16": torch.bfloat16}
INIT_EXAMPLES = 256
"""Examples that an initialisation by data (LSUV) looks at."""
RARE = 0.5
"""A class with less than this share of an even part is rare: then accuracy alone says too little."""


def look_up(name: str, table: Mapping[str, Any], kind: str) -> Any:
    """``table[name]``, or one sentence with the names there are."""
    if name in table:
        return table[name]
    raise InputError(f'there is no {kind} "{name}": {meant(name, sorted(table))}')


def build_device(name: str, local: int | None = None) -> torch.device:
    """``auto`` takes CUDA, then Apple's MPS, then the processor; a device that is not there is refused.

    ``local`` is the number of a process among several of this machine: each takes an accelerator of its own.
    """
    if name in ("auto", "cuda") and local is not None and torch.cuda.is_available():
        return build_device(f"cuda:{local}")
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


def build_objective(spec: Spec, prepared: Prepared) -> Objective:
    """The loss of a task, with its smoothing and weights, and the metrics to watch."""
    also = _metrics(spec, prepared)
    objective: Objective
    if prepared.task == "regression":
        for name in ("class_weights", "label_smoothing"):
            if getattr(spec, name):
                raise InputError(f"{name} is for classes, and the task is a regression: leave it out")
        preprocessor = prepared.preprocessor
        if preprocessor is None:
            objective = MeanSquaredError(also=also)
        else:
            restore = preprocessor.restore_targets if spec.scale_target == "quantile" else None
            objective = MeanSquaredError(scale=preprocessor.target_scale, also=also, restore=restore)
    else:
        weights = _class_weights(spec, prepared)
        if prepared.task == "binary":
            objective = BinaryCrossEntropy(label_smoothing=spec.label_smoothing, class_weights=weights, also=also)
        else:
            classes = None if prepared.class_counts is None else len(prepared.class_counts)
            objective = CrossEntropy(
                label_smoothing=spec.label_smoothing, classes=classes, class_weights=weights, also=also
            )
    return Weighted(objective) if prepared.weighted else objective


def _metrics(spec: Spec, prepared: Prepared) -> tuple[str, ...]:
    """What is measured beside the task's own metrics: what is watched, and what tells more where classes are unequal."""
    also = []
    counts = prepared.class_counts
    if counts and min(counts) < RARE * sum(counts) / len(counts):
        also += ["balanced_accuracy", "f1"]
    measured = ("r2", "rmse") if prepared.task == "regression" else ("accuracy",)
    if spec.watch not in (None, "loss", *measured, *also):
        also.append(str(spec.watch))
    return tuple(also)


def _class_weights(spec: Spec, prepared: Prepared) -> Any:
    counts, wanted = prepared.class_counts, spec.class_weights
    if wanted is None:
        return None
    if counts is None:
        raise InputError("class_weights needs data whose classes are known: with loaders, weigh in a loss of your own")
    if wanted == "balanced":
        return balanced_weights(counts)
    if len(wanted) != len(counts) or min(wanted) < 0 or max(wanted) == 0:
        raise InputError(
            f"class_weights has {len(wanted)} numbers for {len(counts)} classes: give one of at least 0 for each, in the "
            f"order of the classes, or the word balanced"
        )
    return tuple(float(weight) for weight in wanted)


def build_batches(spec: Spec, prepared: Prepared, ranks: Ranks) -> Batches:
    """The mini-batches of one process, with the random changes that the spec asks for."""
    assert spec.batch_size is not None
    batches = prepared.batches(spec.batch_size, ranks)
    if not spec.augment:
        return batches
    from thalweg.data import augment

    steps = augment.parse(spec.augment)
    augment.check(steps, tuple(prepared.parts.train[0].shape[1:]))
    counts, preprocessor = prepared.class_counts, prepared.preprocessor
    return augment.Augmented(
        batches,
        steps,
        seed=spec.seed,
        classes=len(counts) if counts and prepared.task == "multiclass" else None,
        fill=_black(preprocessor),
        protected=() if preprocessor is None else tuple(column.feature for column in preprocessor.embedded),
        weighted=prepared.weighted,
    )


def _black(preprocessor: Preprocessor | None) -> tuple[float, ...] | float:
    """What black is in each channel of a scaled image: it stands where an image was moved away from."""
    if preprocessor is None or len(preprocessor.input_shape) != 3:
        return 0.0
    black = preprocessor.inputs(np.zeros((1, *preprocessor.input_shape), np.uint8))
    return tuple(float(value) for value in black[0, :, 0, 0])


def build_model(spec: Spec, preprocessor: Preprocessor) -> torch.nn.Module:
    """The network of a spec, before ``initialise``; what a module of the user's draws comes from the seed."""
    input_shape, n_outputs = preprocessor.input_shape, preprocessor.n_outputs
    torch.manual_seed(spec.seed)
    own = is_own(spec.model)
    if not own:
        look_up(spec.model, BELONGS, "model")
    check_belongs(spec)
    if own:
        return build_own(spec.model, input_shape=input_shape, n_outputs=n_outputs, given=spec.model_options)
    if spec.model_options:
        raise InputError(
            f"model_options are arguments of a module of your own, and the model is {spec.model}: leave them out"
        )
    from thalweg import models

    if spec.model == "resnet":
        return models.resnet(
            input_shape,
            n_outputs,
            dropout=_single(spec.dropout, "resnet"),
            **{name: getattr(spec, name) for name in ("depth", "width") if getattr(spec, name) is not None},
        )

    def net(width: int) -> torch.nn.Module:
        hidden = tuple(spec.hidden or ())
        dropped = spec.dropout or [0.0]
        deep = models.mlp(
            width,
            n_outputs,
            hidden=hidden,
            activation=spec.activation,
            dropout=dropped[0] if len(dropped) == 1 else dropped,
            input_dropout=spec.input_dropout,
            norm=spec.norm,
            residual=spec.residual,
        )
        return models.LinearPath(width, n_outputs, deep) if spec.skip and hidden else deep

    embedded = tuple((column.feature, column.size) for column in preprocessor.embedded)
    return models.Tabular(math.prod(input_shape), embedded, build=net) if embedded else net(math.prod(input_shape))


BELONGS = {
    "mlp": {"hidden", "activation", "residual", "skip", "norm", "dropout", "input_dropout"},
    "linear": {"input_dropout"},
    "resnet": {"depth", "width", "dropout"},
}
"""The built-in models and the settings that are theirs."""


def check_belongs(spec: Spec) -> None:
    """Raises ``InputError`` for a setting of a built-in model that is given to another, or to a module of the user's."""
    kind = spec.model if spec.model in BELONGS else "your own module"
    for name in sorted(set().union(*BELONGS.values()) - BELONGS.get(spec.model, set())):
        if getattr(spec, name) not in (None, Spec.model_fields[name].default):
            raise InputError(f"{name} does not belong to {kind}: leave it out, or choose the model that has it")


def _single(dropout: list[float] | None, model: str) -> float:
    if dropout is None:
        return 0.0
    if len(dropout) != 1:
        raise InputError(f"dropout has {len(dropout)} probabilities, and a {model} takes one, before its last layer")
    return dropout[0]


def initialise(spec: Spec, model: torch.nn.Module, prepared: Prepared) -> list[Choice]:
    """Draws the weights of a built-in model, or of the user's where ``init`` says how, from the seed."""
    from thalweg.initializers import initialize, not_known

    if is_own(spec.model) and spec.init is None:
        return []
    done = initialize(
        model,
        scheme=spec.init or "auto",
        generator=torch.Generator().manual_seed(spec.seed),
        batch=prepared.parts.sample[0][:INIT_EXAMPLES].cpu() if spec.init == "lsuv" else None,
    )
    start_linear(model)
    schemes = ", ".join(dict.fromkeys(one.scheme for one in done))
    if spec.init not in (None, "auto"):
        return []
    return [Choice("init", schemes, not_known(done) or "fits what follows each layer")]


def start_linear(model: torch.nn.Module) -> None:
    """A linear path starts at zero, whatever else was drawn."""
    from thalweg.models import LinearPath

    for module in model.modules():
        if isinstance(module, LinearPath):
            module.start_linear()


def build_optimizer(
    spec: Spec, parameters: Iterable[torch.nn.Parameter], *, lr: float, examples: int = 1, measured: bool = False
) -> torch.optim.Optimizer:
    """The optimizer of a spec. Raises ``InputError`` for a rule or an option that does not exist.

    ``examples`` is the m of λ/2m. ``measured`` has it measure the gradient's norm in each step even where nothing is clipped.
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
    elif spec.l2 is not None and "weight_decay" in known:
        arguments["weight_decay"] = 0.0  # one of the two is meant
    if spec.l1:
        arguments |= {"l1": spec.l1 / (2 * examples), "decay": "matrices"}
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


def build_regularisers(spec: Spec, optimizer: torch.optim.Optimizer, *, examples: int) -> tuple[Hook, ...]:
    """What acts on gradients or weights beside the optimizer; ``examples`` is the m of λ/2m."""
    from thalweg import optim

    hooks: list[Hook] = []
    if spec.l2:
        hooks.append(L2(spec.l2, examples))
    if spec.l1 and not isinstance(optimizer, optim.Optimizer):  # ours do it in their own pass
        hooks.append(ProximalL1(spec.l1, examples))
    if spec.max_norm is not None:
        hooks.append(MaxNorm(spec.max_norm))
    return tuple(hooks)


LOOKED_AT = 256
"""Training rows on which activations and curvature are measured."""


def build_monitors(
    spec: Spec, model: torch.nn.Module, objective: Objective, sample: Pair, history: History
) -> tuple[Hook, ...]:
    """What is recorded beside the usual numbers, on some of the training rows ``sample``."""
    from thalweg import monitors

    rows = sample[0][:LOOKED_AT], sample[1][:LOOKED_AT]
    made: dict[str, Callable[[], Hook]] = {
        "activations": lambda: monitors.ActivationStats(history, model, rows=rows[0]),
        "cosine": lambda: monitors.GradCosine(history),
        "noise": lambda: monitors.NoiseScale(history, objective, sample, seed=spec.seed),
        "curvature": lambda: monitors.Curvature(history, objective, rows, seed=spec.seed),
    }
    return tuple(made[name]() for name in spec.monitors or ())


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
