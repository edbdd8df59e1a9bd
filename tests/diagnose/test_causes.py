"""The causes against numbers typed by hand: what each needs to speak, what keeps it silent."""

from __future__ import annotations

import math

import pytest

from thalweg.diagnose import Verdict, examine
from thalweg.diagnose.kinds import KINDS
from thalweg.diagnose.numbers import Numbers
from thalweg.diagnose.verdict import CAUSES
from thalweg.history import History

HEALTHY = {
    "loop/stale": 0.0, "loop/asked": 20.0, "loop/eval": 0.0, "loop/judged_training": 0.0, "loop/modal": 1.0,
    "chance": 0.9,
    "train/error": 0.01, "dev/error": 0.02, "train/loss": 0.05, "dev/loss": 0.07, "reference/train": 0.02,
    "reference/dev": 0.02, "reference/clear_disagreement": 0.0, "input/columns": 20.0,
    "n/train": 1000.0, "n/dev": 300.0, "n/steps": 600.0, "n/batch": 32.0, "n/weights": 3.0,
    "order/batch_variance": 1.1, "order/most": 32.0, "labels/swapped": 0.0, "input/scales": 1.2, "input/largest": 3.0,
    "input/shift": 0.2, "input/spread": 1.0, "task/classes": 1.0, "class/smallest": 0.09, "class/count": 10.0,
    "class/recall_common": 0.98, "leak/met": 0.0, "leak/repeated": 0.0, "leak/column": 0.2, "leak/next": 0.2, "domain/auc": 0.5,
    "rate/alive": 1.0, "rate/top": 0.001, "rate/negative": 0.0, "update/first": 1e-3, "passes": 20.0, "weights_shrunk": 1.1,
    "loss/null": 2.3, "loss/best": 0.0, "loss/anti": 8.0, "loss/pairs": 0.8, "loss/unpaired": 2.7, "loss/ideal_1": 0.8,
    "loss/ideal_10": 0.0, "loss/ideal_20": 0.0, "affine": 0.4, "kinds/relu": 2.0, "weights/0.weight/scale": 1.0,
    "weights/0.weight/unlike": 1.4, "weights/2.weight/scale": 1.0, "weights/2.weight/unlike": 1.4, "frozen_share": 0.0,
}  # fmt: skip
BAD = {"train/error": 0.6, "dev/error": 0.6}


def history(**changes: float) -> History:
    h = History()
    for name, value in (HEALTHY | {k.replace("__", "/"): v for k, v in changes.items()}).items():
        h.record(600, {name: value})
    return h


def kinds(**changes: float) -> list[str]:
    return [finding.kind for finding in examine(history(**changes)).findings]


def test_a_healthy_table_raises_nothing():
    assert kinds() == []


