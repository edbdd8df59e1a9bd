"""What an entry of the atlas is: one claim, one experiment that may refute it, one picture.

>>> ENTRY = Entry("The zigzag", "Gradient descent", "SGD turns at every step …", "Polyak 1964", show)
>>> shown = measure(ENTRY, range(10), small=False)              # holds in how many seeds, with which numbers
>>> if __name__ == "__main__":
...     tell(ENTRY)                                             # python atlas/zigzag.py

A script says what it measured in each seed; how often that holds, and means with their spread, are counted here.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thalweg.report.figure import Figure
from thalweg.report.markup import number

HERE = Path(__file__).parent
DEFINES = "\nENTRY = Entry("
"""What a script that is an entry holds."""
SEEDS, SMALL_SEEDS = 10, 3
ENOUGH = 0.9
"""The share of seeds in which a claim must hold, or the entry says that it is refuted."""
GROUPS = (
    "Gradient descent", "Averages", "Update rules", "The learning rate", "Against overfitting", "Setting up",
    "Signals", "Gradient check", "Hyperparameters", "The landscape",
)  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """What an experiment found: whether the claim holds in each seed, each measured number by seed, and a picture.

    ``numbers`` has for each thing measured one value a seed. ``figure.caption`` (HTML) says what to see. ``but`` is "" or a
    sentence on what is only half true, with the evidence.
    """

    holds: Sequence[bool]
    numbers: Mapping[str, Sequence[float]]
    figure: Figure
    but: str = ""

    @property
    def proven(self) -> bool:
        """Whether the claim holds in enough seeds."""
        return sum(self.holds) >= ENOUGH * len(self.holds)


@dataclass(frozen=True)
class Entry:
    """A claim (one sentence, with its formula), where it comes from, and ``show(seeds, small)``, which puts it to the test."""

    title: str
    group: str
    claim: str
    source: str
    show: Callable[[Sequence[int], bool], Shown]
    refuted: bool = False
    """Whether the claim is known not to hold as it stands; ``Shown.but`` then says why, with the evidence."""


def names() -> list[str]:
    """The entries of this folder, in the order of their groups."""
    scripts = [path for path in sorted(HERE.glob("*.py")) if not path.name.startswith("test_")]
    found = [path for path in scripts if DEFINES in path.read_text(encoding="utf-8")]
    return sorted((path.stem for path in found), key=lambda name: GROUPS.index(entry(name).group))


def entry(name: str) -> Entry:
    """The entry that ``atlas/NAME.py`` defines."""
    return importlib.import_module(name).ENTRY


def measure(entry: Entry, seeds: Sequence[int], *, small: bool) -> Shown:
    """Runs an experiment, on one thread; raises ``ValueError`` where it does not say something for every seed."""
    import torch

    torch.set_num_threads(1)
    shown = entry.show(list(seeds), small)
    for what, values in {"holds": shown.holds, **shown.numbers}.items():
        if len(values) != len(seeds):
            raise ValueError(f"{entry.title}: {what} has {len(values)} values for {len(seeds)} seeds")
    return shown


def tell(entry: Entry) -> None:
    """Runs an entry and prints its verdict; ``--small`` runs the form that the tests run."""
    small = "--small" in sys.argv[1:]
    shown = measure(entry, range(SMALL_SEEDS if small else SEEDS), small=small)
    print(f"{entry.title}: {entry.claim}")
    print(f"holds in {sum(shown.holds)} of {len(shown.holds)} seeds" + ("" if shown.proven else "  ← not enough"))
    for what, values in shown.numbers.items():
        row = np.asarray(values, dtype=float)
        print(
            f"  {what}: {number(row.mean())} ± {number(row.std(ddof=1))}  ({number(row.min())} … {number(row.max())})"
        )
    if shown.but:
        print(f"but: {shown.but}")
