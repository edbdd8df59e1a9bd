"""Cross-validation: every row held out once, nothing of it seen before, and what was done is kept."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_wine
from sklearn.metrics import accuracy_score

from thalweg.data import load
from thalweg.errors import InputError
from thalweg.experiments import Folder, Silent, Spec, start
from thalweg.experiments.folds import cross_validate, run_folds
from thalweg.experiments.run import Interrupted, resume

QUICK = {"epochs": 3, "lr": 0.01, "hidden": [8], "threads": 1}


@pytest.fixture(scope="module")
def wine():
    return cross_validate("mlp", "wine", folds=4, **QUICK)


class TestResult:
    def test_every_row_is_predicted_once(self, wine) -> None:
        assert wine.predictions["row"].to_list() == list(range(1, 179))
        assert sorted(wine.predictions["fold"].unique()) == [1, 2, 3, 4]
        assert [fold.held_out for fold in wine.folds] == wine.predictions["fold"].value_counts().sort("fold")[
            "count"
        ].to_list()

    def test_truth_is_the_data_s(self, wine) -> None:
        bunch = load_wine()
        assert wine.predictions["true cultivar"].to_list() == [f"class_{label}" for label in bunch.target]

    def test_metrics_are_those_of_the_rows_held_out(self, wine) -> None:
        for number, fold in enumerate(wine.folds, 1):
            rows = wine.predictions.filter(pl.col("fold") == number)
            assert fold.metrics["accuracy"] == pytest.approx(accuracy_score(rows["true cultivar"], rows["prediction"]))
        each = [fold.metrics["accuracy"] for fold in wine.folds]
        assert wine.mean["accuracy"] == pytest.approx(np.mean(each))
        assert wine.sd["accuracy"] == pytest.approx(np.std(each, ddof=1))

    def test_the_same_seed_gives_the_same_bits(self, wine) -> None:
        assert cross_validate("mlp", "wine", folds=4, **QUICK).predictions.equals(wine.predictions)

    def test_amounts_come_in_the_user_s_units(self) -> None:
        generator = np.random.default_rng(0)
        x = generator.normal(size=(120, 3))
        y = np.stack([1000 + 50 * x[:, 0], x[:, 1]], axis=1)
        found = cross_validate("linear", (x, y), folds=3, epochs=30, lr=0.05)
        assert found.predictions["y0"].mean() == pytest.approx(1000, abs=15)
        assert found.mean["r2"] > 0.9

    def test_groups_stay_whole(self) -> None:
        generator = np.random.default_rng(1)
        x, groups = generator.normal(size=(90, 3)), np.arange(90) % 15
        found = cross_validate("linear", (x, x[:, 0]), folds=3, groups=groups, epochs=2, lr=0.05)
        folds_of = (
            found.predictions.with_columns(group=pl.Series(groups)).group_by("group").agg(pl.col("fold").n_unique())
        )
        assert folds_of["fold"].to_list() == [1] * 15


def test_together_is_as_alone(monkeypatch) -> None:
    """Folds of small nets train as one program; each network is what it would be by itself."""
    from thalweg.experiments import folds

    settings = QUICK | {"dropout": 0.0, "epochs": 6}
    one_program = cross_validate("mlp", "diabetes", folds=3, **settings)
    monkeypatch.setattr(folds, "together", lambda experiment: False)
    one_by_one = cross_validate("mlp", "diabetes", folds=3, **settings)
    assert [fold.best_epoch for fold in one_program.folds] == [fold.best_epoch for fold in one_by_one.folds]
    np.testing.assert_allclose(one_program.predictions["prediction"], one_by_one.predictions["prediction"], rtol=1e-3)


def test_targets_of_held_out_rows_are_never_learned_from() -> None:
    """Random targets: a network that had seen them would be better than chance."""
    generator = np.random.default_rng(2)
    x, y = generator.normal(size=(200, 5)), generator.integers(0, 2, 200)
    x[:, 0] = np.arange(200)  # tells rows apart
    found = cross_validate("mlp", (x, y), folds=4, epochs=20, lr=0.01, hidden=[64], dropout=0.0, skip=False)
    assert found.mean["accuracy"] < 0.65


class TestFolder:
    def test_a_stopped_run_goes_on_with_the_next_fold(self, tmp_path, monkeypatch) -> None:
        spec = Spec(data="wine", folds=3, runs=str(tmp_path), name="whole", max_norm=100.0, **QUICK)  # one by one
        _, whole = start(spec, Silent())
        calls = 0

        def requested() -> bool:
            nonlocal calls
            calls += 1
            return calls > 12  # in the second fold

        from contextlib import contextmanager

        from thalweg.experiments import run as runs

        @contextmanager
        def interruptible():
            yield requested

        with monkeypatch.context() as patched:
            patched.setattr(runs, "interruptible", interruptible)
            with pytest.raises(Interrupted):
                start(spec.replace(name="halved"), Silent())
        halved = Folder.open("halved", tmp_path)
        assert json.loads(halved.result.read_text())["status"] == "stopped by the user"
        assert (halved.path / "fold-1" / "result.json").exists()
        assert not (halved.path / "fold-3").exists()
        before = (halved.path / "fold-1" / "result.json").read_bytes()
        _, result = resume(halved.path, Silent())
        assert (halved.path / "fold-1" / "result.json").read_bytes() == before
        assert result["mean"] == whole["mean"]
        assert (halved.path / "predictions.csv").read_bytes() == (tmp_path / "whole" / "predictions.csv").read_bytes()
        assert "Folds" in halved.page.read_text(encoding="utf-8")

    def test_there_is_no_model_to_predict_with(self, tmp_path) -> None:
        import thalweg

        folder, _ = start(Spec(data="wine", folds=2, runs=str(tmp_path), **QUICK), Silent())
        with pytest.raises(InputError, match="cross-validation"):
            thalweg.load(folder.path)


@pytest.mark.parametrize(
    ("folds", "sentence"), [(1, 'the setting "folds" cannot be 1'), (80, "80 folds"), (500, "500 folds")]
)
def test_too_few_or_too_many(folds: int, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        run_folds(Spec(data="wine", folds=folds), load("wine"), watcher=Silent())


def test_a_module_cannot_be_trained_several_times() -> None:
    import torch

    with pytest.raises(InputError, match="each fold needs a network of its own"):
        cross_validate(torch.nn.Linear(13, 3), "wine")  # type: ignore[arg-type]


def test_folds_with_other_categories_and_sizes_are_trained_too() -> None:
    numbers = np.random.default_rng(0).normal(size=240)
    kinds = ["a", "b"] * 60 + ["a", "b", "c"] * 40  # "c" comes late
    frame = pl.DataFrame({"x": numbers, "kind": kinds, "when": np.arange(240), "y": 3 * numbers})
    found = cross_validate("mlp", frame, target="y", time="when", folds=3, **QUICK)
    assert [fold.held_out for fold in found.folds] == [60, 60, 60]
    assert found.predictions["row"].to_list() == list(range(61, 241))


def test_a_keyword_that_is_no_setting() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'split_column'"):
        cross_validate("mlp", "wine", split_column="part", **QUICK)


def test_what_becomes_of_given_parts_is_said() -> None:
    noted = []

    class Noting(Silent):
        def note(self, sentence: str) -> None:
            noted.append(sentence)

    parts = ["train"] * 40 + ["dev"] * 20 + ["test"] * 20
    frame = pl.DataFrame({"x": np.arange(80.0), "y": np.arange(80.0), "part": parts})
    data = load(frame, target="y", split_column="part")
    found = run_folds(Spec(data="the data", folds=2, **QUICK), data, watcher=Noting())
    assert found.predictions.height == 60
    assert "20 rows given as the test part are in none" in noted[0]
