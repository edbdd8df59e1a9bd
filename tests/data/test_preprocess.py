"""What is learned from training rows, against scikit-learn and NumPy; and what it makes of other rows."""

from __future__ import annotations

import datetime
import json
import math

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tests.data.fitted import ROWS, fitted, repeated

from thalweg.data import Data, Preprocessor, load, split
from thalweg.errors import InputError

GENERATOR = np.random.default_rng(0)
NUMBERS = st.one_of(st.none(), st.floats(-1e6, 1e6).map(lambda number: round(number, 3)))


@settings(max_examples=50)
@given(st.lists(NUMBERS, min_size=ROWS, max_size=ROWS).filter(lambda values: any(v is not None for v in values)))
def test_numbers_are_standardised_as_scikit_learn_does_it(values) -> None:
    column = np.array([[math.nan if value is None else value] for value in values])
    filled = SimpleImputer(strategy="mean").fit_transform(column)
    known = column[~np.isnan(column)]
    preprocessor = fitted({"x": values})
    found = preprocessor.inputs({"x": values})
    assert found.dtype == np.float32
    if known.std() <= 1e-12 * abs(known.mean()) or known.min() == known.max():
        assert (found[:, 0] == 0).all()
    else:
        scaler = StandardScaler().fit(known[:, None])  # the mean that fills gaps does not make the numbers less spread
        assert np.allclose(found[:, 0], scaler.transform(filled)[:, 0], rtol=1e-5, atol=1e-6)
    if np.isnan(column).any():
        assert np.array_equal(found[:, 1], np.isnan(column)[:, 0])
    else:
        assert preprocessor.feature_names == ("x",)


def test_only_training_rows_are_learned_from() -> None:
    values = np.arange(ROWS) ** 2.0
    train = np.arange(0, ROWS, 3)
    preprocessor = fitted({"x": values, "c": repeated("ab", 15) + repeated("cd", 15)}, train=train[train < 15])
    learned = values[train[train < 15]]
    assert np.allclose(
        preprocessor.inputs({"x": values, "c": ["a"] * ROWS})[:, 0], (values - learned.mean()) / learned.std()
    )
    assert preprocessor.feature_names == ("x", "c=a", "c=b")
    assert preprocessor.inputs({"x": [1.0], "c": ["c"]})[0, 1:].tolist() == [0, 0]


@settings(max_examples=50)
@given(st.lists(st.sampled_from(["red", "blue", "green", "Blue", "1"]), min_size=ROWS, max_size=ROWS))
def test_categories_are_one_hot_as_scikit_learn_does_it(values) -> None:
    values = ["red", "red", *values]
    oracle = OneHotEncoder(min_frequency=2, handle_unknown="infrequent_if_exist", sparse_output=False)
    expected = oracle.fit_transform(np.array(values)[:, None])
    preprocessor = fitted({"c": values}, len(values))
    found = preprocessor.inputs({"c": values})
    assert np.array_equal(found, expected)
    unknown = preprocessor.inputs({"c": ["never seen"]})
    assert np.array_equal(unknown, oracle.transform([["never seen"]]))


def test_the_fifty_most_frequent_categories() -> None:
    values = [f"c{n:03}" for n in range(200) for _ in range(2 + n % 5)]
    preprocessor = fitted({"c": values}, len(values), embed=False)
    counts = {name: values.count(name) for name in set(values)}
    kept = [name.removeprefix("c=") for name in preprocessor.feature_names[:-1]]
    assert len(kept) == 50
    assert min(counts[name] for name in kept) >= max(count for name, count in counts.items() if name not in kept)
    assert preprocessor.feature_names[-1] == "c=other"
    found = preprocessor.inputs({"c": values})
    assert (found.sum(1) == 1).all()
    assert found[:, -1].sum() == sum(value not in kept for value in values)


def test_missing_categories_are_a_feature_of_their_own() -> None:
    preprocessor = fitted({"c": repeated(["a", "b", None])})
    assert preprocessor.feature_names == ("c=a", "c=b", "c missing")
    assert preprocessor.inputs({"c": ["b", None, "z"]}).tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 0]]


