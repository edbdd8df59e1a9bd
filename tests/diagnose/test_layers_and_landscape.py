"""Symptoms of layers, start, curvature, classes and labels, on histories typed by hand: the fault, and what is none."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest

from diagnose.test_symptoms import START, TEN, falling, history, said, with_gradients
from thalweg.diagnose import Facts, Finding, examine
from thalweg.diagnose.symptoms import (
    bad_init,
    beyond_the_edge,
    dead_relu,
    label_noise,
    learning_rate_too_high,
    mismatch,
    rare_classes_missed,
    saddle,
    saturated_activation,
    schedule_died,
)
from thalweg.history import History

STUCK = [START] * 11


def with_columns(
    run: History, steps: Sequence[int] = range(1, 101, 5), **columns: float | Callable[[int], float]
) -> History:
    """Columns recorded during the steps: a constant, or a function of the step; ``__`` in a name stands for ``/``."""
    for step in steps:
        values = {
            name.replace("__", "/"): column(step) if callable(column) else column for name, column in columns.items()
        }
        run.record(step, values)
    return run


class TestDeadRelu:
    def test_born_dead(self) -> None:
        run = with_columns(history(train__loss=STUCK), activation__0__zeros=0.0, activation__1__zeros=0.99)
        found = said(dead_relu(run, TEN))
        assert (found.where, found.confidence) == ("1", 0.85)
        assert found.sentence == "99% of the outputs of 1 are zero; at the start it was 99%."
        assert [f.kind for f in examine(run, TEN).findings] == ["dead_relu"]

    def test_died_while_it_trained(self) -> None:
        run = with_columns(
            history(train__loss=STUCK), activation__0__zeros=0.0, activation__1__zeros=lambda t: 0.5 if t < 20 else 1.0
        )
        assert said(dead_relu(run, TEN)).sentence == "100% of the outputs of 1 are zero; at the start it was 50%."

    def test_a_rate_that_killed_names_itself(self) -> None:
        jumping = [2.3, 2.9, 2.4, 3.3, 2.5, 3.0, 2.6, 2.9, 2.5, 3.0, 2.6]
        run = with_columns(
            history(train__loss=jumping),
            activation__0__zeros=0.0,
            activation__1__zeros=lambda t: 0.5 if t < 20 else 1.0,
        )
        assert dead_relu(run, TEN) is None
        assert [f.kind for f in examine(run, TEN).findings] == ["lr_too_high"]

    def test_counted_units(self) -> None:
        run = with_columns(history(train__loss=STUCK), activation__1__zeros=0.8, activation__1__dead=0.7)
        assert "70% of the units of 1 answer no row" in said(dead_relu(run, TEN)).sentence
        alive = with_columns(
            history(train__loss=STUCK), activation__0__zeros=0.0, activation__1__zeros=0.99, activation__1__dead=0.1
        )
        assert dead_relu(alive, TEN) is None

    @pytest.mark.parametrize(
        ("losses", "into", "out"),
        [
            (falling(), 0.0, 0.99),  # sparse and learns
            (STUCK, 0.0, 0.8),  # half of the healthy nets on small images
            (STUCK, 0.97, 0.98),  # what comes in is sparse
        ],
    )
    def test_sparse_is_not_dead(self, losses: list[float], into: float, out: float) -> None:
        run = with_columns(history(train__loss=losses), activation__0__zeros=into, activation__1__zeros=out)
        assert dead_relu(run, TEN) is None


class TestSaturated:
    def test_from_the_start(self) -> None:
        run = with_columns(history(train__loss=STUCK), activation__1__saturated=0.9, activation__2__zeros=0.0)
        found = said(saturated_activation(run, TEN))
        assert found.sentence == "90% of the outputs of 1 are at the rails in the first steps, 90% in the last."
        assert [f.kind for f in examine(run, TEN).findings] == ["saturated_activation"]

    def test_the_last_output_may_be_sure(self) -> None:
        run = with_columns(history(train__loss=STUCK), activation__1__zeros=0.0, activation__3__saturated=0.99)
        assert saturated_activation(run, TEN) is None

    def test_late_in_a_run_that_learns(self) -> None:
        run = with_columns(history(train__loss=falling()), activation__1__saturated=0.9, activation__2__zeros=0.0)
        assert saturated_activation(run, TEN) is None


class TestBadInit:
    def test_sure_of_what_it_cannot_know(self) -> None:
        run = history(train__loss=[300.0, 120.0, 60.0, 40.0, 30.0])
        assert "has a loss of 300, where guessing among 10 classes gives 2.3" in said(bad_init(run, TEN)).sentence
        assert [f.kind for f in examine(run, TEN).findings] == ["bad_init"]

    def test_zero_weights(self) -> None:
        run = with_gradients(history(train__loss=STUCK), {"0.weight": 0.0, "2.weight": 0.0})
        assert said(bad_init(run, TEN)).confidence == 0.95
        assert [f.kind for f in examine(run, TEN).findings] == ["bad_init"]

    def test_a_loud_start_that_is_overcome_is_a_note(self) -> None:
        run = history(train__loss=[9.0, *falling()[1:]])
        assert [(f.kind, f.severity) for f in examine(run, TEN).notes] == [("bad_init", "note")]
        assert examine(run, TEN).findings == ()

    def test_raw_inputs(self) -> None:
        assert bad_init(history(train__loss=[2.1 * START, 2.3, 2.0, 1.8, 1.6]), TEN) is None

    def test_mini_batches_after_the_first_update_are_no_start(self) -> None:
        run = with_columns(History(), steps=range(4, 40), batch__loss=80.0)
        assert bad_init(run, TEN) is None


class TestTheEdge:
    FACTS = Facts(classes=10, n_train=1000, n_dev=400, stable_product=2.0)

    def test_beyond_it(self) -> None:
        run = with_columns(history(train__loss=STUCK), lr=0.5, curvature__sharpness=20.0)
        found = said(beyond_the_edge(run, self.FACTS))
        assert found.kind == "lr_too_high"
        assert found.evidence["rate times sharpness"] == pytest.approx(10.0)
        assert found.chart is not None and found.chart.level == 2.0

    def test_a_run_that_learns_hovers_there(self) -> None:
        run = with_columns(history(train__loss=falling()), lr=0.5, curvature__sharpness=4.4)
        assert beyond_the_edge(run, self.FACTS) is None
        assert examine(run, self.FACTS).findings == ()

    def test_within_it(self) -> None:
        assert (
            beyond_the_edge(with_columns(history(train__loss=STUCK), lr=0.1, curvature__sharpness=4.0), self.FACTS)
            is None
        )

    def test_a_rule_without_a_limit(self) -> None:
        assert beyond_the_edge(with_columns(history(train__loss=STUCK), lr=0.5, curvature__sharpness=20.0), TEN) is None

    def test_it_makes_a_loss_that_jumps_surer(self) -> None:
        jumping = [2.3, 2.9, 2.4, 3.3, 2.5, 3.0, 2.6, 2.9]
        run = with_columns(history(train__loss=jumping), lr=0.5, curvature__sharpness=20.0)
        assert said(learning_rate_too_high(run, self.FACTS)).confidence == 0.95
        assert said(learning_rate_too_high(run, TEN)).confidence == 0.8


class TestStandingStill:
    def test_on_a_saddle(self) -> None:
        run = with_columns(history(train__loss=STUCK), curvature__negative=0.3)
        found = said(saddle(run, TEN))
        assert found.kind == "plateau" and "on a saddle: 0.3 of the curvature is negative" in found.sentence

    def test_in_a_minimum(self) -> None:
        assert saddle(with_columns(history(train__loss=STUCK), curvature__negative=0.0), TEN) is None

    def test_a_schedule_that_died(self) -> None:
        losses = [2.3, 2.0, 1.7, 1.4, *[1.38] * 7]
        run = with_columns(history(train__loss=losses), steps=range(1, 101), lr=lambda t: 0.1 if t <= 30 else 1e-5)
        found = said(schedule_died(run, TEN))
        assert found.kind == "plateau" and "for 70% of the run" in found.sentence
        assert [f.kind for f in examine(run, TEN).findings] == ["plateau"]

    def test_a_schedule_that_died_when_all_was_learned(self) -> None:
        losses = [2.3, 0.3, 0.1, 0.1, *[0.1] * 7]
        run = with_columns(history(train__loss=losses), steps=range(1, 101), lr=lambda t: 0.1 if t <= 40 else 1e-5)
        assert schedule_died(run, TEN) is None

    def test_a_schedule_that_never_moved(self) -> None:
        facts = Facts(classes=10, n_train=1000, n_dev=400, schedule="cosine")
        run = with_columns(history(train__loss=falling()), lr=0.1)
        assert "(cosine) never moved" in said(schedule_died(run, facts)).sentence
        assert schedule_died(run, TEN) is None
        moved = with_columns(history(train__loss=falling()), lr=lambda t: 0.05 * (1 + math.cos(math.pi * t / 100)))
        assert schedule_died(moved, facts) is None


class TestClassesAndLabels:
    RARE = Facts(task="binary", class_shares=(0.95, 0.05), n_train=2000, n_dev=600)

    def test_rare_classes_missed(self) -> None:
        run = history(train__loss=[0.7, *[0.12] * 8], train__accuracy=[0.5, *[0.96] * 8],
                      train__balanced_accuracy=[0.5, *[0.58] * 8])  # fmt: skip
        found = said(rare_classes_missed(run, self.RARE))
        assert "the accuracy is 96.0%, and the mean over the classes 58.0%" in found.sentence
        assert [f.kind for f in examine(run, self.RARE).findings] == ["class_imbalance"]

    def test_rare_classes_found(self) -> None:
        run = history(train__loss=[0.7, *[0.05] * 8], train__accuracy=[0.5, *[0.98] * 8],
                      train__balanced_accuracy=[0.5, *[0.93] * 8])  # fmt: skip
        assert rare_classes_missed(run, self.RARE) is None

    def test_even_classes(self) -> None:
        run = history(train__loss=[0.7, *[0.5] * 8], train__accuracy=[0.5, *[0.8] * 8],
                      train__balanced_accuracy=[0.5, *[0.6] * 8])  # fmt: skip
        assert rare_classes_missed(run, Facts(task="binary", n_train=2000)) is None

    def test_one_class_for_all_of_uneven_classes(self) -> None:
        run = history(train__loss=[0.7, *[0.199] * 8], train__accuracy=[0.5, *[0.95] * 8])
        assert [f.kind for f in examine(run, self.RARE).findings] == ["class_imbalance"]

    def test_wrong_labels(self) -> None:
        run = history(train__loss=falling(), train__accuracy=[0.1, 0.6, 0.7, 0.72, 0.75, 0.8, 0.86, 0.92, 0.96, 0.98, 0.99],
                      dev__loss=[2.3, 1.0, 0.7, 0.7, 0.8, 0.9, 1.1, 1.3, 1.5, 1.6, 1.7],
                      dev__accuracy=[0.1, 0.8, 0.93, 0.94, 0.93, 0.9, 0.86, 0.82, 0.78, 0.76, 0.76])  # fmt: skip
        found = said(label_noise(run, TEN))
        assert "fell from 94.0% to 76.0% while the training accuracy rose from 72.0% to 99.0%" in found.sentence
        assert [f.kind for f in examine(run, TEN).findings] == ["label_noise"]

    def test_a_dev_part_answered_better_than_the_training_part(self) -> None:
        run = history(
            train__loss=falling(), train__accuracy=[0.1, 0.7, *[0.84] * 9], dev__accuracy=[0.1, 0.8, *[0.96] * 9]
        )
        assert "answers 96.0% of the dev part and 84.0% of the training part" in said(label_noise(run, TEN)).sentence
        easier = history(train__loss=falling(), train__accuracy=[0.1, *[0.93] * 10], dev__accuracy=[0.1, *[0.96] * 10])
        assert label_noise(easier, TEN) is None

    def test_rows_learned_by_heart_whose_dev_accuracy_stays(self) -> None:
        run = history(train__loss=falling(), train__accuracy=[0.1, 0.8, 0.9, 0.95, *[1.0] * 7],
                      dev__accuracy=[0.1, 0.7, 0.78, 0.8, *[0.78] * 7])  # fmt: skip
        assert label_noise(run, TEN) is None

    def test_dev_rows_of_another_kind(self) -> None:
        run = history(train__loss=falling(), train__accuracy=[0.1, *[0.97] * 8], train_dev__accuracy=[0.1, *[0.95] * 8],
                      dev__accuracy=[0.1, *[0.7] * 8])  # fmt: skip
        assert "Rows left out of training have accuracy 95.0%, the dev part 70.0%" in said(mismatch(run, TEN)).sentence
        same = history(train__loss=falling(), train_dev__accuracy=[0.1, *[0.95] * 8], dev__accuracy=[0.1, *[0.93] * 8])
        assert mismatch(same, TEN) is None


def first(findings: Sequence[Finding]) -> str:
    return findings[0].kind if findings else ""


class TestNumbersThatAreNone:
    def test_arithmetic(self) -> None:
        run = History()
        for step, loss in enumerate((2.3, 2.2, 2.1, math.nan), start=1):
            run.record(step, {"batch/loss": loss})
        assert first(examine(run, TEN).findings) == "nan"

    def test_steps_too_large(self) -> None:
        run = History()
        for step, loss in enumerate((2.3, 40.0, 9e4, math.nan), start=1):
            run.record(step, {"batch/loss": loss})
        found = examine(run, TEN).findings
        assert first(found) == "lr_too_high"
        assert "before, it had grown by a factor of 3.91e+04" in found[0].sentence

    def test_before_the_first_step(self) -> None:
        run = History()
        run.record(1, {"batch/loss": math.inf})
        assert first(examine(run, TEN).findings) == "nan"
