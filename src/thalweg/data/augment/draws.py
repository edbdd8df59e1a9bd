"""The random numbers of one mini-batch, and what a step of augmentation is.

>>> draws = Draws(seed, rows=128)
>>> draws.within(15.0).shape                                        # one number from −15 to 15 for each row
torch.Size([128])

All are drawn on the processor for all rows of the mini-batch and then shared out, so that they are the same on every device
and for any number of processes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from thalweg.errors import InputError


class Draws:
    """Draws for a mini-batch of ``rows`` examples, of which this process has those of ``own``."""

    def __init__(
        self, seed: int, rows: int, *, own: slice = slice(None), device: torch.device | str = "cpu"
    ) -> None:  # fmt: skip
        self.seed = seed
        self.rows = rows
        self.own = own
        self.device = device
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self, *shape: int) -> Tensor:
        """In [0, 1), ``(own rows, *shape)``, float32, as all that follow."""
        return torch.rand(self.rows, *shape, generator=self.generator)[self.own].to(self.device)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal, ``(own rows, *shape)``."""
        return torch.randn(self.rows, *shape, generator=self.generator)[self.own].to(self.device)

    def within(self, most: float, *shape: int) -> Tensor:
        """Uniform from −most to most, ``(own rows, *shape)``."""
        return (2.0 * self.uniform(*shape) - 1.0) * most

    def whole(self, least: int, most: int, *shape: int) -> Tensor:
        """Whole numbers from least to most, both included, ``(own rows, *shape)``."""
        numbers = torch.randint(least, most + 1, (self.rows, *shape), generator=self.generator)
        return numbers[self.own].float().to(self.device)

    def beta(self, alpha: float) -> Tensor:
        """Beta(α, α), ``(own rows,)``."""
        drawn = np.random.default_rng(self.seed).beta(alpha, alpha, self.rows)
        return torch.from_numpy(drawn).float()[self.own].to(self.device)

    def order(self, rows: int) -> Tensor:
        """A permutation of ``rows``."""
        return torch.randperm(rows, generator=self.generator).to(self.device)


@dataclass(frozen=True)
class Step:
    """One way of changing examples, and how far. Strength 0 changes nothing.

    Without a strength it is ``usual``, or for what is counted in pixels ``share`` of an image's larger side.
    """

    strength: float | None = None
    name: ClassVar[str]
    sentence: ClassVar[str]
    """What it does to an example, with ``{}`` for the strength."""
    usual: ClassVar[float] = 0.0
    share: ClassVar[float] = 0.0
    most: ClassVar[float] = float("inf")
    whole: ClassVar[bool] = False
    images_only: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.strength is None:
            return
        if not 0.0 <= self.strength <= self.most or self.strength == float("inf"):
            limit = f"from 0 to {self.most:g}" if self.most < float("inf") else "0 or more"
            raise InputError(f"the strength of {self.name} is {self.strength:g}: it must be {limit}")
        if self.whole and self.strength != int(self.strength):
            raise InputError(f"the strength of {self.name} is {self.strength:g}: it must be a whole number of pixels")

    def on(self, shape: tuple[int, ...]) -> float:
        """The strength for examples of that shape."""
        if self.strength is not None:
            return self.strength
        if not self.share or len(shape) < 3:
            return self.usual
        pixels = self.share * max(shape[-2:])
        return max(round(pixels), 1) if self.whole else pixels

    def __str__(self) -> str:
        return self.name if self.strength is None else f"{self.name}({self.strength:g})"
