"""Schedules against PyTorch's schedulers, formulas typed by hand, and their own text."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from thalweg.errors import InputError
from thalweg.schedules import (
    Schedule,
    constant,
    cosine,
    every,
    exponential,
    inverse_root,
    inverse_time,
    linear,
    one_cycle,
    parse,
    polynomial,
    restarts,
    root,
    sine,
    staircase,
    warmup,
    warmup_constant,
    wsd,
)

N = 40


def torch_rates(make) -> list[float]:
    """The rates that a PyTorch scheduler gives to the first ``steps`` updates of an optimizer with rate 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for step in range(N):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        if step == N - 1:
            break
        optimizer.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scheduler.step()
    return rates


def joined(optimizer):
    first = lr_scheduler.LinearLR(optimizer, start_factor=1 / 10, end_factor=1.0, total_iters=9)
    then = lr_scheduler.CosineAnnealingLR(optimizer, T_max=30)
    return lr_scheduler.SequentialLR(optimizer, [first, then], milestones=[10])


def with_restarts(optimizer):
    first = lr_scheduler.LinearLR(optimizer, start_factor=1 / 5, end_factor=1.0, total_iters=4)
    then = lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=4)
    return lr_scheduler.SequentialLR(optimizer, [first, then], milestones=[5])


@pytest.mark.parametrize(
    "schedule, make",
    [
        (constant(), lambda o: lr_scheduler.ConstantLR(o, factor=1.0)),
        (exponential(0.95), lambda o: lr_scheduler.ExponentialLR(o, gamma=0.95)),
        (every(7, exponential(0.5)), lambda o: lr_scheduler.StepLR(o, step_size=7, gamma=0.5)),
        (staircase((5, 20), (1.0, 0.1, 0.01)), lambda o: lr_scheduler.MultiStepLR(o, [5, 20], gamma=0.1)),
        (inverse_time(0.3), lambda o: lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + 0.3 * t))),
        (inverse_root(0.5), lambda o: lr_scheduler.LambdaLR(o, lambda t: 0.5 * (t + 1) ** -0.5)),
        (linear(25, start=0.9, end=0.2), lambda o: lr_scheduler.LinearLR(o, 0.9, 0.2, total_iters=25)),
        (cosine(N), lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=N)),
        (cosine(N, end=0.1), lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=N, eta_min=0.1)),
        (restarts(7), lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=7)),
        (restarts(3, growth=2), lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=3, T_mult=2)),
        (restarts(1, growth=3, end=0.1),
         lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=1, T_mult=3, eta_min=0.1)),
        (warmup(5) >> restarts(4), with_restarts),
        (polynomial(30, power=3.0), lambda o: lr_scheduler.PolynomialLR(o, total_iters=30, power=3.0)),
        (warmup_constant(12, 0.1), lambda o: lr_scheduler.ConstantLR(o, factor=0.1, total_iters=12)),
        (warmup(10), lambda o: lr_scheduler.LinearLR(o, 1 / 10, 1.0, total_iters=9)),
        (warmup(10) >> cosine(30), joined),
        (one_cycle(N), lambda o: lr_scheduler.OneCycleLR(o, max_lr=1.0, total_steps=N, cycle_momentum=False)),
        (one_cycle(N, rise=0.5, start=0.1, end=0.01),
         lambda o: lr_scheduler.OneCycleLR(o, max_lr=1.0, total_steps=N, pct_start=0.5, div_factor=10,
                                           final_div_factor=10, cycle_momentum=False)),
    ],
    ids=lambda value: repr(value) if isinstance(value, Schedule) else "",
)  # fmt: skip
def test_the_rates_are_those_of_pytorch(schedule: Schedule, make) -> None:
    assert [schedule(step) for step in range(N)] == pytest.approx(torch_rates(make), rel=1e-9, abs=1e-12)


def one_cycle_by_hand(t: int) -> float:
    """Rise in 12 of 40 updates, both halves half a wave, the last update with 4e-6."""
    if t <= 11:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * t / 11)) / 2
    return 4e-6 + (1 - 4e-6) * (1 + math.cos(math.pi * min(t - 11, 28) / 28)) / 2


def restarts_by_hand(t: int) -> float:
    start, length = 0, 3
    while t >= start + length:
        start, length = start + length, 2 * length
    return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (t - start) / length))


