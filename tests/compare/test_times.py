"""Curves, arrivals, profiles and sensitivity, against numbers counted by hand, SciPy, and counting every case."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from thalweg.compare import Curve, best_after, good_range, kaplan_meier, profiles, time_to, win_probability
from thalweg.errors import InputError

MISSED = math.inf


class TestCurve:
    curve = Curve(
        steps=(10, 20, 30, 40, 50),
        scores=(0.5, 0.2, 0.4, 0.2, 0.1),
        seconds=(1, 2, 3, 4, 5.5),
        gradients=(11, 21, 31, 41, 51),
    )

    def test_arrives_where_it_stays(self) -> None:
        assert time_to(self.curve, 0.3) == 40
        assert time_to(self.curve, 0.3, consecutive=1) == 20
        assert time_to(self.curve, 0.3, consecutive=3) == MISSED
        assert time_to(self.curve, 0.15) == MISSED
        assert time_to(self.curve, 0.2, unit="seconds") == 4
        assert time_to(self.curve, 0.2, unit="gradients") == 41

    def test_what_diverged_never_arrives(self) -> None:
        lost = Curve((1, 2, 3), (math.nan, math.inf, math.nan))
        assert time_to(lost, 1e9) == MISSED
        assert (lost.best, lost.final, lost.diverged) == (MISSED, MISSED, True)

    def test_best_and_last(self) -> None:
        curve = Curve((1, 2, 3), (0.3, 0.1, math.nan))
        assert (curve.best, curve.final) == (0.1, MISSED)
        assert (self.curve.best, self.curve.final, self.curve.diverged) == (0.1, 0.1, False)

    @pytest.mark.parametrize(
        "steps, scores, why", [((1, 2), (0.1,), "each step"), ((), (), "each step"), ((2, 2), (1, 1), "rise")]
    )
    def test_what_is_no_curve(self, steps: tuple[int, ...], scores: tuple[float, ...], why: str) -> None:
        with pytest.raises(InputError, match=why):
            Curve(steps, scores)

    def test_what_it_does_not_know(self) -> None:
        with pytest.raises(InputError, match="seconds"):
            time_to(Curve((1, 2), (0.1, 0.1)), 1.0, unit="seconds")


class TestArrivals:
    def test_is_scipys_survival(self) -> None:
        times = [6, 6, 6, 7, 10, 13, 16, 22, 23] + [MISSED] * 12  # Freireich et al. 1963, 6-mercaptopurine
        seen = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
        arrivals = kaplan_meier(times, horizon=seen)
        survived = stats.ecdf(stats.CensoredData.right_censored(seen, [math.isinf(time) for time in times])).sf
        expected = dict(zip(survived.quantiles, survived.probabilities, strict=True))
        assert [1 - share for share in arrivals.reached] == pytest.approx([expected[step] for step in arrivals.steps])
        assert 1 - arrivals.reached[0] == pytest.approx(0.857, abs=5e-4)  # as the textbooks print it
        assert 1 - arrivals.reached[-1] == pytest.approx(0.448, abs=5e-4)
        assert arrivals.median.value == 23
        interval = survived.confidence_interval(method="log-log")
        upper = dict(zip(interval.high.quantiles, interval.high.probabilities, strict=True))
        assert [1 - low for low in arrivals.low] == pytest.approx([upper[step] for step in arrivals.steps])

    def test_median_wants_half(self) -> None:
        assert kaplan_meier([1, 2, MISSED, MISSED, MISSED], horizon=9).median.value == MISSED
        assert (
            kaplan_meier([1, 2, MISSED, MISSED], horizon=9).median.value == 2
        )  # the first with a share of ½ or less left
        assert kaplan_meier([1, 2, 3, MISSED, MISSED], horizon=9).median.value == 3
        assert kaplan_meier([MISSED] * 3, horizon=9).steps == ()

    def test_all_arrived(self) -> None:
        arrivals = kaplan_meier([5, 3, 3, 8])
        assert (arrivals.steps, arrivals.reached, arrivals.hits) == ((3, 5, 8), (0.5, 0.75, 1.0), 4)

    def test_what_can_not_be(self) -> None:
        with pytest.raises(InputError, match="seen until"):
            kaplan_meier([5.0], horizon=4)
        with pytest.raises(InputError, match="a time for each run"):
            kaplan_meier([])


class TestProfiles:
    def test_score_is_the_integral(self) -> None:
        draws = np.random.default_rng(0)
        table = np.where(draws.random((3, 9)) < 0.2, np.inf, draws.lognormal(size=(3, 9)))
        times = {
            rule: {str(place): float(time) for place, time in enumerate(row)}
            for rule, row in zip("abc", table, strict=True)
        }
        grid = np.linspace(1, 4, 30_001)
        for one in profiles(times).profiles:
            counted = np.mean([one.at(tau) for tau in grid])
            assert one.score == pytest.approx(counted, abs=1e-3)
            assert one.at(1.0) == np.mean(
                [times[one.rule][p] == min(row[p] for row in times.values()) < MISSED for p in times[one.rule]]
            )
            assert one.steps[0][0] == 1.0 and one.steps[-1] == (4.0, one.at(4.0))

    def test_five_times_the_fastest_is_a_miss(self) -> None:
        board = profiles({"fast": dict.fromkeys("abcd", 1.0), "slow": dict.fromkeys("abcd", 5.0)})
        assert [(one.rule, one.score) for one in board.profiles] == [("fast", 1.0), ("slow", 0.0)]

    def test_few_problems_have_none(self) -> None:
        board = profiles({"a": {"x": 1.0, "y": 1.0}, "b": {"x": 1.0, "y": 2.0}})
        assert board.profiles == () and "there are 2" in board.note

    def test_what_can_not_be(self) -> None:
        with pytest.raises(InputError, match="above 0"):
            profiles({"a": dict.fromkeys("wxyz", 0.0)})
        with pytest.raises(InputError, match="problems"):
            profiles({"a": {"x": 1.0}, "b": {"y": 1.0}})


SCORES = st.lists(st.integers(0, 6).map(float), min_size=2, max_size=6)


class TestSensitivity:
    @settings(max_examples=30, deadline=None)
    @given(SCORES)
    def test_best_after_k_counts_every_choice(self, scores: list[float]) -> None:
        for k, expected in enumerate(best_after(scores), 1):
            assert expected == pytest.approx(np.mean([min(drawn) for drawn in itertools.combinations(scores, k)]))

    def test_what_diverged_costs_the_worst(self) -> None:
        assert best_after([1.0, MISSED, 3.0]) == best_after([1.0, 3.0, 3.0])
        assert best_after([1.0, MISSED], worst=9.0) == (5.0, 1.0)
        with pytest.raises(InputError, match="finite"):
            best_after([MISSED])

    @settings(max_examples=30, deadline=None)
    @given(st.lists(SCORES, min_size=2, max_size=3), st.booleans())
    def test_wins_are_counted(self, table: list[list[float]], diverged: bool) -> None:
        if diverged:
            table[0][0] = MISSED
        trials = {str(rule): scores for rule, scores in enumerate(table)}
        for k in (1, 2):
            wins = dict.fromkeys(trials, 0.0)
            cases = [
                [min(drawn) for drawn in draws]
                for draws in itertools.product(*(itertools.combinations(scores, k) for scores in table))
            ]
            for bests in cases:
                winners = [rule for rule, best in zip(trials, bests, strict=True) if best == min(bests)]
                for rule in winners:
                    wins[rule] += 1 / len(winners) / len(cases)
            assert win_probability(trials, k) == pytest.approx(wins)

    def test_range_of_a_parabola(self) -> None:
        rates = np.logspace(-4, 0, 4001)
        found = good_range(rates, (np.log10(rates) + 2) ** 2, tolerance=0.25)
        assert (found.best, found.low, found.high) == pytest.approx((1e-2, 10**-2.5, 10**-1.5), rel=1e-3)
        assert found.decades == pytest.approx(1.0, abs=1e-3)
        assert found.open_ends == ()

    def test_range_ends_where_it_diverged_or_was_not_swept(self) -> None:
        found = good_range([0.001, 0.01, 0.1, 1.0], [0.25, 0.2, 0.25, MISSED], tolerance=0.1)
        assert (found.low, found.high) == pytest.approx((0.001, 0.1))
        assert found.open_ends == ("low",)

    def test_what_can_not_be(self) -> None:
        with pytest.raises(InputError, match="sweep"):
            good_range([0.1], [1.0], tolerance=0.1)
        with pytest.raises(InputError, match="lower"):
            good_range([0.1, 1.0], [MISSED, math.nan], tolerance=0.1)
        with pytest.raises(InputError, match="choose k"):
            win_probability({"a": [1.0]}, 2)
