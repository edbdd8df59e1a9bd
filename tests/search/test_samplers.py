"""Samplers asked for many points at a time: what is tried depends on the seed and on what ended, on nothing else."""

from __future__ import annotations

import collections
import importlib.util
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import qmc

from thalweg.errors import InputError
from thalweg.search import (
    SAMPLERS,
    Asked,
    CoarseToFine,
    Finished,
    Grid,
    Memory,
    Ordered,
    Point,
    Random,
    Sampler,
    Sobol,
    Space,
    Tpe,
    ranked,
    run_study,
    sampler_named,
)
from thalweg.search.samplers import with_finite_scores
from thalweg.search.store import Told

SPACE = Space.parse(
    {
        "lr": "1e-4..1:log",
        "width": "16..256:power2",
        "epochs": 30,
        "rule": ["sgd", "adam"],
        "momentum": {"range": "0.5..0.99:one-minus", "when": {"rule": "sgd"}},
    }
)
PLAIN = Space.parse({"x": "0.0..1.0", "y": "0.0..1.0", "z": "0.0..1.0"})
WITHOUT = {"tpe": "optuna", "gp": "optuna", "nsga2": "optuna", "cma-es": "cmaes"}
NAMED = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            name in WITHOUT and importlib.util.find_spec(WITHOUT[name]) is None, reason="not installed"
        ),
    )
    for name in SAMPLERS
]


def bowl(values: Point) -> float:
    """Lowest, 0, at (0.3, 0.6, 0.8)."""
    return (values["x"] - 0.3) ** 2 + 0.3 * (values["y"] - 0.6) ** 2 + 0.1 * (values["z"] - 0.8) ** 2


def cost(values: Point) -> float:
    """Lowest for Adam at 1e-2; the largest rates diverge."""
    if values["lr"] > 0.3:
        return math.inf
    return math.log10(values["lr"] / 1e-2) ** 2 + (values["rule"] == "sgd") * (1 + values.get("momentum", 0.0))


@pytest.mark.parametrize("name", NAMED)
class TestEachSampler:
    def test_points_lie_in_the_space_and_conditions_hold(self, name: str) -> None:
        sampler = sampler_named(name, SPACE, seed=1, trials=48, points=3)
        study = run_study(cost, sampler, trials=36 if name != "gp" else 18, at_once=7)
        for trial in study.finished:
            assert 1e-4 <= trial.values["lr"] <= 1
            assert trial.values["width"] in (16, 32, 64, 128, 256)
            assert type(trial.values["width"]) is int
            assert trial.values["epochs"] == 30
            assert ("momentum" in trial.values) == (trial.values["rule"] == "sgd")

    def test_same_seed_same_points_also_after_an_interruption(self, name: str) -> None:
        trials = 32 if name != "gp" else 14

        def study(seed: int, *ends: int) -> tuple[Finished, ...]:
            done: tuple[Finished, ...] = ()
            for end in ends:
                sampler = sampler_named(name, PLAIN, seed=seed, trials=48)
                done = run_study(bowl, sampler, trials=end, at_once=2, finished=done).finished
            return done

        assert study(0, trials) == study(0, 12, trials)
        assert name == "grid" or study(0, trials) != study(1, trials)

    def test_in_a_space_without_a_choice(self, name: str) -> None:
        space = Space.parse({"epochs": 30})
        points = sampler_named(name, space).suggest([], [], 2)
        assert points[:1] == ([{"epochs": 30}] if name != "ordered" else [])


@pytest.mark.parametrize("name", ["random", "sobol", "grid"])
class TestThoseThatDoNotLearn:
    @given(cuts=st.lists(st.integers(1, 9), min_size=1, max_size=6))
    @settings(max_examples=20, deadline=None)
    def test_how_many_at_a_time_changes_nothing(self, name: str, cuts: list[int]) -> None:
        sampler, store = sampler_named(name, SPACE, seed=3, points=9), Memory(SPACE)
        asked = [ticket.values for cut in cuts for ticket in store.ask(sampler, cut)]
        assert asked == sampler.suggest([], [], sum(cuts))