FORMULAS = [
    (constant(0.3), lambda t: 0.3),
    (every(5, inverse_time(0.5)), lambda t: 1 / (1 + 0.5 * (t // 5))),
    (every(5, exponential(0.9)), lambda t: 0.9 ** (t // 5)),
    (every(5, inverse_root(0.7)), lambda t: 0.7 / (1 + t // 5) ** 0.5),
    (inverse_time(0.5), lambda t: 1 / (1 + 0.5 * t)),
    (exponential(0.9), lambda t: 0.9**t),
    (inverse_root(0.7), lambda t: 0.7 / (t + 1) ** 0.5),
    (staircase((5, 20), (1.0, 0.5, 0.1)), lambda t: 1.0 if t < 5 else 0.5 if t < 20 else 0.1),
    (warmup(10), lambda t: min((t + 1) / 10, 1)),
    (warmup_constant(12, 0.1), lambda t: 0.1 if t < 12 else 1.0),
    (linear(25, 0.9, 0.2), lambda t: 0.9 - 0.7 * min(t, 25) / 25),
    (cosine(30, 0.9, 0.2), lambda t: 0.2 + 0.7 * (1 + math.cos(math.pi * min(t, 30) / 30)) / 2),
    (polynomial(30, 3.0, 0.1), lambda t: 0.1 + 0.9 * (1 - min(t, 30) / 30) ** 3),
    (sine(30, 0.1), lambda t: 0.1 + 0.9 * (1 - math.sin(math.pi / 2 * min(t, 30) / 30))),
    (root(30, 0.1), lambda t: 0.1 + 0.9 * (1 - (min(t, 30) / 30) ** 0.5)),
    (restarts(3, 2, 0.1), restarts_by_hand),
    (one_cycle(40), one_cycle_by_hand),
    (warmup(10) >> sine(30), lambda t: (t + 1) / 10 if t < 10 else 1 - math.sin(math.pi / 2 * min(t - 10, 30) / 30)),
    (warmup(10) >> cosine(30), lambda t: (t + 1) / 10 if t < 10 else (1 + math.cos(math.pi * min(t - 10, 30) / 30)) / 2),
    (warmup(10) >> polynomial(30, 0.5), lambda t: (t + 1) / 10 if t < 10 else (1 - min(t - 10, 30) / 30) ** 0.5),
    (wsd(40, 0.1, 0.25), lambda t: (t + 1) / 4 if t < 4 else 1.0 if t < 30 else 1 - min(t - 30, 10) / 10),
    (wsd(40, 0.1, 0.25, fall_shape="root"),
     lambda t: (t + 1) / 4 if t < 4 else 1.0 if t < 30 else 1 - (min(t - 30, 10) / 10) ** 0.5),
]  # fmt: skip


@pytest.mark.parametrize(
    "schedule, formula", FORMULAS, ids=lambda value: repr(value) if isinstance(value, Schedule) else ""
)
def test_every_shape_is_its_formula_at_every_step(schedule: Schedule, formula) -> None:
    assert [schedule(t) for t in range(60)] == pytest.approx([formula(t) for t in range(60)], rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("steps", [1, 3, 10, 1000])
@pytest.mark.parametrize("growth", [1.0, 1.5, 2.0, 3.0, 10.0])
def test_every_cycle_of_restarts_begins_at_one(steps: int, growth: float) -> None:
    begin, length = 0.0, float(steps)
    while begin < 1e7 and length <= 1e6:
        if begin.is_integer():
            assert restarts(steps, growth)(int(begin)) == 1.0
        begin, length = begin + length, length * growth
        if growth == 1 and begin > 100 * steps:
            break


@given(st.integers(1, 1000), st.floats(1, 100), st.integers(0, 10**8))
def test_restarts_stay_between_end_and_one(steps: int, growth: float, step: int) -> None:
    assert 0.0 <= restarts(steps, growth)(step) <= 1.0


def test_warm_up_gives_the_first_update_one_nth_and_the_nth_all() -> None:
    assert [warmup(4)(step) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_after_its_end_a_schedule_stays_where_it_is() -> None:
    for schedule in (cosine(10, end=0.2), linear(10, end=0.2), polynomial(10, end=0.2)):
        assert schedule(10) == schedule(1_000_000) == pytest.approx(0.2)


def test_joining_runs_each_part_from_its_own_start() -> None:
    schedule = constant(0.5, 3) >> linear(4) >> constant(7.0)
    assert [schedule(step) for step in range(9)] == [0.5, 0.5, 0.5, 1.0, 0.75, 0.5, 0.25, 7.0, 7.0]
    assert schedule.length() is None
    assert (constant(0.5, 3) >> linear(4)).length() == 7


def test_joining_does_not_depend_on_brackets() -> None:
    a, b, c = warmup(3), constant(1.0, 5), cosine(7)
    assert (a >> b) >> c == a >> (b >> c)


def test_warmup_stable_decay_meets_its_corners() -> None:
    schedule = wsd(100, rise=0.1, fall=0.2)
    assert schedule == warmup(10) >> constant(1.0, 70) >> linear(20)
    assert schedule.length() == 100
    assert [schedule(step) for step in (0, 9, 79, 80, 90, 100)] == pytest.approx([0.1, 1, 1, 1, 0.5, 0])
    assert wsd(10, rise=0, fall=0) == constant(1.0, 10)


def test_every_counts_passes() -> None:
    schedule = every(23, inverse_time(1.0))
    assert [schedule(step) for step in (0, 22, 23, 46)] == pytest.approx([1, 1, 1 / 2, 1 / 3])
    assert every(5, cosine(4)).length() == 20


def test_scaling() -> None:
    assert (0.1 * cosine(10))(5) == pytest.approx(0.05)
    assert cosine(10) * 0.1 == 0.1 * cosine(10)
    assert (2 * (3 * cosine(10)))(0) == 6.0
    assert (0.1 * (warmup(2) >> cosine(10)))(1) == pytest.approx(0.1)


finite = st.floats(-1e6, 1e6, allow_nan=False)
steps = st.integers(1, 10**7)
rising = st.lists(steps, min_size=1, max_size=4, unique=True).map(sorted).map(tuple)
shapes = st.one_of(
    st.builds(constant, finite, st.none() | steps),
    st.builds(inverse_time, st.floats(0, 1e3)),
    st.builds(exponential, st.floats(1e-3, 1)),
    st.builds(inverse_root, finite),
    rising.flatmap(lambda s: st.builds(staircase, st.just(s), st.tuples(*[finite] * (len(s) + 1)))),
    st.builds(warmup, steps),
    st.builds(warmup_constant, steps, finite),
    st.builds(linear, steps, finite, finite),
    st.builds(cosine, steps, finite, finite),
    st.builds(polynomial, steps, st.floats(0.1, 10), finite),
    st.builds(sine, steps, finite),
    st.builds(root, steps, finite),
    st.builds(restarts, steps, st.floats(1, 100), finite),
    st.builds(one_cycle, st.integers(3, 10**6), st.floats(0.05, 0.95), finite, finite),
    st.builds(wsd, steps, st.floats(0, 0.5), st.floats(0, 0.5)),
)


def combined(inner: st.SearchStrategy[Schedule]) -> st.SearchStrategy[Schedule]:
    ending = inner.filter(lambda schedule: schedule.length() is not None)
    return st.one_of(
        st.builds(lambda a, b: a >> b, ending, inner),
        st.builds(lambda factor, a: factor * a, st.floats(-100, 100), inner),
        st.builds(every, st.integers(1, 1000), inner),
    )


@given(st.recursive(shapes, combined, max_leaves=6), st.integers(0, 10**8))
def test_the_text_of_a_schedule_makes_it_again(schedule: Schedule, step: int) -> None:
    again = parse(repr(schedule))
    assert again == schedule
    assert repr(again) == repr(schedule)
    value = schedule(step)
    assert again(step) == value
    assert math.isfinite(value)


@pytest.mark.parametrize(
    "text, words",
    [
        ("cosin(100)", 'did you mean "cosine"?'),
        ("cosine(0)", "steps is 0 but must be a whole number of at least 1"),
        ("cosine(10.5)", "whole number"),
        ("cosine()", "steps"),
        ("cosine(10, floor=1)", "floor"),
        ("cosine(10, end=1e999)", "finite"),
        ("constant() >> cosine(10)", "never ends"),
        ("__import__('os').system('true')", "no schedule"),
        ("(lambda: 1)()", "no schedule"),
        ("cosine(10 ** 9)", "no schedule"),
        ("cosine(10).steps", "no schedule"),
        ("warmup(5) + cosine(5)", "no schedule"),
        ("warmup(5) * cosine(5)", "multiplies a schedule by a number"),
        ("2 >> cosine(5)", "joins two schedules"),
        ("0.1", "constant(0.1)"),
        ("warmup(5", "no schedule"),
        ("", "no schedule"),
        ("(" * 500 + "cosine(5)" + ")" * 500, "no schedule"),
        ("cosine(5)" + " " * 3000, "too long"),
        ("staircase((10, 5), (1.0, 0.5, 0.1))", "must rise"),
        ("staircase((10,), (1.0,))", "need 2 values"),
        ("exponential(1.5)", "base"),
        ("inverse_time(-1)", "decay"),
        ("polynomial(10, power=0)", "power"),
        ("one_cycle(2)", "at least 3"),
        ("wsd(100, rise=0.9, fall=0.9)", "shares"),
        ("every(5, 5)", "must be a schedule"),
        ("constant('a')", "finite number"),
        ("'cosine'", "no schedule"),
        ("restarts(10, growth=0.5)", "growth"),
        ("wsd(100, fall_shape='steep')", "linear, cosine, root"),
        ("wsd(100, fall_shape=3)", "linear, cosine, root"),
    ],
)
def test_what_is_no_schedule_is_refused_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_factor_that_is_no_number_is_refused() -> None:
    with pytest.raises(InputError, match="factor"):
        cosine(5) * float("nan")
    with pytest.raises(TypeError):
        cosine(5) * cosine(5)
