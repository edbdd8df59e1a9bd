"""Runs shared out among processes: in order, and every way to fail one sentence."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

import pytest

from thalweg.errors import InputError
from thalweg.experiments.racing.crew import can_fork, shared_out
from thalweg.experiments.racing.problem import Candidate, Curve, OnPass, nobody

pytestmark = pytest.mark.skipif(not can_fork(), reason="this system does not fork")
FIVE = [Candidate("adam", seed=seed) for seed in range(5)]


def test_curves_come_back_in_the_order_of_the_candidates() -> None:
    def train(share: Sequence[Candidate], on_pass: OnPass) -> list[Curve]:
        on_pass(len(share))
        return [Curve((1,), (float(one.seed),)) for one in share]

    passes: list[int] = []
    found = shared_out(FIVE, train, lambda made: passes.append(made) is not None, processes=2)
    assert found is not None
    assert [curve.dev[0] for curve in found] == [0, 1, 2, 3, 4]
    assert sorted(passes) == [2, 3]
    assert shared_out(FIVE, train, lambda made: True, processes=2) is None


def test_what_a_module_of_the_users_own_raises_is_one_sentence() -> None:
    def train(share: Sequence[Candidate], on_pass: OnPass) -> None:
        raise ValueError("Overflow when\nunpacking")

    with pytest.raises(InputError, match="a run of the race failed: ValueError: Overflow when unpacking"):
        shared_out(FIVE, train, nobody, processes=2)


def test_a_process_that_is_killed_is_told() -> None:
    def train(share: Sequence[Candidate], on_pass: OnPass) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(InputError, match="was killed: is there enough memory"):
        shared_out(FIVE, train, nobody, processes=2)
    assert shared_out(FIVE, train, lambda made: True, processes=2) is None  # the user's own signal killed it
