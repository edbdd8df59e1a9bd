"""Folders of runs: numbered, never overwritten, found by name or path."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from thalweg.errors import InputError
from thalweg.experiments import Silent, Spec, start
from thalweg.experiments.folder import Folder


def test_numbers_go_on(tmp_path) -> None:
    names = [Folder.create(tmp_path / "runs", None, "my data.csv").name for _ in range(3)]
    assert names == ["my-data.csv-1", "my-data.csv-2", "my-data.csv-3"]
    (tmp_path / "runs" / "my-data.csv-2").rmdir()
    assert Folder.create(tmp_path / "runs", None, "my data.csv").name == "my-data.csv-4"


def test_a_name_is_used_once(tmp_path) -> None:
    Folder.create(tmp_path, "first", "x")
    with pytest.raises(InputError, match="exists already: choose another --name"):
        Folder.create(tmp_path, "first", "x")


def test_open_by_path_and_by_name(tmp_path) -> None:
    folder = Folder.create(tmp_path, "first", "x")
    with pytest.raises(InputError, match="is not a run"):
        Folder.open("first", tmp_path)
    folder.write(folder.spec, "")
    assert Folder.open("first", tmp_path) == Folder.open(tmp_path / "first") == folder
    assert Folder.all(tmp_path) == [folder]
    race = Folder.create(tmp_path, "race", "x")
    (race.path / "race.toml").write_text("")
    assert len(Folder.all(tmp_path)) == 2
    with pytest.raises(InputError, match=r"second is not a run.*the runs in .* are first$"):
        Folder.open("second", tmp_path)


def test_files_are_replaced_whole_and_damage_is_named(tmp_path) -> None:
    folder = Folder.create(tmp_path, "first", "x")
    with pytest.raises(InputError, match=r"has no result\.json"):
        folder.read_json(folder.result)
    folder.write_json(folder.result, {"a": [1, 2]})
    assert folder.read_json(folder.result) == {"a": [1, 2]}
    folder.result.write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        folder.read_json(folder.result)
    assert [path.name for path in folder.path.iterdir()] == ["result.json"]


def test_whether_data_stream_is_decided_once(tmp_path, monkeypatch) -> None:
    frame = pl.DataFrame({"x": np.arange(100.0), "y": np.arange(100) % 3 * 1.5})
    frame.write_parquet(tmp_path / "table.parquet")
    monkeypatch.setattr("thalweg.data.is_large", lambda source: True)
    spec = Spec(data=str(tmp_path / "table.parquet"), target="y", epochs=1, lr=0.01, runs=str(tmp_path))
    folder, _ = start(spec, Silent())
    assert Spec.read(folder.spec).stream is True