def test_a_missing_value_where_training_had_none() -> None:
    preprocessor = fitted({"c": repeated("ab"), "x": repeated([1.0, 3.0]), "t": repeated([True, False])})
    assert preprocessor.inputs({"c": [None], "x": [None], "t": [None]}).tolist() == [[0, 0, 0, 0]]


def test_yes_or_no() -> None:
    preprocessor = fitted({"b": repeated([True, False])})
    assert preprocessor.inputs({"b": [True, False, True]}).tolist() == [[1], [-1], [1]]
    assert preprocessor.inputs({"b": ["true", "False", "true"]}).tolist() == [[1], [-1], [1]]


def test_dates() -> None:
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=31 * n) for n in range(ROWS)]
    preprocessor = fitted({"d": days})
    names = preprocessor.feature_names
    assert names == ("d", "d sine of year", "d cosine of year", "d sine of week", "d cosine of week")
    found = preprocessor.inputs({"d": days})
    ordinal = np.array([day.toordinal() for day in days], float)
    assert np.allclose(found[:, 0], (ordinal - ordinal.mean()) / ordinal.std(), atol=1e-6)
    assert np.allclose(found[:, 1] ** 2 + found[:, 2] ** 2, 1, atol=1e-6)
    mondays = preprocessor.inputs({"d": [datetime.date(2024, 1, 1), datetime.date(2031, 6, 2)]})
    assert np.allclose(mondays[0, 3:], mondays[1, 3:], atol=1e-5)
    new_year = preprocessor.inputs({"d": [datetime.date(2024, 12, 31), datetime.date(2025, 1, 1)]})
    assert np.abs(new_year[0, 1:3] - new_year[1, 1:3]).max() < 0.02
    assert np.array_equal(preprocessor.inputs({"d": [str(day) for day in days]}), found)


def test_times_of_day() -> None:
    moments = [datetime.datetime(2024, 5, 1) + datetime.timedelta(hours=n) for n in range(ROWS)]
    moments[4] = None
    preprocessor = fitted({"t": moments})
    assert preprocessor.feature_names[-3:] == ("t sine of day", "t cosine of day", "t missing")
    found = preprocessor.inputs({"t": moments})
    assert np.allclose(found[[0, 6, 12, 18], 5], [0, 1, 0, -1], atol=1e-6)
    assert np.allclose(found[[0, 6, 12, 18], 6], [1, 0, -1, 0], atol=1e-6)
    assert found[4].tolist() == [0] * 7 + [1]
    zoned = pl.Series("t", moments).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
    assert np.array_equal(preprocessor.inputs(pl.DataFrame(zoned)), found)


def test_durations_are_numbers() -> None:
    spans = [datetime.timedelta(minutes=n) for n in range(ROWS)]
    found = fitted({"s": spans}).inputs({"s": spans})
    assert np.allclose(found[:, 0], StandardScaler().fit_transform(np.arange(ROWS)[:, None])[:, 0])


def test_columns_that_say_nothing_are_left_out_with_a_sentence() -> None:
    preprocessor = fitted(
        {
            "": np.arange(5, 5 + ROWS),
            "name": [f"person {n}" for n in range(ROWS)],
            "price": [f"{n},50" for n in range(ROWS)],
            "list": [[n] for n in range(ROWS)],
            "same": [7] * ROWS,
            "x": GENERATOR.normal(size=ROWS),
        }
    )
    assert preprocessor.feature_names == ("same", "x")
    notes = " ".join(preprocessor.notes)
    assert "numbers the rows" in notes
    assert 'The column "name" is text with 30 different values in 30 rows and is left out.' in notes
    assert '"price" holds numbers with a decimal comma' in notes
    assert '"list" holds values of type' in notes
    assert 'set to 0: "same".' in notes
    assert preprocessor.inputs({"same": [7, 9], "x": [0.0, 0.0]})[:, 0].tolist() == [0, 0]


