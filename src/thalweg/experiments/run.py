"""A run in its folder: from a spec to spec, history, checkpoints, model and page; and on from where it was stopped.

>>> folder, result = start(Spec(data="digits"), Silent())
>>> result["metrics"]["test"]["accuracy"]
0.98…
>>> folder, result = resume("runs/digits-1", Silent())      # after Ctrl-C, kill -9 or a power cut: the same numbers

What thalweg chooses (rate, batch size, widths, threads) is written into the folder's ``spec.toml`` as soon as it is known, so
a resumed or a repeated run takes it from there.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from thalweg.errors import InputError
from thalweg.experiments.assemble import assemble, check_words
from thalweg.experiments.build import build_device
from thalweg.experiments.experiment import ALONE, INTERRUPTED, Experiment, Outcome, conduct
from thalweg.experiments.folder import Folder
from thalweg.experiments.interventions import read_record
from thalweg.experiments.parts import Prepared, prepare
from thalweg.experiments.rate import find_rate
from thalweg.experiments.reading import anywhere, is_large, read
from thalweg.experiments.recipe import Choice
from thalweg.experiments.spec import Spec
from thalweg.experiments.steering import Steering
from thalweg.experiments.stopping import interruptible
from thalweg.experiments.threads import threads
from thalweg.experiments.watcher import Watcher
from thalweg.history import History
from thalweg.train.parallel import Ranks, whole

if TYPE_CHECKING:
    from thalweg.data import Data, Stream
    from thalweg.search import RateChoice


class Interrupted(Exception):
    """The user stopped the run; it is saved and can be resumed."""

    def __init__(self, folder: Folder) -> None:
        super().__init__(f"stopped; go on with: thalweg resume {folder.path}")
        self.folder = folder


def start(spec: Spec, watcher: Watcher, *, ranks: Ranks = ALONE) -> tuple[Folder, dict[str, Any]]:
    """Makes a new run of ``spec`` and trains it. Returns its folder and the content of its ``result.json``.

    Under ``torchrun`` every process calls this with its ``ranks``; the first one writes. Raises ``InputError`` for what
    cannot be trained, ``Interrupted`` when the user stops it.
    """
    if spec.shard and ranks.alone:
        raise InputError(
            "shard divides the model among processes, and this is the only one: start it with torchrun --nproc-per-node 2 "
            "-m thalweg train …, or leave shard out"
        )
    if spec.stream is None:  # free memory decides, and will be another when the run is resumed or repeated
        spec = spec.replace(stream=is_large(spec))
    data = read(spec)
    build_device(spec.device)
    check_words(spec)
    spec = anywhere(spec)
    if spec.interventions is not None:
        read_record(Path(spec.interventions))  # what is no record is said now
    folder = Folder.create(spec.runs, spec.name, data.name) if ranks.first else _scratch()
    with folder.alone():
        folder.write(folder.spec, spec.to_toml())
        try:
            return folder, _run(folder, spec, data, watcher, ranks)
        except InputError:
            if not folder.result.exists():  # found wrong before anything was trained: no run to keep
                shutil.rmtree(folder.path, ignore_errors=True)
            raise


def _scratch(like: Folder | None = None) -> Folder:
    """A folder for a process that is not the first: it works like the others, and nobody keeps what it writes."""
    path = Path(tempfile.mkdtemp(prefix="thalweg-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    if like is not None:
        shutil.copytree(like.path, path, dirs_exist_ok=True, ignore=shutil.ignore_patterns(like.checkpoint.name))
        if like.checkpoint.exists():  # only read, and as large as model and optimizer
            Folder(path).checkpoint.symlink_to(like.checkpoint.resolve())
    return Folder(path)


def resume(
    run: str | Path, watcher: Watcher, *, runs: str = "runs", ranks: Ranks = ALONE
) -> tuple[Folder, dict[str, Any]]:
    """Goes on with a run that was stopped or killed; the result has the same bits as if it never had been.

    Raises ``InputError`` where the run has finished, or its data have changed since.
    """
    folder = Folder.open(run, runs)
    if folder.result.exists() and folder.read_json(folder.result)["status"] == "finished":
        raise InputError(f"the run {folder.path} has finished: there is nothing to resume; see {folder.page}")
    spec = Spec.read(folder.spec)
    data = read(spec)
    folder = folder if ranks.first else _scratch(folder)
    ranks.meet()  # nobody writes before all have read
    with folder.alone():
        return folder, _run(folder, spec, data, watcher, ranks)


def _run(folder: Folder, spec: Spec, data: Data | Stream, watcher: Watcher, ranks: Ranks) -> dict[str, Any]:
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
    if spec.folds is not None:
        return _run_folds(folder, spec, data, watcher, result)
    going_on = folder.checkpoint.exists()
    if not going_on:
        folder.history.unlink(missing_ok=True)
    with threads():
        device = build_device(spec.device, None if ranks.alone else ranks.local)
        if spec.stream:
            watcher.stage("looking through the data")
        prepared = prepare(data, spec, device=device)
        assert prepared.preprocessor is not None
        experiment = assemble(spec, prepared, watcher=watcher, device=device, going_on=going_on)
        spec = experiment.spec
        if not ranks.alone and any(
            isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in experiment.model.modules()
        ):
            watcher.note(
                "Batch norm takes its means over the rows of one process: the run is not that of one process on whole "
                "mini-batches."
            )
        result["parts"] = prepared.sizes()
        folder.write_json(folder.preprocessing, prepared.preprocessor.to_dict())
        torch.set_num_threads(spec.threads or 1)
        with interruptible() as interrupted:
            if spec.lr is None:
                watcher.stage("finding a learning rate")
                found = ranks.tell(_found_rate(experiment, watcher, interrupted, device) if ranks.first else None)
                if found is None:
                    raise Interrupted(folder)
                spec = experiment.spec = spec.replace(lr=found.rate)
                experiment.choices.append(Choice("lr", f"{found.rate:.4g}", found.reason))
                folder.write_json(folder.rate, found.to_dict())
            result["choices"] = _merged(before.get("choices", []), experiment.choices)
            folder.write(folder.spec, spec.to_toml())
            folder.write_json(folder.result, result)
            history = History(folder.history)
            steering = Steering(folder, spec, watcher=watcher, interrupted=interrupted, ranks=ranks)
            try:
                outcome = conduct(
                    experiment,
                    history=history,
                    watcher=watcher,
                    checkpoint=folder.checkpoint,
                    resume=going_on,
                    interrupted=interrupted,
                    ranks=ranks,
                    steering=steering,
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
    steering.end()
    result |= _finished(folder, experiment, prepared, outcome, ranks)
    folder.write_json(folder.result, result)
    write_page(folder)
    return result


def _found_rate(
    experiment: Experiment, watcher: Watcher, interrupted: Callable[[], bool], device: torch.device
) -> RateChoice | None:
    """A rate, from the whole model in one process; a model that is still to be divided goes back to where it was."""
    try:
        experiment.model.to(device)
        return find_rate(experiment, watcher, interrupted)
    except torch.OutOfMemoryError:
        raise InputError(
            "the search for a learning rate trains the whole model in one process, which has not the memory: give the rate (lr)"
        ) from None
    finally:
        experiment.model.to("cpu" if experiment.spec.shard else device)


def _run_folds(
    folder: Folder, spec: Spec, data: Data | Stream, watcher: Watcher, result: dict[str, Any]
) -> dict[str, Any]:
    """A cross-validation in its folder: each fold is kept there as it is done."""
    from thalweg.data import Data
    from thalweg.experiments.folds import Stopped, evidence, run_folds, summary
    from thalweg.experiments.page import write_page

    if not isinstance(data, Data):
        raise InputError("folds need the data in memory: load them whole with --no-stream, or leave folds out")
    folder.write_json(folder.result, result)
    clock = time.monotonic()
    try:
        with interruptible() as interrupted:
            found = run_folds(spec, data, watcher=watcher, folder=folder.path, interrupted=interrupted)
    except Stopped:
        folder.write_json(folder.result, result | {"status": "stopped by the user"})
        raise Interrupted(folder) from None
    found.predictions.write_csv(folder.path / "predictions.csv")
    result |= {
        "status": "finished",
        "part": "held_out",
        "parts": {"held_out": found.predictions.height},
        "seconds": round(time.monotonic() - clock, 3),
        **summary(found),
        **evidence(found, data.classes, data.target_names),
    }
    folder.write_json(folder.result, result)
    write_page(folder)
    return result


def _finished(
    folder: Folder, experiment: Experiment, prepared: Prepared, outcome: Outcome, ranks: Ranks
) -> dict[str, Any]:
    from safetensors.torch import save_file

    from thalweg.experiments.page import evidence_of

    weights = {}
    for name, tensor in experiment.model.state_dict().items():
        complete = whole(tensor.detach())  # from all processes; the first one keeps it
        if ranks.first:
            weights[name] = complete.cpu().contiguous().clone()
    if ranks.first:
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
        **evidence_of(experiment, prepared),
    }


def _merged(before: list[dict[str, str]], now: list[Choice]) -> list[dict[str, str]]:
    """Choices made now, and those a run made before it was stopped (they are part of the spec by now)."""
    return list(
        ({choice["what"]: choice for choice in before} | {choice.what: vars(choice) for choice in now}).values()
    )
