"""Training, dev and test part: how large, and which rows.

Up to 10,000 rows the shares are 60/20/20; beyond, dev and test stop growing as fast (they need rows enough to tell models apart,
not a share): 98/1/1 at a million, 99.5/0.4/0.1 and less above. Classes keep their shares in each part. Rows that
the data themselves set apart for testing are the test part; the rest is split into training and dev.

Which rows go where depends on the targets and the seed alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from thalweg.data.source import Data


@dataclass(frozen=True)
class Split:
    """Row numbers of each part, ascending int64; ``test`` may be empty."""

    train: np.ndarray
    dev: np.ndarray
    test: np.ndarray


def shares(rows: int) -> tuple[float, float, float]:
    """The shares of training, dev and test part for ``rows`` rows."""
    if rows <= 10_000:
        return 0.6, 0.2, 0.2
    if rows <= 1_000_000:  # 20 % of 10 thousand down to 1 % of a million: straight on a logarithmic scale
        share = 10 ** (math.log10(0.2) + (math.log10(0.01) - math.log10(0.2)) * (math.log10(rows) - 4) / 2)
        return 1 - 2 * share, share, share
    return 0.995, 0.004, 0.001


def split(data: Data, *, seed: int, fractions: tuple[float, float, float] | None = None) -> Split:
    """Splits the rows of ``data``; ``fractions`` overrule the shares (a test share of 0 means no test part)."""
    everything = np.arange(len(data))
    held = data.official_test if fractions is None else None
    if held is not None:
        rest = np.setdiff1d(everything, held)
        dev_share = min(shares(len(rest))[1], 0.2)
        train, dev = _divide(rest, data, (1 - dev_share, dev_share), seed)
        return Split(train, dev, np.sort(held).astype(np.int64))
    wanted = shares(len(data)) if fractions is None else fractions
    train, dev, test = _divide(everything, data, wanted, seed)
    return Split(train, dev, test)


def _divide(rows: np.ndarray, data: Data, wanted: tuple[float, ...], seed: int) -> list[np.ndarray]:
    """Rows in parts of the shares wanted, class by class; a class with a single row goes to the first part."""
    generator = np.random.default_rng([seed, 0x5917])
    order = generator.permutation(rows)
    if data.classes is None:
        groups = [order]
    else:
        _, labels = np.unique(data.targets[order].astype(str), return_inverse=True)
        groups = [order[labels == label] for label in range(labels.max() + 1)]
    parts: list[list[np.ndarray]] = [[] for _ in wanted]
    carried = np.zeros(len(wanted))
    for group in groups:
        counts, carried = _counts(len(group), np.asarray(wanted), carried)
        start = 0
        for part, count in zip(parts, counts, strict=True):
            part.append(group[start : start + count])
            start += count
    return [np.sort(np.concatenate(part)).astype(np.int64) for part in parts]


def _counts(size: int, wanted: np.ndarray, carried: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Whole numbers near ``size · wanted``; what rounding left over is carried on, so the totals come out right."""
    ideal = size * wanted + carried
    counts = np.floor(np.maximum(ideal, 0)).astype(int)
    counts[0] = max(counts[0], 1)  # no class is unknown to the training part
    while counts.sum() < size:
        counts[int(np.argmax(ideal - counts))] += 1
    while counts.sum() > size:
        spare = np.where(counts > (np.arange(len(counts)) == 0), counts - ideal, -np.inf)
        counts[int(np.argmax(spare))] -= 1
    return counts.tolist(), ideal - counts
