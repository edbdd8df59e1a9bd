"""How a population trains: the ways, and the choice among them.

* ``compiled``: small fully connected nets, whole passes in native code (``compiled``);
* ``batched``: any net that stacks, as one program of PyTorch's operations (``batched``);
* ``one by one``: the rest (``solo``).

>>> way, sentence = choose(seats, batch_size=64)
>>> way.name, sentence
('one by one', 'layer rnn is LSTM, of which PyTorch has no batched form: train its members one by one')
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from torch import Tensor

from thalweg.errors import InputError
from thalweg.population.batched import Batched
from thalweg.population.compiled import Compiled
from thalweg.population.forms import Unstackable
from thalweg.population.members import Seat
from thalweg.population.solo import OneByOne

MOST_WEIGHTS = 100_000
"""Weights of a member from which, on a CPU, one program of PyTorch's operations only loses: arithmetic is all there is, and
the members' weights, gradients and moments no longer fit a cache. Measured: 784-256-128-10, 0.5 × one by one."""


FEWEST = 3
"""Members from which one program of PyTorch's operations pays on a CPU: measured at 1 it is slower, at 4 faster."""


class Way(Protocol):
    """Trains members, and asks them for outputs."""

    name: str

    def train(self, orders: Sequence[Tensor]) -> list[np.ndarray]:
        """One pass of each member over its rows in the order given; the loss of each mini-batch, NaN from a break on."""
        ...

    def outputs(self, inputs: Tensor) -> Tensor:
        """Each member's outputs in evaluation mode, ``(K, n, …)``, for inputs ``(K, n, …)``."""
        ...

    def keep(self, places: Sequence[int]) -> None:
        """Goes on with these members alone."""
        ...

    def release(self) -> None:
        """Gives every module tensors of its own again."""
        ...


WAYS = ("compiled", "batched", "one by one")


def choose(seats: Sequence[Seat], *, batch_size: int, way: str = "auto") -> tuple[Way, str]:
    """The first way of ``WAYS`` that these members can go, or the one asked for; and why no earlier one, in a sentence.

    Raises ``InputError`` where the way asked for can't be gone.
    """
    if way not in ("auto", *WAYS):
        raise InputError(f'there is no way "{way}" to train a population: choose among auto, {", ".join(WAYS)}')
    reason = ""
    if way in ("auto", "compiled"):
        reason = Compiled.refuses(seats)
        if not reason:
            return Compiled(seats, batch_size=batch_size), ""
    weights = sum(parameter.numel() for parameter in seats[0].module.parameters())
    on_cpu = all(parameter.is_cpu for parameter in seats[0].module.parameters())
    if way == "auto" and on_cpu and weights > MOST_WEIGHTS:
        reason = f"on a CPU, members of {weights:,} weights gain nothing from one program"
    elif way == "auto" and on_cpu and len(seats) < FEWEST:
        reason = f"on a CPU, {len(seats)} members gain nothing from one program"
    elif way in ("auto", "batched"):
        try:
            batched = Batched(seats, batch_size=batch_size)
            reason = batched.differs()
            if not reason:
                return batched, ""
            batched.release()
        except Unstackable as error:
            reason = str(error)
    if way in ("compiled", "batched"):
        raise InputError(f"the population can't train {way}: {reason}")
    return OneByOne(seats, batch_size=batch_size), reason
