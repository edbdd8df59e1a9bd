"""Cross-validation: every row is predicted once, by a network that has not seen it.

For each fold the other rows are divided into a training and a dev part, all that a run does is done with them (scaling, search
for the rate, early stopping), and the fold itself is measured once, at the end. So the spread over the folds is that of the
whole procedure, not of a network alone.

>>> result = cross_validate("mlp", (X, y), folds=5, epochs=20)
>>> result.mean["accuracy"], result.sd["accuracy"]
(0.975, 0.008)
>>> result.predictions                                       # a frame: row, fold, truth, prediction, p(CLASS)

In a folder a fold is kept as soon as it is done, so a run that was stopped goes on with the next.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any, Unpack

import torch

from thalweg.errors import InputError
from thalweg.experiments.assemble import assemble, check_words
from thalweg.experiments.build import build_device
from thalweg.experiments.experiment import INTERRUPTED, Experiment, conduct
from thalweg.experiments.parts import Prepared, prepare
from thalweg.experiments.predict import Predictor
from thalweg.experiments.rate import find_rate
from thalweg.experiments.reading import Beside
from thalweg.experiments.settings import Settings, check_keywords
from thalweg.experiments.spec import Spec
from thalweg.experiments.threads import threads
from thalweg.experiments.together import together, train_together
from thalweg.experiments.watcher import Silent, Watcher
from thalweg.history import History
from thalweg.train import evaluate

if TYPE_CHECKING:
    import polars

    from thalweg.data import Data, Fold

DEV_SHARE = 0.2
"""Of the rows outside a fold, where the spec says nothing else."""


@dataclass(frozen=True)
class FoldResult:
    """One fold: what was measured on the rows held out, and how the network was trained."""

    held_out: int
    metrics: dict[str, float]
    lr: float
    best_epoch: int
    epochs: int
    seconds: float


@dataclass(frozen=True)
class CrossValidated:
    """All folds. ``predictions`` has a line for each row held out, in the order of the data."""

    folds: tuple[FoldResult, ...]
    predictions: polars.DataFrame
    task: str

    @property
    def mean(self) -> dict[str, float]:
        """Of each metric over the folds."""
        return {name: fmean(fold.metrics[name] for fold in self.folds) for name in self.folds[0].metrics}

    @property
    def sd(self) -> dict[str, float]:
        """Standard deviation over the folds."""
        return {name: stdev(fold.metrics[name] for fold in self.folds) for name in self.folds[0].metrics}


class Stopped(Exception):
    """The user stopped the run between or in folds; those that are done are kept."""


def cross_validate(
    model: str,
    data: Any,
    *,
    folds: int = 5,
    weights: Any = None,
    groups: Any = None,
    time: Any = None,
    watcher: Watcher | None = None,
    **settings: Unpack[Settings],
) -> CrossValidated:
    """Trains and measures ``folds`` networks on ``data``, in any form that ``fit`` takes except loaders.

    ``model`` is the name of a built-in net or ``FILE.py:FUNCTION``. Raises ``InputError`` as ``fit`` does, and where the data
    cannot be divided into so many folds.
    """
    if not isinstance(model, str):
        raise InputError(
            "each fold needs a network of its own: give the model by name, as mlp or FILE.py:FUNCTION, not a module"
        )
    check_keywords("cross_validate", settings)
    spec = Spec(data=data if isinstance(data, str) else "the data", model=model, folds=folds, **settings)
    check_words(spec)
    loaded = Beside(weights=weights, groups=groups, time=time).read(data, spec)
    return run_folds(spec, loaded, watcher=Silent() if watcher is None else watcher)


def run_folds(
    spec: Spec,
    data: Data,
    *,
    watcher: Watcher,
    folder: Path | None = None,
    interrupted: Callable[[], bool] = lambda: False,
) -> CrossValidated:
    """All folds of a spec; in ``folder`` those that lie there finished are taken from there.

    Small nets train together as one population, others one after another.
    """
    import polars as pl

    from thalweg import data as rooms
    from thalweg.data.dataset import TEST

    assert spec.folds is not None
    device = build_device(spec.device)
    done: list[tuple[FoldResult, polars.DataFrame]] = []
    waiting: list[_Fold] = []
    divided = rooms.folds(data, spec.folds, seed=spec.seed)
    if data.assigned is not None:
        kept_out = int((data.assigned == TEST).sum())
        watcher.note(
            f"Training and dev rows are divided into folds together; {kept_out:,} rows given as the test part are in none."
        )
    with threads():
        for number, fold in enumerate(divided, 1):
            kept = None if folder is None else folder / f"fold-{number}"
            found = _kept(kept)
            if found is None:
                watcher.stage(f"fold {number} of {len(divided)}")
                begun = _Fold.begin(spec, data, fold, number, kept, watcher, device, interrupted)
                if together(begun.experiment):
                    waiting.append(begun)
                    continue
                found = begun.finish(data, *begun.alone(watcher, interrupted))
            done.append(found)
        if waiting:
            watcher.stage(f"training {len(waiting)} networks as one program", total=spec.epochs)
            for alike in _alike(waiting):
                outcomes = train_together([fold.experiment for fold in alike], watcher, interrupted)
                if outcomes is None:
                    raise Stopped
                done += [fold.finish(data, *outcome) for fold, outcome in zip(alike, outcomes, strict=True)]
    done.sort(key=lambda found: found[1]["fold"][0])
    results, frames = zip(*done, strict=True)
    return CrossValidated(tuple(results), pl.concat(frames).sort("row"), data.task)


@dataclass
class _Fold:
    """A fold under way: its rows divided, its network built, its rate found."""

    fold: Fold
    number: int
    kept: Path | None
    prepared: Prepared
    experiment: Experiment
    clock: float

    @classmethod
    def begin(
        cls,
        spec: Spec,
        data: Data,
        fold: Fold,
        number: int,
        kept: Path | None,
        watcher: Watcher,
        device: torch.device,
        interrupted: Callable[[], bool],
    ) -> _Fold:
        clock = time.perf_counter()
        prepared = prepare(data, spec, device=device, rows=_rows(spec, data, fold))
        experiment = assemble(spec, prepared, watcher=watcher, device=device)
        torch.set_num_threads(experiment.spec.threads or 1)
        if experiment.spec.lr is None:
            found = find_rate(experiment, watcher, interrupted)
            if found is None:
                raise Stopped
            experiment.spec = experiment.spec.replace(lr=found.rate)
        if kept is not None:
            kept.mkdir(exist_ok=True)
        return cls(fold, number, kept, prepared, experiment, clock)

    def alone(self, watcher: Watcher, interrupted: Callable[[], bool]) -> tuple[int, int]:
        """Trains the network by itself; the best epoch, and how many there were."""
        path = None if self.kept is None else self.kept / "history.jsonl"
        if path is not None:
            path.unlink(missing_ok=True)
        history = History(path)
        outcome = conduct(self.experiment, history=history, watcher=watcher, interrupted=interrupted)
        history.close()
        if outcome.stopped == INTERRUPTED:
            raise Stopped
        return outcome.best_epoch, outcome.state.epoch

    def finish(self, data: Data, best_epoch: int, epochs: int) -> tuple[FoldResult, polars.DataFrame]:
        """Measures the trained network on the fold, and keeps what came of it."""
        experiment, prepared = self.experiment, self.prepared
        assert prepared.parts.test is not None and experiment.spec.lr is not None
        result = FoldResult(
            held_out=len(self.fold.held_out),
            metrics=evaluate(experiment.model, *prepared.parts.test, experiment.objective),
            lr=experiment.spec.lr,
            best_epoch=best_epoch,
            epochs=epochs,
            seconds=round(time.perf_counter() - self.clock, 3),
        )
        frame = _predictions(experiment, prepared, data, self.fold, self.number)
        if self.kept is not None:
            frame.write_parquet(self.kept / "predictions.parquet")
            (self.kept / "result.json").write_text(json.dumps(vars(result)), encoding="utf-8")  # last: all is there
        return result, frame


def _alike(folds: Sequence[_Fold]) -> list[list[_Fold]]:
    """The folds whose networks and mini-batches are the same in shape: categories and numbers of rows differ between folds."""
    found: dict[str, list[_Fold]] = {}
    for fold in folds:
        experiment = fold.experiment
        found.setdefault(f"{experiment.model} {experiment.spec.batch_size} {experiment.spec.watch}", []).append(fold)
    return list(found.values())


def _kept(kept: Path | None) -> tuple[FoldResult, polars.DataFrame] | None:
    """A fold that was done before the run was stopped."""
    import polars as pl

    if kept is None or not (kept / "result.json").exists():
        return None
    try:
        result = FoldResult(**json.loads((kept / "result.json").read_text(encoding="utf-8")))
        return result, pl.read_parquet(kept / "predictions.parquet")
    except (ValueError, TypeError, OSError, pl.exceptions.PolarsError):
        return None


def _rows(spec: Spec, data: Data, fold: Fold) -> Any:
    """The rows outside a fold as training and dev part, the fold as test part."""
    from thalweg.data import Split, split

    shares = (1 - DEV_SHARE, DEV_SHARE) if spec.split is None else (spec.split[0], spec.split[1])
    share = shares[1] / sum(shares)
    inner = split(data.take(fold.fit), seed=spec.seed, fractions=(1 - share, share, 0.0))
    return Split(fold.fit[inner.train], fold.fit[inner.dev], fold.held_out)


def _predictions(experiment: Experiment, prepared: Prepared, data: Data, fold: Fold, number: int) -> polars.DataFrame:
    import polars as pl

    assert prepared.preprocessor is not None
    predictor = Predictor(Path("the model"), experiment.spec, prepared.preprocessor, experiment.model)
    said = predictor.predict(data.inputs[fold.held_out])
    where = pl.DataFrame({"row": fold.held_out + 1, "fold": [number] * len(fold.held_out)})
    return pl.concat([where, data.truth(fold.held_out), said], how="horizontal")


def summary(result: CrossValidated) -> dict[str, Any]:
    """Plain values for ``result.json`` and the page."""
    return {
        "folds": [vars(fold) for fold in result.folds],
        "mean": result.mean,
        "sd": result.sd,
        "metrics": {"held_out": result.mean},
    }


def evidence(result: CrossValidated, classes: Sequence[str] | None, names: Sequence[str]) -> Mapping[str, Any]:
    """The charts' data over all rows held out: a confusion matrix, or true and predicted amounts."""
    import numpy as np

    frame = result.predictions
    if classes is None:
        said = ["prediction"] if len(names) == 1 else list(names)
        columns = zip(names, said, strict=True)
        return {
            "predictions": [
                {"name": name, "true": frame[f"true {name}"].to_list(), "predicted": frame[column].to_list()}
                for name, column in columns
            ]
        }
    number = {name: index for index, name in enumerate(classes)}
    matrix = np.zeros((len(classes), len(classes)), int)
    for true, predicted in zip(frame[f"true {names[0]}"], frame["prediction"], strict=True):
        matrix[number[true], number[predicted]] += 1
    return {"confusion": {"classes": list(classes), "matrix": matrix.tolist()}}
