"""The scikit-learn face: scikit-learn's own checks, and what it does beyond them."""

from __future__ import annotations

import pickle

import numpy as np
import pandas
import polars as pl
import pytest
import scipy.stats
import sklearn.datasets
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import thalweg
from thalweg import InputError, ThalwegClassifier, ThalwegRegressor
from thalweg.experiments import Spec

QUICK = {"hidden": (16,), "dropout": 0.0, "weight_decay": 0.0, "lr": 0.05, "epochs": 12, "threads": 1}


@parametrize_with_checks([ThalwegClassifier(**QUICK), ThalwegRegressor(**QUICK)])
def test_scikit_learn_s_own_checks(estimator, check) -> None:
    check(estimator)


def mixed(rows: int = 120) -> tuple[dict[str, list], np.ndarray]:
    """Columns of three kinds with gaps, and classes that follow from two of them."""
    rng = np.random.default_rng(0)
    kind, size = rng.choice(["flat", "house"], rows), rng.normal(100, 30, rows)
    labels = np.where((kind == "house") ^ (size > 100), "dear", "cheap")
    sizes = [None if rng.random() < 0.05 else float(value) for value in size]
    return {"kind": kind.tolist(), "size": sizes, "garden": (rng.random(rows) < 0.5).tolist()}, labels


class TestWithinScikitLearn:
    def test_pipeline_grid_search_and_cross_validation(self) -> None:
        x, y = sklearn.datasets.load_wine(return_X_y=True)
        pipeline = make_pipeline(StandardScaler(), ThalwegClassifier(**QUICK))
        assert cross_val_score(pipeline, x, y, cv=3).mean() > 0.9
        search = GridSearchCV(ThalwegClassifier(**QUICK), {"hidden": [(), (8,)], "lr": [1e-6, 0.05]}, cv=2)
        assert search.fit(x, y).best_params_["lr"] == 0.05

    def test_settings_are_those_of_a_spec(self) -> None:
        own = {"class_weight", "dev_fraction", "random_state"}
        for estimator in (ThalwegClassifier(), ThalwegRegressor()):
            for name, default in estimator.get_params().items():
                if name not in own | {"options"}:
                    assert Spec.model_fields[name].default == default, name

    def test_a_random_search_draws_numpy_s_numbers(self) -> None:
        x, y = sklearn.datasets.load_wine(return_X_y=True)
        drawn = {
            "lr": scipy.stats.loguniform(0.03, 0.06),
            "epochs": scipy.stats.randint(5, 9),
            "hidden": [np.array([4, 4])],
        }
        search = RandomizedSearchCV(ThalwegClassifier(**QUICK), drawn, n_iter=2, cv=2, random_state=0).fit(x, y)
        assert search.best_score_ > 0.8

    def test_a_target_may_be_transformed(self) -> None:
        x = np.random.default_rng(0).normal(size=(150, 2))
        y = np.exp(2 + x[:, 0])
        model = TransformedTargetRegressor(ThalwegRegressor(**QUICK), func=np.log, inverse_func=np.exp)
        assert model.fit(x, y).score(x, y) > 0.8


