"""From a point of a search space to the settings of a run, and the space that is searched where none is given.

>>> candidate(Spec(data="digits"), {"lr": 0.01, "beta1": 0.95, "hidden": 64, "layers": 3}).hidden
[64, 64, 64]
>>> list(default_space(Spec(data="digits", rule="sgd")))
['lr', 'weight_decay', 'momentum', 'batch_size', 'hidden', 'layers', 'dropout']

A name is a setting of ``Spec``, ``layers`` (hidden layers, each as wide as ``hidden`` says), ``beta1`` or ``beta2``, an option
of the rule, or ``model.NAME``, an argument of the user's own function that makes the module.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

from thalweg.errors import InputError
from thalweg.experiments.assemble import check_words
from thalweg.experiments.build import BELONGS, check_belongs, look_up
from thalweg.experiments.own_module import is_own
from thalweg.experiments.spec import Spec
from thalweg.search.dimensions import Choices, Dimension, Range, Value
from thalweg.search.space import Space
from thalweg.wording import meant

ONE_FOR_ALL = {
    "data", "target", "task", "delimiter", "drop", "dev", "test", "split", "split_column", "groups", "time", "weights", "folds",
    "stream", "scale", "scale_target", "model", "device", "threads", "shard", "name", "runs", "epochs", "watch", "seed",
    "options", "model_options", "class_weights",
}  # fmt: skip
"""Settings in which candidates must agree, for their results to be comparable."""
BETAS = ("beta1", "beta2")
OF_MODEL = "model."
"""Before the name of an argument of the user's own function that makes the module."""


def candidate(spec: Spec, values: Mapping[str, Value]) -> Spec:
    """The settings of a run with one value of each hyperparameter."""
    changes: dict[str, Any] = {}
    options, arguments = dict(spec.options), dict(spec.model_options)
    widths = spec.hidden or [128, 128]
    layers = int(values.get("layers", len(widths)))
    for name, value in values.items():
        if name == "hidden":
            widths = [int(width) for width in str(value).split("-")]
        elif name in Spec.model_fields:
            changes[name] = value
        elif name in BETAS:
            given = options.get("betas")
            rule = str(values.get("rule", spec.rule))
            betas = [float(beta) for beta in (given if isinstance(given, list) else _default_betas(spec, rule))]
            betas[BETAS.index(name)] = float(value)
            options["betas"] = betas
        elif name.startswith(OF_MODEL):
            arguments[name.removeprefix(OF_MODEL)] = value
        elif name != "layers":
            options[name] = value
    if "hidden" in values or "layers" in values:
        same = len(set(widths)) == 1
        if "layers" in values and not same:
            raise InputError("layers repeats one width, and hidden has several: vary one of the two")
        changes["hidden"] = [widths[0]] * layers if same and "-" not in str(values.get("hidden", "")) else widths
    return spec.replace(**changes, options=options, model_options=arguments)


def _default_betas(spec: Spec, rule: str) -> tuple[float, float]:
    from thalweg import optim

    betas = inspect.signature(look_up(rule, optim.NAMED, "rule")).parameters.get("betas")
    if betas is None:
        raise InputError(
            f"beta1 and beta2 are not hyperparameters of {spec.rule}: vary its momentum, or choose another rule"
        )
    return tuple(betas.default)


OF_A_MEMBER = {
    "lr", "weight_decay", "options", "rule", "schedule", "warmup", "clip_norm", "label_smoothing", "init", "class_weights",
    "seed",
}  # fmt: skip
"""Settings in which the members of one population may differ; and dropout, but for whether there is any."""


def group_of(spec: Spec) -> str:
    """What must be the same in candidates that train as one program: the net, the mini-batches, the passes."""
    dropout = {
        "dropout": [float(share > 0) for share in spec.dropout or ()],
        "input_dropout": float(spec.input_dropout > 0),
    }
    alike = spec.model_copy(update=dropout).model_dump_json(exclude=OF_A_MEMBER)
    regularised = [bool(value) for value in (spec.l1, spec.l2, spec.max_norm)]
    return f"{alike} {regularised} {'(' in spec.schedule}"


BLOCK, FEWEST = 8, 8
"""Candidates from which on a program gains little by having more of them, and architectures that a search tries at least."""


def dividing(space: Space) -> tuple[str, ...]:
    """The hyperparameters that divide candidates into programs: each combination of their values is a program of its own."""
    return tuple(name for name in space.searched if _divides(name))


def _divides(name: str) -> bool:
    own = OF_A_MEMBER | {"dropout", "input_dropout"}
    return (name in Spec.model_fields and name not in own) or name == "layers" or name.startswith(OF_MODEL)


