"""From settings and data to an ``Experiment``: model, batches, loss and regularisers, with what was left open chosen and said.

``thalweg train``, ``thalweg.fit``, each fold of a cross-validation and each process of a distributed run come through here.

>>> experiment = assemble(spec, prepared, watcher=Silent(), device=torch.device("cpu"))
>>> experiment.choices[0]
Choice(what='batch_size', value='32', why='1,079 training rows')
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from thalweg.errors import InputError
from thalweg.experiments.build import (
    build_batches,
    build_model,
    build_objective,
    build_optimizer,
    build_schedule,
    check_belongs,
    initialise,
)
from thalweg.experiments.experiment import Experiment
from thalweg.experiments.own_module import is_own
from thalweg.experiments.parts import Prepared
from thalweg.experiments.pretraining import pretrain
from thalweg.experiments.recipe import Choice, open_settings
from thalweg.experiments.spec import Spec
from thalweg.experiments.threads import choose_threads
from thalweg.experiments.watcher import Watcher
from thalweg.train import Objective
from thalweg.train.objectives import Custom

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def check_words(spec: Spec) -> None:
    """Says what is wrong with a rule, its options or a schedule before any data are read."""
    build_optimizer(spec, [torch.nn.Parameter(torch.zeros(1))], lr=spec.lr or 1.0)
    build_schedule(spec, steps=1)


def assemble(
    spec: Spec,
    prepared: Prepared,
    *,
    watcher: Watcher,
    device: torch.device,
    model: torch.nn.Module | None = None,
    loss: Loss | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    going_on: bool = False,
) -> Experiment:
    """Everything a run is made of. ``model``, ``loss`` and ``optimizer`` are the user's own objects where given.

    With ``going_on`` a checkpoint will be put in: nothing is trained beforehand. Raises ``InputError`` for settings, data and
    a model that do not fit each other.
    """
    for sentence in (*prepared.notes, *(prepared.preprocessor.notes if prepared.preprocessor is not None else ())):
        watcher.note(sentence)
    parts = prepared.parts
    input_shape = tuple(parts.train[0].shape[1:])
    values, choices = open_settings(
        spec,
        rows=prepared.rows,
        features=math.prod(input_shape),
        image=len(input_shape) > 1,
        task=prepared.task if loss is None else "regression",
        built_in=model is None and not is_own(spec.model),
    )
    spec = spec.replace(**values)
    assert spec.batch_size is not None
    objective: Objective = build_objective(spec, prepared) if loss is None else _own_loss(loss, spec, prepared)
    if model is not None:
        check_belongs(spec)
    if model is None:
        if prepared.preprocessor is None:
            raise InputError("a net by name needs data whose kind is known: with loaders, give the module itself")
        model = build_model(spec, prepared.preprocessor)
        choices += initialise(spec, model, prepared)
    elif spec.init is not None:
        choices += initialise(spec, model, prepared)
    if not spec.shard:  # it may be too large for one device before it is divided
        model.to(device)
    if spec.threads is None:
        spec = spec.replace(threads=choose_threads(model, spec.batch_size))
        choices.append(
            Choice("threads", str(spec.threads), "the arithmetic of one step decides whether more threads pay")
        )
    experiment = Experiment(
        spec,
        model,
        parts,
        partial(build_batches, spec, prepared),
        objective,
        optimizer,
        choices,
        rows=prepared.rows,
    )
    experiment.check_shapes()
    len(experiment.batches)  # augmentation that does not fit the examples is said now
    for choice in choices:
        if choice.what == "init" and "not known" in choice.why:
            watcher.note(f"{choice.why[:1].upper()}{choice.why[1:]}.")
    if spec.pretrain and not going_on:
        choices += pretrain(experiment, watcher)
    return experiment


def _own_loss(loss: Loss, spec: Spec, prepared: Prepared) -> Objective:
    """The user's loss, which is told of outputs and targets alone: what else would change a loss is refused."""
    ignored = [name for name in ("class_weights", "label_smoothing") if getattr(spec, name)]
    for name in ["weights"] * prepared.weighted + ignored:
        raise InputError(f"{name} belongs to the task's own loss: leave it out, or have your own loss do it")
    return Custom(loss)


def check_module(model: Any, optimizer: Any) -> None:
    """Says at once what would train nothing, or fail in the middle."""
    if not isinstance(model, torch.nn.Module):
        raise InputError(f"the model is {type(model).__name__}, not a torch.nn.Module")
    parameters = list(model.parameters())
    if any(isinstance(p, torch.nn.parameter.UninitializedParameter) for p in parameters):
        raise InputError("the model has lazy layers without sizes yet: call it once on an example before training it")
    trained = {id(p) for p in parameters if p.requires_grad}
    if not trained:
        raise InputError("the model has no parameter to train: all are frozen, or there is none")
    wide = next((p.dtype for p in parameters if p.is_floating_point() and p.dtype != torch.float32), None)
    if wide is not None:
        raise InputError(f"the model holds {wide}, but training runs in float32: call model.float() first")
    if optimizer is None:
        return
    if not isinstance(optimizer, torch.optim.Optimizer) or isinstance(optimizer, torch.optim.LBFGS):
        raise InputError(
            f"the optimizer {optimizer!r:.60} is no torch.optim optimizer that steps on gradients: give one over the model's "
            f"parameters, or a rule by name (rule=)"
        )
    if not trained & {id(p) for group in optimizer.param_groups for p in group["params"]}:
        raise InputError("the optimizer holds none of the model's parameters: make it from model.parameters()")