class TestFrames:
    @pytest.mark.parametrize("of", [pandas.DataFrame, pl.DataFrame])
    def test_mixed_columns(self, of) -> None:
        columns, y = mixed(300)
        frame = of(columns)
        model = ThalwegClassifier(**QUICK | {"epochs": 40}).fit(frame, y)
        assert model.score(frame, y) > 0.85
        assert list(model.feature_names_in_) == ["kind", "size", "garden"] and model.n_features_in_ == 3
        with pytest.raises(ValueError, match="feature names"):
            model.predict(frame[["kind", "size"]])

    def test_many_categories_are_embedded(self) -> None:
        rng = np.random.default_rng(0)
        town = rng.integers(0, 80, 2000)
        frame = pandas.DataFrame({"town": [f"t{number}" for number in town], "size": rng.normal(size=2000)})
        y = np.sin(town * 1.7) * 100
        model = ThalwegRegressor(**QUICK | {"epochs": 30}).fit(frame, y)
        assert model.preprocessor_.embedded and model.score(frame, y) > 0.8

    def test_a_weight_is_a_repetition_there_too(self) -> None:
        columns, y = mixed(60)
        frame = pl.DataFrame(columns)
        weights = np.random.default_rng(1).integers(0, 4, 60)
        rows = np.repeat(np.arange(60), weights)
        weighted = ThalwegClassifier(**QUICK).fit(frame, y, sample_weight=weights)
        repeated = ThalwegClassifier(**QUICK).fit(frame[rows], y[rows])
        assert np.array_equal(weighted.predict_proba(frame), repeated.predict_proba(frame))
        assert not np.array_equal(
            ThalwegClassifier(**QUICK).fit(frame, y).predict_proba(frame), weighted.predict_proba(frame)
        )

    def test_a_frame_of_numbers_is_an_array(self) -> None:
        x, y = sklearn.datasets.load_iris(return_X_y=True)
        by_array = ThalwegClassifier(**QUICK).fit(x, y)
        frame = pandas.DataFrame(x, columns=list("abcd"))
        assert np.array_equal(ThalwegClassifier(**QUICK).fit(frame, y).predict_proba(frame), by_array.predict_proba(x))

    def test_an_array_of_text_is_refused(self) -> None:
        with pytest.raises(ValueError, match="could not convert string to float"):
            ThalwegClassifier(**QUICK).fit(np.array([["a", "b"], ["c", "d"]] * 10), [0, 1] * 10)


class TestArrays:
    def test_probabilities_are_those_of_the_network(self) -> None:
        x, y = sklearn.datasets.load_iris(return_X_y=True)
        model = ThalwegClassifier(**QUICK).fit(x, y)
        import torch

        inputs = torch.from_numpy(model.preprocessor_.inputs(x))
        assert np.allclose(model.predict_proba(x), model.model_(inputs).softmax(1).detach().numpy(), atol=1e-6)

    def test_rows_in_any_order_give_the_same_model(self) -> None:
        x, y = sklearn.datasets.load_diabetes(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(y))
        first, second = (ThalwegRegressor(**QUICK).fit(x[rows], y[rows]) for rows in (np.arange(len(y)), order))
        assert np.array_equal(first.predict(x), second.predict(x)) and first.score(x, y) > 0.4

    def test_missing_numbers(self) -> None:
        x, y = sklearn.datasets.load_iris(return_X_y=True)
        x[::5, 2] = np.nan
        assert ThalwegClassifier(**QUICK).fit(x, y).score(x, y) > 0.9
        x[3, 1] = np.inf
        with pytest.raises(ValueError, match="infinity"):
            ThalwegClassifier(**QUICK).fit(x, y)

    def test_several_amounts(self) -> None:
        x = np.random.default_rng(0).normal(size=(200, 3))
        y = np.stack([x[:, 0] * 1000, 5 - x[:, 1]], axis=1)
        model = ThalwegRegressor(**QUICK | {"hidden": ()}).fit(x, y)
        assert model.predict(x).shape == (200, 2) and model.score(x, y) > 0.95
        assert ThalwegRegressor(**QUICK).fit(x, y[:, :1]).predict(x).shape == (200, 1)

    def test_all_rows_are_learned_from_without_a_dev_part(self) -> None:
        x, y = sklearn.datasets.load_iris(return_X_y=True)
        model = ThalwegClassifier(**QUICK, dev_fraction=0).fit(x, y)
        assert model.metrics_["dev"] == pytest.approx(model.metrics_["train"])
        weighted = ThalwegClassifier(**QUICK, dev_fraction=0).fit(x, y, sample_weight=1.0 + y)
        assert weighted.score(x, y) > 0.9

    def test_the_seed_decides(self) -> None:
        x, y = sklearn.datasets.load_iris(return_X_y=True)
        state = np.random.RandomState(7)
        seeds = [3, 3, 4, state, state, np.random.RandomState(7)]
        found = [ThalwegClassifier(**QUICK, random_state=seed).fit(x, y).predict_proba(x) for seed in seeds]
        same = [[np.array_equal(a, b) for b in found] for a in found]
        assert same[0][1] and same[3][5] and not same[0][2] and not same[3][4]

    def test_pickled_and_cloned(self) -> None:
        x, y = sklearn.datasets.load_iris(return_X_y=True)
        model = ThalwegClassifier(**QUICK).fit(x, y)
        again = pickle.loads(pickle.dumps(model))
        assert np.array_equal(again.predict_proba(x), model.predict_proba(x))
        assert clone(model).get_params() == model.get_params()

    def test_the_rate_is_found_and_widths_are_chosen(self) -> None:
        x, y = sklearn.datasets.load_iris(return_X_y=True)
        assert ThalwegClassifier(epochs=10, threads=1).fit(x, y).score(x, y) > 0.9


