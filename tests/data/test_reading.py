"""Several targets, and frames of other libraries: pandas with and without Arrow, Arrow, and the two protocols."""

from __future__ import annotations

import datetime
import subprocess
import sys
import textwrap

import numpy as np
import polars as pl
import pytest
import torch

from thalweg.data import load
from thalweg.data.sources.reading import read
from thalweg.errors import InputError

ROWS = 20
X = np.random.default_rng(0).normal(size=(ROWS, 3))
FRAME = pl.DataFrame(
    {
        "x": [None, *X[1:, 0].tolist()],
        "n": [*range(ROWS - 1), None],
        "town": [None, *["Ulm", "Köln"] * 9, "Ulm"],
        "day": [datetime.datetime(2024, 1, 1 + row, row) for row in range(ROWS)],
        "yes": [True, None] * (ROWS // 2),
        "y": X[:, 1].tolist(),
    }
)
EXPECTED = load(FRAME, target="y")


def same(source) -> None:
    """The same inputs and targets, whatever the types of the library are called."""
    data = load(source, target="y")
    assert data.inputs.columns == EXPECTED.inputs.columns
    for found, expected in zip(data.inputs.iter_columns(), EXPECTED.inputs.iter_columns(), strict=True):
        if expected.dtype.is_temporal():
            found = found.cast(pl.Datetime("us"))
        elif expected.dtype.is_numeric():
            found, expected = found.cast(pl.Float64), expected.cast(pl.Float64)
        assert found.to_list() == expected.to_list()
    assert np.array_equal(data.targets, EXPECTED.targets)


class Arrow:
    """Nothing but the Arrow protocol."""

    def __init__(self, frame) -> None:
        self.frame = frame

    def __arrow_c_stream__(self, requested_schema=None):
        return self.frame.__arrow_c_stream__(requested_schema)


class Interchange:
    """Nothing but the dataframe interchange protocol."""

    def __init__(self, frame) -> None:
        self.frame = frame

    def __dataframe__(self, nan_as_null=False, allow_copy=True):
        return self.frame.__dataframe__(nan_as_null, allow_copy)


def test_polars_and_the_arrow_protocol() -> None:
    for source in (FRAME.lazy(), FRAME.to_dict(as_series=False), Arrow(FRAME)):
        same(source)


def test_arrow() -> None:
    pytest.importorskip("pyarrow")
    table = FRAME.to_arrow()
    same(table)
    same(Arrow(table))
    same(table.to_batches()[0])
    same(Interchange(table))


def test_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = FRAME.to_pandas()
    same(frame)
    same(frame.convert_dtypes())
    same(frame.convert_dtypes(dtype_backend="pyarrow"))
    same(frame.astype({"town": "category"}))
    same(frame.iloc[::-1].iloc[::-1])
    y = pandas.Series(FRAME["y"].to_list())
    assert np.array_equal(load((frame.drop(columns="y"), y)).targets, EXPECTED.targets)
    assert load((frame.drop(columns="y"), frame[["y"]])).targets.shape == (ROWS,)
    assert load((frame.drop(columns="y"), y), groups=pandas.Series(["a", "b"] * 10)).groups.tolist() == [0, 1] * 10


def test_pandas_without_arrow() -> None:
    pytest.importorskip("pandas")
    program = """
        import sys
        sys.modules["pyarrow"] = None
        import pandas as pd
        from thalweg.data import load
        rows = 20
        frame = pd.DataFrame({
            "x": [None, *range(rows - 1)],
            "n": pd.array([*range(rows - 1), None], dtype="Int64"),
            "town": [None, *["Ulm", "Bonn"] * 9, "Ulm"],
            "kind": pd.Categorical([*["a", "b"] * 10]),
            "day": pd.date_range("2024-01-01", periods=rows),
            "yes": [True, False] * 10,
            "y": [n / 3 for n in range(rows)],
        })
        data = load(frame, target="y")
        print(*(f"{name}:{dtype}" for name, dtype in data.inputs.schema.items()))
        print(data.inputs.null_count().row(0), data.inputs["day"][1].isoformat())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    types, rest = done.stdout.splitlines()
    assert types.startswith("x:Float64 n:Float64 town:String kind:String day:Datetime(")
    assert types.endswith("yes:Boolean")
    assert rest == "(1, 1, 1, 0, 0, 0) 2024-01-02T00:00:00"


def test_tensors_of_any_kind() -> None:
    for kind in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
        tensor = torch.tensor(X, dtype=kind, requires_grad=True)
        data = load((tensor, tensor[:, :2]))
        assert data.targets.shape == (ROWS, 2)
        assert data.inputs.shape == (ROWS, 3)


@pytest.mark.parametrize("target", ["y,x2", "y, x2", ["y", "x2"], ("y", "x2")])
def test_several_targets_of_a_table(target) -> None:
    frame = FRAME.with_columns(x2=pl.Series(X[:, 2]))
    data = load(frame, target=target)
    assert (data.task, data.target_names, data.target_name, data.classes) == ("regression", ("y", "x2"), "y,x2", None)
    assert data.targets.dtype == np.float64
    assert np.array_equal(data.targets, X[:, 1:])
    assert "x2" not in data.inputs.columns
    profile = data.profile()
    assert profile["mean"] == pytest.approx(X[:, 1:].mean(0).tolist())
    assert load(frame, target=["y"]).targets.shape == (ROWS,)


def test_a_name_that_holds_a_comma_goes_before_two_names() -> None:
    frame = FRAME.with_columns(pl.Series("y,x", X[:, 2]))
    assert load(frame, target="y,x").target_names == ("y,x",)
    assert np.array_equal(load(frame, target="y,x").targets, X[:, 2])


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor, np.ndarray.tolist, pl.from_numpy])
def test_several_targets_of_a_pair(kind) -> None:
    data = load((X, kind(X[:, :2])))
    assert (data.target_names, data.task) == (("y0", "y1"), "regression")
    assert np.array_equal(data.targets, X[:, :2])
    whole = load((FRAME.drop("y"), kind(np.arange(2 * ROWS).reshape(ROWS, 2))))
    assert whole.targets.tolist() == [[2 * row, 2 * row + 1] for row in range(ROWS)]


def test_several_targets_of_an_archive(tmp_path) -> None:
    np.savez(tmp_path / "a.npz", x_train=X, y_train=X[:, :2], x_test=X[:3], y_test=X[:3, :2])
    data = load(tmp_path / "a.npz")
    assert (data.target_names, data.targets.shape) == (("target0", "target1"), (ROWS + 3, 2))


@pytest.mark.parametrize(
    ("source", "options", "sentence"),
    [
        (FRAME, {"target": "y,z"}, 'no column "z": did you mean|no column "z": choose among'),
        (FRAME, {"target": "y,towm"}, 'no column "towm": did you mean "town"'),
        (FRAME, {"target": "y,y"}, "name a column twice"),
        (FRAME, {"target": 3}, "the target 3 is no name of a column"),
        (FRAME, {"target": [3]}, r"the target \[3\] is no name of a column"),
        (FRAME, {"target": []}, "which column is to be predicted"),
        (FRAME, {"target": "y,x"}, 'the target "x" has no value in row 1'),
        (FRAME[1:], {"target": "y,town"}, "the target \"town\" holds 'Ulm' in row 1, which is no number"),
        (FRAME, {"target": "y,n", "task": "binary"}, "2 targets cannot be a binary task"),
        (
            (X, np.eye(3)[np.arange(ROWS) % 3]),
            {},
            r"y is one-hot, shape \(20, 3\): give class numbers, as y.argmax\(1\)",
        ),
        ((X, np.array([["a", "b"]] * ROWS)), {}, "give one number or label for each row"),
        ((X, np.column_stack([X[:, 0], np.ones(ROWS)])), {}, 'the target "y1" is 1 in every row'),
    ],
)
def test_several_targets_that_cannot_be(source, options, sentence) -> None:
    with pytest.raises(InputError, match=sentence) as found:
        load(source, **options)
    assert "\n" not in str(found.value)


def test_what_is_read_is_not_yet_judged() -> None:
    raw = read((X[:2], [1, 1]))
    assert (raw.names, raw.targets[0].tolist(), raw.inputs.shape) == (("y",), [1, 1], (2, 3))
