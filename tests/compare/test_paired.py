"""Paired statistics, against SciPy and against simulated races in which nobody is better."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from thalweg.compare import better, holm, mean_difference, mean_of, sign_flip, sign_test, wilcoxon
from thalweg.errors import InputError

NUMBERS = st.floats(-100, 100).map(lambda value: round(value, 2))
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=9)


def columns(pairs: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    table = np.array(pairs)
    return table[:, 0], table[:, 1]


class TestSignFlip:
    @settings(max_examples=40, deadline=None)
    @given(PAIRS)
    def test_is_scipys_exact_permutation_test(self, pairs: list[tuple[float, float]]) -> None:
        a, b = columns(pairs)
        exact = stats.permutation_test(
            (a, b),
            lambda x, y, axis: (x - y).mean(axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=np.inf,
        )
        assert sign_flip(a, b) == pytest.approx(exact.pvalue, abs=1e-12)

    @pytest.mark.parametrize("n", [5, 6, 8, 16])
    def test_least_p_is_two_over_two_to_the_n(self, n: int) -> None:
        assert sign_flip(np.arange(n), np.arange(n) + 1.0 + np.arange(n) / 7) == 2 / 2**n

    def test_drawn_patterns_agree_with_all_of_them(self) -> None:
        draws = np.random.default_rng(3)
        a, b = draws.normal(size=17), draws.normal(0.5, 1, size=17)
        exact = stats.permutation_test(
            (a, b),
            lambda x, y, axis: (x - y).mean(axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=np.inf,
        )
        assert sign_flip(a, b) == pytest.approx(exact.pvalue, abs=3 * math.sqrt(0.25 / 20_000))

    def test_same_numbers_are_the_same(self) -> None:
        assert sign_flip([1, 2, 3], [1, 2, 3]) == 1.0

    def test_shifting_both_changes_nothing(self) -> None:
        a, b = np.array([0.1, 0.4, 0.2, 0.9]), np.array([0.3, 0.5, 0.1, 1.4])
        assert sign_flip(a + 5, b + 5) == sign_flip(a, b)


class TestRanksAndSigns:
    @settings(max_examples=40, deadline=None)
    @given(PAIRS)
    def test_wilcoxon_is_scipys(self, pairs: list[tuple[float, float]]) -> None:
        a, b = columns(pairs)
        if not (a - b).any():
            assert wilcoxon(a, b) == 1.0
            return
        exact = stats.wilcoxon(a, b, zero_method="wilcox", method=stats.PermutationMethod(n_resamples=np.inf))
        assert wilcoxon(a, b) == pytest.approx(exact.pvalue, abs=1e-12)

    @settings(max_examples=40, deadline=None)
    @given(PAIRS)
    def test_sign_test_is_the_binomial(self, pairs: list[tuple[float, float]]) -> None:
        a, b = columns(pairs)
        wins, n = int((a < b).sum()), int((a != b).sum())
        expected = stats.binomtest(wins, n).pvalue if n else 1.0
        assert sign_test(a, b) == pytest.approx(expected, abs=1e-12)


class TestIntervals:
    @pytest.mark.parametrize("seed", range(3))
    def test_bca_is_scipys(self, seed: int) -> None:
        a = np.random.default_rng(seed).exponential(size=12)
        b = np.random.default_rng(seed + 100).exponential(size=12)
        ours = mean_difference(a, b)
        reference = stats.bootstrap(
            (a - b,), np.mean, method="BCa", n_resamples=20_000, rng=np.random.default_rng(seed)
        ).confidence_interval
        width = reference.high - reference.low
        assert ours.value == pytest.approx((a - b).mean())
        assert ours.low == pytest.approx(reference.low, abs=0.05 * width)
        assert ours.high == pytest.approx(reference.high, abs=0.05 * width)

    def test_holds_the_mean_about_as_often_as_it_says(self) -> None:
        draws = np.random.default_rng(0)
        inside = 0
        for _ in range(300):
            interval = mean_of(draws.normal(3, 1, size=15))
            inside += interval.low <= 3 <= interval.high
        assert 0.88 <= inside / 300 <= 0.98  # the bootstrap of few is known to be a little short

    def test_one_value_has_no_interval(self) -> None:
        one = mean_of([2.0])
        assert one.value == 2.0
        assert math.isnan(one.low)

    def test_infinite_numbers_have_no_mean(self) -> None:
        with pytest.raises(InputError, match="infinite"):
            mean_of([1.0, math.inf])


class TestBetter:
    def test_ties_count_half_and_misses_last(self) -> None:
        missed = math.inf
        assert better([1, 2, missed, 5], [1, 3, missed, missed]).value == (0.5 + 1 + 0.5 + 1) / 4

    def test_interval_is_the_binomials(self) -> None:
        a = np.r_[np.zeros(8), np.ones(2)]
        interval = better(a, np.full(10, 0.5))
        assert (interval.value, interval.low, interval.high) == (
            0.8,
            stats.binom(10, 0.8).ppf(0.025) / 10,
            stats.binom(10, 0.8).ppf(0.975) / 10,
        )

    def test_both_ways_sum_to_one(self) -> None:
        draws = np.random.default_rng(1)
        a, b = draws.normal(size=9), draws.normal(size=9)
        assert better(a, b).value + better(b, a).value == 1.0


def test_holm_against_the_example_of_1979() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("test", [sign_flip, wilcoxon, sign_test])
def test_finds_nothing_where_nothing_is(test: object) -> None:
    draws = np.random.default_rng(7)
    base = draws.normal(size=(400, 10))
    a, b = base + draws.standard_t(3, size=base.shape), base + draws.standard_t(3, size=base.shape)
    share = np.mean([test(*row) <= 0.05 for row in zip(a, b, strict=True)])  # type: ignore[operator]
    assert share <= stats.binom(400, 0.05).ppf(0.999) / 400


@pytest.mark.parametrize("a, b, why", [([1], [1, 2], "pairs"), ([], [], "pairs"), ([math.nan], [1], "NaN")])
def test_what_is_no_pair(a: list[float], b: list[float], why: str) -> None:
    for of_pairs in (sign_flip, wilcoxon, sign_test, better, mean_difference):
        with pytest.raises(InputError, match=why):
            of_pairs(a, b)
