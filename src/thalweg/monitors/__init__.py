"""Monitors: hooks that write numbers into a history, and do nothing else.

What the numbers mean is the doctor's business, how they look the page's. A monitor changes neither weights, gradients
nor random state, so a watched run gives the same bits as an unwatched one.

>>> history = History()
>>> state = train(model, optimizer, gradients, batches, epochs=10, hooks=default(history))
>>> history.column("grad_norm/0.weight").values[-1]
0.0312…

In anybody's loop the optimizer's own step calls them:

>>> with Attached(model, optimizer, *default(history), GradCosine(history)):
...     ...                                                      # zero_grad, backward, optimizer.step

Which steps are looked at is decided by a ``Plan`` from the step number alone, so a resumed run looks at the same ones. A
monitor of your own is a hook with a plan:

>>> class Largest(Hook):
...     def on_step(self, state):
...         if SPARSE.samples(state.step):
...             self.history.record(state.step, {"largest": max(float(p.abs().max()) for p in state.model.parameters())})
"""

from __future__ import annotations

from thalweg.history import History
from thalweg.monitors.activations import ActivationStats
from thalweg.monitors.attach import Attached
from thalweg.monitors.curvature import Curvature
from thalweg.monitors.noise import GradCosine, NoiseScale
from thalweg.monitors.plan import ALWAYS, DENSE, SPARSE, Plan
from thalweg.monitors.progress import Progress
from thalweg.monitors.signals import GradientNorms, UpdateRatios
from thalweg.train.hooks import Hook


def default(history: History) -> tuple[Hook, ...]:
    """The set every run has: loss, rate and speed; gradient norms; update-to-weight ratios.

    Put them before hooks that change the gradient or that end the run on a bad loss, so that they see what was there.
    """
    return Progress(history), GradientNorms(history), UpdateRatios(history)


__all__ = [
    "ALWAYS",
    "DENSE",
    "SPARSE",
    "ActivationStats",
    "Attached",
    "Curvature",
    "GradCosine",
    "GradientNorms",
    "NoiseScale",
    "Plan",
    "Progress",
    "UpdateRatios",
    "default",
]
