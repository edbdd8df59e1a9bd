"""A run in its folder: from a spec to spec, history, checkpoints, model and page; and on from where it was stopped.

>>> folder, result = start(Spec(data="digits"), Silent())
>>> result["metrics"]["test"]["accuracy"]
0.98…
>>> folder, result = resume("runs/digits-1", Silent())      # after Ctrl-C, kill -9 or a power cut: the same numbers

What thalweg chooses (rate, batch size, widths, threads) is written into the folder's ``spec.toml`` as soon as it is known, so
a resumed or a repeated run takes it from there.
"""

from __future__ import annotations

import math
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from thalweg.errors import InputError
from thalweg.experiments.build import (
    build_device,
    build_model,
    build_objective,
    build_optimizer,
    build_schedule,
    choose_threads,
    initialise,
)
from thalweg.experiments.experiment import INTERRUPTED, Experiment, Outcome, conduct
from thalweg.experiments.folder import Folder
from thalweg.experiments.own_module import is_own
from thalweg.experiments.parts import prepare
from thalweg.experiments.rate import find_rate
from thalweg.experiments.recipe import Choice, open_settings
from thalweg.experiments.spec import Spec
from thalweg.experiments.watcher import Watcher
from thalweg.history import History

if TYPE_CHECKING:
    from thalweg.data import Data, Preprocessor


class Interrupted(Exception):
    """The user stopped the run; it is saved and can be resumed."""

    def __init__(self, folder: Folder) -> None:
        super().__init__(f"stopped; go on with: thalweg resume {folder.path}")
        self.folder = folder


def start(spec: Spec, watcher: Watcher) -> tuple[Folder, dict[str, Any]]:
    """Makes a new run of ``spec`` and trains it. Returns its folder and the content of its ``result.json``.

    Raises ``InputError`` for what cannot be trained, ``Interrupted`` when the user stops it.
    """
    data = _load(spec)
    _check_names(spec)
    spec = _anywhere(spec)
    folder = Folder.create(spec.runs, spec.name, data.name)
    with folder.alone():
        folder.write(folder.spec, spec.to_toml())
        try:
            return folder, _run(folder, spec, data, watcher)
        except InputError:
            if not folder.result.exists():  # found wrong before anything was trained: no run to keep
                shutil.rmtree(folder.path, ignore_errors=True)
            raise


def resume(run: str | Path, watcher: Watcher, *, runs: str = "runs") -> tuple[Folder, dict[str, Any]]:
    """Goes on with a run that was stopped or killed; the result has the same bits as if it never had been.

    Raises ``InputError`` where the run has finished, or its data have changed since.
    """
    folder = Folder.open(run, runs)
    if folder.result.exists() and folder.read_json(folder.result)["status"] == "finished":
        raise InputError(f"the run {folder.path} has finished: there is nothing to resume; see {folder.page}")
    spec = Spec.read(folder.spec)
    data = _load(spec)
    with folder.alone():
        return folder, _run(folder, spec, data, watcher)


def _load(spec: Spec) -> Data:
    from thalweg import data

    return data.load(spec.data, target=spec.target, task=spec.task, delimiter=spec.delimiter)


def _anywhere(spec: Spec) -> Spec:
    """The spec with whole paths: a run is repeated, resumed and used to predict from any folder."""
    from thalweg.data import BUNDLED

    changes: dict[str, Any] = {}
    if spec.data not in BUNDLED and Path(spec.data).exists():
        changes["data"] = str(Path(spec.data).resolve())
    if is_own(spec.model):
        file, _, function = spec.model.partition(":")
        changes["model"] = f"{Path(file).resolve()}:{function}" if Path(file).is_file() else spec.model
    return spec.replace(**changes)


def _check_names(spec: Spec) -> None:
    """Whatever can be found wrong before data are read into a network is found before a folder is made."""
    build_device(spec.device)
    probe = [torch.nn.Parameter(torch.zeros(1))]
    build_optimizer(spec, probe, lr=spec.lr or 1.0)
    build_schedule(spec, steps=1)


