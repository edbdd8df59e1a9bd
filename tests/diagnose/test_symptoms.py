"""Each symptom on histories typed by hand: the fault, and the same run without it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.diagnose import KINDS, Facts, Finding, Verdict, examine
from thalweg.diagnose.symptoms import (
    budget_too_small,
    diverged,
    exploding_gradient,
    high_bias,
    high_variance,
    learning_rate_too_high,
    learning_rate_too_low,
    plateau,
    same_answer_for_all,
    vanishing_gradient,
)
from thalweg.diagnose.symptoms.rate import late_slope
from thalweg.diagnose.verdict import EXPLAINS
from thalweg.history import History

TEN = Facts(task="multiclass", classes=10, n_train=1000, n_dev=400, epochs=10)
START = math.log(10)


def history(per_epoch: int = 10, **columns: Sequence[float]) -> History:
    """Columns measured after each pass, from step 0 on; ``__`` in a name stands for ``/``."""
    made = History()
    for epoch in range(max(map(len, columns.values()))):
        values = {name.replace("__", "/"): column[epoch] for name, column in columns.items() if epoch < len(column)}
        made.record(epoch * per_epoch, values)
    return made


def falling(n: int = 11, floor: float = 0.05) -> list[float]:
    return [floor + (START - floor) * math.exp(-1.2 * epoch) for epoch in range(n)]


def said(finding: Finding | None) -> Finding:
    assert finding is not None
    return finding


class TestDiverged:
    def test_a_loss_that_is_no_number(self) -> None:
        run = History()
        for step, loss in enumerate((2.3, 2.5, math.nan, math.nan), start=1):
            run.record(step, {"batch/loss": loss})
        found = said(diverged(run, TEN))
        assert found.sentence == "The loss became nan at step 3."
        assert (found.where, found.severity) == ("batch/loss", "critical")
        assert found.chart is not None and found.chart.mark == 3

    def test_names_the_layer_where_the_gradient_began(self) -> None:
        run = History()
        run.record(1, {"grad_norm/0.weight": 1.0, "grad_norm/2.weight": 1.0, "grad_norm/4.weight": 1.0})
        run.record(2, {"grad_norm/0.weight": math.inf, "grad_norm/2.weight": math.inf, "grad_norm/4.weight": 5.0})
        found = said(diverged(run, TEN))
        assert found.sentence == "The gradient of 2.weight became inf at step 2."
        assert found.where == "grad_norm/2.weight"

    def test_a_loss_a_hundred_times_its_start(self) -> None:
        found = said(diverged(history(train__loss=[2.0, 30.0, 4000.0]), TEN))
        assert found.sentence == "The loss ends at 4e+03, 2e+03 times the 2 it started from."
        assert diverged(history(train__loss=[4000.0, 30.0, 2.0]), TEN) is None

    def test_a_metric_that_is_no_number_is_not_divergence(self) -> None:
        assert diverged(history(train__loss=falling(), dev__r2=[math.nan] * 11), TEN) is None


def with_gradients(run: History, norms: dict[str, float]) -> History:
    for step in range(1, 41):
        run.record(step, {"grad_norm": math.hypot(*norms.values()), **{f"grad_norm/{k}": v for k, v in norms.items()}})
    return run


class TestVanishing:
    def test_first_layer_without_gradient(self) -> None:
        run = with_gradients(history(train__loss=[START] * 11), {"0.weight": 2e-7, "2.weight": 1e-3, "4.weight": 0.4})
        found = said(vanishing_gradient(run, TEN))
        assert found.where == "0.weight"
        assert (
            found.sentence == "The gradient vanishes: 2e-07 at the first layer (0.weight), 0.4 at the last (4.weight)."
        )

    def test_all_layers_without_gradient(self) -> None:
        run = with_gradients(history(train__loss=[START] * 11), {"0.weight": 0.0, "2.weight": 0.0})
        assert "no signal reaches it" in said(vanishing_gradient(run, TEN)).sentence

    def test_a_network_that_learns_is_left_alone(self) -> None:
        run = with_gradients(history(train__loss=falling()), {"0.weight": 2e-7, "4.weight": 0.4})
        assert vanishing_gradient(run, TEN) is None

    def test_even_gradients_are_left_alone(self) -> None:
        run = with_gradients(history(train__loss=[START] * 11), {"0.weight": 0.02, "4.weight": 0.4})
        assert vanishing_gradient(run, TEN) is None


class TestExploding:
    def test_first_layer_far_above_the_last(self) -> None:
        run = with_gradients(history(train__loss=[START] * 11), {"0.weight": 900.0, "4.weight": 3.0})
        found = said(exploding_gradient(run, TEN))
        assert found.sentence == "The gradient explodes: 900 at the first layer (0.weight), 3 at the last (4.weight)."

    def test_growth(self) -> None:
        run = history(train__loss=[START] * 11)
        for step in range(1, 101):
            run.record(step, {"grad_norm": 0.1 * 1.1**step})
        assert "its norm grew from" in said(exploding_gradient(run, TEN)).sentence

    def test_large_targets_are_no_explosion(self) -> None:
        facts = Facts(task="regression", n_train=300, n_dev=100)
        run = with_gradients(
            history(train__loss=[3e4] * 11, train__r2=[-4.0] * 11), {"0.weight": 200.0, "2.weight": 500.0}
        )
        assert exploding_gradient(run, facts) is None


class TestRateTooHigh:
    def test_a_loss_that_jumps(self) -> None:
        found = said(learning_rate_too_high(history(train__loss=[2.3, 2.9, 2.4, 3.3, 2.5, 3.0, 2.6, 2.9]), TEN))
        assert "the loss jumps by 0.57 from one pass to the next and ends at 2.9" in found.sentence
        assert found.severity == "critical"

    def test_jumps_in_a_run_that_learns_are_worth_a_look(self) -> None:
        losses = [2.3, 1.0, 1.4, 0.7, 1.2, 0.6, 1.0, 0.5, 0.45]
        assert said(learning_rate_too_high(history(train__loss=losses), TEN)).severity == "warning"

    def test_a_spike_that_kills(self) -> None:
        run = history(train__loss=[2.3, *[2.31] * 10])
        for step, loss in enumerate((2.3, 60.0, 3.0, 2.3, 2.3), start=1):
            run.record(step, {"batch/loss": loss})
        assert "the loss rose to 60" in said(learning_rate_too_high(run, TEN)).sentence

    @pytest.mark.parametrize(
        "losses", [falling(), [2.3, 0.5, 0.31, 0.33, 0.3, 0.32, 0.29, 0.3], [2.3, 2.31, 2.2, 1.4, 0.8, 0.4]]
    )
    def test_ordinary_curves(self, losses: list[float]) -> None:
        assert learning_rate_too_high(history(train__loss=losses), TEN) is None


class TestRateTooLow:
    def test_a_straight_line(self) -> None:
        found = said(learning_rate_too_low(history(train__loss=[2.3 - 0.01 * k for k in range(11)]), TEN))
        assert "after 100 steps the loss is 2.2 (it began at 2.3)" in found.sentence

    def test_steps_of_no_size(self) -> None:
        run = history(train__loss=[2.3 - 1e-5 * k for k in range(11)])
        for step in range(1, 41):
            run.record(step, {"grad_norm": 0.4, "update_ratio/0.weight": 2e-6, "update_ratio/2.weight": 8e-6})
        found = said(learning_rate_too_low(run, TEN))
        assert found.evidence["largest update ratio"] == 8e-6
        assert found.confidence == 0.9

    def test_a_stuck_network_is_something_else(self) -> None:
        stuck = [2.303, 2.302, 2.3027, 2.3024, 2.3026, 2.3025, 2.3026, 2.3024]
        assert learning_rate_too_low(history(train__loss=stuck), TEN) is None

    def test_a_decaying_rate_is_taken_into_account(self) -> None:
        """The curve is flat at its end because the rate is zero there, not because it has settled."""
        rates = [0.5 * (1 + math.cos(math.pi * step / 100)) for step in range(101)]
        way = np.cumsum([0.0, *rates])
        losses = [2.3 - 0.004 * way[step] for step in range(0, 101, 10)]
        run = history(train__loss=losses)
        for step in range(1, 101):
            run.record(step, {"lr": rates[step - 1]})
        assert late_slope(run) == pytest.approx(1.0, abs=0.05)
        assert late_slope(history(train__loss=losses)) < 0.3
        assert learning_rate_too_low(run, TEN) is not None


def test_late_slope_by_hand() -> None:
    assert late_slope(history(train__loss=[5.0, 4.0, 3.0, 2.0, 1.0, 0.0])) == pytest.approx(1.0)
    assert late_slope(history(train__loss=[5.0, 1.0, 1.0, 1.0, 1.0, 1.0])) == pytest.approx(0.0)
    assert late_slope(history(train__loss=[5.0, 1.0, 1.0, 1.0, 1.0, 2.0])) == pytest.approx(-1 / 0.6)
    assert math.isnan(late_slope(history(train__loss=[1.0, 2.0, 3.0, 4.0, 5.0])))
    assert math.isnan(late_slope(history(train__loss=[2.0, 1.0])))


class TestBudget:
    def test_still_falling(self) -> None:
        losses = [2.3 - 0.15 * k for k in range(11)]
        found = said(budget_too_small(history(train__loss=losses), TEN))
        assert "at 100% of its mean pace" in found.sentence

    def test_not_after_early_stopping(self) -> None:
        facts = Facts(classes=10, n_dev=400, stopped="dev loss has not improved for 10 epochs")
        assert budget_too_small(history(train__loss=[2.3 - 0.15 * k for k in range(11)]), facts) is None

    def test_a_settled_run(self) -> None:
        assert budget_too_small(history(train__loss=falling()), TEN) is None


class TestPlateau:
    def test_left_late(self) -> None:
        found = said(plateau(history(train__loss=[2.32, *[2.303] * 6, 1.9, 1.2, 0.6, 0.3]), TEN))
        assert found.sentence == "The loss stood still at 2.3 until step 60, then fell to 0.3."
        assert found.evidence["share of the run"] == 0.6

    def test_a_slow_start_is_none(self) -> None:
        assert plateau(history(train__loss=[2.32, 2.303, 2.303, 1.9, 1.2, 0.6, 0.3, 0.2, 0.2, 0.2, 0.2]), TEN) is None

    def test_measurements_close_together_at_the_start_are_none(self) -> None:
        run = History()
        for step, loss in zip(
            (0, 1, 2, 4, 8, 16, 32, 64, 128, 256), (2.32, *[2.303] * 5, 1.9, 1.2, 0.6, 0.3), strict=True
        ):
            run.record(step, {"train/loss": loss})
        assert plateau(run, TEN) is None

    def test_a_settled_regression_is_none(self) -> None:
        facts = Facts(task="regression", n_train=300, n_dev=100)
        run = history(train__loss=[1.0, *[0.45] * 10], train__r2=[0.0, *[0.55] * 10])
        assert plateau(run, facts) is None


class TestFit:
    def test_one_class_for_all(self) -> None:
        facts = Facts(task="binary", class_shares=(0.9, 0.1), n_train=1000, n_dev=300)
        run = history(train__loss=[0.7, *[0.325] * 6], train__accuracy=[0.4, *[0.9] * 6])
        assert "the largest class has 90.0%" in said(same_answer_for_all(run, facts)).sentence

    def test_the_mean_for_all(self) -> None:
        facts = Facts(task="regression", n_train=1000, n_dev=300)
        run = history(train__loss=[1.2, *[1.0] * 6], train__r2=[-0.2, *[0.0004] * 6])
        assert "predicts the mean" in said(same_answer_for_all(run, facts)).sentence

    def test_a_rare_class_learned_shows_in_the_loss(self) -> None:
        facts = Facts(task="binary", class_shares=(0.9, 0.1), n_train=1000, n_dev=300)
        run = history(train__loss=[0.7, *[0.2] * 6], train__accuracy=[0.4, *[0.9] * 6])
        assert same_answer_for_all(run, facts) is None

    def test_bias(self) -> None:
        facts = Facts(task="binary", n_train=1000, n_dev=300)
        run = history(train__loss=[0.75, *[0.68] * 8], train__accuracy=[0.4, *[0.58] * 8])
        found = said(high_bias(run, facts))
        assert (
            found.sentence
            == "The network cannot fit even the training part: accuracy 58.0%, where an answer without inputs gives 50.0%."
        )

    def test_bias_waits_until_training_has_settled(self) -> None:
        facts = Facts(task="binary", n_train=1000, n_dev=300)
        run = history(train__loss=[0.69 - 0.005 * k for k in range(9)], train__accuracy=[0.58] * 9)
        assert high_bias(run, facts) is None

    def test_variance_by_the_gap(self) -> None:
        run = history(train__loss=falling(), dev__loss=[max(x, 0.5) for x in falling()],
                      train__accuracy=[0.1, *[1.0] * 10], dev__accuracy=[0.1, *[0.85] * 10])  # fmt: skip
        found = said(high_variance(run, TEN))
        assert "(accuracy 100.0%) far better than the dev part (85.0%)" in found.sentence
        assert found.evidence["two standard errors"] == pytest.approx(2 * math.hypot(0.00199, 0.0180), rel=0.03)

    def test_no_variance_within_chance(self) -> None:
        few = Facts(classes=10, n_train=100, n_dev=40)
        run = history(train__loss=falling(), dev__loss=falling(floor=0.3),
                      train__accuracy=[0.1, *[1.0] * 10], dev__accuracy=[0.1, *[0.9] * 10])  # fmt: skip
        assert high_variance(run, few) is None

    def test_no_variance_by_loss_alone(self) -> None:
        """A dev loss that rises while the error stays is overconfidence, which early stopping ends; no fault."""
        run = history(train__loss=falling(floor=0.001), dev__loss=[2.3, *[0.1 + 0.02 * k for k in range(10)]],
                      train__accuracy=[0.1, *[1.0] * 10], dev__accuracy=[0.1, *[0.97] * 10])  # fmt: skip
        assert high_variance(run, TEN) is None

    def test_variance_by_a_rising_error(self) -> None:
        train = [0.1, 0.8, 0.84, 0.86, 0.88, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99]
        dev = [0.1, 0.80, 0.86, 0.86, 0.86, 0.82, 0.78, 0.76, 0.74, 0.74, 0.74]
        run = history(train__loss=falling(), dev__loss=[2.3, 0.6, 0.5, 0.4, 0.42, 0.5, 0.6, 0.7, 0.8, 0.8, 0.8],
                      train__accuracy=train, dev__accuracy=dev)  # fmt: skip
        assert "From its best the dev accuracy fell to 74.0%" in said(high_variance(run, TEN)).sentence

    def test_learned_by_heart(self) -> None:
        facts = Facts(task="binary", n_train=300, n_dev=100)
        run = history(train__loss=[0.7, 0.5, 0.3, 0.2, 0.1, 0.05], dev__loss=[0.7, 0.8, 0.9, 1.1, 1.3, 1.5],
                      train__accuracy=[0.5, 0.7, 0.9, 1.0, 1.0, 1.0],
                      dev__accuracy=[0.5, 0.52, 0.49, 0.5, 0.51, 0.5])  # fmt: skip
        assert "by heart" in said(high_variance(run, facts)).sentence


def test_what_explains_what_is_said_in_kinds() -> None:
    run = history(train__loss=[2.3, 2.9, 2.4, 3.3, 2.5, 3.0, 2.6, 2.9])
    assert said(learning_rate_too_high(run, TEN)).title == "Learning rate too high"
    assert {*EXPLAINS, *(kind for explained in EXPLAINS.values() for kind in explained)} <= set(KINDS)


def test_gravest_first_and_what_is_explained_left_out() -> None:
    losses = [2.3, 2.9, 2.4, 3.3, 2.5, 3.0, 2.6, 2.9]
    run = history(train__loss=losses, train__accuracy=[0.1] * 8)
    assert same_answer_for_all(run, TEN) is not None
    assert [finding.kind for finding in examine(run, TEN).findings] == ["lr_too_high"]


def test_an_empty_history_has_no_symptoms() -> None:
    assert examine(History(), TEN) == Verdict()
    assert examine(History(), Facts(task="regression")) == Verdict()


NUMBER = st.floats(allow_nan=True, allow_infinity=True, width=32)
NAME = st.sampled_from([
    "batch/loss", "train/loss", "dev/loss", "train/accuracy", "dev/accuracy", "train/r2", "dev/r2", "lr", "epoch",
    "grad_norm", "grad_norm/0.weight", "grad_norm/2.weight", "update_ratio/0.weight", "update_ratio/2.weight",
    "activation/0/zeros", "activation/1/zeros", "activation/1/dead", "activation/1/saturated", "train/balanced_accuracy",
    "train_dev/accuracy", "curvature/sharpness", "curvature/negative",
])  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.dictionaries(NAME, NUMBER, max_size=8), max_size=14),
    st.sampled_from(
        [
            TEN,
            Facts(task="regression"),
            Facts(task="binary", class_shares=(1.0, 0.0)),
            Facts(),
            Facts(task=""),
            Facts(classes=3, schedule="cosine", stable_product=2.0),
        ]
    ),
)
def test_any_numbers_can_be_examined(records: list[dict[str, float]], facts: Facts) -> None:
    run = History()
    for step, values in enumerate(records):
        run.record(step * 7, values)
    for finding in examine(run, facts).findings:
        assert finding.sentence.endswith(".")
        assert finding.remedy.endswith(".")
        assert 0 < finding.confidence <= 1
        assert all(isinstance(float(value), float) for value in finding.evidence.values())
