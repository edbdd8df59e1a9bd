"""One number's way onto the scale of a network and back: standard, robust, by quantiles, or as it is.

>>> scale = Scale.fit(incomes, "robust")                        # (x - median) / (IQR / 1.349)
>>> scale.restored(scale.scaled(incomes[:3]))                   # back, float64
>>> Scale.fit(incomes, "quantile").scaled(incomes).std()        # bell-shaped, whatever it was
1.0

* ``standard``: mean 0 and standard deviation 1.
* ``robust``: by median and interquartile range, which outliers do not move; 1.349 is that range of a normal distribution.
  Where half of the values are one, by the median and the standard deviation.
* ``quantile``: by the training quantiles (up to 1000, linear between them) to a normal distribution, as scikit-learn's
  ``QuantileTransformer``; monotone, and clipped at ±5.2. What lies outside of the training values comes back as their end.
  Numbers of one or two values are standardised.
* ``none``: as they are.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from thalweg.errors import InputError

SCALES = ("standard", "robust", "quantile", "none")
MOST_QUANTILES = 1000
EDGE = 1e-7
"""The probability beyond which a quantile is clipped: ±5.2 of a normal distribution."""
NORMAL_IQR = 1.349
LARGEST = 1e100
"""Larger numbers are taken in larger units: their squares, and the sums of those, would be no float64."""
_FINITE = (np.finfo(np.float32).min, np.finfo(np.float32).max)


@dataclass(frozen=True)
class Scale:
    """What is learned from the training values of one number."""

    center: float
    spread: float
    """In the user's units; 0 marks a constant, which becomes 0 whatever comes later. With quantiles the standard
    deviation, which is the size of an error but not what is divided by."""
    quantiles: tuple[float, ...] = ()
    """Rising, at equal distances of probability from 0 to 1."""
    fill: float = 0.0
    """What a missing value becomes, scaled."""

    @classmethod
    def fit(cls, values: np.ndarray, kind: str = "standard", *, levels: int = MOST_QUANTILES) -> Scale:
        """From known, finite values ``(n,)``; without one nothing is moved. Raises ``InputError`` for an unknown kind."""
        if kind not in SCALES:
            raise InputError(f'there is no scale "{kind}": choose among {", ".join(SCALES)}')
        if not len(values):
            return cls(0.0, 0.0)
        if (unit := float(np.abs(values).max())) > LARGEST:
            small = cls.fit(values / unit, kind, levels=levels)
            quantiles = tuple(value * unit for value in small.quantiles)
            return cls(small.center * unit, small.spread * unit or small.spread, quantiles, small.fill * unit)
        mean, sd = mean_and_sd(values)
        if kind == "none":
            return cls(0.0, 1.0, fill=mean)
        if kind == "standard" or sd == 0:
            return cls(mean, sd)
        if kind == "robust":
            low, median, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
            within = high - low
            return cls(median, within / NORMAL_IQR if within > 1e-12 * max(abs(low), abs(high)) else sd)
        if len(np.unique(values)) < 3:
            return cls(mean, sd)
        if len(values) <= levels:  # sorted, not interpolated: rounding would part equal values
            return cls(mean, sd, tuple(np.sort(values).tolist()))
        quantiles = np.quantile(values, np.linspace(0, 1, levels))
        return cls(mean, sd, tuple(np.maximum.accumulate(quantiles).tolist()))

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """float32 of float64 ``(n,)``; what is missing (NaN) becomes ``fill``."""
        scaled = (
            to_normal(values, np.asarray(self.quantiles)).astype(np.float32)
            if self.quantiles
            else standardised(values, self.center, self.spread)
        )
        scaled[np.isnan(scaled)] = self.fill
        return scaled

    def restored(self, scaled: np.ndarray) -> np.ndarray:
        """float64, the way back to the user's units."""
        scaled = np.asarray(scaled, np.float64)
        if not self.quantiles:
            return scaled * self.spread + self.center
        levels = torch.special.ndtr(torch.from_numpy(np.ascontiguousarray(scaled))).numpy()
        levels[levels <= EDGE * (1 + 1e-5)] = 0.0
        levels[levels >= 1 - EDGE * (1 + 1e-5)] = 1.0
        return np.interp(levels, np.linspace(0, 1, len(self.quantiles)), self.quantiles)

    def for_targets(self) -> Scale:
        """The same for amounts to predict: a constant is not divided by nothing."""
        return replace(self, spread=self.spread or 1.0)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Scale:
        return cls(plain["center"], plain["spread"], tuple(plain["quantiles"]), plain["fill"])


def to_normal(values: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """float64 of a normal distribution by rising ``quantiles``; NaN stays. A run of equal quantiles becomes its middle."""
    values = np.asarray(values, np.float64)
    levels = np.linspace(0, 1, len(quantiles))
    # From the left a run of equals gives its upper end, from the right its lower one.
    level = 0.5 * (np.interp(values, quantiles, levels) - np.interp(-values, -quantiles[::-1], -levels[::-1]))
    level[values <= quantiles[0]] = 0.0
    level[values >= quantiles[-1]] = 1.0
    return torch.special.ndtri(torch.from_numpy(np.clip(level, EDGE, 1 - EDGE))).numpy()


def mean_and_sd(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation; the deviation is 0 where it is rounding error alone."""
    mean = float(values.mean())
    sd = float(values.std())
    return mean, 0.0 if sd <= 1e-12 * abs(mean) or values.min() == values.max() else sd


def standardised(values: np.ndarray, mean: float | np.ndarray, sd: float | np.ndarray) -> np.ndarray:
    """float32 ``(values - mean) / sd``, 0 where ``sd`` is 0; the difference is taken in float64, lest digits vanish."""
    scale = np.divide(1.0, sd, out=np.zeros_like(sd, dtype=np.float64), where=np.asarray(sd) != 0)
    with np.errstate(over="ignore"):  # more than float32 can hold is as far away as it can be
        scaled = ((values - mean) * scale).astype(np.float32)
    return np.clip(scaled, *_FINITE, out=scaled)