def test_row_numbers_are_recognised_in_any_rows() -> None:
    train = np.array([3, 4, 9, 17, 28])
    columns = {"id": np.arange(ROWS), "ID": np.arange(ROWS) + 7, "row": np.arange(ROWS) * 2}
    assert fitted(columns, train=train).feature_names == ("row",)


def test_a_variable_that_rises_with_the_rows_is_kept_and_told_of() -> None:
    preprocessor = fitted({"x": np.arange(ROWS)})
    assert preprocessor.feature_names == ("x",)
    assert preprocessor.notes == ('The column "x" rises by one from row to row: remove it if it only numbers them.',)


def test_nothing_left() -> None:
    with pytest.raises(InputError, match='no column is left to learn from: The column "name"'):
        fitted({"name": [f"person {n}" for n in range(ROWS)]})


def test_columns_in_any_order_with_others_between() -> None:
    columns = {"x": GENERATOR.normal(size=ROWS), "c": repeated("abc")}
    preprocessor = fitted(columns)
    other = pl.DataFrame({"more": repeated("z"), "c": columns["c"], "x": columns["x"]})
    assert np.array_equal(preprocessor.inputs(other), preprocessor.inputs(columns))


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"C": ["a"], "x": [1.0], "d": ["2024-01-01"]}, 'the column "c", which .* is missing: is "C" meant'),
        ({"c": ["a"], "d": ["2024-01-01"]}, 'the column "x", which .* is missing: there are "c", "d"'),
        (
            {"c": ["a"] * 3, "x": ["1", "2,5", "z"], "d": ["2024-01-01"] * 3},
            '"x" holds .2,5. in row 2, which is no number',
        ),
        ({"c": ["a"] * 2, "x": [1.0, -math.inf], "d": ["2024-01-01"] * 2}, '"x" is infinite in row 2'),
        (
            {"c": ["a"] * 2, "x": [1.0] * 2, "d": ["2024-01-01", "1.5.2024"]},
            '"d" holds .1.5.2024. in row 2, which is no date',
        ),
        ({"c": ["a"], "x": [1.0], "d": [5]}, '"d" holds Int64 values where dates were'),
        ({"c": ["a"], "x": [datetime.date(2024, 1, 1)], "d": ["2024-01-01"]}, '"x" holds Date values where numbers'),
        ({"c": [["a"]], "x": [1.0], "d": ["2024-01-01"]}, '"c" holds List.* where texts'),
    ],
)
def test_frames_that_do_not_fit(columns, sentence) -> None:
    days = [datetime.date(2024, 1, 1 + n) for n in range(ROWS)]
    preprocessor = fitted({"c": repeated("ab"), "x": GENERATOR.normal(size=ROWS), "d": days})
    with pytest.raises(InputError, match=sentence):
        preprocessor.inputs(pl.DataFrame(columns))
    with pytest.raises(InputError, match="give a frame or a file, no array"):
        preprocessor.inputs(np.zeros((2, 3)))


def test_arrays_feature_by_feature() -> None:
    array = GENERATOR.normal(3, 5, (200, 4)).astype(np.float32)
    array[:, 2] = 0.1
    train = np.arange(0, 200, 2)
    preprocessor = fitted(array, 200, train=train)
    expected = StandardScaler().fit(array[train].astype(np.float64)).transform(array)
    expected[:, 2] = 0
    found = preprocessor.inputs(torch.tensor(array))
    assert np.allclose(found, expected, atol=1e-5)
    assert found.dtype == np.float32
    assert preprocessor.notes == ("1 of 4 features are the same in every training row and set to 0.",)
    assert preprocessor.input_shape == (4,)


def test_missing_numbers_of_arrays() -> None:
    array = GENERATOR.normal(size=(60, 3))
    array[::7, 1] = math.nan
    preprocessor = fitted(array, 60)
    assert preprocessor.feature_names == ("x0", "x1", "x2", "x1 missing")
    found = preprocessor.inputs(array)
    assert found.shape == (60, *preprocessor.input_shape)
    assert np.array_equal(found[:, 3], np.isnan(array[:, 1]))
    assert (found[::7, 1] == 0).all()
    assert np.allclose(found[:, 1][~np.isnan(array[:, 1])].std(), 1, atol=1e-6)


