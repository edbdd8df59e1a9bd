"""A schedule as a ``torch.optim`` scheduler, for any hyperparameter of any PyTorch optimizer.

>>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
>>> scheduler = Follow(optimizer, "warmup(500) >> cosine(10000)")
>>> for inputs, targets in batches:
...     optimizer.step()
...     scheduler.step()

Each group's own initial value is multiplied by ``schedule(t)`` in closed form, t the number of ``step()`` calls: nothing
accumulates, so a scheduler that is resumed, or whose optimizer gets another group on the way, is where it would be anyway.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.optim import lr_scheduler

from thalweg.errors import InputError
from thalweg.schedules import Schedule, parse


class Follow(lr_scheduler.LRScheduler):
    """Sets the hyperparameter ``name`` of each parameter group to its initial value times ``schedule(t)``.

    ``schedule`` is a schedule, its text, or one of them for each group. A group that is added later starts from the value it
    brings. Where the value is a tensor it is filled, not replaced, so that captured graphs see it.

    One that reacts hears what was measured by ``observe({"dev/loss": 0.31})``. Raises ``InputError`` for a hyperparameter that
    is no number, and where schedules and groups are not as many.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule | str | Sequence[Schedule | str],
        *,
        name: str = "lr",
        last_epoch: int = -1,
    ) -> None:
        given = [schedule] if isinstance(schedule, Schedule | str) else list(schedule)
        self.name = name
        self.schedules = [parse(one) if isinstance(one, str) else one for one in given]
        for one in self.schedules:
            if not isinstance(one, Schedule):
                raise InputError(f"Follow: {one!r} is no schedule: give one, or its text as in 'cosine(10000)'")
        self._one_for_all = isinstance(schedule, Schedule | str)
        self._running = [one.begin() for one in self.schedules]
        self._check(optimizer)
        if last_epoch != -1:
            for key in (self._base, "initial_lr"):
                if any(key not in group for group in optimizer.param_groups):
                    raise InputError(
                        f'Follow: with last_epoch={last_epoch} every group needs its "{key}": load the optimizer\'s state first'
                    )
        super().__init__(optimizer, last_epoch)

    @property
    def _base(self) -> str:
        return f"initial_{self.name}"

    def _check(self, optimizer: torch.optim.Optimizer) -> None:
        groups = optimizer.param_groups
        if not self._one_for_all and len(groups) != len(self.schedules):
            raise InputError(
                f"Follow: the optimizer has {len(groups)} parameter groups and there are {len(self.schedules)} schedules: give "
                f"one for all, or one for each"
            )
        for group in groups:
            if self.name not in group:
                known = [key for key, value in group.items() if _is_number(value) and not key.startswith("initial_")]
                raise InputError(
                    f'Follow: {type(optimizer).__name__} has no hyperparameter "{self.name}": choose among {", ".join(known)}'
                )
            if not _is_number(group[self.name]):
                raise InputError(f'Follow: "{self.name}" is {group[self.name]!r}, not a number that can be multiplied')

    def get_lr(self) -> list[float | torch.Tensor]:
        """The value of each group now, in closed form."""
        self._check(self.optimizer)
        values: list[float | torch.Tensor] = []
        for index, group in enumerate(self.optimizer.param_groups):
            running = self._running[0 if self._one_for_all else index]
            initial = group.setdefault(self._base, float(group[self.name]))
            values.append(float(initial) * running(max(self.last_epoch, 0)))
        return values

    def step(self, epoch: int | None = None) -> None:
        """Moves on by one update; with ``epoch``, to that one."""
        self._step_count = getattr(self, "_step_count", 0) + 1
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        # torch's chaining schedulers call this method by name; its own version sets "lr" alone.
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self._put(self.get_lr())

    def observe(self, measured: Mapping[str, float]) -> None:
        """Tells a schedule that reacts what was measured, by the names it waits for."""
        for running in self._running:
            running.observe(max(self.last_epoch, 0), measured)
        self._put(self.get_lr())

    def _put(self, values: Sequence[float | torch.Tensor]) -> None:
        for group, value in zip(self.optimizer.param_groups, values, strict=False):
            current = group[self.name]
            if isinstance(current, torch.Tensor):
                current.fill_(float(value))
            else:
                group[self.name] = float(value)
        groups = self.optimizer.param_groups
        self.base_lrs = [group[self._base] for group in groups if self._base in group]
        self._last_lr = [
            value.clone() if isinstance(value := group[self.name], torch.Tensor) else value for group in groups
        ]

    def state_dict(self) -> dict[str, Any]:
        """Where it stands, as plain numbers. The schedules themselves are not in it: give them again."""
        groups = self.optimizer.param_groups
        return {
            "name": self.name,
            "last_epoch": self.last_epoch,
            "initial": [float(group.get(self._base, group[self.name])) for group in groups],
            # As it stands, not as the schedule says: within SequentialLR another scheduler may have set it.
            "values": [float(group[self.name]) for group in groups],
            "observed": [running.state_dict() for running in self._running],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from there; before or after the optimizer's own state is loaded."""
        if state_dict.get("name") != self.name or len(state_dict["observed"]) != len(self._running):
            raise InputError(
                f'Follow: the state is that of a scheduler of "{state_dict.get("name")}" with '
                f'{len(state_dict.get("observed", []))} schedules, this one is of "{self.name}" with {len(self._running)}'
            )
        self.last_epoch = state_dict["last_epoch"]
        for group, initial in zip(self.optimizer.param_groups, state_dict["initial"], strict=False):
            group[self._base] = initial
        for running, state in zip(self._running, state_dict["observed"], strict=True):
            running.load_state_dict(state)
        self._put(state_dict["values"])


def _is_number(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.numel() == 1 and value.is_floating_point()
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
