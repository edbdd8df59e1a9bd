"""Over how many entries does an exponentially weighted average run? It depends on what one asks of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from claim import Entry, Shown, tell
from draw import curve, dots, picture
from thalweg.averages import ewa, window

BETAS = (0.5, 0.9, 0.98)


def show(seeds: Sequence[int], small: bool) -> Shown:
    length = 20_000 if small else 200_000
    noise = [np.random.default_rng(seed).normal(size=length) for seed in seeds]
    ramp = np.arange(length, dtype=float)
    spans, worths = {}, {}
    for beta in BETAS:
        settled = slice(int(20 * window(beta)), None)
        averages = [ewa(one, beta) for one in noise]
        behind = [ramp + one - ewa(ramp + one, beta) for one in noise]  # of a ramp that rises by 1 an entry
        spans[beta] = [float(one[settled].mean()) + 1 for one in behind]
        worths[beta] = [float(one.var() / mean[settled].var()) for one, mean in zip(noise, averages, strict=True)]
    numbers = {
        **{f"entries it spans, by its delay, β = {beta} (1/(1−β) = {window(beta):.0f})": spans[beta] for beta in BETAS},
        **{f"entries of a plain mean of the same noise, β = {beta}": worths[beta] for beta in BETAS},
        "share of the weight within the last 50 entries, β = 0.98": [_within(50, 0.98)] * len(seeds),
    }
    holds = [all(abs(spans[beta][at] / window(beta) - 1) < 0.1 for beta in BETAS) for at in range(len(seeds))]
    shown = np.arange(300)
    series = 10 + 4 * np.sin(shown / 45) + 2 * noise[0][:300]
    colours = ("--layer-6", "--train", "--bad")
    drawn = picture(
        "The larger β, the smoother the average and the later it notices where the series goes.",
        dots("the series", shown, series, "--batch", size=4),
        *(
            curve(f"β = {b}: {window(b):.0f} entries", shown, ewa(series, b), c)
            for b, c in zip(BETAS, colours, strict=True)
        ),
        x="entry",
    )
    most = [max(worths[beta]) for beta in BETAS]
    but = (
        f"As to noise it is worth more: its variance is that of a plain mean over (1+β)/(1−β) entries, nearly twice as many "
        f"(at most {most[1]:.1f} measured for β = 0.9, {most[2]:.0f} for 0.98)."
    )
    return Shown(holds, numbers, drawn, but)


def _within(entries: int, beta: float) -> float:
    """The share of its weight that an average gives to its last entries: its answer to that many ones after zeros."""
    return float(ewa(np.repeat([0.0, 1.0], [2_000, entries]), beta)[-1])


ENTRY = Entry(
    "The window of an average",
    "Averages",
    "v ← βv + (1−β)θ averages about the last 1/(1−β) entries: it stands as far behind a series that rises as their mean age.",
    "Kingma & Ba 2015; Brown 1959 on exponential smoothing",
    show,
)

if __name__ == "__main__":
    tell(ENTRY)