def test_targets_of_a_regression_go_and_come_back() -> None:
    amounts = GENERATOR.lognormal(10, 1, 50)
    data = load((GENERATOR.normal(size=(50, 2)), amounts))
    train = np.arange(30)
    preprocessor = Preprocessor.fit(data, train)
    scaled = preprocessor.targets(data.targets)
    assert scaled.dtype == np.float32
    assert np.allclose(scaled, (amounts - amounts[train].mean()) / amounts[train].std(), rtol=1e-5)
    assert np.allclose(preprocessor.restore_targets(scaled), amounts, rtol=1e-5)
    assert preprocessor.target_scale == amounts[train].std()
    assert (preprocessor.n_outputs, preprocessor.classes) == (1, None)


def test_targets_that_are_the_same_in_every_training_row() -> None:
    data = load((GENERATOR.normal(size=(50, 2)), np.r_[np.full(30, 2.5), np.arange(20.0)]))
    preprocessor = Preprocessor.fit(data, np.arange(30))
    assert preprocessor.targets(np.array([2.5, 3.5])).tolist() == [0, 1]


def test_targets_of_classes() -> None:
    data = load((GENERATOR.normal(size=(30, 2)), np.array(["no", "yes", "maybe"])[np.arange(30) % 3]))
    preprocessor = Preprocessor.fit(data, np.arange(20))
    assert preprocessor.classes == ("maybe", "no", "yes")
    numbers = preprocessor.targets(data.targets)
    assert (numbers.dtype, numbers[:3].tolist(), preprocessor.n_outputs) == (np.int64, [1, 2, 0], 3)
    assert preprocessor.restore_targets(numbers[:3]).tolist() == ["no", "yes", "maybe"]
    for wrong in (np.array(["no"]), np.array([3]), np.array([-1])):
        with pytest.raises(InputError, match="no class numbers from 0 to 2"):
            preprocessor.targets(wrong)
    assert Preprocessor.fit(load("breast-cancer"), np.arange(100)).n_outputs == 1


def kinds() -> dict[str, Data]:
    table = pl.DataFrame(
        {
            "x": [None, *GENERATOR.normal(0, 1e-3, ROWS - 1)],
            "c": [None, *repeated(["ü", "b", "c"], ROWS - 1)],
            "d": [datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=7 * n) for n in range(ROWS)],
            "b": repeated([True, False, None]),
            "id": [f"i{n}" for n in range(ROWS)],
        }
    )
    holes = GENERATOR.normal(size=(ROWS, 3))
    holes[2, 2] = math.nan
    return {
        "table": load((table, GENERATOR.normal(size=ROWS))),
        "array": load((holes, np.array(["a", "b"])[np.arange(ROWS) % 2])),
        "images": load((GENERATOR.integers(0, 256, (ROWS, 2, 3, 4), dtype=np.uint8), np.arange(ROWS) % 3)),
    }


@pytest.mark.parametrize("kind", ["table", "array", "images"])
def test_json_and_back_to_the_last_bit(kind) -> None:
    data = kinds()[kind]
    preprocessor = Preprocessor.fit(data, split(data, seed=0).train)
    plain = json.loads(json.dumps(preprocessor.to_dict(), allow_nan=False))
    again = Preprocessor.from_dict(plain)
    assert again.to_dict() == preprocessor.to_dict()
    assert np.array_equal(again.inputs(data.inputs), preprocessor.inputs(data.inputs))
    assert np.array_equal(again.targets(data.targets), preprocessor.targets(data.targets))
    for name in (
        "task",
        "classes",
        "notes",
        "input_shape",
        "feature_names",
        "n_outputs",
        "target_scale",
        "target_mean",
    ):
        assert getattr(again, name) == getattr(preprocessor, name)


def test_what_is_no_preprocessing_is_said() -> None:
    for plain in ({}, {"inputs": {"kind": "table"}}, {"inputs": {"kind": "other"}, "target": {}}):
        with pytest.raises(InputError, match="preprocessing that was saved cannot be read"):
            Preprocessor.from_dict(plain)


