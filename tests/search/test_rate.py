"""The choice of a learning rate, on trials whose best rate is known and on a real network."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from thalweg.errors import InputError
from thalweg.search import Candidate, RateChoice, Trial, choose_rate
from thalweg.search.rate import climb, find_band, smooth


class Quadratic:
    """Gradient descent on ``Σ h w²/2`` with the rate set at each step; diverges beyond 2/max(h)."""

    def __init__(self, rate: float, curvatures: np.ndarray, log: list | None = None) -> None:
        self.rate, self.curvatures, self.weights = rate, curvatures, np.ones_like(curvatures)
        self.log = [] if log is None else log

    def set_rate(self, rate: float) -> None:
        self.rate = rate

    def run(self, steps: int) -> np.ndarray:
        losses = np.full(steps, np.nan)
        for index in range(steps):
            loss = float(0.5 * np.sum(self.curvatures * self.weights**2))
            if not loss < 1e30:
                break
            losses[index] = loss
            self.weights = self.weights * (1 - self.rate * self.curvatures)
            self.log.append(self.rate)
        return losses

    def score(self) -> float:
        return float(0.5 * np.sum(self.curvatures * self.weights**2))


@dataclass
class Bowl:
    """Trials whose score after ``steps`` is lowest at one rate; remembers how they were made."""

    best: float
    made: list[tuple[float, int, int]] = field(default_factory=list)

    def __call__(self, rate: float, steps: int = 0, order: int = 0) -> Trial:
        self.made.append((rate, steps, order))
        return BowlTrial(self.best, rate)


class BowlTrial:
    def __init__(self, best: float, rate: float) -> None:
        self.best, self.rate = best, rate

    def set_rate(self, rate: float) -> None:
        self.rate = rate

    def run(self, steps: int) -> np.ndarray:
        return np.full(steps, 1 + math.log10(self.rate / self.best) ** 2)

    def score(self) -> float:
        return math.log10(self.rate / self.best) ** 2


class TestChoice:
    @given(exponent=st.floats(-4, 0.5))
    @settings(max_examples=40, deadline=None)
    def test_finds_the_best_rate_to_half_a_stride(self, exponent: float) -> None:
        choice = choose_rate(Bowl(10**exponent), steps_per_epoch=5, epochs=10, rule="adam")
        assert abs(math.log(choice.rate / 10**exponent)) <= 0.5 * 0.5 * math.log(3) + 0.06  # two digits of the rate

    def test_a_longer_run_gets_a_smaller_rate(self) -> None:
        short = choose_rate(Bowl(0.01), steps_per_epoch=5, epochs=10, rule="adam")
        long = choose_rate(Bowl(0.01), steps_per_epoch=50, epochs=75, rule="adam")
        assert short.candidates[0].steps == long.candidates[0].steps == 50
        assert short.rate / long.rate == pytest.approx(75**0.32, rel=0.75)  # Bjorck et al.; to half a stride
        assert all(c.run_at == pytest.approx(c.rate * 75**0.32) for c in long.candidates)
        assert all(c.run_at == c.rate for c in short.candidates)
        assert "each 50 of 3750 steps at 4 times its rate" in long.reason

    def test_confirming_runs_have_a_schedule_of_their_own_and_one_order(self) -> None:
        bowl = Bowl(0.01)
        choice = choose_rate(bowl, steps_per_epoch=100, epochs=100)
        confirming = [(rate, order) for rate, steps, order in bowl.made if steps == 10_000 // 75]
        assert sorted(rate for rate, _ in confirming) == [c.run_at for c in choice.candidates]
        assert {order for _, order in confirming} == {0}
        sweeps = [order for _, steps, order in bowl.made if steps == 0]
        assert sweeps == [0, 1]
        assert len(bowl.made) == len(confirming) + 2

    def test_the_rate_is_that_of_the_best_candidate(self) -> None:
        choice = choose_rate(Bowl(0.003), steps_per_epoch=10, epochs=30)
        best = min(choice.candidates, key=lambda candidate: candidate.score)
        assert choice.rate == best.rate
        assert [c.rate for c in choice.candidates] == sorted(c.rate for c in choice.candidates)
        assert choice.rate == float(f"{choice.rate:.2g}")

    def test_no_more_than_a_tenth_of_a_long_run(self) -> None:
        choice = choose_rate(Bowl(1e-7), steps_per_epoch=1000, epochs=10, rule="sgd")
        assert choice.steps <= 120 + 9 * 10_000 / 75
        assert choice.steps == 120 + sum(len(c.losses) for c in choice.candidates)

    def test_no_longer_than_the_run_itself(self) -> None:
        choice = choose_rate(Bowl(0.01), steps_per_epoch=1, epochs=7)
        assert {candidate.steps for candidate in choice.candidates} == {7}

    def test_climbs_out_of_the_span(self) -> None:
        choice = choose_rate(Bowl(0.5), steps_per_epoch=1, epochs=50, span=(1e-3, 1e-1))
        assert choice.rates[0] == pytest.approx(1e-3)
        assert choice.rates[-1] == pytest.approx(1e-1)
        assert 0.3 < choice.rate < 0.9


class TestDivergence:
    def test_quadratic_stays_below_the_edge(self) -> None:
        curvatures = np.logspace(-2, 1, 30)
        choice = choose_rate(
            lambda rate, steps=0, order=0: Quadratic(rate, curvatures), steps_per_epoch=50, epochs=1, rule="sgd"
        )
        scores = {
            rate: (t := Quadratic(rate, curvatures), t.run(50), t.score())[2] for rate in np.geomspace(1e-3, 1, 200)
        }
        best = min(scores, key=lambda rate: scores[rate] if math.isfinite(scores[rate]) else math.inf)
        assert choice.rate < 2 / curvatures.max()
        assert best / 2 < choice.rate < best * 2
        assert choice.band[0] < choice.rate < choice.band[1]
        assert choice.band[1] > 2 / curvatures.max()
        assert np.isnan(choice.losses[-1])
        assert choice.candidates[-1].score == math.inf

    def test_updates_are_counted_as_made(self) -> None:
        log: list[float] = []
        choice = choose_rate(
            lambda rate, steps=0, order=0: Quadratic(rate, np.array([1.0]), log),
            steps_per_epoch=10,
            epochs=10,
            rule="sgd",
        )
        assert choice.steps == pytest.approx(len(log), abs=12)  # an update that made the loss infinite is none

    def test_nothing_trains(self) -> None:
        class Exploding(BowlTrial):
            def score(self) -> float:
                return math.nan

        with pytest.raises(InputError, match=r"no learning rate from .* trains for 50 steps without diverging"):
            choose_rate(lambda rate, steps=0, order=0: Exploding(1.0, rate), steps_per_epoch=50, epochs=1)

    def test_loss_that_is_never_finite(self) -> None:
        class Never(BowlTrial):
            def run(self, steps: int) -> np.ndarray:
                return np.full(steps, np.nan)

        with pytest.raises(InputError, match="not finite before the first update"):
            choose_rate(lambda rate, steps=0, order=0: Never(1.0, rate), steps_per_epoch=50, epochs=1)

    @pytest.mark.parametrize("span", [(0.0, 1.0), (1.0, 0.1), (1e-3, math.inf), (math.nan, 1.0)])
    def test_span_that_does_not_rise(self, span: tuple[float, float]) -> None:
        with pytest.raises(InputError, match="span of rates must rise"):
            choose_rate(Bowl(0.1), steps_per_epoch=5, epochs=5, span=span)

    def test_no_steps(self) -> None:
        with pytest.raises(InputError, match="at least 1 epoch"):
            choose_rate(Bowl(0.1), steps_per_epoch=0, epochs=5)


class TestClimb:
    def found(self, scores: dict[float, float]) -> tuple[list[float], float]:
        order: list[float] = []

        def confirm(place: float) -> Candidate:
            order.append(place)
            return Candidate(place, place, 1, np.ones(1), scores.get(place, math.inf))

        tried = climb(confirm)
        assert sorted(order) == [candidate.rate for candidate in tried]
        assert len(set(order)) == len(order)
        return order, min(tried, key=lambda candidate: candidate.score).rate

    def test_stays_where_both_neighbours_are_worse(self) -> None:
        order, best = self.found({-1: 2, -0.5: 1.2, 0: 1, 0.5: 1.1, 1: 3})
        assert order == [0, -1, 1, -0.5, 0.5]
        assert best == 0

    def test_goes_down_then_halves(self) -> None:
        order, best = self.found({0: 5, 1: 9, -1: 4, -2: 3, -3: 3.5, -2.5: 2.9})
        assert order == [0, -1, 1, -2, -3, -2.5, -1.5]
        assert best == -2.5

    def test_walks_down_from_divergence(self) -> None:
        _, best = self.found({-4: 1.0, -5: 2.0})
        assert best == -4

    def test_ties_go_to_the_lower_rate(self) -> None:
        assert self.found({0: 1, -1: 1, 1: 1, -0.5: 1, -1.5: 2, -2: 2})[1] == -1

    def test_ends_on_an_endless_slope(self) -> None:
        order, _ = self.found({place / 2: -place for place in range(-100, 100)})
        assert len(order) <= 9


class TestCurve:
    def test_smoothing_is_the_bias_corrected_average(self) -> None:
        losses = np.array([3.0, 1.0, 4.0])
        expected = [3.0, (0.6 * 3 + 1) / 1.6, (0.36 * 3 + 0.6 * 1 + 4) / 1.96]
        np.testing.assert_allclose(smooth(losses), expected)
        assert np.isnan(smooth(np.array([1.0, np.nan, 1.0]))[1:]).all()

    def test_band_of_a_curve_typed_by_hand(self) -> None:
        rates = np.array([1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0])
        assert find_band(rates, np.array([2.0, 1.95, 1.5, 1.0, 1.2, 9.0])) == (1e-3, 1.0)
        assert find_band(rates, np.array([2.0, 1.95, 1.5, 1.0, 1.2, np.nan])) == (1e-3, 1.0)
        assert find_band(rates, np.array([2.0, 1.95, 1.5, 0.2, 0.9, 1.0])) == (1e-3, 1e-1)  # four times its lowest
        assert find_band(rates, np.array([2.0, 1.7, 1.5, 1.4, 1.3, 1.2])) == (1e-4, 1.0)  # never breaks out

    def test_band_where_nothing_falls(self) -> None:
        assert find_band(np.array([1e-3, 1e-2]), np.array([1.0, 2.0])) == (1e-3, 1e-2)


class TestRecord:
    def test_round_trip_through_json(self) -> None:
        curvatures = np.array([10.0, 1.0])
        choice = choose_rate(
            lambda rate, steps=0, order=0: Quadratic(rate, curvatures), steps_per_epoch=30, epochs=2, rule="sgd"
        )
        back = RateChoice.from_dict(json.loads(json.dumps(choice.to_dict(), allow_nan=False)))
        assert back.to_dict() == choice.to_dict()
        assert back.rate == choice.rate
        np.testing.assert_array_equal(back.losses, choice.losses)
        np.testing.assert_array_equal(back.candidates[-1].losses, choice.candidates[-1].losses)
        assert [c.score for c in back.candidates] == [c.score for c in choice.candidates]


class Digits:
    """A small network on the digits; every run of one rate and order is the same."""

    EPOCHS, BATCH = 8, 64

    def __init__(self, rule: str) -> None:
        torch.set_num_threads(1)
        data, labels = load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(data))
        self.inputs = torch.tensor((data[order] - 4.9) / 6.0, dtype=torch.float32)
        self.labels = torch.tensor(labels[order])
        self.rule = rule

    def make(self, rate: float, steps: int = 0, order: int = 0) -> DigitsTrial:
        return DigitsTrial(self, rate, steps, order)

    def full(self, rate: float) -> float:
        steps = self.EPOCHS * 17
        trial = self.make(rate, steps)
        return trial.score() if np.isfinite(trial.run(steps)).all() else math.inf


class DigitsTrial:
    def __init__(self, problem: Digits, rate: float, steps: int, order: int) -> None:
        self.problem, self.rate, self.steps, self.done = problem, rate, steps, 0
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
        rules = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
        self.optimizer = rules[problem.rule](self.model.parameters(), lr=rate)
        self.generator = torch.Generator().manual_seed(order)

    def set_rate(self, rate: float) -> None:
        self.rate = rate

    def run(self, steps: int) -> np.ndarray:
        losses = np.full(steps, np.nan)
        for index in range(steps):
            rows = torch.randint(0, 1078, (64,), generator=self.generator)
            loss = torch.nn.functional.cross_entropy(self.model(self.problem.inputs[rows]), self.problem.labels[rows])
            self.optimizer.zero_grad()
            loss.backward()
            decay = 0.5 * (1 + math.cos(math.pi * self.done / self.steps)) if self.steps else 1.0
            self.optimizer.param_groups[0]["lr"] = self.rate * decay
            self.optimizer.step()
            self.done += 1
            losses[index] = loss.item()
        return losses

    def score(self) -> float:
        with torch.no_grad():
            return torch.nn.functional.cross_entropy(
                self.model(self.problem.inputs[1078:1438]), self.problem.labels[1078:1438]
            ).item()


@pytest.mark.parametrize("rule", ["adam", "sgd"])
def test_a_real_network_trains_about_as_well_as_at_the_best_rate_of_a_grid(rule: str) -> None:
    digits = Digits(rule)
    choice = choose_rate(digits.make, steps_per_epoch=17, epochs=digits.EPOCHS, rule=rule)
    grid = {rate: digits.full(rate) for rate in np.geomspace(1e-3, 1e-1, 7) * (30 if rule == "sgd" else 1)}
    assert digits.full(choice.rate) <= 1.25 * min(grid.values()) + 0.005
    assert choice.band[0] < choice.rate < choice.band[1]
    again = choose_rate(digits.make, steps_per_epoch=17, epochs=digits.EPOCHS, rule=rule)
    assert again.to_dict() == choice.to_dict()
