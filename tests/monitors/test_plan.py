"""Which steps are looked at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.errors import InputError
from thalweg.monitors import ALWAYS, Plan

DENSE = st.integers(0, 12).map(lambda power: 1 << power)


def test_by_hand() -> None:
    assert [step for step in range(1, 40) if Plan(dense=4).samples(step)] == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32]


@given(DENSE, st.integers(1, 1 << 40))
def test_stride_is_the_power_of_two_that_the_docstring_promises(dense: int, step: int) -> None:
    stride = 1
    while step > dense * stride:  # every step up to dense, every 2nd up to 2·dense, every 4th up to 4·dense …
        stride *= 2
    assert Plan(dense=dense).samples(step) == (step % stride == 0)


def test_a_million_steps_are_a_few_hundred_samples() -> None:
    plan = Plan(dense=32)
    assert sum(plan.samples(step) for step in range(1, 1_000_001)) == 270


def test_each_doubling_has_half_of_dense() -> None:
    plan = Plan(dense=64)
    for power in range(6, 14):
        assert sum(plan.samples(step) for step in range((1 << power) + 1, (2 << power) + 1)) == 32


def test_always() -> None:
    assert all(ALWAYS.samples(step) for step in (1, 2, 3, 999_999, 123_456_789))


@pytest.mark.parametrize("dense", [0, -4, 3, 48])
def test_refuses_what_is_no_power_of_two(dense: int) -> None:
    with pytest.raises(InputError, match=f"dense is {dense}: a sampling plan needs a power of two"):
        Plan(dense=dense)


def test_the_step_after_is_the_next_one_that_is_looked_at() -> None:
    for dense in (1, 4, 32):
        plan = Plan(dense=dense)
        looked = [step for step in range(1, 1200) if plan.samples(step)]
        for step in range(1000):
            assert plan.after(step) == next(s for s in looked if s > step)
