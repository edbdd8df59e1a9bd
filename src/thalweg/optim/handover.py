"""One optimizer after another: the first leads until a step or a condition, then the second goes on from its weights.

>>> optimizer = HandOver(model.parameters(), partial(Adam, lr=1e-3), partial(SGD, lr=0.1, momentum=0.9), at=2000)
>>> optimizer = HandOver(model.parameters(), Adam, SGD, when=lambda step: dev_loss_has_settled(step))
>>> optimizer.handed_over                                   # the step after which the second leads, or None

Any rule may follow any, PyTorch's own optimizers included. ``param_groups`` and ``state`` are those of the one that leads,
so a schedule acts on it; the second begins with its own first step. PyTorch's closed-form schedulers (LambdaLR, cosine)
would write the first's rates into the second: give the second a schedule of its own (``partial(SGD, lr=0.1 *
cosine(5000))``), or drive both by ``Follow``. (SWATS finds its moment and its rate by itself.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from thalweg.errors import InputError
from thalweg.optim.optimizer import Optimizer

Maker = Callable[..., torch.optim.Optimizer]


class HandOver(torch.optim.Optimizer):
    """Two optimizers of the same parameters, one at a time.

    ``first`` and ``second`` are classes or functions that take the parameters (groups, if groups are given: only what they hold
    and their options for both). Either ``at``, the number of steps the first makes, or ``when``, which is asked after each
    step with the number of steps made. Raises ``InputError`` for neither or both.
    """

    def __init__(
        self, params: Iterable[Any], first: Maker, second: Maker, *, at: int | None = None,
        when: Callable[[int], bool] | None = None,
    ) -> None:  # fmt: skip
        if (at is None) == (when is None):
            raise InputError("HandOver: give either at= (a number of steps) or when= (a condition)")
        if at is not None and at < 1:
            raise InputError(f"HandOver: at = {at} must be at least 1: the number of steps that the first makes")
        groups = list(params)
        self.phases = tuple(make([dict(g) if isinstance(g, dict) else g for g in groups]) for make in (first, second))
        self.at = at
        self.when = when
        self.steps = 0
        self.handed_over: int | None = None
        super().__init__(self.leading.param_groups, {})

    @property
    def leading(self) -> torch.optim.Optimizer:
        """The one that makes the next step."""
        return self.phases[self.handed_over is not None]

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return self.leading.param_groups

    @param_groups.setter
    def param_groups(self, groups: list[dict[str, Any]]) -> None:
        """PyTorch's constructor and unpickling set it; the phases have their own."""

    @property
    def state(self) -> Any:
        return self.leading.state

    @state.setter
    def state(self, state: Any) -> None:
        """As with ``param_groups``."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds parameters to both."""
        known = {id(p) for group in self.phases[0].param_groups for p in group["params"]}
        params = param_group["params"]
        members = [params] if isinstance(params, torch.Tensor) else list(params)
        if members and all(id(member) in known for member in members):
            return  # PyTorch's constructor hands in what the phases already have
        for phase in self.phases:
            phase.add_param_group({**param_group, "params": members})

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of the one that leads; afterwards it may hand over."""
        loss = self.leading.step(closure)
        self.steps += 1
        if self.handed_over is None and (self.steps >= self.at if self.at is not None else bool(self.when(self.steps))):  # type: ignore[misc]
            self.handed_over = self.steps
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients."""
        self.leading.zero_grad(set_to_none)

    def averaged(self) -> AbstractContextManager[None]:
        """The leading optimizer's average of the weights, where it keeps one."""
        return self.leading.averaged() if isinstance(self.leading, Optimizer) else nullcontext()

    def averages(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Each parameter that has an average, and the average."""
        return self.leading.averages() if isinstance(self.leading, Optimizer) else iter(())

    def state_dict(self) -> dict[str, Any]:
        """Both optimizers' states, and which leads."""
        return {
            "phases": [phase.state_dict() for phase in self.phases],
            "steps": self.steps,
            "handed_over": self.handed_over,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes a state written by a hand-over of the same two."""
        if set(state_dict) != {"phases", "steps", "handed_over"}:
            raise InputError("HandOver: this state was not written by a HandOver; load it into one of its phases")
        for phase, saved in zip(self.phases, state_dict["phases"], strict=True):
            phase.load_state_dict(saved)
        self.steps, self.handed_over = state_dict["steps"], state_dict["handed_over"]

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in ("phases", "at", "when", "steps", "handed_over", "defaults")}
