"""Which part a row belongs to, from its number and the seed alone: no table of rows is kept.

>>> parts = Parts.choose(50_000_000, test=10_000, dev=50_000, sample=200_000, seed=0)
>>> part = parts.of(start=0, rows=1000)             # int64 (1000,): TEST, DEV, SAMPLE or REST
>>> (part >= SAMPLE).sum()                          # rows to train on; the sample is some of them
998

Rows are put in a random order by a hash of their number, one that gives no two rows the same value; the first rows of that
order are the test part, the next ones the dev part, and then those that preprocessing is learned from. So every part is a
uniform sample of exactly the size that was asked for, and three numbers say which.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TEST, DEV, SAMPLE, REST = 0, 1, 2, 3
_TOGETHER = 1 << 20


@dataclass(frozen=True, eq=False)
class Parts:
    """Made by ``choose``."""

    seed: int
    edges: np.ndarray
    """uint64 ``(3,)``: the largest hash of each part but the last."""

    @classmethod
    def choose(cls, rows: int, *, test: int, dev: int, sample: int, seed: int) -> Parts:
        """Parts of exactly these sizes, which sum to ``rows`` or less."""
        ends = np.cumsum([test, dev, sample])
        likely = ends[-1] + 10 * np.sqrt(ends[-1]) + 100
        below = np.uint64(min(likely / max(rows, 1), 1.0) * (2**64 - 2**12))
        if likely >= rows:
            below = np.uint64(2**64 - 1)
        found = []
        for start in range(0, rows, _TOGETHER):
            keys = hashed(start, min(_TOGETHER, rows - start), seed)
            found.append(keys[keys <= below])
        order = np.sort(np.concatenate(found))
        return cls(seed, np.array([order[end - 1] if end else 0 for end in ends], np.uint64))

    def of(self, start: int, rows: int) -> np.ndarray:
        """The part of each of the rows from ``start`` on."""
        return np.searchsorted(self.edges, hashed(start, rows, self.seed), side="left")


def hashed(start: int, rows: int, seed: int) -> np.ndarray:
    """uint64 ``(rows,)``, different for different rows: SplitMix64 (Steele, Lea, Flood 2014) at a place that the seed sets."""
    place = int(np.random.SeedSequence([seed, 0x9A275]).generate_state(1, np.uint64)[0])
    z = np.arange(start, start + rows, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(place)
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z