class TestBlocks:
    """Random draws of which some are shared by consecutive trials, to be trained as one program."""

    SPACE = Space.parse({"lr": "1e-4..1:log", "hidden": "[16, 32, 64, 128]", "layers": "1..2", "beta": "0.5..0.9"})

    def points(self, n: int, seed: int = 0) -> list[Point]:
        return Random(self.SPACE, seed, ("hidden", "layers"), 4).suggest([], [], n)

    def test_a_block_shares_them_and_nothing_else(self) -> None:
        points = self.points(64)
        for start in range(0, 64, 4):
            assert len({(point["hidden"], point["layers"]) for point in points[start : start + 4]}) == 1
        assert len({point["lr"] for point in points}) == len({point["beta"] for point in points}) == 64
        plain = Random(self.SPACE, 0).suggest([], [], 64)
        assert [point["lr"] for point in points] == [point["lr"] for point in plain]

    @pytest.mark.parametrize("seed", range(5))
    def test_each_value_is_as_likely_and_blocks_spread_evenly(self, seed: int) -> None:
        blocks = self.points(64, seed)[::4]
        assert collections.Counter(point["hidden"] for point in blocks) == {16: 4, 32: 4, 64: 4, 128: 4}
        assert collections.Counter(point["layers"] for point in blocks) == {1: 8, 2: 8}
        assert len({(point["hidden"], point["layers"]) for point in blocks[:8]}) >= 6

    @given(cuts=st.lists(st.integers(0, 9), min_size=1, max_size=6))
    @settings(max_examples=20, deadline=None)
    def test_how_many_at_a_time_changes_nothing(self, cuts: list[int]) -> None:
        store, sampler = Memory(self.SPACE), Random(self.SPACE, 0, ("hidden", "layers"), 4)
        assert [ticket.values for cut in cuts for ticket in store.ask(sampler, cut)] == self.points(sum(cuts))


class TestOneThatMatters:
    """A function of two hyperparameters of which one matters: the course's case for random search, and for zooming in."""

    SPACE = Space.parse({"alpha": "1e-4..1:log", "epsilon": "1e-10..1e-6:log"})

    def score(self, values: Point) -> float:
        return abs(math.log10(values["alpha"]) + 2.43)

    def best(self, make: Callable[[int], Sampler], seeds: int = 20) -> float:
        return float(np.median([run_study(self.score, make(seed), trials=25).best.score for seed in range(seeds)]))

    def test_a_grid_tries_five_values_of_it_and_chance_twenty_five(self) -> None:
        grid = run_study(self.score, Grid(self.SPACE, points=5), trials=100).finished
        drawn = run_study(self.score, Random(self.SPACE), trials=25).finished
        assert (len(grid), len({trial.values["alpha"] for trial in grid})) == (25, 5)
        assert len({trial.values["alpha"] for trial in drawn}) == 25

    def test_chance_comes_nearer_than_a_grid_and_coarse_to_fine_nearer_still(self) -> None:
        grid = self.best(lambda seed: Grid(self.SPACE, points=5), 1)
        chance = self.best(lambda seed: Random(self.SPACE, seed))
        finer = self.best(lambda seed: CoarseToFine(self.SPACE, seed, stage=5))
        assert grid == pytest.approx(0.43)
        assert chance < grid / 3
        assert finer < chance / 2

    def test_the_order_of_importance_settles_the_rate_first(self) -> None:
        space = Space.parse({"lr": "1e-4..1:log", "layers": "1..4"})
        ordered = Ordered(space, stage=12)
        assert ordered.groups == (("lr",), ("layers",))
        study = run_study(lambda values: abs(math.log10(values["lr"]) + 2.43), ordered, trials=24).finished
        assert {trial.values["layers"] for trial in study[:12]} == {3}
        assert {trial.values["layers"] for trial in study[12:]} == {1, 2, 3, 4}
        rates = [trial.values["lr"] for trial in study[:12]]
        assert {math.floor(3 * (math.log10(rate) + 4)) for rate in rates} == set(range(12))  # one in each twelfth
        assert {trial.values["lr"] for trial in study[12:]} == {
            min(rates, key=lambda rate: abs(math.log10(rate) + 2.43))
        }


