"""Several experiments of one architecture as one population: small nets spend their time between the operations.

>>> if all(map(together, experiments)):
...     best_epochs = train_together(experiments, watcher, interrupted)

Each network ends as ``conduct`` would leave it, but for the rounding of sums and the draws of dropout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from thalweg.experiments.build import build_optimizer, build_regularisers, build_schedule
from thalweg.experiments.experiment import Experiment
from thalweg.experiments.watcher import Watcher

if TYPE_CHECKING:
    from thalweg.population import Member


def together(experiment: Experiment) -> bool:
    """Whether a population can train this experiment as it is, and is likely to pay: one thread is enough for its steps.

    Regularisers that are hooks, augmentation, data that stream and a schedule that reacts are known to ``conduct`` alone.
    """
    spec = experiment.spec
    return (
        spec.threads == 1
        and spec.precision == "float32"
        and not spec.augment
        and not spec.monitors
        and not spec.stream
        and experiment.optimizer is None
        and not build_schedule(spec, steps=1).watches()
        and not build_regularisers(spec, experiment.build_optimizer(experiment.model, lr=1.0)[0], examples=1)
    )


def member(experiment: Experiment) -> Member:
    """The experiment, whose rate is known, as a member of a population."""
    from thalweg.population import Member, Part

    spec, lr = experiment.spec, experiment.spec.lr
    assert lr is not None
    return Member(
        experiment.model,
        lambda parameters: build_optimizer(spec, parameters, lr=lr, examples=experiment.rows),
        experiment.objective,
        Part(*experiment.parts.train),
        Part(*experiment.parts.dev),
        schedule=lr * build_schedule(spec, steps=spec.epochs * len(experiment.batches)),
        order=spec.seed,
        seed=spec.seed + 1,
    )


def train_together(
    experiments: Sequence[Experiment], watcher: Watcher, interrupted: Callable[[], bool]
) -> list[tuple[int, int]] | None:
    """Trains all, whose rates are known; each model ends with its best weights, in evaluation mode.

    Returns the best epoch of each and how many it made; None where the user stopped it.
    """
    from thalweg.population import Outcome, train_population

    stopped = False

    def on_epoch(epoch: int, going: Mapping[int, Outcome]) -> Sequence[int]:
        nonlocal stopped
        watcher.advance(epoch)
        stopped = stopped or interrupted()
        return list(going) if stopped else []

    spec = experiments[0].spec
    assert spec.batch_size is not None
    trained = train_population(
        [member(experiment) for experiment in experiments],
        batch_size=spec.batch_size,
        epochs=spec.epochs,
        watch=spec.watch or "loss",
        patience=spec.patience,
        min_gain=spec.min_gain,
        on_epoch=on_epoch,
    )
    if stopped:
        return None
    for experiment, outcome in zip(experiments, trained.outcomes, strict=True):
        experiment.model.load_state_dict(outcome.weights)
        experiment.model.eval()
    return [(outcome.best_epoch, len(outcome.dev)) for outcome in trained.outcomes]
