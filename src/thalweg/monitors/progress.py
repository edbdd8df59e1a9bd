"""What a run says about itself as it goes: loss, rate, pass, time and speed.

>>> hook = Progress(history)
>>> history.column("batch/loss").values[:3]
array([2.31, 2.28, 2.25])
>>> history.last("samples_per_second")
61300.0

``seconds`` counts on where an earlier part of the run stopped; ``samples_per_second`` counts training alone, not what is
measured between passes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import isfinite

from thalweg.history import History
from thalweg.monitors.plan import DENSE, SPARSE, Plan
from thalweg.train.hooks import Hook, State


class Progress(Hook):
    """Writes ``batch/loss`` and ``lr`` (of the first parameter group), ``epoch``, ``seconds``, ``samples_per_second``.

    Loss and rate follow the dense ``losses`` plan (on an accelerator each costs a wait for the device), the others the
    sparse ``speed`` plan and the end of each pass. ``epoch`` counts whole passes made.

    The first loss that is not finite is written whatever the plan says, before the step is made, for the run may end there;
    on an accelerator only the plan's steps are looked at.
    """

    def __init__(
        self,
        history: History,
        *,
        losses: Plan = DENSE,
        speed: Plan = SPARSE,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.history, self.losses, self.speed, self.clock = history, losses, speed, clock
        self._begin = float("nan")
        self._mark: tuple[float, int] | None = None
        self._watches = False
        self._broke = -1

    def on_gradient(self, state: State) -> None:
        if self._mark is None:
            now = self.clock()
            if self._begin != self._begin:
                self._begin = now - self.history.last("seconds", 0.0)
                self._watches = state.loss.device.type == "cpu"
            self._mark = now, state.examples
        if self._watches and not isfinite(loss := float(state.loss)):
            self._watches, self._broke = False, state.step + 1
            self.history.record(self._broke, {"batch/loss": loss})

    def on_step(self, state: State) -> None:
        step = state.step
        if self.losses.samples(step):
            rate = {"lr": float(state.optimizer.param_groups[0]["lr"])}
            self.history.record(step, rate if step == self._broke else {"batch/loss": float(state.loss)} | rate)
            if self.speed.samples(step):
                self._record(state)

    def on_epoch(self, state: State) -> None:
        self._record(state)
        self._mark = None

    def _record(self, state: State) -> None:
        now = self.clock()
        numbers = {"epoch": float(state.epoch), "seconds": now - self._begin}
        since, examples = self._mark or (now, state.examples)
        if now > since and state.examples > examples:
            numbers["samples_per_second"] = (state.examples - examples) / (now - since)
        self._mark = now, state.examples
        self.history.record(state.step, numbers)
