"""Spaces and points: every rule has a row, all tune over the same places, an edge is seen and grown."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from thalweg import rules
from thalweg.compare import (
    TABLE,
    beyond,
    extended,
    is_at_edge,
    points_of,
    published,
    shared_points,
    space_of,
)
from thalweg.errors import InputError
from thalweg.search import Fixed, Range, Space


class TestSpaces:
    @pytest.mark.parametrize("rule", rules.names())
    def test_every_rule_has_one(self, rule: str) -> None:
        space = space_of(rule, with_decay=True)
        assert next(iter(space)) == "lr"
        assert published(rule).source

    @pytest.mark.parametrize("rule", TABLE)
    def test_holds_the_rules_own_defaults(self, rule: str) -> None:
        import inspect

        from thalweg import optim

        if rule not in optim.NAMED:
            pytest.skip("a rule without an optimizer of that name")
        arguments = inspect.signature(optim.NAMED[rule]).parameters
        for name, dimension in space_of(rule).dimensions.items():
            assert name in arguments or (name == "beta1" and "betas" in arguments)
            if isinstance(dimension, Range):
                default = arguments["betas"].default[0] if name == "beta1" else arguments[name].default
                assert dimension.low <= default <= dimension.high

    def test_decay_is_in_all_or_in_none(self) -> None:
        for rule in set(TABLE) - {"rprop"}:
            assert space_of(rule)["weight_decay"] == Fixed(0.0)
            assert isinstance(space_of(rule, with_decay=True)["weight_decay"], Range)

    def test_algoperfs_ranges_are_within(self) -> None:
        adamw, nesterov = space_of("adamw", with_decay=True), space_of("nesterov", with_decay=True)
        assert adamw["lr"].place(1e-4) > 0 and adamw["lr"].place(1e-2) < 1
        assert adamw["beta1"].text == "0.5..0.98:one-minus"
        assert adamw["weight_decay"].text == "0.005..1.0:log"
        assert nesterov["beta"].text == "0.5..0.995:one-minus"
        assert nesterov["lr"].place(2e-2) > 0 and nesterov["lr"].place(5.0) == pytest.approx(1.0)

    def test_unknown(self) -> None:
        with pytest.raises(InputError, match='"bogus"'):
            space_of("bogus")


class TestEdges:
    def test_seen_at_both_ends(self) -> None:
        space = space_of("adam")
        assert is_at_edge({"lr": 0.09, "beta1": 0.9}, space) == {"lr": "high"}
        assert is_at_edge({"lr": 1.2e-5, "beta1": 0.501}, space, names=("lr", "beta1")) == {"lr": "low", "beta1": "low"}
        assert is_at_edge({"lr": 1e-3, "beta1": 0.979}, space) == {}

    def test_what_is_fixed_has_none(self) -> None:
        assert is_at_edge({"lr": 0.1}, Space({"lr": Fixed(0.1)})) == {}

    def test_grows_by_a_decade(self) -> None:
        space = space_of("adam")
        grown = extended(space, {"lr": "high", "beta1": "high"})
        assert grown["lr"].text == "1e-05..1.0:log"
        assert grown["beta1"].text == "0.5..0.998:one-minus"
        assert extended(space, {"lr": "low"})["lr"].text == "1e-06..0.1:log"
        assert extended(space, {}) == space

    def test_an_average_can_not_go_below_zero(self) -> None:
        assert extended(space_of("adam"), {"beta1": "low"})["beta1"].text == "0.0..0.98:one-minus"

    def test_new_part_and_old_make_the_whole(self) -> None:
        for rule in TABLE:
            space = space_of(rule)
            for side in ("low", "high"):
                old, new = space["lr"], beyond(space, {"lr": side})["lr"]  # type: ignore[dict-item]
                whole = extended(space, {"lr": side})["lr"]  # type: ignore[dict-item]
                assert isinstance(old, Range) and isinstance(new, Range) and isinstance(whole, Range)
                assert (whole.low, whole.high) == (min(old.low, new.low), max(old.high, new.high))
                assert (new.high == old.low) if side == "low" else (new.low == old.high)

    def test_what_is_no_range(self) -> None:
        with pytest.raises(InputError, match="weight_decay"):
            extended(space_of("adam"), {"weight_decay": "high"})


class TestPoints:
    def test_the_rate_of_a_trial_is_at_the_same_place_in_all(self) -> None:
        spaces = [space_of(rule, with_decay=True) for rule in TABLE]
        places = [[space["lr"].place(point["lr"]) for point in points_of(space, 8, seed=3)] for space in spaces]
        assert np.allclose(places, places[0], atol=1e-9)
        rows = shared_points(8, 1, seed=3)[:, 0]
        assert np.allclose(places[0], rows, atol=1e-9)

    def test_momentum_shares_an_axis_with_beta1(self) -> None:
        adam, lars = space_of("adam"), space_of("lars")
        ours = [adam["beta1"].place(point["beta1"]) for point in points_of(adam, 8)]
        theirs = [lars["momentum"].place(point["momentum"]) for point in points_of(lars, 8)]
        assert np.allclose(ours, theirs, atol=1e-9)

    def test_more_points_begin_with_the_fewer(self) -> None:
        assert points_of(space_of("adam"), 8) == points_of(space_of("adam"), 12)[:8]
        assert points_of(space_of("adam"), 12)[8:] == points_of(space_of("adam"), 4, first=8)
        assert np.array_equal(shared_points(8, 5)[:, :2], shared_points(8, 2))

    def test_each_axis_has_one_point_in_each_eighth(self) -> None:
        for seed in range(5):
            places = shared_points(8, 4, seed)
            assert (np.sort(np.floor(places * 8), axis=0) == np.arange(8)[:, None]).all()

    def test_fills_the_cube_better_than_chance(self) -> None:
        cloud = np.random.default_rng(0).random((64, 3))
        assert stats.qmc.discrepancy(shared_points(64, 3)) < stats.qmc.discrepancy(cloud) / 2

    def test_seeds_differ_and_repeat(self) -> None:
        assert np.array_equal(shared_points(8, 2, 1), shared_points(8, 2, 1))
        assert not np.allclose(shared_points(8, 2, 1), shared_points(8, 2, 2))

    def test_unknown_names_take_axes_that_are_left(self) -> None:
        space = Space.parse({"lr": "1e-3..1.0:log", "mine": "0.0..1.0", "yours": "0.0..1.0"})
        points = points_of(space, 4)
        assert len({tuple(point.values()) for point in points}) == 4
        assert [point["mine"] for point in points] != [point["yours"] for point in points]

    def test_too_many(self) -> None:
        with pytest.raises(InputError, match="at most 8"):
            points_of(Space.parse({f"h{index}": "0.0..1.0" for index in range(9)}), 2)
        with pytest.raises(InputError, match="at least 1"):
            shared_points(0, 2)
