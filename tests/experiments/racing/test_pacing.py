"""What is left of a race: counted in the time that a pass takes, told once enough is known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from thalweg.experiments.racing.functions import ravine
from thalweg.experiments.racing.pacing import Ahead, Pacer


def test_what_is_left_is_weighed_by_what_a_pass_takes() -> None:
    now, told, stop = 0.0, [], False
    quick, slow = replace(ravine(), passes=100), replace(ravine(), name="slow", passes=10)
    pacer = Pacer([quick, slow], [0.01, 1.0], runs=2, interrupted=lambda: stop, follow=told.append, clock=lambda: now)
    first, second = pacer.of(quick), pacer.of(slow)
    now = 0.5
    assert first("tuning", 10, 0) is False
    assert (told[-1].done, told[-1].total) == (10, 220)
    assert math.isnan(told[-1].left)  # a tenth of a second of 21.9
    now = 4.0
    first("tuning", 90, 100)  # 1 s of work took 4
    assert told[-1] == Ahead("ravine", "tuning", 200, 220, pytest.approx(4.0 * 20))
    stop, now = True, 44.0
    assert second("confirming", 10, 0) is True  # 11 s of work took 44
    assert told[-1] == Ahead("slow", "confirming", 210, 220, pytest.approx(4.0 * 10))


def test_what_a_log_had_takes_no_time() -> None:
    now, told = 0.0, []
    pacer = Pacer([ravine()], [0.1], runs=1, interrupted=lambda: False, follow=told.append, clock=lambda: now)
    ahead = pacer.of(pacer.problems[0])
    ahead("tuning", 0, 50)
    assert math.isnan(told[-1].left)
    now = 10.0
    ahead("tuning", 25, 0)
    assert told[-1].left == pytest.approx(10.0)
    ahead("tuning", 1000, 0)
    assert (told[-1].done, told[-1].left) == (100, 0.0)
