"""Schedules that hear what the run measured: PyTorch's decisions, bounds, and what they remember."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import ReduceLROnPlateau

from thalweg.errors import InputError
from thalweg.schedules import Schedule, constant, cosine, every, linear, parse, plateau, until, warmup

numbers = st.one_of(st.floats(-10, 10), st.sampled_from([0.0, 1.0, math.nan, math.inf, -math.inf]))


def followed(schedule: Schedule, metric: str, measured: list[float]) -> list[float]:
    """The value after each measurement, one a step."""
    running = schedule.begin()
    values = []
    for step, value in enumerate(measured, start=1):
        running.observe(step, {metric: value, "other": 7.0})
        values.append(running(step))
    return values


@given(
    st.lists(numbers, max_size=60),
    st.floats(0.05, 0.95),
    st.integers(0, 4),
    st.sampled_from([0.0, 1e-4, 0.1]),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.2]),
    st.sampled_from(["min", "max"]),
)
def test_a_plateau_decides_as_pytorch_does(measured, factor, patience, threshold, cooldown, lowest, mode) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = ReduceLROnPlateau(optimizer, mode, factor, patience, threshold, cooldown=cooldown, min_lr=lowest, eps=0.0)
    expected = []
    for value in measured:
        theirs.step(value)
        expected.append(optimizer.param_groups[0]["lr"])
    ours = plateau(factor, patience, threshold, cooldown, lowest, "dev/thing", mode)
    assert followed(ours, "dev/thing", measured) == expected


def test_a_plateau_knows_which_way_is_better() -> None:
    rising = [0.1, 0.2, 0.3, 0.4, 0.5]
    assert followed(plateau(0.5, 0, metric="dev/accuracy"), "dev/accuracy", rising)[-1] == 1.0
    assert followed(plateau(0.5, 0, metric="dev/r2"), "dev/r2", rising)[-1] == 1.0
    assert followed(plateau(0.5, 0), "dev/loss", rising)[-1] == 0.5**4
    assert followed(plateau(0.5, 0, metric="dev/accuracy", mode="min"), "dev/accuracy", rising)[-1] == 0.5**4


def test_what_follows_begins_where_the_bound_was_reached() -> None:
    schedule = until("train/accuracy", 0.8, constant(0.1)) >> linear(10)
    running = schedule.begin()
    for step, accuracy in ((20, 0.5), (40, 0.79), (60, 0.8), (80, 0.3)):
        assert running(step - 1) == pytest.approx(0.1 if step <= 60 else 0.0)
        running.observe(step, {"train/accuracy": accuracy})
    assert [running(step) for step in (59, 60, 65, 70)] == pytest.approx([0.1, 1.0, 0.5, 0.0])
    assert running.end() == 70
    assert schedule(10**6) == 0.1  # as if nothing were ever measured
    assert schedule.settled() == linear(10)


def test_an_error_reaches_its_bound_from_above() -> None:
    running = (until("train/loss", 0.5, constant(0.1)) >> constant()).begin()
    running.observe(1, {"train/loss": 0.6})
    assert running(1) == 0.1
    running.observe(2, {"train/loss": 0.5})
    assert running(2) == 1.0


def test_each_part_hears_only_what_is_measured_in_its_time() -> None:
    running = (warmup(100) >> plateau(0.5, patience=0)).begin()
    running.observe(50, {"dev/loss": 0.1})
    running.observe(99, {"dev/loss": 0.2})
    running.observe(100, {"dev/loss": 0.3})
    assert running(100) == 1.0
    running.observe(150, {"dev/loss": 0.4})
    assert (running(49), running(150)) == (0.5, 0.5)


def test_scaling_and_every_pass_measurements_on() -> None:
    running = (0.1 * every(10, until("dev/loss", 1.0, constant(0.5)) >> linear(4))).begin()
    running.observe(15, {"dev/loss": 0.9})
    assert [running(step) for step in (0, 19, 20, 30, 60)] == pytest.approx([0.05, 0.05, 0.1, 0.075, 0.0])
    assert running.end() == 60
    assert (0.1 * every(10, plateau())).watches() == ("dev/loss",)


PARTS = [
    plateau(0.5, patience=1),
    warmup(4) >> plateau(0.5, patience=0, cooldown=2),
    until("dev/loss", 0.5, plateau(0.3, patience=0)) >> cosine(20),
    0.1 * every(3, until("dev/loss", 0.4, warmup(2)) >> plateau(0.5, 0)),
    warmup(3) >> cosine(9),
]


@pytest.mark.parametrize("schedule", PARTS, ids=repr)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.integers(0, 30))
def test_it_goes_on_from_what_it_remembers(schedule: Schedule, measured: list[float], stopped: int) -> None:
    whole, before = schedule.begin(), schedule.begin()
    for step, value in enumerate(measured, start=1):
        whole.observe(step, {"dev/loss": value})
        if step <= stopped:
            before.observe(step, {"dev/loss": value})
    after = schedule.begin()
    after.load_state_dict(before.state_dict())
    for step, value in enumerate(measured, start=1):
        if step > stopped:
            after.observe(step, {"dev/loss": value})
    assert [after(step) for step in range(40)] == [whole(step) for step in range(40)]
    assert after.end() == whole.end()


@pytest.mark.parametrize("schedule", PARTS, ids=repr)
def test_its_text_makes_it_again(schedule: Schedule) -> None:
    assert parse(repr(schedule)) == schedule
    assert repr(parse(repr(schedule))) == repr(schedule)


def test_a_schedule_of_the_step_alone_watches_nothing() -> None:
    running = (warmup(3) >> cosine(9)).begin()
    running.observe(3, {})
    assert [running(step) for step in range(15)] == [(warmup(3) >> cosine(9))(step) for step in range(15)]
    assert (warmup(3) >> cosine(9)).watches() == ()


def test_what_is_not_measured_is_said_with_what_is() -> None:
    with pytest.raises(InputError, match=r'does not measure "dev/lss": choose among dev/loss, dev/r2'):
        plateau(metric="dev/lss").begin().observe(1, {"dev/loss": 1.0, "dev/r2": 0.5})


@pytest.mark.parametrize(
    "text, words",
    [
        ("plateau(1.5)", "factor"),
        ("plateau(0.5, patience=-1)", "at least 0"),
        ("plateau(0.5, patience=1.5)", "whole number"),
        ("plateau(threshold=-1)", "threshold"),
        ("plateau(lowest=2)", "lowest"),
        ("plateau(mode='up')", "'min' or 'max'"),
        ("plateau(metric=3)", "word in quotes"),
        ("plateau(metric='')", "word in quotes"),
        ("plateau() >> constant()", "never ends"),
        ("until('dev/loss', 0.5)", "schedule"),
        ("until('dev/loss', 0.5, 3)", "must be a schedule"),
    ],
)
def test_nonsense_is_refused_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert words in str(caught.value) and "\n" not in str(caught.value)