class TestGrid:
    def test_a_grid_with_conditions_is_counted_without_being_walked(self) -> None:
        entries = {
            "rule": ["sgd", "adam"],
            "momentum": {"range": "0.5..0.9", "when": {"rule": "sgd"}},
            **dict.fromkeys("abcdef", "0.0..1.0"),
        }
        assert Grid(Space.parse(entries), points=2).size == (2 + 1) * 2**6 == sum(1 for _ in _walked(entries, 2))
        assert Grid(Space.parse(entries), points=1000).size == 1001 * 1000**6

    def test_says_its_number_first(self) -> None:
        assert (
            Grid(Space.parse({"a": "0.0..1.0", "b": "1..3", "c": [1, 2]}), points=5).formula == "5 × 3 × 2 = 30 trials"
        )
        assert Grid(SPACE, points=3).formula.startswith("36 of 3 × 3 × 2 × 3 combinations")

    def test_conditions_leave_no_point_twice(self) -> None:
        points = Grid(SPACE, points=3).suggest([], [], 100)
        assert len(points) == Grid(SPACE, points=3).size == 3 * 3 * (3 + 1)
        assert len({tuple(point.items()) for point in points}) == 36


class TestSobol:
    def test_fills_the_square_more_evenly_than_chance(self) -> None:
        def discrepancy(sampler: Sampler) -> float:
            points = sampler.suggest([], [], 64)
            return qmc.discrepancy([[point["x"], point["y"], point["z"]] for point in points])

        uneven = [discrepancy(Random(PLAIN, seed)) for seed in range(10)]
        assert max(discrepancy(Sobol(PLAIN, seed)) for seed in range(10)) < min(uneven)


class TestRounds:
    def test_a_round_waits_for_the_one_before(self) -> None:
        for sampler in (CoarseToFine(PLAIN, stage=4), Ordered(PLAIN, stage=4)):
            store = Memory(PLAIN)
            first = store.ask(sampler, 64)
            assert [ticket.number for ticket in first] == [0, 1, 2, 3]
            assert store.ask(sampler, 64) == []
            store.tell([Told(n, "finished", (bowl(first[n].values),)) for n in (3, 1, 0)])
            assert store.ask(sampler, 64) == []
            store.tell([Told(2, "failed")])
            assert [ticket.number for ticket in store.ask(sampler, 3)] == [4, 5, 6]
            assert [ticket.number for ticket in store.ask(sampler, 3)] == [7]

    def test_coarse_to_fine_looks_closer_with_each_round(self) -> None:
        sampler = CoarseToFine(Space.parse({"x": "0.0..1.0"}), stage=4)
        finished = run_study(lambda values: values["x"], sampler, trials=10).finished
        spaces = [sampler.zoomed(finished, rounds)["x"] for rounds in range(3)]
        assert spaces[0].text == "0.0..1.0"
        assert spaces[2].text.startswith("0.0..0.") and len({space.text for space in spaces}) == 3
        inside = [trial for trial in finished if trial.number >= 8]
        assert len(inside) == 2 and all(trial.values["x"] <= float(spaces[2].text.split("..")[1]) for trial in inside)

    def test_what_others_depend_on_is_not_lost(self) -> None:
        study = run_study(lambda values: float(values["rule"] == "sgd"), CoarseToFine(SPACE, stage=8), trials=40)
        assert {trial.values["rule"] for trial in study.finished[16:]} == {"sgd", "adam"}

    def test_refused(self) -> None:
        with pytest.raises(InputError, match="at least 2 trials"):
            Ordered(PLAIN, stage=1)
        with pytest.raises(InputError, match="name each searched hyperparameter once: x, y, z"):
            Ordered(PLAIN, groups=(("x", "y"),))
        with pytest.raises(InputError, match="keeps a share between 0 and 1"):
            CoarseToFine(PLAIN, keep=1.0)
        with pytest.raises(InputError, match='there is no sampler "best": choose random, sobol'):
            sampler_named("best", PLAIN)


@pytest.mark.parametrize("name", [name for name in NAMED if name.values[0] in ("tpe", "gp", "cma-es", "nsga2")])
class TestBrains:
    def test_points_of_a_batch_differ(self, name: str) -> None:
        finished = run_study(bowl, Random(PLAIN), trials=40).finished
        points = sampler_named(name, PLAIN).suggest(finished, [], 4 if name == "gp" else 24)
        assert len({tuple(point.values()) for point in points}) > 0.8 * len(points)

    def test_keeps_away_from_where_it_diverges(self, name: str) -> None:
        def cliff(values: Point) -> float:
            return math.inf if values["x"] > 0.5 else 1 - values["x"] + values["y"]

        count = 8 if name == "gp" else 32
        finished = run_study(cliff, Random(PLAIN), trials=48).finished
        beyond = [point["x"] > 0.5 for point in sampler_named(name, PLAIN).suggest(finished, [], count)]
        assert np.mean(beyond) < 0.45


