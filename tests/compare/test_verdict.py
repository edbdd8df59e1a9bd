"""The verdict: what it finds, that it finds nothing where nothing is, and how it says so."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from thalweg.compare import fewest_seeds, judge
from thalweg.errors import InputError

MISSED = math.inf


def runs(mean: float, *, n: int = 10, seed: int = 0, spread: float = 0.004) -> list[float]:
    return np.random.default_rng([seed, 5]).normal(mean, spread, size=n).tolist()


class TestWhatItFinds:
    def test_a_clear_winner(self) -> None:
        verdict = judge({"sgd": runs(0.15, seed=1), "adam": runs(0.13)}, what="dev loss")
        assert verdict.leader == "adam"
        assert verdict.tied == ()
        duel = verdict.duel("sgd", "adam")
        assert duel.differ and duel.p == 2 / 2**10 and duel.difference.high < 0 and duel.chance.value == 1.0
        assert verdict.sentence.startswith("adam was best, it beat sgd; dev loss: 0.1266 [")
        assert "sgd: 0.1488 [" in verdict.sentence

    def test_noise_is_called_noise(self) -> None:
        adam = runs(0.13)
        nadam = (np.array(adam) + np.random.default_rng(4).normal(0, 0.002, size=10)).tolist()
        verdict = judge({"adam": adam, "nadam": nadam})
        assert verdict.tied == (verdict.standings[1].rule,)
        assert "the difference is noise" in verdict.sentence
        assert "was best" not in verdict.sentence

    def test_the_same_numbers_under_two_names(self) -> None:
        verdict = judge({"adam": runs(0.1), "also": runs(0.1)})
        assert verdict.duels[0].p == 1.0 and verdict.duels[0].chance.value == 0.5 and verdict.tied == ("also",)

    @pytest.mark.parametrize(("share", "differ"), [(0.05, False), (0.5, True)])
    def test_a_trifle_is_no_victory(self, share: float, differ: bool) -> None:
        """On every seed better, by this share of what seeds do."""
        adam = np.array(runs(0.13))
        apart = share * adam.std(ddof=1)
        verdict = judge({"swats": adam, "adam": adam + apart * np.linspace(0.99, 1.01, 10)})
        duel = verdict.duel("swats", "adam")
        assert duel.p == 2 / 2**10 and duel.chance.value == 1.0
        assert (duel.differ, duel.trifling) == (differ, not differ)
        assert ("practically equal" in verdict.sentence) != differ

    def test_more_is_better(self) -> None:
        verdict = judge({"a": runs(0.9), "b": runs(0.8, seed=1)}, what="dev accuracy", more=True)
        assert verdict.leader == "a"
        duel = verdict.duel("a", "b")
        assert duel.differ
        assert 0.05 < duel.difference.low <= duel.difference.value <= duel.difference.high < 0.15
        assert verdict.standings[0].mean.low < verdict.standings[0].mean.value < verdict.standings[0].mean.high

    def test_a_small_chance_is_not_enough(self) -> None:
        """Two of ten runs lost by miles move the mean; on most seeds the rules are even."""
        close = np.array([1.0, 1.1, 0.9, 1.05, 0.95, 1.0, 1.1, 0.9, 1.2, 0.8])
        verdict = judge({"a": close, "b": close + np.r_[0, 0, 0, 0, 0, 0, 0, 5, 6, 7]})
        assert verdict.duels[0].chance.value == pytest.approx(0.65)
        assert not verdict.duels[0].differ

    def test_some_in_front_together(self) -> None:
        adam = runs(0.13)
        nadam = (np.array(adam) + np.random.default_rng(4).normal(0, 0.002, size=10)).tolist()
        verdict = judge({"adam": adam, "nadam": nadam, "sgd": runs(0.16, seed=1)})
        assert "nadam beat sgd; from adam it can't be told" in verdict.sentences[0]
        assert "the difference is noise" in verdict.sentence


class TestMisses:
    def test_a_rule_that_diverges_is_last(self) -> None:
        verdict = judge({"a": runs(0.5), "b": [MISSED] * 10})
        assert verdict.leader == "a" and verdict.duels[0].chance.value == 1.0
        assert verdict.standings[1].hits == 0 and verdict.standings[1].median == MISSED

    def test_a_rule_that_always_diverges_is_beaten_with_the_fewest_seeds(self) -> None:
        verdict = judge({"a": runs(0.5)[:6], "b": [MISSED] * 6})
        assert verdict.duels[0].differ and verdict.duels[0].p == 2 / 2**6
        assert "b: all 6 diverged;" in verdict.sentence
        same = judge({"a": [0.5] * 6, "b": [MISSED] * 6})
        assert same.duels[0].differ
        assert judge({"a": [MISSED] * 6, "b": [MISSED] * 6}).sentence == "Every run diverged: dev loss, 6 seeds each."

    def test_times_are_cut_off_at_the_horizon(self) -> None:
        fast, slow = (
            [300, 310, 290, 305, 320, 300, 310, 290, 280, 300],
            [500, MISSED, 480, 520, 510, MISSED, 490, 500, 530, 470],
        )
        verdict = judge({"slow": slow, "fast": fast}, what="steps to dev loss 0.2", kind="time", horizon=1000)
        assert verdict.leader == "fast" and verdict.duels[0].differ
        assert verdict.standings[1].mean.value == pytest.approx((sum(t for t in slow if t < MISSED) + 2000) / 10)
        assert verdict.standings[1].median == 505
        assert "8 of 10 got there" in verdict.sentence

    def test_nobody_got_there(self) -> None:
        verdict = judge({"a": [MISSED] * 8, "b": [MISSED] * 8}, what="steps", kind="time", horizon=10)
        assert verdict.sentence == "No rule got there: steps, 8 seeds each."


class TestWhatItSays:
    def test_edges_are_unsettled(self) -> None:
        verdict = judge({"a": runs(0.5), "b": runs(0.7, seed=1)}, unsettled={"b": "lr (10)"})
        assert verdict.sentences[-1].startswith("b is unsettled: its best lr (10)")

    def test_too_few_seeds(self) -> None:
        verdict = judge({"a": [1, 2, 3], "b": [4, 5, 6.5]})
        assert "run at least 6" in verdict.sentences[1]
        assert "too few seeds to tell" in verdict.sentence and "noise" not in verdict.sentence

    def test_fewest_seeds_reach_the_level(self) -> None:
        for rules in range(2, 12):
            pairs, n = math.comb(rules, 2), fewest_seeds(rules)
            assert pairs * 2 / 2**n <= 0.05 < pairs * 2 / 2 ** (n - 1)

    @pytest.mark.parametrize(
        "results, why",
        [
            ({"a": [1.0]}, "two rules"),
            ({"a": [1.0], "b": [1.0, 2.0]}, "each seed"),
            ({"a": [math.nan], "b": [1.0]}, "NaN"),
        ],
    )
    def test_what_can_not_be_judged(self, results: dict[str, list[float]], why: str) -> None:
        with pytest.raises(InputError, match=why):
            judge(results)

    def test_times_want_a_horizon(self) -> None:
        with pytest.raises(InputError, match="horizon"):
            judge({"a": [1.0], "b": [2.0]}, kind="time")


@pytest.mark.parametrize("rules", [2, 5])
def test_equal_rules_are_told_apart_in_one_race_of_twenty_at_most(rules: int) -> None:
    races, found = 120, 0
    for race in range(races):
        draws = np.random.default_rng([race, rules])
        shared = draws.normal(size=10)
        results = {str(rule): shared + draws.standard_t(3, size=10) for rule in range(rules)}
        found += any(duel.differ for duel in judge(results, seed=race).duels)
    assert found <= stats.binom(races, 0.05).ppf(0.999)


def test_a_difference_of_two_spreads_is_found_nearly_always() -> None:
    found = 0
    for race in range(40):
        draws = np.random.default_rng(race)
        results = {name: shift + draws.normal(size=10) for name, shift in (("a", 0.0), ("b", 2.5))}
        found += judge(results, seed=race).duels[0].differ
    assert found >= 36
