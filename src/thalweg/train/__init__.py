"""The training loop, and what may look into it.

The loop (``loop.train``, a page to read top to bottom) asks for gradients, lets the optimizer step and tells its hooks;
it knows no optimizer, no data and no model of ours. Everything else in this room plugs into it: objectives (what the
network should do), gradients (autograd, or something faster), batches, early stopping, a guard against divergence,
checkpoints.

>>> state = train(model, torch.optim.SGD(model.parameters(), lr=0.1), Autograd(model, objective), batches, epochs=10)

A run that was killed goes on to the same bits: ``checkpoint.load`` restores weights, optimizer, counters and random
states, and batches depend on (seed, epoch) alone.
"""

from thalweg.train.batches import Repeated
from thalweg.train.gradients import Autograd
from thalweg.train.hooks import Batches, Gradients, Hook, State
from thalweg.train.loop import train
from thalweg.train.objectives import OBJECTIVES, Objective, evaluate
from thalweg.train.steering import ClipNorm, Reacting, Scheduled
from thalweg.train.stopping import EarlyStopping, Guard

__all__ = [
    "OBJECTIVES",
    "Autograd",
    "Batches",
    "ClipNorm",
    "EarlyStopping",
    "Gradients",
    "Guard",
    "Hook",
    "Objective",
    "Reacting",
    "Repeated",
    "Scheduled",
    "State",
    "evaluate",
    "train",
]
