"""``thalweg.tune``: a search from Python, on whatever ``fit`` takes.

>>> tuned = thalweg.tune("mlp", (X, y), space={"lr": "1e-4..1:log", "hidden": [64, 128]}, trials=64, epochs=20)
>>> tuned.values, tuned.confirmed["mean"], tuned.metrics["test"]
>>> tuned.predict(other_frame)                           # with the weights that won
>>> thalweg.tune(module, frame, target="price", name="prices")                   # again with its name: goes on
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import torch

from thalweg.errors import InputError
from thalweg.experiments.assemble import check_module
from thalweg.experiments.reading import Beside
from thalweg.experiments.settings import Settings, check_keywords
from thalweg.experiments.spec import Spec
from thalweg.experiments.tuning.folder import StudyFolder
from thalweg.experiments.tuning.plan import Plan
from thalweg.experiments.tuning.start import search
from thalweg.experiments.tuning.study import Study
from thalweg.experiments.tuning.trainer import Event
from thalweg.experiments.watcher import Silent, Watcher
from thalweg.search import Space

if TYPE_CHECKING:
    import polars


@dataclass(frozen=True)
class Tuned:
    """What came of a search. ``values`` are the best trial's, ``trials`` has a record of each.

    ``front`` has the ``number``, ``values`` and ``scores`` of the trials that no other beats in all objectives, the best by the
    first of them first; it is empty where there is one objective.

    ``confirmed`` holds the dev metric on fresh seeds (``values``, ``mean``, ``sd``, ``sentence``; None where none was trained);
    ``metrics`` by part are those of ``model``, which has the weights that won.
    """

    folder: StudyFolder
    values: dict[str, Any]
    spec: Spec
    metrics: dict[str, dict[str, float]]
    confirmed: dict[str, Any] | None
    trials: list[dict[str, Any]]
    front: list[dict[str, Any]]
    model: torch.nn.Module

    def predict(self, inputs: Any) -> polars.DataFrame:
        """Predictions for raw inputs like those trained on, as ``thalweg.load(RUN).predict`` gives them."""
        from thalweg.data import Preprocessor
        from thalweg.experiments.predict import Predictor

        winner = self.folder.winner
        preprocessor = Preprocessor.from_dict(winner.read_json(winner.preprocessing))
        return Predictor(winner.path, self.spec, preprocessor, self.model).predict(inputs)


def tune(
    model: torch.nn.Module | Callable[..., torch.nn.Module] | str,
    data: Any,
    *,
    space: Space | Mapping[str, Any] | None = None,
    trials: int = 64,
    sampler: str = "random",
    points: int = 5,
    objectives: Sequence[str] = (),
    prune: str | None = None,
    members: int | None = None,
    workers: int | None = None,
    engine: str = "local",
    address: str | None = None,
    storage: str | None = None,
    confirm: int = 3,
    name: str | None = None,
    runs: str = "runs",
    dev: Any = None,
    test: Any = None,
    weights: Any = None,
    groups: Any = None,
    time: Any = None,
    split_column: Any = None,
    watcher: Watcher | None = None,
    on_event: Callable[[Event, Study], None] = lambda event, study: None,
    **settings: Unpack[Settings],
) -> Tuned:
    """Searches ``space`` for the settings with which ``model`` trains best on ``data``; leaves a study in ``runs``.

    ``model`` and ``data`` are what ``fit`` takes, loaders apart. A module starts each trial, and each fresh seed, with the
    weights it has. A function that makes one, called with ``n_inputs``, ``n_outputs``, ``input_shape`` and ``model_options``
    as it declares them, gives each its own weights from its seed; its other arguments are searched as ``model.NAME``.
    ``space`` is a ``Space``, or ranges by name as ``Space.parse`` reads them; without it, the settings left open that matter
    most. ``trials`` points are proposed by ``sampler`` and trained for ``epochs`` passes at most, bad ones ending early by
    ``prune``.

    ``objectives`` are what is made good at once: a metric of the dev part, which also names the best trial, then others,
    ``size`` (numbers that are trained) or ``time`` (milliseconds to predict 1,000 rows). ``prune`` is ``halving`` for one of
    them, ``none`` for several, where not given. ``front`` of what is returned has the trials that no other beats in all.

    ``members`` train together and ``workers`` are processes, both measured where not given. ``storage`` keeps the trials, in
    the study's folder where not given. The best is trained again on ``confirm`` fresh seeds. With the ``name`` of a study
    that is there, it goes on. The other ``settings`` are those of ``fit``.

    Raises ``InputError`` for what cannot be searched or trained.
    """
    check_keywords("tune", settings)
    if isinstance(model, torch.nn.Module) or not (isinstance(model, str) or callable(model)):
        check_module(model, None)
    spec = Spec(
        data=data if isinstance(data, str) else "the data",
        model=model if isinstance(model, str) else "the model",
        name=name,
        runs=runs,
        **settings,
    )
    if isinstance(data, torch.utils.data.DataLoader):
        raise InputError("a search needs the data themselves, not a DataLoader: give arrays, a frame or a file")
    loaded = Beside(dev, test, weights, groups, time, split_column).read(data, spec)
    plan = Plan(
        space=space if isinstance(space, Space) or space is None else Space.parse(space),
        trials=trials,
        sampler=sampler,
        points=points,
        prune=prune,
        members=members,
        workers=workers,
        engine=engine,
        address=address,
        storage=storage,
        confirm=confirm,
        objectives=(objectives,) if isinstance(objectives, str) else tuple(objectives),
    )
    own = None if isinstance(model, str) else model
    folder, result, experiment = search(
        spec, plan, loaded, watcher=watcher or Silent(), on_event=on_event, model=own, given=loaded
    )
    if experiment is None:
        raise InputError(f"none of {result['trials']} trials could be trained to its end: see {folder.page}")
    return Tuned(
        folder,
        result["best"]["values"],
        experiment.spec,
        result["metrics"],
        result.get("confirmed"),
        result["records"],
        result.get("front", []),
        experiment.model,
    )
