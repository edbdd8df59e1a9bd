"""How much of a gradient is noise: between mini-batches of two sizes, and from one step to the next.

>>> hook = NoiseScale(history, loss, (X, y), rows=32)
>>> history.column("noise_scale").values[-1]                     # the batch beyond which more rows bring little
187.0
>>> hook = GradCosine(history)
>>> history.column("grad_cosine").values[-1]           # −1: to and fro across a valley
−0.31
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_map

from thalweg.errors import InputError
from thalweg.history import History
from thalweg.monitors.plan import SPARSE, Plan
from thalweg.monitors.signals import norms
from thalweg.train.hooks import Hook, State

Loss = Callable[[Any, torch.Tensor], torch.Tensor]
RARE = Plan(dense=4)
"""For what costs several steps."""
RECENT = 8
"""Looks averaged over: signal and noise are each estimated without bias, their quotient only where both are steady."""


class NoiseScale(Hook):
    """Writes ``noise_scale``, and what it is the quotient of: ``noise_scale/noise`` and ``noise_scale/signal``.

    The simple noise scale tr(Σ)/|G|² of McCandlish et al. 2018 (arXiv 1812.06162, appendix A.1): after the plan's steps the
    gradients of ``parts`` mini-batches of ``rows`` rows each, drawn anew from ``data`` ``(X, y)``, and that of all of them
    together. |G|² = (B|g_B|² − b|g_b|²)/(B − b), tr(Σ) = (|g_b|² − |g_B|²)/(1/b − 1/B), both averaged over the last looks.
    About the size of mini-batch beyond which more rows no longer buy as many steps. The quotient is not written while the
    signal is drowned (|G|² ≤ 0).

    ``loss(model(X), y)`` is a mean over rows. It costs ``parts`` small steps' gradients a look; weights, ``p.grad``, buffers
    and random state are left alone. Raises ``InputError`` where the data have fewer rows than that takes.
    """

    def __init__(
        self,
        history: History,
        loss: Loss,
        data: tuple[Any, torch.Tensor],
        *,
        rows: int = 8,
        parts: int = 4,
        plan: Plan = RARE,
        seed: int = 0,
    ) -> None:
        if rows < 1 or parts < 2:
            raise InputError(f"the noise scale takes 1 row or more in 2 parts or more, not {rows} in {parts}")
        if len(data[1]) < rows * parts:
            raise InputError(
                f"the noise scale takes {parts} parts of {rows} rows, and data has {len(data[1])}: lower rows"
            )
        self.history, self.plan = history, plan
        self._loss, self._data, self._rows, self._parts, self._seed = loss, data, rows, parts, seed

    def on_step(self, state: State) -> None:
        step, model = state.step, state.model
        if not self.plan.samples(step):
            return
        parameters = [p for p in model.parameters() if p.requires_grad]
        buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
        drawn = np.random.default_rng((self._seed, step)).permutation(len(self._data[1]))
        chosen = torch.from_numpy(drawn[: self._rows * self._parts])
        small = 0.0
        total: list[torch.Tensor] = []
        with torch.random.fork_rng(), torch.enable_grad():
            for rows in chosen.split(self._rows):
                inputs = tree_map(
                    lambda leaf, rows=rows: leaf[rows] if isinstance(leaf, torch.Tensor) else leaf, self._data[0]
                )
                loss = self._loss(model(inputs), self._data[1][rows])
                found = [g.detach() for g in torch.autograd.grad(loss, parameters, allow_unused=True) if g is not None]
                small += math.hypot(*norms(found)) ** 2 / self._parts
                total = [a + b for a, b in zip(total, found, strict=True)] if total else found
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        big = (math.hypot(*norms(total)) / self._parts) ** 2
        b, B = self._rows, self._rows * self._parts
        self.history.record(
            step,
            {
                "noise_scale/signal": (B * big - b * small) / (B - b),
                "noise_scale/noise": (small - big) / (1 / b - 1 / B),
            },
        )
        signal, noise = (self.history.column(f"noise_scale/{n}").values[-RECENT:].mean() for n in ("signal", "noise"))
        if signal > 0:
            self.history.record(step, {"noise_scale": float(noise / signal)})


class GradCosine(Hook):
    """Writes ``grad_cosine``: of each looked-at step's gradient and the one before it, all parameters as one vector.

    Reads ``p.grad``; keeps a copy from the step before alone.
    """

    def __init__(self, history: History, *, plan: Plan = SPARSE) -> None:
        self.history, self.plan = history, plan
        self._before: dict[int, torch.Tensor] = {}

    def on_gradient(self, state: State) -> None:
        step = state.step + 1
        before, self._before = self._before, {}
        looks, keeps = bool(before) and self.plan.samples(step), self.plan.samples(step + 1)
        if not looks and not keeps:
            return
        now = {
            number: p.grad.detach()
            for number, p in enumerate(state.model.parameters())
            if p.grad is not None and not p.grad.is_sparse
        }
        if looks and now.keys() == before.keys():
            self._record(step, list(before.values()), list(now.values()))
        if keeps:
            self._before = {number: gradient.clone() for number, gradient in now.items()}

    def _record(self, step: int, before: list[torch.Tensor], now: list[torch.Tensor]) -> None:
        sizes = norms([*before, *now])
        length = math.hypot(*sizes[: len(now)]) * math.hypot(*sizes[len(now) :])
        together = sum(
            float(torch.dot(a.reshape(-1).float(), b.reshape(-1).float())) for a, b in zip(before, now, strict=True)
        )
        if length > 0:
            self.history.record(step, {"grad_cosine": together / length})
