"""What rules race on: a problem trains many candidates at once and measures each after every pass.

>>> problem.run([Candidate("adam", {"lr": 0.01}, seed=3), Candidate("sgd", {"lr": 0.5}, seed=3)])
[Curve(steps=(17, 34, …), dev=(0.81, 0.88, …), …), …]
>>> problem.pace(Candidate("adam", {"lr": 0.01}, seed=3))                # seconds of an update, alone and unhurried
0.00021

Candidates of one ``seed`` begin with the same weights and see the same mini-batches, whatever their rule: they are pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from thalweg.search.dimensions import Value

OnPass = Callable[[int], bool]
"""Told how many candidates went through how many passes in all; True asks to stop."""


def nobody(passes: int) -> bool:
    """Looks on and never stops a race."""
    return False


@dataclass(frozen=True)
class Candidate:
    """A rule with its settings on one seed. ``schedule`` is a word or an expression, as in ``thalweg train``."""

    rule: str
    values: Mapping[str, Value] = field(default_factory=dict)
    seed: int = 0
    schedule: str = "cosine"
    warmup: float = 0.05
    test: bool = False
    """Whether the test part may be looked at: only once the settings are chosen."""


@dataclass(frozen=True)
class Curve:
    """What came of a candidate: its dev metric after each measurement, as far as it got.

    ``steps`` are updates made, ``dev`` the metric then, ``train`` the mean training loss since the last one. ``test`` is the
    metric on the test part with the weights of the best dev metric, NaN where it was not to be looked at.
    """

    steps: tuple[int, ...]
    dev: tuple[float, ...]
    train: tuple[float, ...] = ()
    test: float = math.nan
    diverged: bool = False

    def best(self, *, more: bool) -> float:
        """The best dev metric, the worst there is where nothing was measured."""
        finite = [value for value in self.dev if math.isfinite(value)]
        return (max if more else min)(finite, default=-math.inf if more else math.inf)

    def to_dict(self) -> dict[str, Any]:
        """As a line of JSON holds it; numbers that are not finite are None."""
        return {
            "steps": list(self.steps),
            "dev": [_plain(value) for value in self.dev],
            "train": [_plain(value) for value in self.train],
            "test": _plain(self.test),
            "diverged": self.diverged,
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Curve:
        """The inverse of ``to_dict``."""
        return cls(
            tuple(record["steps"]),
            tuple(_number(value) for value in record["dev"]),
            tuple(_number(value) for value in record["train"]),
            _number(record["test"]),
            record["diverged"],
        )


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else value


@runtime_checkable
class Problem(Protocol):
    """Something to race on. ``metric`` is measured on the dev part, ``more`` says whether more of it is better.

    ``steps`` is how many updates a run makes at most, ``passes`` how often it is measured.
    """

    @property
    def name(self) -> str: ...
    @property
    def metric(self) -> str: ...
    @property
    def more(self) -> bool: ...
    @property
    def steps(self) -> int: ...
    @property
    def passes(self) -> int: ...

    def run(self, candidates: Sequence[Candidate], on_pass: OnPass = nobody) -> list[Curve] | None:
        """Trains the candidates, of one rule, to their end; None where ``on_pass`` stopped it."""
        ...

    def pace(self, candidate: Candidate) -> float:
        """Seconds of one update of the candidate when it trains alone: the median of three timings after a warm-up."""
        ...
