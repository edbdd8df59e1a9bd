"""Data in several files are the same read whole as streamed, and their faults are sentences."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import thalweg
from thalweg.data import load
from thalweg.errors import InputError

FRAME = pl.DataFrame({"x": np.arange(60.0), "kind": ["a", "b", "c"] * 20, "y": np.arange(60) * 0.5})


@pytest.fixture
def clicks(tmp_path):
    folder = tmp_path / "clicks"
    (folder / "later").mkdir(parents=True)
    FRAME[:40].write_parquet(folder / "one.parquet")
    FRAME[40:].write_parquet(folder / "later" / "two.parquet")
    return folder


def test_a_folder_of_parquet_files_is_one_table(clicks) -> None:
    data = load(str(clicks), target="y")
    assert sorted(data.targets.ravel().tolist()) == FRAME["y"].to_list()
    assert data.inputs.columns == ["x", "kind"]


def test_a_pattern_names_files(clicks) -> None:
    assert len(load(str(clicks / "one*.parquet"), target="y")) == 40


def test_parts_of_their_own_may_be_folders(clicks) -> None:
    data = load(FRAME, target="y", test=str(clicks))
    assert len(data) == 120


def test_predictions_for_all_files_in_their_order(clicks) -> None:
    fitted = thalweg.fit("linear", str(clicks), target="y", epochs=1, lr=0.01)
    expected = fitted.predict(pl.concat([FRAME[40:], FRAME[:40]]))  # later/two before one
    assert fitted.predict(str(clicks)).equals(expected)


def test_other_columns_are_said(clicks) -> None:
    FRAME.rename({"x": "z"}).write_parquet(clicks / "three.parquet")
    with pytest.raises(InputError, match=r"three.parquet has other columns than .*two.parquet: give files"):
        load(str(clicks), target="y")


def test_other_types_are_said(clicks) -> None:
    FRAME.with_columns(x=pl.lit("many")).write_parquet(clicks / "three.parquet")
    with pytest.raises(InputError, match=r'the column "x" is String in .*three.parquet and Float64 in .*two.parquet'):
        load(str(clicks), target="y")


@pytest.mark.parametrize("named", ["", "X.npy,y.npy"])
def test_arrays_in_two_files(tmp_path, named) -> None:
    inputs = np.random.default_rng(0).normal(size=(50, 4))
    np.save(tmp_path / "X.npy", inputs)
    np.save(tmp_path / "y.npy", np.arange(50)[:, None] % 3)
    name = ",".join(str(tmp_path / file) for file in named.split(",")) if named else str(tmp_path)
    data = load(name)
    assert np.allclose(data.inputs, inputs)
    assert data.targets.tolist() == [row % 3 for row in range(50)]
    assert thalweg.fit("linear", name, epochs=1, lr=0.01).predict(name).height == 50
    with pytest.raises(InputError, match="cannot be chosen"):
        load(name, target="y")


def test_objects_in_an_array_are_never_loaded(tmp_path) -> None:
    np.save(tmp_path / "X.npy", np.array([[object()]], dtype=object), allow_pickle=True)
    np.save(tmp_path / "y.npy", np.zeros(1))
    with pytest.raises(InputError, match="could run code"):
        load(str(tmp_path))