def kinds_of(space: Space, trials: int) -> int:
    """How many programs so many trials can make at most."""
    return math.prod(len(space[name].grid(trials)) for name in dividing(space))


def block_of(space: Space, trials: int) -> int:
    """How many consecutive trials of a random search share an architecture: 1 where there are enough of each kind anyway."""
    kinds = kinds_of(space, trials)
    few = all(isinstance(kind := space[name], Choices) or kind.whole for name in dividing(space))  # type: ignore[attr-defined]
    return 1 if not few or kinds == 1 or trials >= BLOCK * kinds else max(1, min(BLOCK, trials // min(kinds, FEWEST)))


def check_space(spec: Spec, space: Space) -> None:
    """Raises ``InputError`` for a hyperparameter that the candidates do not have, or must share, or a value it can't be."""
    for name in space:
        if name in ("", OF_MODEL):
            raise InputError(
                f'"{name}" in the space is no name: write lr, or model.width for an argument of your own function'
            )
        if name in ONE_FOR_ALL:
            raise InputError(f"{name} is the same for all candidates: give it as a setting, not in the space")
        if name == "layers" and spec.model != "mlp":
            raise InputError(f"layers belongs to mlp, and the model is {spec.model}: leave it out of the space")
        if name.startswith(OF_MODEL) and spec.model in BELONGS:
            raise InputError(
                f"{name} is an argument of a module of your own, and the model is {spec.model}: leave it out"
            )
        if (argument := name.removeprefix(OF_MODEL)) != name and argument in spec.model_options:
            raise InputError(
                f"{argument} of your function is given ({spec.model_options[argument]}) and searched ({name}): leave one of "
                f"them out"
            )
    if "rule" not in space:
        _check_known(spec, space)
    middle = dict.fromkeys(space, 0.5)
    corners = [dict.fromkeys(space, place) for place in (0.0, 0.5, 1.0)]
    for name, kind in space.dimensions.items():
        if isinstance(kind, Choices):
            corners += [middle | {name: kind.place(value)} for value in kind.values]
    for places in corners:
        made = candidate(spec, space.at(places))
        check_words(made)
        check_belongs(made)


def _check_known(spec: Spec, space: Space) -> None:
    from thalweg import optim

    options = set(inspect.signature(look_up(spec.rule, optim.NAMED, "rule")).parameters)
    known = sorted((Spec.model_fields.keys() | options | {"layers", *BETAS}) - ONE_FOR_ALL - {"params"})
    for name in space:
        if name not in known and not name.startswith(OF_MODEL):
            there = f"a space has settings of a run, layers, beta1, beta2 and what {spec.rule} takes"
            hint = meant(name, known, otherwise=there)
            raise InputError(f'there is no hyperparameter "{name}" of {spec.model} and {spec.rule}: {hint}')


def with_rate(spec: Spec, space: Space) -> Space:
    """The space, and the rate in it first where it is neither given nor searched: one rate does not fit all candidates."""
    if spec.lr is not None or "lr" in space:
        return space
    return Space({"lr": default_space(spec)["lr"], **space.dimensions}, space.when)


def default_space(spec: Spec, *, small: bool = False) -> Space:
    """What matters most comes first: the rate; then decay, momentum, batch size, width; then depth and dropout.

    A setting that the user gave is not searched. Where ``small`` nets are wanted too, widths begin at 8.
    """
    from thalweg import optim

    arguments = inspect.signature(look_up(spec.rule, optim.NAMED, "rule")).parameters
    belongs = BELONGS.get(spec.model, set()) if not is_own(spec.model) else set()
    dimensions: dict[str, Dimension] = {}
    if spec.lr is None:
        dimensions["lr"] = Range(1e-4, 0.1 if "betas" in arguments else 1.0, "log")
    if spec.weight_decay is None and spec.l2 is None and spec.l1 is None and "weight_decay" in arguments:
        dimensions["weight_decay"] = Range(1e-3, 1.0, "log") if "betas" in arguments else Range(1e-6, 1e-2, "log")
    if "betas" in arguments and "betas" not in spec.options:
        dimensions["beta1"] = Range(0.8, 0.98, "one-minus")
    elif "momentum" in arguments and "momentum" not in spec.options:
        dimensions["momentum"] = Range(0.5, 0.99, "one-minus")
    if spec.batch_size is None:
        dimensions["batch_size"] = Choices((32, 64, 128))
    if "hidden" in belongs and spec.hidden is None:
        dimensions["hidden"] = Choices((8, 16, 32, 64, 128) if small else (32, 64, 128))
        dimensions["layers"] = Range(1, 3)
    if "dropout" in belongs and spec.dropout is None:
        dimensions["dropout"] = Range(0.0, 0.5)
    return Space(dimensions)
