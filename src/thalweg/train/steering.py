"""Hooks that steer the step to come: the value of a hyperparameter, the length of the gradient.

>>> hooks = (Scheduled("lr", warmup(100) >> cosine(2000)), ClipNorm(1.0))

A schedule is any function of the number of updates made; it is evaluated in closed form at each step, so there is no
order to get wrong and nothing to restore on resume. One that reacts to what the run measures hears of it after each pass
and has its place in the checkpoint:

>>> hooks = (early, Reacting("lr", plateau(0.5).begin(), optimizer=optimizer, measured=lambda: newest))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import torch

from thalweg.train.hooks import Hook, State


class Scheduled(Hook):
    """Sets one hyperparameter of every parameter group to ``schedule(step)`` before each update, step from 0.

    A group's own initial value, relative to the first group's, is kept: groups with other rates stay in proportion.
    """

    def __init__(self, name: str, schedule: Callable[[int], float], *, optimizer: torch.optim.Optimizer) -> None:
        self.name = name
        self.schedule = schedule
        first = float(optimizer.param_groups[0][name])
        self.proportions = [float(group[name]) / first if first else 1.0 for group in optimizer.param_groups]

    def follow(self, schedule: Callable[[int], float]) -> None:
        """From now on, another schedule."""
        self.schedule = schedule

    def on_gradient(self, state: State) -> None:
        value = self.schedule(state.step)
        for group, proportion in zip(state.optimizer.param_groups, self.proportions, strict=False):
            current = group[self.name]
            if isinstance(current, torch.Tensor):
                current.fill_(value * proportion)
            else:
                group[self.name] = value * proportion


class Reacts(Protocol):
    """A schedule that hears what the run measures, by the names of the history."""

    def __call__(self, step: int) -> float: ...

    def observe(self, step: int, measured: Mapping[str, float]) -> None: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, saved: dict[str, Any], /) -> None: ...


class Reacting(Scheduled):
    """``Scheduled`` for a schedule that reacts: after each pass it hears ``measured()``.

    Its place is behind the hook that measures. It belongs among what the checkpoints remember.
    """

    def __init__(
        self,
        name: str,
        schedule: Reacts,
        *,
        optimizer: torch.optim.Optimizer,
        measured: Callable[[], Mapping[str, float]],
    ) -> None:
        super().__init__(name, schedule, optimizer=optimizer)
        self.reacts = schedule
        self.measured = measured

    def follow(self, schedule: Callable[[int], float]) -> None:
        """From now on, another schedule that reacts, of the same form; it knows all that this one has heard."""
        reacts = cast(Reacts, schedule)
        reacts.load_state_dict(self.reacts.state_dict())
        self.schedule = self.reacts = reacts

    def on_epoch(self, state: State) -> None:
        self.reacts.observe(state.step, self.measured())

    def state_dict(self) -> dict[str, Any]:
        return self.reacts.state_dict()

    def load_state_dict(self, saved: dict[str, Any], /) -> None:
        self.reacts.load_state_dict(saved)


class ClipNorm(Hook):
    """Scales all gradients so that their common 2-norm is at most ``limit`` (Pascanu et al. 2013).

    thalweg's optimizers do this inside their own pass (``clip_norm=``); this hook serves every other optimizer.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def on_gradient(self, state: State) -> None:
        torch.nn.utils.clip_grad_norm_(state.model.parameters(), self.limit)
