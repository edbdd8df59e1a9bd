"""What the charts show, held against the numbers they are made from."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from thalweg.averages import beta_of, ewa
from thalweg.diagnose import Chart, Series
from thalweg.errors import InputError
from thalweg.history import History
from thalweg.report import RateReport, RunReport, curves, evidence, outcome

RUN = RunReport(name="a", best_epoch=2)


@pytest.fixture
def history() -> History:
    made = History()
    made.record(0, {"train/loss": 2.4, "dev/loss": 2.4, "train/accuracy": 0.1, "dev/accuracy": 0.1})
    for step in range(1, 13):
        made.record(step, {"batch/loss": 2.0 / step, "lr": 0.1 - 0.005 * step, "grad_norm": 5.0})
        made.record(step, {"grad_norm/0.weight": 0.5, "grad_norm/2.weight": 2.0})
        made.record(step, {"update_ratio/0.weight": 2e-3, "update_ratio/2.weight": 0.3})
        if step % 4 == 0:
            epoch = step // 4
            made.record(step, {"epoch": epoch})
            made.record(step, {"train/loss": 1.0 / epoch, "dev/loss": [0.9, 0.6, 0.7][epoch - 1]})
            made.record(step, {"train/accuracy": 0.3 * epoch, "dev/accuracy": [0.5, 0.7, 0.8][epoch - 1]})
    return made


def named(figure: curves.Figure | None) -> dict:
    assert figure is not None
    return {trace["name"]: trace for trace in figure.data}


def test_loss(history: History) -> None:
    figure = curves.loss(RUN, history)
    drawn = named(figure)
    assert drawn["dev"]["x"].tolist() == [0, 1, 2, 3]  # passes, not steps
    assert drawn["dev"]["y"].tolist() == [2.4, 0.9, 0.6, 0.7]
    np.testing.assert_allclose(drawn["mini-batch"]["x"], np.arange(1, 13) / 4)
    expected = ewa(2.0 / np.arange(1, 13), beta_of(2))
    np.testing.assert_allclose(drawn["mini-batch, averaged over 2 steps"]["y"], expected)
    assert figure.caption.startswith("The dev loss is lowest, 0.6, at epoch 2 of 3; the training part has 0.5 there.")
    assert figure.layout["shapes"][0]["x0"] == 2


def test_metric(history: History) -> None:
    figure = curves.metric(RUN, history)
    assert named(figure)["training"]["y"].tolist() == pytest.approx([0.1, 0.3, 0.6, 0.9])
    assert (
        "The dev accuracy is highest, 80.00 %, at epoch 3 of 3; the training part has 90.00 % there." in figure.caption
    )


def test_without_passes_the_axis_is_steps() -> None:
    history = History()
    for step in (1, 2, 3):
        history.record(step, {"batch/loss": 1.0 / step})
    figure = curves.loss(RUN, history)
    assert figure.layout["xaxis"]["title"]["text"] == "step"
    assert named(figure)["mini-batch"]["x"].tolist() == [1, 2, 3]
    assert "shapes" not in figure.layout


def test_learning_rate(history: History) -> None:
    assert curves.learning_rate(history).caption == "The rate is highest, 0.095, at the start, and ends at 0.04."
    constant = History()
    for step in (1, 2):
        constant.record(step, {"lr": 0.1})
    assert curves.learning_rate(constant).caption == "The rate is 0.1 throughout."


def test_signals(history: History) -> None:
    gradients = curves.gradients(history)
    assert "the first layer (0.weight) gets 0.25 times the gradient of the last (2.weight)" in gradients.caption
    assert [trace["line"]["color"] for trace in gradients.data] == ["--layer-0", "--layer-7"]
    ratios = curves.ratios(history)
    assert "1 of 2 layers has its median in it" in ratios.caption
    band = ratios.layout["shapes"][0]
    assert (band["y0"], band["y1"]) == (1e-4, 1e-2)
    low, high = ratios.layout["yaxis"]["range"]
    assert low < -4 and high > math.log10(0.3)


@pytest.mark.parametrize("metric", ["accuracy", "r2"])
def test_an_axis_shows_where_training_ends_not_the_first_steps_up(metric: str) -> None:
    def axis_of(scores: list[float]) -> list[float] | None:
        made = History()
        for epoch, score in enumerate(scores):
            made.record(epoch, {"epoch": epoch, f"train/{metric}": score, f"dev/{metric}": score - 0.01})
        drawn = curves.metric(RunReport(name="a", task="regression" if metric == "r2" else "multiclass"), made)
        assert drawn is not None
        assert ("The axis begins at" in drawn.caption) == ("range" in drawn.layout["yaxis"])
        return drawn.layout["yaxis"].get("range")

    rising = [0.1, 0.8, *np.linspace(0.95, 0.99, 18)]
    low, high = axis_of(rising) or [0.0, 0.0]
    assert 0.8 < low < 0.94
    assert high > 0.99
    assert axis_of(list(np.linspace(0.1, 0.6, 20))) is None  # one that learns slowly is seen whole
    assert axis_of([0.9, 0.95]) is None


def test_many_layers_name_a_few() -> None:
    history = History()
    history.record(1, {f"grad_norm/{k}.weight": 1.0 + k for k in range(50)})
    drawn = curves.gradients(history).data
    assert len(drawn) == 50
    assert sum(trace["showlegend"] for trace in drawn) == 8
    assert drawn[0]["showlegend"] and drawn[-1]["showlegend"]


def test_nothing_recorded_nothing_drawn() -> None:
    empty = History()
    assert curves.loss(RUN, empty) is None
    assert curves.metric(RUN, empty) is None
    assert curves.learning_rate(empty) is None
    assert curves.gradients(empty) is None
    assert curves.ratios(empty) is None
    assert outcome.confusion(RUN) is None
    assert outcome.predictions(RUN) == []
    assert outcome.by_class(RUN) == []


def test_layers_keep_their_colour_and_zeros_are_gaps() -> None:
    history = History()
    history.record(1, {"grad_norm/0.weight": 0.0, "grad_norm/2.weight": 1.0, "update_ratio/2.weight": 1e-3})
    history.record(2, {"grad_norm/0.weight": 0.5, "grad_norm/2.weight": 1.0})
    history.record(2, {"update_ratio/2.weight": 1e-3, "update_ratio/0.weight": 2e-3})
    gradients, ratios = curves.gradients(history), curves.ratios(history)
    for figure in (gradients, ratios):
        assert {trace["name"]: trace["line"]["color"] for trace in figure.data} == {
            "0.weight": "--layer-0",
            "2.weight": "--layer-7",
        }
    assert np.isnan(named(gradients)["0.weight"]["y"]).tolist() == [True, False]


def test_numbers_that_are_none_are_left_out() -> None:
    history = History()
    for step, value in enumerate((1.0, math.nan, math.inf, 4.0)):
        history.record(step, {"train/loss": value, "batch/loss": value, "grad_norm/a": value, "update_ratio/a": value})
    for figure in (curves.loss(RUN, history), curves.gradients(history), curves.ratios(history)):
        for trace in figure.data:
            assert np.isfinite(trace["y"]).all()


class TestRate:
    REPORT = RateReport.from_dict({
        "rate": 0.01, "band": [1e-4, 0.1], "rates": [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0],
        "losses": [2.3, 2.2, 1.5, 0.8, 0.7, None], "smoothed": [2.3, 2.25, 1.6, 0.9, 0.8, 900.0],
        "candidates": [{"rate": 0.1, "steps": 3, "losses": [2.0, None, None], "score": None},
                       {"rate": 0.01, "steps": 3, "losses": [2.0, 1.0, 0.5], "score": 0.4}],
        "reason": "lowest dev loss", "steps": 106,
    })  # fmt: skip

    def test_a_breakout_does_not_press_the_curve_flat(self) -> None:
        figure = outcome.range_test(self.REPORT)
        low, high = figure.layout["yaxis"]["range"]
        assert low < 0.8 and 2.3 < high < 5
        assert figure.layout["shapes"][0]["x0"] == 1e-4
        assert figure.layout["shapes"][1]["x0"] == 0.01

    def test_candidates_in_the_order_of_their_rates(self) -> None:
        figure = outcome.candidates(self.REPORT)
        assert [(trace["name"], trace["line"]["width"]) for trace in figure.data] == [
            ("rate 0.01", 3),
            ("rate 0.1", 1.5),
        ]
        assert self.REPORT.candidates[0].score == math.inf

    def test_a_record_with_a_key_missing(self) -> None:
        with pytest.raises(InputError, match="the record of the rate search cannot be read"):
            RateReport.from_dict({"rate": 0.1})


class TestErrors:
    def test_by_class_against_scikit_learn(self) -> None:
        rng = np.random.default_rng(0)
        true, said = rng.integers(0, 4, 300), rng.integers(0, 4, 300)
        matrix = confusion_matrix(true, said)
        run = RunReport(name="a", confusion={"classes": ["a", "b", "c", "d"], "matrix": matrix.tolist()})
        rows = outcome.by_class(run)
        precision, recall, f1, count = precision_recall_fscore_support(true, said)
        np.testing.assert_allclose([row[2:] for row in rows], np.stack([recall, precision, f1], axis=1))
        assert [row[1] for row in rows] == count.tolist()

    def test_a_class_without_examples(self) -> None:
        run = RunReport(name="a", confusion={"classes": ["a", "b"], "matrix": [[3, 0], [0, 0]]})
        assert outcome.by_class(run)[0] == ("a", 3, 1.0, 1.0, 1.0)
        assert all(math.isnan(value) for value in outcome.by_class(run)[1][2:])

    def test_the_commonest_mistake_is_said(self) -> None:
        run = RunReport(name="a", confusion={"classes": ["<b>", "cat"], "matrix": [[5, 3], [1, 9]]})
        figure = outcome.confusion(run)
        assert "4 of 18 examples are wrong. The commonest mistake is cat for &lt;b&gt;, 3 of 8." in figure.caption
        assert [note["text"] for note in figure.layout["annotations"]] == ["5", "3", "1", "9"]

    def test_a_matrix_that_does_not_fit_its_names(self) -> None:
        with pytest.raises(InputError, match=r"the confusion matrix is \(2, 3\) for 2 classes"):
            RunReport(name="a", confusion={"classes": ["a", "b"], "matrix": [[1, 2, 3], [4, 5, 6]]})

    def test_predictions(self) -> None:
        run = RunReport(
            name="a", predictions=[{"name": "y", "true": [1.0, 2.0, 3.0, 4.0], "predicted": [1.5, 2.0, 2.0, math.nan]}]
        )
        (figure,) = outcome.predictions(run)
        assert "Half of the 3 examples are off by less than 0.5" in figure.caption
        assert figure.data[0]["x"].tolist() == [1.0, 3.0]


class TestResiduals:
    @staticmethod
    def of(off: np.ndarray) -> curves.Figure | None:
        true = np.linspace(-5, 5, len(off))
        record = {"name": "y", "true": true.tolist(), "predicted": (true + off).tolist()}
        return outcome.residuals(RunReport(name="a", predictions=[record]))

    def test_they_are_counted_and_their_side_is_said(self) -> None:
        off = np.random.default_rng(3).normal(0.5, 0.2, 200)
        off[7] = math.nan
        drawn = self.of(off)
        assert drawn is not None
        (bars,) = drawn.data
        assert bars["y"].sum() == 199
        middle = (bars["x"] * bars["y"]).sum() / 199
        assert middle == pytest.approx(np.nanmean(off), abs=bars["width"][0])
        assert f"{np.nanmean(off):.2g} too high, more than chance" in drawn.caption

    def test_errors_around_zero_are_chance(self) -> None:
        drawn = self.of(np.tile([-1.0, 1.0, -1.0, 0.9], 10))
        assert drawn is not None
        assert "0.025 too low, no more than chance" in drawn.caption

    def test_few_or_equal_ones_are_not_drawn(self) -> None:
        assert self.of(np.arange(5.0)) is None
        assert self.of(np.zeros(50)) is None
        assert outcome.residuals(RUN) is None


class TestFolds:
    def test_the_whole_band_is_seen(self) -> None:
        scores = [0.972, 0.972, 1.0, 0.971]
        run = RunReport(name="a", folds=[{"metrics": {"accuracy": score}} for score in scores])
        drawn = outcome.by_fold(run)
        assert drawn is not None
        low, high = drawn.layout["yaxis"]["range"]
        mean, sd = np.mean(scores), np.std(scores, ddof=1)
        assert low < mean - sd < mean + sd < high
        assert high > 1.0
        assert f"the folds {100 * sd:.2g} points (the band)" in drawn.caption


def test_a_finding_s_chart() -> None:
    chart = Chart((Series("train", np.array([0, 10]), np.array([1.0, 500.0])),), y="loss", log=True, mark=5, level=2.0)
    figure = evidence.figure("finding-0", chart)
    assert figure.layout["yaxis"]["type"] == "log"
    assert [shape.get("x0", None) for shape in figure.layout["shapes"]] == [5, 0]