def test_without_any_number_every_cause_is_silent():
    assert examine(History()) == Verdict()


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("no_zero_grad", {"loop/stale": 1.0}),
        ("wrong_gradient", {"gradcheck/2.weight": 0.05}),
        ("wrong_gradient", {"taken/parameter/0.weight": -0.9}),
        ("wrong_mode", {"loop/eval": 1.0}),
        ("wrong_mode", {"loop/judged_training": 1.0}),
        ("frozen_params", BAD | {"frozen/0.weight": 1.0, "frozen_share": 0.8, "frozen_why/optimizer": 1.0}),
        ("wrong_optimizer", BAD | {"optimizer/maximize": 1.0}),
        ("data_order", {"order/batch_variance": 28.0}),
        ("nan", {"input/not_finite": 0.001}),
        (
            "nan",
            BAD
            | {"loop/first_bad": 40.0, "loop/largest_first": 1.0, "loop/largest_before": 3.0, "train/loss": math.nan},
        ),
        ("leakage", {"leak/met": 0.4}),
        ("leakage", {"leak/column": 1.0}),
        ("wrong_activation", {"head/softmax": 1.0, "head/rows_sum": 1.0, "head/width": 10.0, "loss/floor": 1.46}),
        ("wrong_activation", BAD | {"affine": 1e-15, "kinds/relu": 0.0}),
        ("wrong_loss", {"loss/best": 2.5}),
        ("wrong_loss", {"loss/unpaired": 0.8}),
        ("wrong_loss", {"loss/ideal_10": 81.0, "loss/ideal_20": 361.0}),
        (
            "unnormalised_input",
            BAD | {"input/scales": 900.0, "trial/same/error": 0.6, "trial/standardised/error": 0.05},
        ),
        ("bad_init", BAD | {"weights/0.weight/unlike": 0.0}),
        ("bad_init", BAD | {"weights/0.weight/scale": 30.0, "trial/same/error": 0.6, "trial/redrawn/error": 0.05}),
        ("dead_relu", BAD | {"dead/0:1": 1.0}),
        ("saturated_activation", BAD | {"saturated/0:1": 0.9}),
        ("lr_too_high", BAD | {"trial/same/error": 0.6, "trial/slow/error": 0.05}),
        ("lr_too_low", BAD | {"trial/same/error": 0.8, "trial/fast/error": 0.05, "trial/more/error": 0.58}),
        (
            "undertrained",
            BAD | {"passes": 2.0, "trial/more/error": 0.1, "trial/same/error": 0.8, "trial/fast/error": 0.3},
        ),
        ("plateau", BAD | {"rate/alive": 0.1}),
        ("over_regularised", BAD | {"trial/more/error": 0.6, "trial/free/error": 0.1}),
        ("over_regularised", BAD | {"optimizer/weight_decay": 0.1, "weights_shrunk": 0.01}),
        ("class_imbalance", {"class/smallest": 0.01, "class/recall_rare": 0.1}),
        ("label_noise", {"reference/clear_disagreement": 0.25}),
        ("label_noise", {"labels/swapped": 0.3, "taken/pull": 0.6}),
        ("train_dev_mismatch", {"domain/auc": 0.95, "reference/dev": 0.4, "dev/error": 0.4}),
        ("high_variance", {"dev/error": 0.3, "reference/dev": 0.1}),
        ("high_bias", BAD),
    ],
)
def test_each_kind_is_named_first_by_its_own_evidence(kind: str, changes: dict[str, float]):
    found = kinds(**changes)
    assert found[:1] == [kind], found


def test_gradients_by_layer_tell_vanishing_from_exploding():
    layers = {f"size/{k}.weight": 5.0 for k in range(6)}
    falling = {f"gradient/{k}.weight": 10.0 ** (k - 6) for k in range(6)}
    assert kinds(**BAD, **layers, **falling)[0] == "vanishing_gradient"
    h = history(**BAD, **layers, **{f"gradient/{k}.weight": 1e5 for k in range(6)})
    start = History()
    start.record(0, {"train/loss": 1e4})
    for name in h.columns:
        for step, value in zip(*h.column(name), strict=True):
            start.record(int(step), {name: value})
    assert examine(start).findings[0].kind == "exploding_gradient"


def test_what_did_no_harm_is_a_note():
    verdict = examine(history(**{"input/scales": 900.0}), said=("a probe failed",))
    assert verdict.findings == ()
    assert [note.kind for note in verdict.notes] == ["unnormalised_input", "note"]


def test_few_rows_of_a_class_by_chance_are_no_imbalance():
    assert "class_imbalance" not in kinds(**{"class/smallest": 0.03, "class/recall_rare": 0.1, "n/train": 60.0})


def test_every_kind_has_a_cause():
    assert len(CAUSES) >= len(KINDS)
    assert Numbers(history()).short is False


ABSURD = BAD | {
    "train/error": 0.9, "train/loss": 4.2, "trial/same/loss": 4.1, "trial/slow/loss": 2.6, "trial/slower/loss": 2.2,
    "weights_shrunk": 0.0, "optimizer/weight_decay": 0.01,
}  # fmt: skip


def test_a_rate_of_which_a_hundredth_is_too_high_as_well_is_not_taken_for_decay():
    assert kinds(**ABSURD)[0] == "lr_too_high"
    assert "over_regularised" not in kinds(**ABSURD)
    blank = {"train/loss": 2.31, "trial/same/loss": 2.31, "trial/slow/loss": 2.3, "trial/slower/loss": 2.29}
    assert kinds(**ABSURD | blank)[0] == "over_regularised"
    assert "lr_too_high" not in kinds(**ABSURD | blank)


