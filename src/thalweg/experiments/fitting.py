"""``thalweg.fit``: train any ``nn.Module``, or a built-in net by name, on anything that holds data, from Python.

>>> fitted = thalweg.fit(model, (X, y))                              # arrays, tensors, a frame, a file, a bundled name
>>> fitted = thalweg.fit("mlp", frame, target="price", hidden=[64, 64], dropout=0.2)
>>> fitted.metrics["test"]["r2"], fitted.predict(other_frame)
>>> fitted = thalweg.fit(model, train_loader, dev=dev_loader, optimizer=torch.optim.SGD(model.parameters(), lr=0.1))

Arrays and frames are split, scaled and batched as ``thalweg train`` does it; loaders are taken as they are. The model is
trained in place, ends with its best weights and in evaluation mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import torch

from thalweg.errors import InputError
from thalweg.experiments.assemble import assemble, check_module, check_words
from thalweg.experiments.build import build_device
from thalweg.experiments.experiment import Experiment, conduct
from thalweg.experiments.parts import Prepared, prepare, prepare_loaders
from thalweg.experiments.rate import find_rate
from thalweg.experiments.reading import Beside
from thalweg.experiments.recipe import Choice
from thalweg.experiments.settings import Settings, check_keywords
from thalweg.experiments.spec import Spec
from thalweg.experiments.threads import threads
from thalweg.experiments.watcher import Silent, Watcher
from thalweg.history import History
from thalweg.train import Hook

if TYPE_CHECKING:
    import polars

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

    def predict(self, inputs: Any) -> polars.DataFrame:
        """Predictions for raw inputs like those trained on, as ``thalweg.load(RUN).predict`` gives them."""
        from thalweg.experiments.predict import Predictor

        if self.preprocessor is None:
            raise InputError("the model was trained on loaders: what they do to inputs is theirs, so call fitted.model")
        return Predictor(Path("the model"), self.spec, self.preprocessor, self.model).predict(inputs)


def fit(
    model: torch.nn.Module | str,
    data: Any,
    *,
    dev: Any = None,
    test: Any = None,
    weights: Any = None,
    groups: Any = None,
    time: Any = None,
    split_column: Any = None,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    history: str | Path | None = None,
    hooks: Sequence[Hook] = (),
    watcher: Watcher | None = None,
    **settings: Unpack[Settings],
) -> Fitted:
    """Trains ``model`` in place on ``data`` and measures it.

    ``model`` is a module, or the name of a built-in net: ``"mlp"``, ``"linear"``, ``"resnet"``, ``"FILE.py:FUNCTION"``.
    ``data`` is an ``(X, y)`` pair of arrays or tensors, a frame or a file with its ``target`` column, a bundled name, or
    a ``DataLoader`` of ``(inputs, targets)`` batches with another one, or a pair of tensors, as ``dev``. Otherwise ``dev`` and
    ``test`` are parts of their own, in the form of ``data``. ``weights``, ``groups``, ``time`` and ``split_column`` are arrays
    of n values, or names of columns. ``loss`` replaces the task's own.

    A ``torch.optim`` (or any other) ``optimizer`` over the model's parameters is used as it is: its rate, no schedule
    unless you bring one as a hook. Otherwise ``rule`` with its ``options`` is built, and its rate found where ``lr`` is
    not given.

    ``history`` is a path to which the numbers are written as the run goes. The other ``settings`` are those of ``Spec``.

    Raises ``InputError`` for data, settings or a model that cannot be trained.
    """
    onlooker = Silent() if watcher is None else watcher
    check_keywords("fit", settings)
    with threads():
        experiment, prepared = assembled(
            model,
            data,
            Beside(dev, test, weights, groups, time, split_column),
            loss=loss,
            optimizer=optimizer,
            watcher=onlooker,
            settings=settings,
        )
        torch.set_num_threads(experiment.spec.threads or torch.get_num_threads())
        if optimizer is None and experiment.spec.lr is None:
            onlooker.stage("finding a learning rate")
            found = find_rate(experiment, onlooker, lambda: False)
            assert found is not None
            experiment.spec = experiment.spec.replace(lr=found.rate)
            experiment.choices.append(Choice("lr", f"{found.rate:.4g}", found.reason))
        numbers = History(history)
        outcome = conduct(experiment, history=numbers, watcher=onlooker, hooks=hooks)
        numbers.close()
    return Fitted(
        experiment.model,
        outcome.metrics,
        numbers,
        experiment.spec,
        experiment.choices,
        outcome.best_epoch,
        outcome.stopped,
        prepared.preprocessor,
    )


def assembled(
    model: torch.nn.Module | str,
    data: Any,
    beside: Beside,
    *,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None,
    optimizer: torch.optim.Optimizer | None,
    watcher: Watcher,
    settings: Settings,
) -> tuple[Experiment, Prepared]:
    """What ``fit`` trains and ``check`` looks at: the experiment, and the data it was made for."""
    named = isinstance(model, str)
    spec = Spec(data=data if isinstance(data, str) else "the data", model=model if named else "the model", **settings)
    if not named:
        check_module(model, optimizer)
    elif optimizer is not None:
        raise InputError("an optimizer needs the module it belongs to: give the module as well, or a rule by name")
    if optimizer is None:
        check_words(spec)
    else:
        for name in sorted({"lr", "rule", "options", "schedule", "warmup", "weight_decay"} & set(settings)):
            raise InputError(f"{name} does not belong to an optimizer of your own: leave it out, or the optimizer")
    place = build_device(spec.device)
    if _is_batches(data):
        if beside.dev is None:
            raise InputError("a DataLoader needs a dev part beside it, to stop early by: give dev=, a loader or (X, y)")
        brought = [
            part.name for part in fields(beside) if part.name != "dev" and getattr(beside, part.name) is not None
        ]
        for name in (*brought, *_of_data(settings)):
            raise InputError(
                f"{name} does not belong to a DataLoader, which brings finished batches: leave it out, or give arrays"
            )
        prepared = prepare_loaders(data, beside.dev, spec, device=place)
    else:
        prepared = prepare(beside.read(data, spec), spec, device=place)
    experiment = assemble(
        spec,
        prepared,
        watcher=watcher,
        device=place,
        model=None if isinstance(model, str) else model,
        loss=loss,
        optimizer=optimizer,
    )
    return experiment, prepared


def _of_data(settings: Mapping[str, Any]) -> list[str]:
    """The settings given that say how data are read, divided or scaled."""
    known = ("target", "delimiter", "drop", "split", "scale", "scale_target", "batch_size")
    return [
        name for name in known if settings.get(name, Spec.model_fields[name].default) != Spec.model_fields[name].default
    ]


def _is_batches(data: Any) -> bool:
    """Whether this is something to loop over for ``(inputs, targets)``, and not a pair, a frame or a name."""
    if isinstance(data, torch.utils.data.DataLoader):
        return True
    if isinstance(data, tuple | str | Path | dict | torch.Tensor) or not isinstance(data, Iterable):
        return False
    first = data if iter(data) is data else next(iter(data), data)
    return first is data or (isinstance(first, tuple | list) and len(first) == 2)
