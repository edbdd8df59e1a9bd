"""The training loop, and what may look into it.

The loop (``loop.train``, a page to read top to bottom) asks for gradients, lets the optimizer step and tells its hooks;
it knows no optimizer, no data and no model of ours. Everything else in this room plugs into it: objectives (what the
network should do), gradients (autograd, or something faster), batches, costs and limits on weights, early stopping, a
guard against divergence, checkpoints.

>>> state = train(model, torch.optim.SGD(model.parameters(), lr=0.1), Autograd(model, objective), batches, epochs=10)

A run that was killed goes on to the same bits: ``checkpoint.load`` restores weights, optimizer, counters and random
states, and batches depend on (seed, epoch) alone.
"""

from thalweg.train.batches import Repeated
from thalweg.train.gradients import Autograd
from thalweg.train.hooks import Batches, Gradients, Hook, State
from thalweg.train.loop import train
from thalweg.train.metrics import METRICS, higher_is_better
from thalweg.train.objectives import OBJECTIVES, Objective, balanced_weights, evaluate
from thalweg.train.shrinking import L2, MaxNorm, ProximalL1, sparsity
from thalweg.train.steering import ClipNorm, Reacting, Scheduled
from thalweg.train.stopping import Best, EarlyStopping, Guard
from thalweg.train.weighted import Weighted, pack, unpack

__all__ = [
    "L2",
    "METRICS",
    "OBJECTIVES",
    "Autograd",
    "Batches",
    "Best",
    "ClipNorm",
    "EarlyStopping",
    "Gradients",
    "Guard",
    "Hook",
    "MaxNorm",
    "Objective",
    "ProximalL1",
    "Reacting",
    "Repeated",
    "Scheduled",
    "State",
    "Weighted",
    "balanced_weights",
    "evaluate",
    "higher_is_better",
    "pack",
    "sparsity",
    "train",
    "unpack",
]
