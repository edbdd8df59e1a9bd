"""Monitors in anyone's loop: what calls them is the optimizer's own step.

>>> history = History()
>>> with Attached(model, optimizer, GradientNorms(history), UpdateRatios(history)):
...     for inputs, targets in batches:
...         optimizer.zero_grad()
...         loss(model(inputs), targets).backward()
...         optimizer.step()                         # on_gradient before it, on_step after it
>>> history.under("update_ratio")["0.weight"].values[-1]
0.0012…

What the loop alone knows is told where a monitor needs it, before the step:

>>> with Attached(model, optimizer, Progress(history)) as attached:
...     attached.state.loss = value.detach()
...     attached.epoch_end()

Where the step is given a closure (``LBFGS``, Lightning), the gradients are looked at after its first evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch

from thalweg.train.hooks import Hook, State, listeners


class Attached:
    """Calls ``hooks`` in the order given from construction to ``close``; a context manager. ``state.step`` counts steps made.

    ``failed`` is told of a hook that raises (the moment, the error); without it the error comes out of ``optimizer.step``.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        *hooks: Hook,
        failed: Callable[[str, Exception], None] | None = None,
    ) -> None:
        self.state = State(model, optimizer)
        self._failed = failed
        self._on_gradient, self._on_step, self._on_epoch = (
            listeners(hooks, moment) for moment in ("on_gradient", "on_step", "on_epoch")
        )
        self._handles = [
            optimizer.register_step_pre_hook(self._before),
            optimizer.register_step_post_hook(self._after),
        ]

    def __enter__(self) -> Attached:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def epoch_end(self) -> None:
        """Marks the end of a pass over the data."""
        self.state.epoch += 1
        for tell in self._on_epoch:
            tell(self.state)

    def close(self) -> None:
        """Takes the hooks off the optimizer."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _before(self, _: torch.optim.Optimizer, args: tuple, kwargs: dict) -> tuple[tuple, dict] | None:
        if len(args) > 1 and callable(args[1]):
            return (args[0], self._opened(args[1]), *args[2:]), kwargs
        if callable(closure := kwargs.get("closure")):
            return args, {**kwargs, "closure": self._opened(closure)}
        self._gradient()
        return None

    def _opened(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        first = True

        def run() -> Any:
            nonlocal first
            value = closure()
            if first:
                first = False
                self._gradient()
            return value

        return run

    def _gradient(self) -> None:
        try:
            for tell in self._on_gradient:
                tell(self.state)
        except Exception as error:
            self._stumbled("gradient", error)

    def _after(self, *_: Any) -> None:
        self.state.step += 1
        try:
            for tell in self._on_step:
                tell(self.state)
        except Exception as error:
            self._stumbled("step", error)

    def _stumbled(self, moment: str, error: Exception) -> None:
        if self._failed is None:
            raise error
        self._failed(moment, error)
