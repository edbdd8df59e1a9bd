"""How the loss is curved where the weights are: its largest curvature, and how much of it points down.

>>> hook = Curvature(history, loss, (X[:256], y[:256]))
>>> history.column("curvature/sharpness").values[-1]             # times the rate: beyond 2 plain gradient descent diverges
41.3
>>> history.column("curvature/negative").values[-1]              # share of directions that curve downwards: 0 at a minimum
0.08

The Hessian is never written down. Lanczos needs products with it alone, each twice the cost of a gradient; its largest Ritz
value is the sharpness, and the quadrature weights of those below zero, averaged over random starts, estimate the share of
eigenvalues there (Ghorbani, Krishnan & Xiao 2019, arXiv 1901.10159). ``ITERATIONS`` products for each of ``STARTS``: about
a hundred steps' worth, so it is no part of the default set, and looks at the steps 0, 1, 2, 4, 8, … alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from thalweg.errors import InputError
from thalweg.history import History
from thalweg.monitors.plan import Plan
from thalweg.surfaces import hessian_products
from thalweg.surfaces.curvature import differentiable_twice
from thalweg.surfaces.spectrum import Spectrum, lanczos
from thalweg.train.hooks import Hook, State

ITERATIONS, STARTS = 20, 2
FLAT = 1e-3
"""Curvature below this share of the largest counts as none: float32 cannot tell it from zero."""
DOUBLINGS = Plan(dense=1)
Loss = Callable[[Any, torch.Tensor], torch.Tensor]


class Curvature(Hook):
    """Writes ``curvature/sharpness`` and ``curvature/negative`` of ``loss(model(X), y)`` on a fixed batch ``(X, y)``.

    Over the parameters that need a gradient, but those whose gradients are sparse: these cannot be differentiated twice. The
    model is asked in evaluation mode (no dropout, running statistics) and left as it was; weights, gradients and random
    state are not touched. Where the gradient is not finite nothing is written.
    """

    def __init__(
        self,
        history: History,
        loss: Loss,
        batch: tuple[Any, torch.Tensor],
        *,
        plan: Plan = DOUBLINGS,
        iterations: int = ITERATIONS,
        starts: int = STARTS,
        seed: int = 0,
    ) -> None:
        self.history, self.plan = history, plan
        self._loss, self._batch = loss, batch
        self._iterations, self._starts, self._seed = iterations, starts, seed

    def on_gradient(self, state: State) -> None:
        if state.step == 0:
            self._look(state)

    def on_step(self, state: State) -> None:
        if self.plan.samples(state.step):
            self._look(state)

    def _look(self, state: State) -> None:
        inputs, targets = self._batch
        model = state.model
        sparse = {
            id(p) for part in model.modules() if getattr(part, "sparse", False) is True for p in part.parameters()
        }
        parameters: list[torch.Tensor] = [p for p in model.parameters() if p.requires_grad and id(p) not in sparse]
        with differentiable_twice(model):
            loss = self._loss(model(inputs), targets)
            if not parameters or not bool(torch.isfinite(loss.detach())):
                return
            try:
                product = hessian_products(lambda: loss, parameters)
            except InputError:  # a gradient that is not finite: others write that down, and the run goes on
                return
            size = sum(p.numel() for p in parameters)
            found = spectrum(product, size, iterations=self._iterations, starts=self._starts, seed=self._seed)
        self.history.record(state.step, {"curvature/sharpness": found[0], "curvature/negative": found[1]})


def spectrum(
    product: Callable[[np.ndarray], np.ndarray], size: int, *, iterations: int, starts: int, seed: int = 0
) -> tuple[float, float]:
    """The largest eigenvalue of a symmetric matrix ``(size, size)``, and the share of its eigenvalues below zero.

    ``product`` is ``v → Hv``, float64 ``(size,)``. Exact where ``iterations`` reaches ``size``; else the largest is a lower
    bound, good to some percent, and the share is stochastic Lanczos quadrature over ``starts`` random vectors.
    """
    draw = np.random.default_rng(seed)
    pairs = [lanczos(product, draw.normal(size=size), iterations=iterations) for _ in range(starts)]
    found = Spectrum(size, *zip(*pairs, strict=True))
    return found.largest, found.share_below(-FLAT * found.reach)
