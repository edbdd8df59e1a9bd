"""The data a run was given, as tensors: rows to take, rows to recognise.

>>> train = Examples.of((X, y), "train")
>>> inputs, targets = train.take(torch.tensor([3, 1]))
>>> train.recognise(fingerprint(batch)) # which rows these are: tensor([17, 4, …]), −1 where none fits

A row is recognised by its product with one fixed random vector, in float64: shape does not matter (an image and its flat
form are the same row), the values do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_leaves, tree_map

from thalweg.errors import InputError

FORM = "give (X, y), two things of equal length"


@dataclass(frozen=True)
class Examples:
    """``inputs``: a tensor ``(n, …)`` or lists, tuples, dicts of such; ``targets``: a tensor ``(n, …)``."""

    inputs: Any
    targets: torch.Tensor
    _keys: dict[str, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, pair: Any, what: str, like: torch.Tensor | None = None) -> Examples:
        """Takes tensors as they are but for the device of ``like``, float arrays in its type, other arrays in 64 bits.

        Raises ``InputError`` where it is no pair or lengths differ.
        """

        def taken(value: Any) -> Any:
            return _tensor(value, like)

        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise InputError(f"{what} is {type(pair).__name__}: {FORM}")
        inputs, targets = tree_map(taken, pair[0]), taken(np.asarray(pair[1]) if isinstance(pair[1], list) else pair[1])
        leaves = [leaf for leaf in tree_leaves(inputs) if isinstance(leaf, torch.Tensor)]
        if not leaves or not isinstance(targets, torch.Tensor):
            raise InputError(f"{what} holds no arrays or tensors: {FORM}")
        if any(leaf.ndim == 0 or len(leaf) != len(targets) for leaf in leaves) or len(targets) == 0:
            raise InputError(f"{what}: X has {len(leaves[0])} rows and y {len(targets)}: {FORM}")
        return cls(inputs, targets)

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, index: torch.Tensor) -> tuple[Any, torch.Tensor]:
        """Inputs and targets of some rows, in that order."""
        return tree_map(
            lambda leaf: leaf[index] if isinstance(leaf, torch.Tensor) else leaf, self.inputs
        ), self.targets[index]

    def sample(self, most: int, *, seed: int = 0) -> torch.Tensor:
        """At most ``most`` row numbers without repetition; all of them, in order, where there are no more."""
        if len(self) <= most:
            return torch.arange(len(self))
        return torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))[:most].sort().values

    def features(self, index: torch.Tensor) -> torch.Tensor | None:
        """The rows as a float64 matrix ``(n, D)``; None where there is no tensor, or one of numbers that only name something
        (64-bit integers: tokens, categories)."""
        inputs = self.take(index)[0]
        first = next((leaf for leaf in tree_leaves(inputs) if isinstance(leaf, torch.Tensor) and leaf.ndim), None)
        return None if first is None or first.dtype == torch.int64 else flat(first)

    def as_seen(self, seen: torch.Tensor, shape: tuple[int, ...], like: Examples) -> Examples:
        """These rows scaled as the loop scaled them: column by column, from ``like``'s mean and spread to those of ``seen``."""
        rows = flat(self.inputs)
        given = flat(like.inputs)
        assert rows is not None and given is not None
        spread = given.std(0)
        factor = torch.where(spread > 0, seen.double().std(0) / spread.clamp(min=1e-30), torch.zeros_like(spread))
        moved = (rows - given.mean(0)) * factor + seen.double().mean(0)
        return Examples(moved.float().reshape(len(rows), *shape), self.targets)

    def recognise(self, keys: torch.Tensor) -> torch.Tensor:
        """The row number for each ``fingerprint`` ``(n,)``, −1 where no row fits."""
        if "rows" not in self._keys:
            own = fingerprint(self.inputs)
            self._keys["rows"] = torch.sort(own)
        return look_up(keys, *self._keys["rows"])


def look_up(key: torch.Tensor, known: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Rows whose fingerprint among the sorted ``known`` lies nearest, −1 where it differs by more than rounding."""
    if len(known) == 0 or len(key) == 0:
        return torch.full((len(key),), -1)
    right = torch.searchsorted(known, key).clamp(max=len(known) - 1)
    left = (right - 1).clamp(min=0)
    near = torch.where((known[left] - key).abs() < (known[right] - key).abs(), left, right)
    fits = (known[near] - key).abs() <= 1e-6 * (1e-6 + key.abs() + known.abs().median())
    return torch.where(fits, rows[near], -1)


def fingerprint(batch: Any) -> torch.Tensor:
    """One float64 number a row ``(n,)``: the product with a fixed random vector. Empty where there is no numeric tensor."""
    matrix = flat(batch)
    if matrix is None:
        return torch.empty(0, dtype=torch.float64)
    return matrix @ _direction(matrix.shape[1])


_DIRECTIONS: dict[int, torch.Tensor] = {}


def _direction(width: int) -> torch.Tensor:
    if width not in _DIRECTIONS:
        _DIRECTIONS[width] = torch.randn(width, dtype=torch.float64, generator=torch.Generator().manual_seed(width))
    return _DIRECTIONS[width]


def flat(batch: Any) -> torch.Tensor | None:
    """The first tensor of a batch as a float64 matrix ``(n, D)`` on the CPU."""
    leaf = next((leaf for leaf in tree_leaves(batch) if isinstance(leaf, torch.Tensor) and leaf.ndim), None)
    if leaf is None or leaf.is_complex():
        return None
    return leaf.detach().reshape(len(leaf), -1).to("cpu", torch.float64)


def _tensor(value: Any, like: torch.Tensor | None) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        value = torch.from_numpy(np.ascontiguousarray(value))
        wide = torch.float32 if like is None else like.dtype
        value = value.to(
            wide if value.is_floating_point() else torch.bool if value.dtype == torch.bool else torch.int64
        )
    if isinstance(value, torch.Tensor):
        return value.detach() if like is None else value.detach().to(like.device)
    return value
