"""Weights, groups, time and the split column: from a table's columns or from arrays, and each mistake in a sentence."""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl
import pytest
import torch

from thalweg.data import Preprocessor, load, split
from thalweg.errors import InputError

ROWS = 40
X = np.random.default_rng(0).normal(size=(ROWS, 3))
Y = np.arange(ROWS) % 2
WEEKS = [datetime.date(2024, 1, 1) + datetime.timedelta(days=7 * row) for row in range(ROWS)]


def table(**columns) -> pl.DataFrame:
    return pl.DataFrame({"x": X[:, 0], "w": np.arange(ROWS) / 4, "who": [f"p{row // 4}" for row in range(ROWS)],
                         "day": WEEKS, "n": np.arange(ROWS)[::-1], "y": Y, **columns})  # fmt: skip


def test_columns_of_a_table_are_no_inputs() -> None:
    part = ["train", "Dev", " val", "TEST", "validation", None, "training", "test"] * 5
    data = load(table(part=part), target="y", weights="w", groups="who", split_column="part")
    assert data.inputs.columns == ["x", "day", "n"]
    assert data.weights.tolist() == [row / 4 for row in range(ROWS)]
    assert (data.groups.dtype, data.groups.tolist()) == (np.int64, [row // 4 for row in range(ROWS)])
    assert (data.assigned.dtype, data.assigned.tolist()) == (np.int8, [0, 1, 1, 2, 1, -1, 0, 2] * 5)
    assert data.time is None


def test_a_number_that_orders_rows_is_no_input() -> None:
    data = load(table(), target="y", time="n")
    assert data.inputs.columns == ["x", "w", "who", "day"]
    assert data.time.tolist() == [*range(ROWS)][::-1]
    notes = Preprocessor.fit(data, split(data, seed=0).train).notes
    assert 'The column "n" says when a row came: it is not learned from' in " ".join(notes)


def test_a_date_that_orders_rows_keeps_its_circles_alone() -> None:
    data = load(table(), target="y", time="day", drop="n")
    assert data.inputs.columns == ["x", "w", "who", "day"]
    assert data.time[1] - data.time[0] == 7 * 86_400e6
    parts = split(data, seed=0)
    assert parts.train.tolist() == [*range(24)]
    preprocessor = Preprocessor.fit(data, parts.train)
    days = [name for name in preprocessor.feature_names if name.startswith("day")]
    assert days == ["day sine of year", "day cosine of year", "day sine of week", "day cosine of week"]
    assert "only its place in the year and the week is learned from" in " ".join(preprocessor.notes)
    with_trend = Preprocessor.fit(load(table(), target="y", drop=["n"]), parts.train)
    assert "day" in with_trend.feature_names
    places = [with_trend.feature_names.index(name) for name in days]
    here = [preprocessor.feature_names.index(name) for name in days]
    assert np.array_equal(preprocessor.inputs(data.inputs)[:, here], with_trend.inputs(data.inputs)[:, places])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.arange(ROWS) * 2, np.arange(ROWS) * 2),
        (torch.arange(ROWS) / 2, np.arange(ROWS) / 2),
        (np.array(WEEKS, "datetime64[D]"), np.arange(ROWS) * 7 * 86_400e6),
        (np.array(WEEKS, "datetime64[ns]"), np.arange(ROWS) * 7 * 86_400e6),
        (WEEKS, np.arange(ROWS) * 7 * 86_400e6),
        ([str(day) for day in WEEKS], np.arange(ROWS) * 7 * 86_400e6),
        ([f"{day}T12:30:00" for day in WEEKS], np.arange(ROWS) * 7 * 86_400e6),
        (pl.Series(WEEKS).cast(pl.Datetime("ms", "UTC")), np.arange(ROWS) * 7 * 86_400e6),
        ([datetime.time(row // 60, row % 60) for row in range(ROWS)], np.arange(ROWS) * 60e9),
        ([datetime.timedelta(hours=row) for row in range(ROWS)], np.arange(ROWS) * 3600e6),
    ],
)
def test_times(values, expected) -> None:
    time = load((X, Y), time=values).time
    assert time.dtype == np.float64
    assert np.array_equal(time - time[0], expected)


def test_groups_of_any_values() -> None:
    for values in (
        ["a", "b"] * 20,
        [(1, "a"), (2, "b")] * 20,
        [1, "b"] * 20,
        torch.tensor([7, 3] * 20),
        pl.Series([True, False] * 20),
    ):
        assert load((X, Y), groups=values).groups.tolist() == [0, 1] * 20


def test_arrays_with_a_frame() -> None:
    data = load((pl.DataFrame(X), Y), weights=np.ones(ROWS), groups=Y)
    assert data.inputs.width == 3
    assert data.weights.sum() == ROWS
    assert load((table().drop("y"), Y), weights="w").inputs.columns == ["x", "who", "day", "n"]


def test_bundled_sets_and_data_themselves_can_be_marked() -> None:
    wine = load("wine", groups="hue", drop=["ash"])
    assert "hue" not in wine.inputs.columns
    assert "ash" not in wine.inputs.columns
    assert len(np.unique(wine.groups)) == load("wine").inputs["hue"].n_unique()
    assert load(load((X, Y)), weights=np.ones(ROWS)).weights.sum() == ROWS


def test_what_is_said_about_rows_is_in_the_fingerprint() -> None:
    part = ["train", "dev"] * 10 + ["train"] * 20
    marks = (
        {},
        {"weights": np.arange(ROWS)},
        {"groups": Y},
        {"time": Y},
        {"time": np.arange(ROWS)},
        {"split_column": part},
    )
    assert len({load((X, Y), **mark).fingerprint for mark in marks}) == len(marks)
    assert load((X, Y), weights=[*range(ROWS)]).fingerprint == load((X, Y), weights=np.arange(ROWS)).fingerprint


def changed(values, row, value) -> list:
    values = list(values)
    values[row] = value
    return values


@pytest.mark.parametrize(
    ("marks", "sentence"),
    [
        ({"weights": "v"}, 'no column "v": choose among'),
        ({"groups": "Who"}, 'no column "Who": did you mean "who"'),
        ({"groups": "y"}, '"y" is the target: groups is another column'),
        ({"weights": "who"}, 'the weights "who" are of type String: give numbers'),
        ({"weights": changed(np.ones(ROWS), 4, -1.0)}, 'the weights "weights" hold -1 in row 5: give finite numbers'),
        ({"weights": changed(np.ones(ROWS), 4, np.nan)}, "hold nan in row 5"),
        ({"weights": changed(np.ones(ROWS), 4, np.inf)}, "hold inf in row 5"),
        ({"weights": np.zeros(ROWS)}, "are 0 in every row"),
        ({"weights": np.ones(3)}, r"weights has shape \(3,\): give one value for each row, shape \(40,\)"),
        ({"groups": changed(Y, 4, None)}, 'the groups "groups" have no value in row 5'),
        ({"groups": [0] * 3}, "groups has 3 values and the frame 40 rows"),
        ({"groups": 3}, "groups has 1 values and the frame 40 rows"),
        ({"split_column": pl.Series([[1]] * ROWS)}, 'the split column "split_column" holds Array'),
        ({"weights": 3}, r"weights has shape \(\): give one value"),
        ({"time": [1, "a"] * 20}, "the time \"time\" holds '1'"),
        ({"groups": [[1], [2, 3]] * 20}, "groups has lists for values"),
        ({"time": "who"}, "the time \"who\" holds 'p0': give numbers, or dates"),
        ({"time": changed(WEEKS, 2, None)}, 'the time "time" has no value in row 3'),
        ({"time": changed(np.arange(40.0), 2, np.inf)}, 'the time "time" is inf in row 3'),
        ({"split_column": "who"}, "the split column \"who\" holds 'p0' in row 1: write train, dev or test"),
        ({"split_column": ["dev", "test"] * 20}, "names no training row"),
        ({"split_column": ["dev", "train"] * 20}, 'no training row has the class "0"'),
        ({"drop": ["who", "wo"]}, 'no column "wo": did you mean "w'),
        ({"drop": ["y"]}, '"y" is the target: drop is another column'),
        ({"drop": ["x", "w", "who", "day", "n"]}, "no column left to predict from"),
        ({"drop": ["x", "w", "who", "day"], "time": "n"}, "no column left to predict from"),
    ],
)
def test_mistakes_are_said(marks, sentence) -> None:
    with pytest.raises(InputError, match=sentence) as found:
        load(table(), target="y", **marks)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("marks", [{"weights": "w"}, {"groups": "w"}, {"time": "w"}, {"split_column": "w"}])
def test_arrays_have_no_named_columns(marks) -> None:
    with pytest.raises(InputError, match=r'X has no named columns: give .* as an array of 40 values, not "w"'):
        load((X, Y), **marks)


def test_dropped_columns_are_not_looked_at() -> None:
    broken = table(empty=[None] * ROWS, infinite=[np.inf] * ROWS)
    assert load(broken, target="y", drop=["empty", "infinite"]).inputs.columns == ["x", "w", "who", "day", "n"]
    with pytest.raises(InputError, match='X has no named columns: "a" cannot be dropped'):
        load((X, Y), drop=["a"])
