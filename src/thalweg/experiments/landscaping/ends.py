"""The points between which a landscape is looked at: where rules come to from one start, or where finished runs stand.

>>> ends = trained(experiment, prepared, specs, watcher=Silent())       # the same weights and mini-batches for each spec
>>> ends[0].name, len(ends[0].path)
('sgd', 43)
>>> ends, experiment, prepared, notes = of_runs(["digits-1", "digits-2"], folder="runs")
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from thalweg.errors import InputError
from thalweg.experiments.assemble import assemble
from thalweg.experiments.build import averaged_weights, build_device
from thalweg.experiments.experiment import Experiment, conduct
from thalweg.experiments.folder import Folder
from thalweg.experiments.parts import Prepared, prepare
from thalweg.experiments.predict import Predictor, load
from thalweg.experiments.rate import find_rate
from thalweg.experiments.reading import read
from thalweg.experiments.spec import Spec
from thalweg.experiments.threads import threads
from thalweg.experiments.watcher import Silent, Watcher
from thalweg.history import History
from thalweg.train import Hook, State

MOST_PLACES, MOST_BYTES = 64, 1 << 30
"""Of a path: how many points of it are kept, and how much memory they may take."""


@dataclass(frozen=True)
class End:
    """``point`` is where it stands, ``start`` where it came from, ``path`` the points between, both of them included."""

    name: str
    start: torch.Tensor
    point: torch.Tensor
    path: Sequence[torch.Tensor] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


class Snapshots(Hook):
    """Keeps the weights after each pass, after every second once there are many, and so on."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.kept = [(0, flat(model))]
        self.most = max(4, min(MOST_PLACES, MOST_BYTES // max(self.kept[0][1].nbytes, 1)))
        self.every = 1

    def on_epoch(self, state: State) -> None:
        if state.epoch % self.every:
            return
        with averaged_weights(state.optimizer):
            self.kept.append((state.epoch, flat(state.model)))
        if len(self.kept) > self.most:
            self.kept, self.every = self.kept[::2], 2 * self.every

    def until(self, epoch: int, end: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """From the start to the pass whose weights are the ``end``."""
        return (*(point for passed, point in self.kept if passed < epoch or passed == 0), end)


def flat(model: torch.nn.Module) -> torch.Tensor:
    """All parameters as one vector, on the processor."""
    return torch.cat([parameter.detach().reshape(-1) for parameter in model.parameters()]).cpu()


def trained(
    first: Experiment,
    prepared: Prepared,
    specs: Sequence[Spec],
    *,
    watcher: Watcher,
    module: bool = False,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
) -> list[End]:
    """Trains for each spec from the weights of ``first``, the experiment of the first of them, on the same mini-batches.

    A rate that is not given is found as for a run of its own. ``module`` says that the model is the user's own object.
    """
    begin = copy.deepcopy(first.model)
    ends = []
    for number, spec in enumerate(specs):
        experiment = first
        if number:
            own = copy.deepcopy(begin) if module else None
            experiment = assemble(
                spec, prepared, watcher=Silent(), device=_device(begin), model=own, loss=loss, going_on=True
            )
            experiment.model.load_state_dict(begin.state_dict())
        with threads(experiment.spec.threads):
            ends.append(_trained(experiment, watcher))
    return ends


def _trained(experiment: Experiment, watcher: Watcher) -> End:
    rule = experiment.spec.rule
    try:
        if experiment.spec.lr is None:
            watcher.stage(f"finding a learning rate for {rule}")
            found = find_rate(experiment, watcher, lambda: False)
            assert found is not None
            experiment.spec = experiment.spec.replace(lr=found.rate)
        watcher.stage(f"training with {rule}")
        path = Snapshots(experiment.model)
        outcome = conduct(experiment, history=History(), watcher=watcher, hooks=(path,))
    except InputError as error:
        raise InputError(f"{rule}: {error}") from None
    spec, end = experiment.spec, flat(experiment.model)
    settings = {
        "rule": rule,
        "lr": spec.lr,
        **spec.options,
        "best epoch": outcome.best_epoch,
        "epochs": outcome.state.epoch,
    }
    return End(rule, path.kept[0][1], end, path.until(outcome.best_epoch, end), settings, outcome.metrics)


def of_runs(runs: Sequence[str], *, folder: str) -> tuple[list[End], Experiment, Prepared, list[str]]:
    """The ends of finished runs, the experiment of the first of them with its data, and notes for the reader.

    Each start is drawn again from the run's own seed. Raises ``InputError`` where a run has no weights, their data differ or
    have changed, or their networks are not of one architecture.
    """
    folders = [Folder.open(run, folder) for run in runs]
    twice = next(
        (one for at, one in enumerate(folders) if one.path.resolve() in {f.path.resolve() for f in folders[:at]}), None
    )
    if twice is not None:
        raise InputError(f"the run {twice.path} is given twice: a landscape lies between runs that differ")
    predictors = [load(one.path) for one in folders]
    data = read(predictors[0].spec)
    for one in folders:
        if one.read_json(one.result).get("fingerprint", data.fingerprint) != data.fingerprint:
            raise InputError(
                f"the run {one.path} was not trained on the data {data.name} as they are now: its loss is unknown on them"
            )
    _same_scale(folders, predictors)
    device = build_device(predictors[0].spec.device)
    experiments: list[Experiment] = []
    first: Prepared | None = None
    for one, predictor in zip(folders, predictors, strict=True):
        prepared = prepare(data, predictor.spec, device=device)
        first = prepared if first is None else first
        experiment = assemble(predictor.spec, prepared, watcher=Silent(), device=device, going_on=True)
        _same(experiments[0].model if experiments else experiment.model, experiment.model, folders[0], one)
        experiments.append(experiment)
    ends = []
    for one, predictor, experiment in zip(folders, predictors, experiments, strict=True):
        result, spec = one.read_json(one.result), predictor.spec
        settings = {"rule": spec.rule, "lr": spec.lr, **spec.options, "seed": spec.seed, "best epoch": result.get("best_epoch"),
                    "epochs": result.get("epochs")}  # fmt: skip
        ends.append(End(one.name, flat(experiment.model), flat(predictor.model), (), settings, result["metrics"]))
    assert first is not None
    return ends, experiments[0], first, _notes(folders, predictors, ends)


def _same(first: torch.nn.Module, other: torch.nn.Module, where: Folder, there: Folder) -> None:
    """Raises ``InputError`` where two networks differ in a parameter, its shape, or in what they compute with them."""
    one, two = ({name: tuple(p.shape) for name, p in model.named_parameters()} for model in (first, other))
    for name in sorted(set(one) | set(two)):
        if one.get(name) != two.get(name):
            said = " and ".join(
                f"{shapes[name]} in {run.path}" if name in shapes else f"missing in {run.path}"
                for shapes, run in ((one, where), (two, there))
            )
            raise InputError(
                f'the runs are not of one architecture: "{name}" is {said}; take runs with the same layers'
            )
    for one_layer, two_layer in zip(_layers(first), _layers(other), strict=False):
        if one_layer != two_layer:
            raise InputError(
                f"the runs are not of one architecture: {one_layer} in {where.path} is {two_layer} in {there.path}; take runs "
                f"with the same layers"
            )


def _same_scale(folders: Sequence[Folder], predictors: Sequence[Predictor]) -> None:
    """Raises ``InputError`` where numbers go into one network, or come out of it, on another scale than at the first."""
    first, learned = predictors[0].spec, predictors[0].preprocessor.to_dict()
    for one, predictor in zip(folders, predictors, strict=True):
        for name in ("scale", "scale_target"):
            asked, wanted = getattr(predictor.spec, name), getattr(first, name)
            if asked != wanted and predictor.preprocessor.to_dict() != learned:
                raise InputError(
                    f"the run {folders[0].path} has {name} {wanted} and {one.path} {asked}: no loss is common to both, so take "
                    f"runs that agree in it"
                )


def _layers(model: torch.nn.Module) -> list[str]:
    """The kinds of layers in their order, without those that do nothing where a landscape is measured."""
    kinds = [type(layer) for layer in model.modules()]
    return [kind.__name__ for kind in kinds if kind not in (torch.nn.Dropout, torch.nn.Identity)]


OF_THE_LOSS = ("label_smoothing", "class_weights")
"""Settings that change what a run made small, on the same data."""


def _notes(folders: Sequence[Folder], predictors: Sequence[Predictor], ends: Sequence[End]) -> list[str]:
    notes = []
    learned = [predictor.preprocessor.to_dict() for predictor in predictors]
    others = [one.name for one, what in zip(folders, learned, strict=True) if what != learned[0]]
    if others:
        notes.append(
            f"The data were divided otherwise for {' and '.join(others)} than for {folders[0].name}, whose rows and scaling "
            f"are used for all: some of its dev rows were trained on there."
        )
    for name in OF_THE_LOSS:
        given = [getattr(predictor.spec, name) for predictor in predictors]
        if others := [one.name for one, value in zip(folders, given, strict=True) if value != given[0]]:
            said = dict.fromkeys(_said(name, value) for value in given if value != given[0])
            notes.append(
                f"The loss shown for all is that of {folders[0].name}, with {_said(name, given[0])}; {' and '.join(others)} "
                f"learned by another one ({', '.join(said)}), so what is lowest here need not be where that ended."
            )
    if any(not torch.equal(end.start, ends[0].start) for end in ends):
        notes.append("The runs did not start from the same weights, so a barrier between them is to be expected.")
    if any(predictor.spec.pretrain for predictor in predictors):
        notes.append("The runs were pre-trained; the start shown is the one before that.")
    return notes


def _said(name: str, value: object) -> str:
    words = name.replace("_", " ")
    return f"{words} {value}" if value else f"no {words}"


def _device(model: torch.nn.Module) -> torch.device:
    return next(model.parameters()).device
