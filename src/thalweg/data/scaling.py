"""Arrays and images on one scale: mean 0 and standard deviation 1, or another of ``scales``, learned from the training rows.

>>> encoder, notes = ArrayEncoder.fit(images, rows)             # uint8 (n, C, H, W): mean and sd of each channel
>>> encoder.encode(images[:128]).dtype
dtype('float32')
>>> ArrayEncoder.fit(X, rows)[0].mean.shape                     # (n, features): one of each feature
(30,)

Bytes are pixels and have one unit, so those of a row ``(n, features)`` share one mean and sd: a scale for each pixel blows up
the noise of the margin (digits, 64-128-128-10, six seeds: a dev loss of 0.118 instead of 0.073). They stay bytes
until they are encoded: a quarter of the memory. Missing numbers (NaN) of ``(n, features)`` become the mean, and a feature more
says so where training had such, as in tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from thalweg.data.scales import MOST_QUANTILES, Scale
from thalweg.data.sources.arrays import as_array
from thalweg.errors import InputError

NUMBERS_AT_ONCE = 1 << 22
"""Numbers taken to float64 together: 32 MB."""
MOST_SORTED = 1 << 25
"""Numbers of which quantiles are taken; of more, evenly spaced rows."""


@dataclass(frozen=True, eq=False)
class ArrayEncoder:
    """Mean and sd along one axis of arrays of one shape, or one of each; an ``sd`` of 0 marks a constant, which becomes 0."""

    kind: ClassVar[str] = "array"
    shape: tuple[int, ...]
    """Of one raw example."""
    integer: bool
    """Whether the training array was of whole numbers, as pixels from 0 to 255 are."""
    mean: np.ndarray
    sd: np.ndarray
    missing: tuple[int, ...] = ()
    """Features of ``(n, features)`` that were missing in training rows."""
    scales: tuple[Scale, ...] = ()
    """One for each mean, where the scale is another than ``standard``; mean and sd are then center and spread."""

    @classmethod
    def fit(cls, array: np.ndarray, rows: np.ndarray, *, scale: str = "standard") -> tuple[ArrayEncoder, list[str]]:
        """Learns from ``rows``; the second value are sentences for the user."""
        own = None if array.ndim == 2 and array.dtype == np.uint8 else _axis_of(array.ndim - 1)
        axes = tuple(axis for axis in range(array.ndim) if axis != own)
        total = square = count = np.zeros(1 if own is None else array.shape[own])
        missing = total > 0
        with np.errstate(over="ignore", invalid="ignore"):
            for block in _blocks(array, rows):
                absent = np.isnan(block)
                missing |= absent.any(axis=axes)
                count = count + (~absent).sum(axis=axes)
                total = total + block.sum(axis=axes, where=~absent)
            mean = total / np.maximum(count, 1)
            against = _along(mean, array.ndim - 1)
            for block in _blocks(array, rows):
                square = square + np.square(block - against).sum(axis=axes, where=~np.isnan(block))
        sd = np.sqrt(square / np.maximum(count, 1))
        if not np.isfinite(sd).all():
            raise InputError(
                f"the inputs hold amounts too large to be squared in feature {int((~np.isfinite(sd)).argmax()) + 1}: "
                f"give it in larger units"
            )
        sd[sd <= 1e-12 * np.abs(mean)] = 0.0
        scales: tuple[Scale, ...] = ()
        if scale != "standard":
            scales = _scales(array, rows, own, scale)
            mean = np.array([one.center for one in scales])
            sd = np.array([one.spread for one in scales])
        notes = []
        constant = int((sd == 0).sum())
        if constant and array.ndim == 2:
            notes.append(f"{constant} of {len(sd)} features are the same in every training row and set to 0.")
        where = tuple(int(feature) for feature in np.flatnonzero(missing)) if array.ndim == 2 else ()
        return cls(array.shape[1:], array.dtype.kind in "iub", mean, sd, where, scales), notes

    @property
    def feature_names(self) -> tuple[str, ...]:
        if len(self.shape) > 1:
            return ()
        names = [f"x{feature}" for feature in range(self.shape[0])]
        return (*names, *(f"x{feature} missing" for feature in self.missing))

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.shape[0] + len(self.missing),) if len(self.shape) == 1 else self.shape

    def encode(self, source: Any) -> np.ndarray:
        """float32 ``(n, *input_shape)``. Raises ``InputError`` for another shape, or infinite values."""
        array = as_array(source, "the inputs")
        if array.shape[1:] != self.shape:
            raise InputError(
                f"the inputs have shape {array.shape}: the model was trained on {('n', *self.shape)}".replace(
                    "'n'", "n"
                )
                + (", so put one example into a batch of 1" if array.shape == self.shape else "")
            )
        if self.integer and array.dtype.kind == "f" and len(array) and np.nanmax(array) <= 1 < self.mean.max():
            raise InputError(
                "the inputs lie between 0 and 1: the model was trained on whole numbers as 0 to 255; give such"
            )
        encoded = self._by_scales(array) if self.scales else self._standardised(array)
        if not self.missing:
            return encoded
        absent = (
            np.isnan(array[:, self.missing]) if array.dtype.kind == "f" else np.zeros((len(array), len(self.missing)))
        )
        return np.concatenate([encoded, absent.astype(np.float32)], axis=1)

    def _standardised(self, array: np.ndarray) -> np.ndarray:
        scale = np.divide(1.0, self.sd, out=np.zeros_like(self.sd), where=self.sd != 0)
        dims = len(self.shape)
        if array.dtype == np.uint8:  # exact in float32 and twice as fast
            encoded = np.multiply(array, _along(scale, dims).astype(np.float32), dtype=np.float32)
            encoded -= _along(self.mean * scale, dims).astype(np.float32)
            return encoded
        encoded = np.empty(array.shape, np.float32)
        rows = max(NUMBERS_AT_ONCE // max(array[:1].size, 1), 1)
        with np.errstate(over="ignore"):
            for start in range(0, len(array), rows):
                block = array[start : start + rows].astype(np.float64)
                encoded[start : start + rows] = (block - _along(self.mean, dims)) * _along(scale, dims)
        return np.nan_to_num(encoded, copy=False)

    def _by_scales(self, array: np.ndarray) -> np.ndarray:
        encoded = np.empty(array.shape, np.float32)
        own = None if len(self.scales) == 1 else _axis_of(array.ndim - 1)
        for index, scale in enumerate(self.scales):
            place = (slice(None),) * (own or 0) + ((index,) if own is not None else ())
            values = array[place]
            if array.dtype == np.uint8:  # there are 256 answers
                encoded[place] = scale.scaled(np.arange(256.0))[values]
            else:
                encoded[place] = scale.scaled(values.astype(np.float64))
        return encoded

    def to_dict(self) -> dict[str, Any]:
        return {
            "shape": list(self.shape),
            "integer": self.integer,
            "mean": self.mean.tolist(),
            "sd": self.sd.tolist(),
            "missing": list(self.missing),
            "scales": [scale.to_dict() for scale in self.scales],
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> ArrayEncoder:
        return cls(
            tuple(plain["shape"]),
            plain["integer"],
            np.asarray(plain["mean"], np.float64),
            np.asarray(plain["sd"], np.float64),
            tuple(plain["missing"]),
            tuple(Scale.from_dict(scale) for scale in plain["scales"]),
        )


def _scales(array: np.ndarray, rows: np.ndarray, own: int | None, kind: str) -> tuple[Scale, ...]:
    """A scale of each channel or feature, from as many rows as are needed to know their quantiles."""
    enough = rows[:: max(len(rows) * array[:1].size // MOST_SORTED, 1)]
    count = 1 if own is None else array.shape[own]
    levels = min(MOST_QUANTILES, max(NUMBERS_AT_ONCE // (4 * count), 100))
    scales = []
    for index in range(count):
        values = array[(slice(None),) * own + (index,) if own is not None else ()][enough].astype(np.float64).ravel()
        scales.append(Scale.fit(values[~np.isnan(values)], kind, levels=levels))
    return tuple(scales)


def _axis_of(dims: int) -> int:
    """The axis of an array that has its own mean: channels of images, else the features, which come last."""
    return 1 if dims >= 3 else dims


def _along(values: np.ndarray, dims: int) -> np.ndarray:
    """``(k,)`` shaped to stand along the scaled axis of examples with ``dims`` axes."""
    return values.reshape(-1, *[1] * (dims - _axis_of(dims)))


def _blocks(array: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    size = max(NUMBERS_AT_ONCE // max(array[:1].size, 1), 1)
    for start in range(0, len(rows), size):
        yield array[rows[start : start + size]].astype(np.float64)
