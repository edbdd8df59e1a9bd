"""An average that begins at zero is too small at first; dividing by 1 − βᵗ cures it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from claim import Entry, Shown, tell
from draw import curve, picture
from thalweg.averages import ewa, window
from thalweg.report.figure import axis

BETA, LEVEL, EARLY = 0.98, 10.0, 10


def show(seeds: Sequence[int], small: bool) -> Shown:
    length = 300
    series = np.stack([LEVEL + np.random.default_rng(seed).normal(size=length) for seed in seeds])
    plain = np.stack([ewa(one, BETA, corrected=False) for one in series])
    corrected = np.stack([ewa(one, BETA) for one in series])
    forgotten = int(5 * window(BETA))
    share = 1 - BETA ** np.arange(1, length + 1)
    numbers = {
        f"v after {EARLY} entries around {LEVEL:.0f}, as it is": plain[:, EARLY - 1],
        f"v/(1 − βᵗ) after {EARLY} entries": corrected[:, EARLY - 1],
        "largest error of v/(1 − βᵗ) over the first 50 entries": np.abs(corrected[:, :50] - LEVEL).max(axis=1),
        f"v after {forgotten} entries, as it is": plain[:, forgotten - 1],
        "largest difference between v and (1 − βᵗ) times the corrected one": np.abs(plain - share * corrected).max(
            axis=1
        ),
    }
    holds = [
        bool(np.abs(low - share * right).max() < 1e-12 and low[EARLY - 1] < 3 and np.abs(right[:50] - LEVEL).max() < 4
             and abs(low[forgotten - 1] / right[forgotten - 1] - 1) < 0.02)
        for low, right in zip(plain, corrected, strict=True)
    ]  # fmt: skip
    steps = np.arange(1, length + 1)
    drawn = picture(
        "Uncorrected, the average climbs from zero for three windows of 50 entries; corrected, it is right from the first.",
        curve("the series", steps, series, "--batch", width=1),
        curve("v", steps, plain, "--bad"),
        curve("v/(1 − βᵗ)", steps, corrected, "--good"),
        x="entry t",
        y=axis("average", rangemode="tozero"),
    )
    return Shown(holds, {what: values.tolist() for what, values in numbers.items()}, drawn)


ENTRY = Entry(
    "Bias correction",
    "Averages",
    "v ← βv + (1−β)θ from v = 0 is too small by the factor 1 − βᵗ (0.18 after 10 entries for β = 0.98); v/(1−βᵗ) is right, but "
    "for noise, from the first entry on, and after five windows of 1/(1−β) the two differ by less than 2 %.",
    "Kingma & Ba 2015, section 3",
    show,
)

if __name__ == "__main__":
    tell(ENTRY)
