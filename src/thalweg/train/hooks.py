"""What a training run lets others see, and when.

``State`` is all that changes while a network trains. A ``Hook`` is called with it at three moments: when the gradients
are there and the weights not yet changed, when the weights have changed, and when a pass over the data has ended. The
loop calls a moment only on hooks that define it, so a hook that acts once an epoch costs nothing per step.

>>> class Losses(Hook):
...     def __init__(self): self.seen = []
...     def on_step(self, state): self.seen.append(float(state.loss))

A hook ends the run by saying why: ``state.stop = "the dev loss has not improved for 10 epochs"``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import torch


@dataclass
class State:
    """All that changes while a network trains. Counts are exact after a resume too."""

    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    epoch: int = 0
    """The pass under way, from 0; after the last pass, the number of passes made."""
    position: int = 0
    """Mini-batches of this pass already used."""
    step: int = 0
    """Optimizer updates made."""
    examples: int = 0
    """Training examples used, repeats counted."""
    batch_size: int = 0
    """Examples in the current mini-batch (the last one of a pass may be smaller)."""
    loss: torch.Tensor = field(default_factory=lambda: torch.tensor(float("nan")))
    """Mean loss of the current mini-batch, 0-dim, detached."""
    stop: str = ""
    """Why the run ends now; empty while it goes on."""


class Hook:
    """Sees a run at three moments; each does nothing until a subclass defines it."""

    def on_gradient(self, state: State) -> None:
        """The gradients of this mini-batch are in ``p.grad``; the weights have not moved."""

    def on_step(self, state: State) -> None:
        """The weights have moved; ``state.step`` counts this update."""

    def on_epoch(self, state: State) -> None:
        """A pass over the data has ended; ``state.epoch`` counts it."""


def listeners(hooks: Iterable[Hook], moment: str) -> tuple[Callable[[State], None], ...]:
    """The bound methods of those hooks that define ``moment``."""
    return tuple(getattr(hook, moment) for hook in hooks if getattr(type(hook), moment) is not getattr(Hook, moment))


class Gradients(Protocol):
    """Computes the loss of one mini-batch and leaves its gradients in ``p.grad``."""

    def __call__(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Returns the mean loss, 0-dim, detached. Replaces the gradients that were there."""
        ...


class Batches(Protocol):
    """The mini-batches of any pass, the same ones each time that pass is asked for."""

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Mini-batches of pass ``number``, from the ``start``-th on: ``(inputs (B, …), targets (B, …))``."""
        ...

    def __len__(self) -> int:
        """Mini-batches in a pass."""
        ...