def test_an_optimizer_made_for_other_parameters_is_named_beside_what_it_leaves_unmoved():
    none_moved = BAD | {"frozen/0.weight": 1.0, "frozen_share": 1.0, "frozen_why/optimizer": 1.0}
    assert {"frozen_params", "wrong_optimizer"} <= set(kinds(**none_moved))
    assert "wrong_optimizer" not in kinds(**none_moved | {"frozen_share": 0.8})


def test_few_slow_steps_that_beat_the_whole_run_tell_of_a_rate_too_high():
    run = {"train/error": 0.09, "dev/error": 0.12, "trial/same/error": 0.013, "trial/slow/error": 0.016,
           "trial/same/dev_error": 0.012, "trial/slow/dev_error": 0.012, "trial/slow/steps": 120.0}  # fmt: skip
    assert kinds(**run | {"trial/more/error": 0.2})[:1] == ["lr_too_high"]
    assert "lr_too_high" not in kinds(**run | {"trial/more/error": 0.02})
    run = {"train/error": 0.20, "dev/error": 0.235, "reference/train": 0.18, "reference/dev": 0.195}
    trial = {"trial/same/error": 0.64, "trial/slow/error": 0.22, "trial/slow/dev_error": 0.22, "trial/slow/steps": 40.0}
    assert kinds(**run | trial) == ["lr_too_high"]
    assert kinds(**run | trial | {"trial/slow/dev_error": 0.25}) == []
    assert kinds(**run | trial | {"trial/slow/steps": 400.0}) == []


def test_a_loss_without_slope_at_wrong_outputs_is_wrong():
    assert kinds(**{"loss/pull_back": 0.0}) == ["wrong_loss"]
    assert kinds(**{"loss/pull_back": 1e-3}) == []


def test_too_few_rows_for_batch_normalisation_come_before_a_network_too_small():
    assert kinds(**BAD | {"norm/rows": 2.0})[:2] == ["wrong_mode", "high_bias"]


def test_a_run_still_at_chance_has_no_slack_where_nothing_but_trials_tells_what_is_allowed():
    run = {"chance": 0.382, "train/error": 0.382, "dev/error": 0.373, "reference/train": math.nan, "reference/dev": math.nan,
           "update/first": 4e-5, "trial/same/error": 0.386, "trial/fast/error": 0.382, "trial/same/loss": 0.668,
           "trial/fast/loss": 0.658, "trial/faster/error": 0.323, "trial/faster/dev_error": 0.313}  # fmt: skip
    untold = History()
    for name, value in (HEALTHY | run).items():
        if math.isfinite(value):
            untold.record(600, {name: value})
    assert [f.kind for f in examine(untold).findings][:1] == ["lr_too_low"]
    untold.record(600, {"trial/faster/error": 0.37, "trial/faster/dev_error": 0.37})
    assert [f.kind for f in examine(untold).findings] == ["lr_too_low"]
    untold.record(600, {"update/first": 1e-3})
    assert not examine(untold).findings


def test_labels_of_some_classes_swapped_in_training_only_are_wrong_labels():
    run = {"reference/train": 0.253, "reference/clear_disagreement": 0.12, "train/error": 0.17, "dev/error": 0.13}
    assert kinds(**run | {"reference/dev": 0.15})[:1] == ["label_noise"]
    assert "label_noise" not in kinds(**run | {"reference/dev": 0.23})


def test_first_moments_without_gradient_are_named_where_nothing_else_helps():
    run = BAD | {"recurrent": 1.0, "moments/early": 1e-9, "trial/same/error": 0.6}
    run |= {f"trial/{trial}/error": 0.6 for trial in ("slow", "slower", "fast", "faster")}
    assert kinds(**run)[:1] == ["vanishing_gradient"]
    assert kinds(**run | {"trial/fast/error": 0.1, "trial/fast/loss": 0.2, "trial/same/loss": 1.0})[:1] == [
        "lr_too_low"
    ]
    assert "vanishing_gradient" not in kinds(**run | {"moments/early": 1e-2})


def test_rare_classes_that_dev_rows_are_full_of_must_be_recognised_better():
    run = {"class/smallest": 0.0145, "class/count": 2.0, "class/recall_rare": 0.7, "class/recall_common": 1.0}
    assert kinds(**run) == []
    assert kinds(**run | {"domain/prior_distance": 0.38}) == ["class_imbalance"]
