"""``thalweg.fit``: train any ``nn.Module`` on anything that holds data, from Python.

>>> fitted = thalweg.fit(model, (X, y))                              # arrays, tensors, a frame, a file, a bundled name
>>> fitted.metrics["test"]["accuracy"]
>>> fitted = thalweg.fit(model, train_loader, dev=dev_loader, optimizer=torch.optim.SGD(model.parameters(), lr=0.1))

Arrays and frames are split, scaled and batched as ``thalweg train`` does it; loaders are taken as they are. The model is
trained in place, ends with its best weights and in evaluation mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from thalweg.errors import InputError
from thalweg.experiments.build import build_device, build_objective, build_optimizer, build_schedule, choose_threads
from thalweg.experiments.experiment import Experiment, conduct
from thalweg.experiments.parts import from_loaders, prepare
from thalweg.experiments.rate import find_rate
from thalweg.experiments.recipe import Choice, open_settings
from thalweg.experiments.spec import Spec
from thalweg.experiments.watcher import Silent, Watcher
from thalweg.history import History
from thalweg.train import Hook, Objective
from thalweg.train.objectives import Custom

if TYPE_CHECKING:
    from thalweg.data import Preprocessor


@dataclass(frozen=True)
class Fitted:
    """A trained model and how it came about. ``metrics`` by part: ``{"train": {"loss": …}, "dev": …, "test": …}``."""

    model: torch.nn.Module
    metrics: dict[str, dict[str, float]]
    history: History
    spec: Spec
    choices: list[Choice]
    best_epoch: int
    stopped: str
    preprocessor: Preprocessor | None


def fit(
    model: torch.nn.Module,
    data: Any,
    *,
    dev: Iterable | tuple[torch.Tensor, torch.Tensor] | None = None,
    target: str | None = None,
    task: str | None = None,
    split: Sequence[float] | None = None,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    rule: str = "adamw",
    options: dict[str, Any] | None = None,
    lr: float | None = None,
    weight_decay: float | None = None,
    clip_norm: float | None = 1.0,
    schedule: str = "cosine",
    warmup: float = 0.05,
    epochs: int = 50,
    batch_size: int | None = None,
    patience: int = 30,
    watch: str | None = None,
    seed: int = 1,
    device: str = "auto",
    precision: str = "float32",
    threads: int | None = None,
    history: str | Path | None = None,
    hooks: Sequence[Hook] = (),
    watcher: Watcher | None = None,
) -> Fitted:
    """Trains ``model`` in place on ``data`` and measures it.

    ``data`` is an ``(X, y)`` pair of arrays or tensors, a frame or a file with its ``target`` column, a bundled name, or
    a ``DataLoader`` of ``(inputs, targets)`` batches with another one, or a pair of tensors, as ``dev``. ``loss`` replaces
    the task's own.

    A ``torch.optim`` (or any other) ``optimizer`` over the model's parameters is used as it is: its rate, no schedule
    unless you bring one as a hook. Otherwise ``rule`` with its ``options`` is built, and its rate found where ``lr`` is
    not given.

    ``history`` is a path to which the numbers are written as the run goes. The other settings are those of ``Spec``.

    Raises ``InputError`` for data, settings or a model that cannot be trained.
    """
    name = data if isinstance(data, str) else "the data"
    spec = Spec(
        data=name, target=target, task=task, split=None if split is None else list(split), model="the model", rule=rule,
        options=options or {}, lr=lr, weight_decay=weight_decay, clip_norm=clip_norm, schedule=schedule, warmup=warmup,
        epochs=epochs, batch_size=batch_size, patience=patience, watch=watch, seed=seed, device=device,
        precision=precision, threads=threads,
    )  # fmt: skip
    onlooker = Silent() if watcher is None else watcher
    _check(model, optimizer)
    if optimizer is None:
        build_optimizer(spec, [torch.nn.Parameter(torch.zeros(1))], lr=lr or 1.0)  # a wrong name is said at once
        build_schedule(spec, steps=1)
    place = build_device(device)
    model.to(place)
    before = torch.get_num_threads()
    try:
        experiment, preprocessor = _assemble(spec, model, data, dev, loss, optimizer, place, onlooker)
        torch.set_num_threads(experiment.spec.threads or before)
        if optimizer is None and lr is None:
            onlooker.stage("finding a learning rate")
            found = find_rate(experiment, onlooker, lambda: False)
            assert found is not None
            experiment.spec = experiment.spec.replace(lr=found.rate)
            experiment.choices.append(Choice("lr", f"{found.rate:.4g}", found.reason))
        numbers = History(history)
        outcome = conduct(experiment, history=numbers, watcher=onlooker, hooks=hooks)
        numbers.close()
    finally:
        torch.set_num_threads(before)
    return Fitted(
        model,
        outcome.metrics,
        numbers,
        experiment.spec,
        experiment.choices,
        outcome.best_epoch,
        outcome.stopped,
        preprocessor,
    )


def _assemble(
    spec: Spec,
    model: torch.nn.Module,
    data: Any,
    dev: Any,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None,
    optimizer: torch.optim.Optimizer | None,
    device: torch.device,
    watcher: Watcher,
) -> tuple[Experiment, Preprocessor | None]:
    from thalweg.data import TensorBatches, load

    preprocessor = None
    loaders = dev is not None or isinstance(data, torch.utils.data.DataLoader)
    if loaders:
        if dev is None:
            raise InputError("a DataLoader needs a dev part beside it, to stop early by: give dev=, a loader or (X, y)")
        parts, batches = from_loaders(data, dev, seed=spec.seed, device=device)
        task, scale = spec.task or _task_of(parts.dev[1]), 1.0
    else:
        loaded = load(data, target=spec.target, task=spec.task)
        parts, preprocessor = prepare(loaded, fractions=spec.split, seed=spec.seed, device=device)
        for sentence in preprocessor.notes:
            watcher.note(sentence)
        task, scale = loaded.task, preprocessor.target_scale
    example = parts.train[0][0]
    values, choices = open_settings(
        spec,
        rows=len(parts.train[1]),
        features=example.numel(),
        image=example.ndim > 1,
        task=task if loss is None else "regression",
        built_in=False,
    )
    spec = spec.replace(**values)
    assert spec.batch_size is not None
    if not loaders:
        batches = TensorBatches(*parts.train, batch_size=spec.batch_size, seed=spec.seed)
    objective: Objective = build_objective(task, scale=scale) if loss is None else Custom(loss)
    if spec.threads is None:
        spec = spec.replace(threads=choose_threads(model, spec.batch_size))
    experiment = Experiment(spec, model, parts, batches, objective, optimizer, choices)
    experiment.check_shapes()
    return experiment, preprocessor


def _check(model: Any, optimizer: Any) -> None:
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


def _task_of(targets: torch.Tensor) -> str:
    """The task of a loader's targets, by their type: numbers with a fraction are a regression, whole ones classes."""
    return "regression" if targets.is_floating_point() else "multiclass"
