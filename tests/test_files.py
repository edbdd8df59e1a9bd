"""Files that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from thalweg.files import replacing


@pytest.mark.parametrize("sure", [False, True])
def test_a_file_takes_its_place_when_all_is_written(tmp_path: Path, sure: bool) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    with replacing(path, sure=sure) as beside:
        beside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("before", [None, "old"])
def test_what_goes_wrong_leaves_what_was_there(tmp_path: Path, before: str | None) -> None:
    path = tmp_path / "result.json"
    if before is not None:
        path.write_text(before)
    with pytest.raises(KeyError), replacing(path) as beside:
        beside.write_text("half")
        raise KeyError
    assert [one.read_text() for one in tmp_path.iterdir()] == ([] if before is None else [before])


def test_what_cannot_be_written_is_told_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "nowhere" / "result.json") as beside:
        beside.write_text("text")
    (tmp_path / "full").mkdir()
    with pytest.raises(IsADirectoryError), replacing(tmp_path / "full") as beside:
        beside.write_text("text")
    assert [one.name for one in tmp_path.iterdir()] == ["full"]
