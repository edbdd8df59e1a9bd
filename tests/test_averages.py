"""The exponentially weighted average against a loop typed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.averages import beta_of, ewa, window
from thalweg.errors import InputError

betas = st.floats(0, 0.999)
finite = st.floats(-1e6, 1e6)


@given(st.lists(finite, max_size=50), betas)
def test_it_is_the_loop(series: list[float], beta: float) -> None:
    plain, corrected, v = [], [], 0.0
    for t, value in enumerate(series, start=1):
        v = beta * v + (1 - beta) * value
        plain.append(v)
        corrected.append(v / (1 - beta**t))
    np.testing.assert_allclose(ewa(series, beta), corrected, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(ewa(series, beta, corrected=False), plain, rtol=1e-9, atol=1e-6)


def test_numbers_typed_by_hand() -> None:
    assert ewa([4.0, 2.0, 3.0], 0.5).tolist() == pytest.approx([4, 8 / 3, 20 / 7])
    assert ewa([4.0, 2.0, 3.0], 0.5, corrected=False).tolist() == [2.0, 2.0, 2.5]
    assert ewa([4.0, 2.0, 3.0], 0.0).tolist() == [4.0, 2.0, 3.0]
    assert ewa([], 0.9).tolist() == []


@given(st.floats(-1e300, 1e300), betas, st.integers(1, 300))
def test_of_a_constant_it_is_the_constant(value: float, beta: float, n: int) -> None:
    assert ewa([value] * n, beta).tolist() == [value] * n


@given(st.lists(finite, min_size=1, max_size=50), betas)
def test_it_stays_among_what_was_seen(series: list[float], beta: float) -> None:
    averaged = ewa(series, beta)
    assert (averaged >= min(series) - 1e-6).all() and (averaged <= max(series) + 1e-6).all()


@given(st.lists(st.one_of(finite, st.sampled_from([math.nan, math.inf, -math.inf])), max_size=40), betas)
def test_what_is_no_number_is_skipped(series: list[float], beta: float) -> None:
    averaged = ewa(series, beta)
    kept = np.isfinite(series)
    np.testing.assert_array_equal(averaged[kept], ewa(np.array(series)[kept], beta))
    last = math.nan
    for value, number in zip(averaged, kept, strict=True):
        if not number:
            np.testing.assert_equal(value, last)  # it stays where it was
        last = value


def test_a_gap_counts_as_often_as_steps_were_left_out() -> None:
    # After 3 steps the weight of the first is β³(1−β) of what it brought; hand: (0.125·0.5·4 + 0.875·2) / (0.125·0.5 + 0.875)
    assert ewa([4.0, 2.0], 0.5, steps=[1, 4]).tolist() == pytest.approx([4.0, (0.0625 * 4 + 0.875 * 2) / 0.9375])
    assert ewa([4.0, 2.0, 3.0], 0.5, steps=[7, 8, 9]).tolist() == ewa([4.0, 2.0, 3.0], 0.5).tolist()
    sparse = ewa([1.0] * 20 + [0.0] * 20, 0.9, steps=range(0, 400, 10))
    assert sparse[20] == pytest.approx(0.9**10, rel=1e-3)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=15), st.floats(1, 100))
def test_gaps_give_what_repeated_values_would(gaps: list[int], span: float) -> None:
    steps = np.cumsum(gaps)
    values = np.sin(steps)
    full = ewa(np.repeat(values, [1, *gaps[1:]]), beta_of(span))
    np.testing.assert_allclose(ewa(values, beta_of(span), steps=steps), full[steps - steps[0]], rtol=1e-9, atol=1e-12)


def test_steps_that_do_not_rise_count_once() -> None:
    assert ewa([4.0, 2.0, 3.0], 0.5, steps=[5, 5, 1]).tolist() == ewa([4.0, 2.0, 3.0], 0.5).tolist()


@given(st.floats(1, 1e6))
def test_window_and_beta_are_inverse(span: float) -> None:
    assert window(beta_of(span)) == pytest.approx(span, rel=1e-6)


def test_windows_typed_by_hand() -> None:
    assert window(0.0) == 1.0 and window(0.5) == 2.0 and window(0.98) == pytest.approx(50)
    assert beta_of(1) == 0.0 and beta_of(10) == pytest.approx(0.9)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: ewa([1.0], 1.0), "beta of an average is 1.0"),
        (lambda: ewa([1.0], -0.1), "beta"),
        (lambda: ewa([1.0], math.nan), "beta"),
        (lambda: ewa([1.0], "0.9"), "beta"),
        (lambda: ewa([[1.0]], 0.9), "one row"),
        (lambda: ewa(["a"], 0.9), "must be numbers"),
        (lambda: ewa([1.0, 2.0], 0.9, steps=[1]), "one for each"),
        (lambda: window(1.0), "beta"),
        (lambda: beta_of(0.5), "at least 1"),
        (lambda: beta_of(math.inf), "at least 1"),
    ],
)
def test_nonsense_is_refused_in_a_sentence(call, words: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert words in str(caught.value) and "\n" not in str(caught.value)
