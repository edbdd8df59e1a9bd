"""Who trains: given what was measured, the way that ends the study first."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

import thalweg.population
from thalweg.experiments.tuning.deciding import Decision, _measured
from thalweg.population import Choice


def decision(
    monkeypatch: pytest.MonkeyPatch, rates: dict[int, float], way: str, *, steps: int, cores: int = 2, most: int = 1000
) -> Decision:
    """Of eight candidates with so many steps each, where a probe finds ``rates`` by number of members."""
    best = max(rates, key=lambda k: rates[k])
    members = best if best and rates[best] >= 1.2 * rates[0] else 1
    ways = {k: way if k else "one by one" for k in rates}
    found = Choice(members, ways[best], 1.0, rates, ways, most, "")
    monkeypatch.setattr(thalweg.population, "probe", lambda *_, **__: found)
    experiment: Any = SimpleNamespace(
        spec=SimpleNamespace(batch_size=32, epochs=1), batches=range(steps), model=torch.nn.Linear(1, 1)
    )
    laboratory: Any = SimpleNamespace(device=torch.device("cpu"), portable=True)
    return _measured(laboratory, experiment, 8, cores, 1.0)


@pytest.mark.parametrize(
    ("rates", "way", "steps", "most", "expected"),
    [
        ({0: 100, 8: 1000}, "compiled", 1000, 1000, ("population", 8, 1, 10.0)),
        ({0: 100, 8: 95}, "compiled", 1000, 1000, ("population", 8, 1, 0.95)),  # both cores busy at once, nobody starts
        ({0: 100, 8: 95}, "compiled", 100_000, 1000, ("workers", 1, 2, 1.0)),  # so long that starting is worth it
        ({0: 100, 2: 300}, "compiled", 1000, 3, ("population", 3, 1, 3.0)),  # no more than memory holds
        ({0: 100}, "", 10, 1000, ("one by one", 1, 1, 0.5)),
        ({0: 100}, "", 1000, 1000, ("workers", 1, 2, 1.0)),
        ({0: 100, 8: 110}, "batched", 1000, 1000, ("workers", 1, 2, 1.0)),  # less than a fifth is not worth a program
        ({0: 100, 8: 500}, "batched", 10_000, 1000, ("workers", 4, 2, 5.0)),
        ({0: 100, 8: 500}, "batched", 10, 1000, ("population", 8, 1, 2.5)),
    ],
)
def test_the_way_that_is_done_first(
    monkeypatch: pytest.MonkeyPatch,
    rates: dict[int, float],
    way: str,
    steps: int,
    most: int,
    expected: tuple[str, int, int, float],
) -> None:
    found = decision(monkeypatch, rates, way, steps=steps, most=most)
    assert (found.way, found.members, found.workers, found.gain) == expected


def test_on_one_core_nobody_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    found = decision(monkeypatch, {0: 100, 8: 90}, "batched", steps=100_000, cores=1)
    assert (found.way, found.workers) == ("one by one", 1)