@pytest.mark.parametrize("name", [name for name in NAMED if name.values[0] in ("tpe", "gp", "cma-es")])
def test_better_than_chance_in_batches(name: str) -> None:
    trials, at_once, seeds = (24, 6, 1) if name == "gp" else (128, 16, 4)

    def median(make: Callable[[int], Sampler]) -> float:
        bests = [run_study(bowl, make(seed), trials=trials, at_once=at_once).best.score for seed in range(seeds)]
        return float(np.median(bests))

    assert median(lambda seed: sampler_named(name, PLAIN, seed=seed)) < 0.6 * median(lambda s: Random(PLAIN, s))


class TestSeveralObjectives:
    @pytest.mark.parametrize("name", ["nsga2", "tpe"])
    def test_comes_nearer_to_the_front_than_chance(self, name: str) -> None:
        """Between (0, 0.5) and (1, 0.5) nothing is better in both; y and z off the line are worse in both."""
        pytest.importorskip("optuna")

        def two(values: Point) -> tuple[float, float]:
            off = (values["y"] - 0.5) ** 2 + (values["z"] - 0.5) ** 2
            return values["x"] ** 2 + off, (values["x"] - 1) ** 2 + off

        def distance(sampler: Sampler) -> float:
            last = run_study(two, sampler, trials=192, at_once=32).finished[-32:]
            return float(np.mean([abs(one.values["y"] - 0.5) + abs(one.values["z"] - 0.5) for one in last]))

        assert distance(sampler_named(name, PLAIN)) < 0.7 * distance(Random(PLAIN))


class TestTpe:
    def test_keeps_away_from_what_runs(self) -> None:
        pytest.importorskip("optuna")
        space = Space.parse({"x": "0.0..1.0"})
        finished = [Finished(n, {"x": x}, (abs(x - 0.25),)) for n, x in enumerate(np.linspace(0, 1, 20).tolist())]
        running = [Asked(20 + n, {"x": 0.25 + 0.001 * n}) for n in range(30)]

        def near(asked: list[Asked]) -> float:
            points = [Tpe(space, seed).suggest(finished, asked, 1)[0]["x"] for seed in range(20)]
            return float(np.mean([abs(x - 0.265) < 0.03 for x in points]))

        assert near(running) < near([])

    def test_without_a_start(self) -> None:
        pytest.importorskip("optuna")
        assert Tpe(PLAIN, startup=0).suggest([], [], 2) == Random(PLAIN).suggest([], [], 2)

    def test_what_was_pruned_counts_as_worse(self) -> None:
        pytest.importorskip("optuna")
        space = Space.parse({"x": "0.0..1.0"})
        places = np.linspace(0, 1, 40).tolist()
        # The pruned half has the lower scores, but at an early step.
        finished = [Finished(n, {"x": x}, (x,), 1 if x < 0.5 else None) for n, x in enumerate(places)]
        points = Tpe(space).suggest(finished, [], 16)
        assert np.mean([point["x"] > 0.45 for point in points]) > 0.6
        finished = [Finished(trial.number, trial.values, trial.scores) for trial in finished]
        assert np.mean([point["x"] > 0.45 for point in Tpe(space).suggest(finished, [], 16)]) < 0.4


class TestOrderOfTrials:
    def test_ranked(self) -> None:
        trials = [
            Finished(0, {}, (0.5,)),
            Finished(1, {}, (0.1,), 3),
            Finished(2, {}, (0.2,), 9),
            Finished(3, {}, (math.nan,)),
            Finished(4, {}, (0.4,)),
        ]
        assert [trial.number for trial in ranked(trials)] == [4, 0, 2, 1]

    def test_failed_ones_are_told_as_the_worst(self) -> None:
        trials = [Finished(0, {}, (0.5, 2.0)), Finished(1, {}, (math.inf, 3.0)), Finished(2, {}, (0.1, math.nan))]
        assert [trial.scores for trial in with_finite_scores(trials)] == [(0.5, 2.0), (0.5, 3.0), (0.1, 3.0)]
        assert with_finite_scores([Finished(0, {}, (math.inf,))])[0].scores == (1.0,)


def _walked(entries: dict, points: int) -> list:
    return Grid(Space.parse(entries), points=points).suggest([], [], 10**6)
