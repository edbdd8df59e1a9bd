"""Layer-wise pre-training of an experiment's model, without its targets, before it is trained as a whole.

Each hidden layer learns to restore its input from a damaged one (a denoising autoencoder, Vincent et al. 2008); the training
part alone is seen. The optimizer is the run's rule with its defaults: the rate that is searched for belongs to the whole net.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from thalweg.experiments.experiment import Experiment
from thalweg.experiments.recipe import Choice
from thalweg.experiments.watcher import Watcher

RATE = 1e-3


def pretrain(experiment: Experiment, watcher: Watcher) -> list[Choice]:
    """Trains the hidden layers one by one, in place; says what became of each. Raises ``InputError`` where there are none."""
    from thalweg import models, optim

    watcher.stage("pre-training")

    def inputs(epoch: int) -> Iterator[torch.Tensor]:
        for batch, _ in experiment.batches.epoch(epoch):
            yield batch

    done = models.pretrain(
        experiment.model,
        inputs,
        epochs=experiment.spec.pretrain_epochs,
        make_optimizer=lambda parameters: optim.AdamW(parameters, lr=RATE),
        seed=experiment.spec.seed,
    )
    said = "; ".join(f"{one.layer}: {one.first_loss:.3g} → {one.last_loss:.3g}" for one in done)
    return [Choice("pretrain", f"{len(done)} layers", f"mean squared error of what each restores, {said}")]