def _run(folder: Folder, spec: Spec, data: Data, watcher: Watcher) -> dict[str, Any]:
    from thalweg.experiments.page import write_page

    before = folder.read_json(folder.result) if folder.result.exists() else {}
    if before.get("fingerprint", data.fingerprint) != data.fingerprint:
        raise InputError(
            f"the data {spec.data} have changed since the run {folder.path} began: it cannot be resumed; start a new run"
        )
    result: dict[str, Any] = {
        "status": "running",
        "created": before.get("created", time.strftime("%Y-%m-%d %H:%M:%S")),
        "task": data.task,
        "data": data.profile(),
        "fingerprint": data.fingerprint,
    }
    going_on = folder.checkpoint.exists()
    if not going_on:
        folder.history.unlink(missing_ok=True)
    with _threads_of(spec):
        experiment, preprocessor = assemble(spec, data, watcher)
        spec = experiment.spec
        result["parts"] = experiment.parts.sizes()
        folder.write_json(folder.preprocessing, preprocessor.to_dict())
        torch.set_num_threads(spec.threads or 1)
        with _interruptible() as interrupted:
            if spec.lr is None:
                watcher.stage("finding a learning rate")
                found = find_rate(experiment, watcher, interrupted)
                if found is None:
                    raise Interrupted(folder)
                spec = experiment.spec = spec.replace(lr=found.rate)
                experiment.choices.append(Choice("lr", f"{found.rate:.4g}", found.reason))
                folder.write_json(folder.rate, found.to_dict())
            result["choices"] = _merged(before.get("choices", []), experiment.choices)
            folder.write(folder.spec, spec.to_toml())
            folder.write_json(folder.result, result)
            history = History(folder.history)
            try:
                outcome = conduct(
                    experiment,
                    history=history,
                    watcher=watcher,
                    checkpoint=folder.checkpoint,
                    resume=going_on,
                    interrupted=interrupted,
                )
            except Exception as error:  # also what the user's own module raises in the middle
                said = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
                result |= {"status": f"failed: {said}"}
                folder.write_json(folder.result, result)
                history.flush()
                write_page(folder)  # what the doctor says of it matters most now
                raise
            finally:
                history.close()
    if outcome.stopped == INTERRUPTED:
        result["status"] = "stopped by the user"
        folder.write_json(folder.result, result)
        raise Interrupted(folder)
    result |= _finished(folder, experiment, preprocessor, outcome)
    folder.write_json(folder.result, result)
    write_page(folder)
    return result


def assemble(spec: Spec, data: Data, watcher: Watcher) -> tuple[Experiment, Preprocessor]:
    """Everything a run is made of, with what the spec leaves open chosen and said."""
    from thalweg.data import TensorBatches

    device = build_device(spec.device)
    parts, preprocessor = prepare(data, fractions=spec.split, seed=spec.seed, device=device)
    for sentence in preprocessor.notes:
        watcher.note(sentence)
    input_shape = tuple(parts.train[0].shape[1:])
    rows, features = len(parts.train[1]), math.prod(input_shape)
    values, choices = open_settings(
        spec, rows=rows, features=features, image=len(input_shape) > 1, task=data.task, built_in=not is_own(spec.model)
    )
    spec = spec.replace(**values)
    assert spec.batch_size is not None
    batches = TensorBatches(*parts.train, batch_size=spec.batch_size, seed=spec.seed)
    model = build_model(spec, input_shape=input_shape, n_outputs=preprocessor.n_outputs)
    choices += initialise(spec, model)
    model.to(device)
    if spec.threads is None:
        spec = spec.replace(threads=choose_threads(model, spec.batch_size))
        choices.append(
            Choice("threads", str(spec.threads), "the arithmetic of one step decides whether more threads pay")
        )
    objective = build_objective(data.task, scale=preprocessor.target_scale, classes=preprocessor.n_outputs)
    experiment = Experiment(spec, model, parts, batches, objective, choices=choices)
    experiment.check_shapes()
    return experiment, preprocessor


def _finished(folder: Folder, experiment: Experiment, preprocessor: Preprocessor, outcome: Outcome) -> dict[str, Any]:
    from safetensors.torch import save_file

    from thalweg.experiments.page import evidence_of

    weights = {
        name: tensor.detach().cpu().contiguous().clone() for name, tensor in experiment.model.state_dict().items()
    }
    temporary = folder.path / ".model.safetensors"
    save_file(weights, temporary, metadata={"format": "pt"})  # one entry: more come in any order
    temporary.replace(folder.model)
    return {
        "status": "finished",
        "stopped": outcome.stopped,
        "metrics": outcome.metrics,
        "best_epoch": outcome.best_epoch,
        "epochs": outcome.state.epoch,
        "steps": outcome.state.step,
        "seconds": round(outcome.seconds, 3),
        **evidence_of(experiment, preprocessor),
    }


def _merged(before: list[dict[str, str]], now: list[Choice]) -> list[dict[str, str]]:
    """Choices made now, and those a run made before it was stopped (they are part of the spec by now)."""
    return list(
        ({choice["what"]: choice for choice in before} | {choice.what: vars(choice) for choice in now}).values()
    )


@contextmanager
def _threads_of(spec: Spec) -> Iterator[None]:
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Turns the first Ctrl-C or SIGTERM into a request to stop after the step under way; a second one stops at once."""
    requested = False

    def request(number: int, frame: object) -> None:
        nonlocal requested
        if requested:
            raise KeyboardInterrupt
        requested = True

    try:
        before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: whoever runs us there handles signals
        before = {}
    try:
        yield lambda: requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