class TestClasses:
    def test_class_weights(self) -> None:
        rng = np.random.default_rng(0)
        y = (np.arange(400) % 10 == 0).astype(int)
        x = rng.normal(size=(400, 2)) + 0.8 * y[:, None]
        recall = {
            str(weight): np.mean(ThalwegClassifier(**QUICK, class_weight=weight).fit(x, y).predict(x)[y == 1])
            for weight in (None, "balanced", {1: 9}, {0: 1e3})
        }
        assert recall["balanced"] > recall["None"] + 0.2 and recall["{0: 1000.0}"] == 0
        assert abs(recall["{1: 9}"] - recall["balanced"]) < 0.1

    def test_more_than_ten_classes_of_text_keep_their_names(self) -> None:
        x = np.repeat(np.eye(12), 20, axis=0) + np.random.default_rng(0).normal(0, 0.1, (240, 12))
        y = np.repeat([f"class {number}" for number in range(12)], 20)
        model = ThalwegClassifier(**QUICK | {"epochs": 30}).fit(x, y)
        assert model.score(x, y) > 0.9 and list(model.classes_) == sorted(set(y))

    @pytest.mark.parametrize(
        ("settings", "sentence"),
        [
            ({"class_weight": {7: 2.0}}, "class_weight names 7, which is no class of y"),
            ({"class_weight": "even"}, "class_weight is 'even'"),
            ({"dev_fraction": 1.5}, "dev_fraction is 1.5"),
            ({"activation": "rely"}, "rely"),
            ({"rule": "adamm"}, 'there is no rule "adamm"'),
            ({"epochs": 0}, 'the setting "epochs" cannot be 0'),
        ],
    )
    def test_faults(self, settings, sentence) -> None:
        x, y = sklearn.datasets.load_iris(return_X_y=True)
        with pytest.raises(InputError, match=sentence):
            ThalwegClassifier(**QUICK | settings).fit(x, y)

    def test_weights_that_leave_nothing(self) -> None:
        x, y = sklearn.datasets.load_iris(return_X_y=True)
        with pytest.raises(InputError, match=r"the class .*2.* has weight 0 in every row"):
            ThalwegClassifier(**QUICK).fit(x, y, sample_weight=(y != 2) * 1.0)
        with pytest.raises(ValueError, match=r"every row has weight 0|at least one non-zero"):
            ThalwegRegressor(**QUICK).fit(x, x[:, 0], sample_weight=np.zeros(len(y)))
        with pytest.raises(InputError, match=r"one class, .*: at least two"):
            ThalwegClassifier(**QUICK).fit(x, np.zeros(len(y)))


def test_both_are_public_names() -> None:
    assert {"ThalwegClassifier", "ThalwegRegressor"} <= set(dir(thalweg))
