"""The training loop: gradients, hooks, step, hooks; pass after pass.

It takes any ``torch.optim.Optimizer``, anything that computes gradients, any batches and a tuple of hooks, and imports
nothing outside its room. What a run needs beyond that (a schedule, clipping, early stopping, monitors, checkpoints) is a
hook.

>>> train(model, optimizer, gradients, batches, epochs=3).step == 3 * len(batches)
True

Handing in the ``State`` of an earlier call continues it, in the middle of a pass too:

>>> state = train(model, optimizer, gradients, batches, epochs=10, hooks=(StopAfter(steps=25),))
>>> state = train(model, optimizer, gradients, batches, epochs=10, state=state)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from thalweg.train.hooks import Batches, Gradients, Hook, State, listeners


def train(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    gradients: Gradients,
    batches: Batches,
    *,
    epochs: int,
    hooks: Sequence[Hook] = (),
    state: State | None = None,
) -> State:
    """Trains until ``epochs`` passes have been made in all, or a hook sets ``state.stop``.

    The model is left in training mode. Hooks are called in the order given.
    """
    state = State(model, optimizer) if state is None else state
    state.stop = ""
    on_gradient, on_step, on_epoch = (listeners(hooks, moment) for moment in ("on_gradient", "on_step", "on_epoch"))
    update = optimizer.step
    model.train()
    while state.epoch < epochs and not state.stop:
        for inputs, targets in batches.epoch(state.epoch, state.position):
            state.batch_size = len(targets)
            state.loss = gradients(inputs, targets)
            for tell in on_gradient:
                tell(state)
            update()
            state.step += 1
            state.position += 1
            state.examples += state.batch_size
            for tell in on_step:
                tell(state)
            if state.stop:
                break
        else:
            state.epoch += 1
            state.position = 0
            for tell in on_epoch:
                tell(state)
    return state