@pytest.mark.parametrize("kind", ["table", "array", "images"])
def test_a_row_is_encoded_alike_alone_and_among_others(kind) -> None:
    data = kinds()[kind]
    preprocessor = Preprocessor.fit(data, np.arange(ROWS))
    together = preprocessor.inputs(data.inputs)
    alone = np.concatenate([preprocessor.inputs(data.inputs[row : row + 1]) for row in range(ROWS)])
    assert np.array_equal(together, alone)


def test_the_dev_part_is_scaled_by_the_training_part() -> None:
    """By hand, so that learning anew from the rows given, or from all rows, would be seen."""
    numbers = np.r_[GENERATOR.normal(10, 2, 60), GENERATOR.normal(-40, 9, 20)]
    amounts = np.r_[GENERATOR.normal(5, 1, 60), GENERATOR.normal(70, 30, 20)]
    array = np.column_stack([numbers, numbers**2])
    pixels = (np.abs(array) % 256).astype(np.uint8)[:, :, None, None].repeat(5, 3)
    train, dev = np.arange(60), np.arange(60, 80)
    for inputs in (pl.DataFrame({"x": numbers, "z": numbers**2}), array, pixels):
        data = load((inputs, amounts))
        raw = pixels[:, :, 0, 0].astype(float) if inputs is pixels else array
        preprocessor = Preprocessor.fit(data, train)
        again = Preprocessor.from_dict(json.loads(json.dumps(preprocessor.to_dict())))
        expected = (raw[dev] - raw[train].mean(0)) / raw[train].std(0)
        for one in (preprocessor, again):
            assert np.allclose(one.inputs(inputs[dev]).reshape(20, 2, -1)[:, :, 0], expected, rtol=1e-4, atol=1e-5)
            assert np.allclose(one.targets(amounts[dev]), (amounts[dev] - amounts[:60].mean()) / amounts[:60].std())
            back = one.restore_targets(np.ones(2))
            assert np.allclose(back, amounts[:60].mean() + amounts[:60].std())


@pytest.mark.parametrize("scale", ["standard", "robust", "quantile", "none"])
def test_several_outputs_go_and_come_back(scale) -> None:
    amounts = np.column_stack(
        [GENERATOR.lognormal(3, 1, 80), GENERATOR.normal(-5, 1e-3, 80), np.r_[np.ones(60), np.zeros(20)]]
    )
    data = load((GENERATOR.normal(size=(80, 2)), amounts))
    train = np.arange(60)
    preprocessor = Preprocessor.fit(data, train, scale_target=scale)
    scaled = preprocessor.targets(amounts)
    assert (scaled.shape, scaled.dtype, preprocessor.n_outputs) == ((80, 3), np.float32, 3)
    assert preprocessor.target_names == ("y0", "y1", "y2")
    assert len(preprocessor.target_scale) == len(preprocessor.target_mean) == 3
    assert np.allclose(preprocessor.restore_targets(scaled)[train], amounts[train], rtol=1e-4)
    for output in range(3):
        alone = Preprocessor.fit(load((data.inputs, amounts[:, output]), task="regression"), train, scale_target=scale)
        assert isinstance(alone.target_scale, float)
        assert np.array_equal(alone.targets(amounts[:, output]), scaled[:, output])
    again = Preprocessor.from_dict(json.loads(json.dumps(preprocessor.to_dict())))
    assert again.target_scales == preprocessor.target_scales
    with pytest.raises(InputError, match=r"the targets have shape \(80, 2\): give \(n, 3\)"):
        preprocessor.targets(amounts[:, :2])


def test_an_unknown_scale_is_refused_for_classes_too() -> None:
    data = load((GENERATOR.normal(size=(30, 2)), np.arange(30) % 2))
    for option in ({"scale": "log"}, {"scale_target": "log"}):
        with pytest.raises(InputError, match='there is no scale "log"'):
            Preprocessor.fit(data, np.arange(30), **option)
