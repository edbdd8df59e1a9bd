"""The numbers symptoms are written in, against formulas typed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from thalweg.diagnose import Facts
from thalweg.diagnose.measures import layers, skill, standard_error, start_loss
from thalweg.errors import InputError
from thalweg.history import History


class TestFacts:
    def test_what_can_be_had_without_inputs(self) -> None:
        facts = Facts(task="multiclass", class_shares=(0.5, 0.25, 0.25))
        assert facts.majority == 0.5
        assert facts.prior_loss == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(4))
        assert Facts(task="multiclass", classes=10).prior_loss == pytest.approx(math.log(10))
        assert Facts(task="binary").prior_loss == pytest.approx(math.log(2))
        regression = Facts(task="regression")
        assert (regression.metric, regression.majority) == ("r2", 0.0)
        assert math.isnan(regression.prior_loss)

    def test_refuses_what_makes_no_sense(self) -> None:
        with pytest.raises(InputError, match='the task is "clustering"'):
            Facts(task="clustering")
        with pytest.raises(InputError, match=r"class_shares add up to 1\.2"):
            Facts(class_shares=(0.6, 0.6))


def test_skill_is_the_share_of_the_entropy_explained() -> None:
    history = History()
    for step, loss in enumerate((math.log(10), math.log(10) / 2, 0.0)):
        history.record(step, {"train/loss": loss, "train/r2": 0.3})
    np.testing.assert_allclose(skill(history, Facts(classes=10), "train"), [0.0, 0.5, 1.0], atol=1e-12)
    assert skill(history, Facts(task="regression"), "train").tolist() == [0.3, 0.3, 0.3]


class TestStandardError:
    def test_by_hand(self) -> None:
        share = (0.9 * 100 + 2) / 104
        assert standard_error(0.9, 100, Facts()) == pytest.approx(math.sqrt(share * (1 - share) / 104))
        assert standard_error(0.5, 400, Facts(task="regression")) == pytest.approx(2 * math.sqrt(0.5) * 0.5 / 20)
        assert standard_error(0.9, 0, Facts()) == math.inf

    def test_accuracy_against_a_simulation(self) -> None:
        rng = np.random.default_rng(0)
        measured = rng.binomial(500, 0.85, 20_000) / 500
        assert standard_error(0.85, 500, Facts()) == pytest.approx(measured.std(), rel=0.03)

    def test_r2_against_a_simulation(self) -> None:
        rng = np.random.default_rng(1)
        x = rng.normal(size=(4000, 300))
        y = x + rng.normal(size=x.shape)  # R² 0.5
        residual = ((y - x) ** 2).sum(1)
        measured = 1 - residual / ((y - y.mean(1, keepdims=True)) ** 2).sum(1)
        assert standard_error(0.5, 300, Facts(task="regression")) == pytest.approx(measured.std(), rel=0.35)


def test_layers_are_medians_up_to_a_step() -> None:
    history = History()
    for step, value in enumerate((1.0, 3.0, 2.0, math.nan, 100.0), start=1):
        history.record(step, {"grad_norm/a": value, "grad_norm/b": 10 * value})
    assert layers(history, "grad_norm", until=4) == {"a": 2.0, "b": 20.0}
    assert layers(history, "grad_norm")["a"] == 2.5
    assert layers(history, "update_ratio") == {}


def test_the_start_is_step_zero_where_measured_else_the_first_batches() -> None:
    history = History()
    assert math.isnan(start_loss(history))
    for step, value in enumerate((2.0, 9.0, 3.0), start=1):
        history.record(step, {"batch/loss": value})
    history.record(3, {"train/loss": 1.0})
    assert start_loss(history) == 3.0
    measured = History()
    measured.record(0, {"train/loss": 2.5})
    assert start_loss(measured) == 2.5
