"""What a row says of a folder, whole, going or broken."""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path

import pytest

from thalweg.experiments.folder import Folder
from thalweg.view.reading import Reader
from view import folders


def aged(folder: Path, seconds: float = 3600.0) -> Path:
    """As if nobody had written for a while."""
    before = time.time() - seconds
    for path in folder.iterdir():
        os.utime(path, (before, before))
    return folder


def test_a_finished_run(tmp_path: Path) -> None:
    entry = Reader(folders.run(tmp_path, passes=3)).entry()
    assert (entry.name, entry.kind, entry.data, entry.rule) == ("digits-1", "run", "digits", "adamw")
    assert (entry.state, entry.said) == ("finished", "")
    assert (entry.metric, entry.curve) == ("accuracy", (0.5, 0.75, 1 - 0.5 / 3))
    assert entry.best == max(entry.curve)
    assert (entry.done, entry.total, entry.unit) == (3, 8, "epochs")
    assert (entry.seconds, entry.when) == (1.5, "2026-01-02 03:04:05")


def test_a_watched_loss_is_best_where_it_is_lowest(tmp_path: Path) -> None:
    entry = Reader(folders.run(tmp_path, passes=3, watch="loss")).entry()
    assert (entry.metric, entry.best) == ("loss", 2.0 / 12)


def test_a_run_that_goes_keeps_up(tmp_path: Path) -> None:
    folder = folders.run(tmp_path, passes=1, status=None)
    reader = Reader(folder)
    before = reader.stamps()
    assert (reader.entry().state, reader.entry().done, reader.entry().seconds) == ("running", 1, 0.5)
    folders.grow(folder, 1, 4)
    assert (reader.entry().done, reader.entry().seconds) == (4, 2.0)
    assert reader.stamps() != before


def test_a_killed_run_is_told_from_one_that_takes_its_time(tmp_path: Path) -> None:
    killed = aged(folders.run(tmp_path, "killed", status="running"))
    entry = Reader(killed).entry()
    assert entry.state == "silent"
    assert "no sign of life since" in entry.said
    assert entry.said.endswith("if it was killed, go on with: thalweg resume killed")
    slow = aged(folders.run(tmp_path, "slow", status="running"))
    with Folder(slow).alone():
        assert Reader(slow).entry().state == "running"


def test_to_ask_does_not_keep_a_run_from_going_on(tmp_path: Path) -> None:
    folder = aged(folders.run(tmp_path, status="running"))
    reader = Reader(folder)
    assert reader.entry().state == "silent"
    with Folder(folder).alone():  # what a resumed run does first
        pass


def test_stopped_and_failed_runs_say_why(tmp_path: Path) -> None:
    stopped = Reader(folders.run(tmp_path, "a", status="stopped by the user")).entry()
    assert (stopped.state, stopped.said) == ("stopped", "go on with: thalweg resume a")
    failed = Reader(
        folders.run(tmp_path, "b", status="failed: at step 5 the loss became nan: use a smaller rate")
    ).entry()
    assert (failed.state, failed.said) == ("failed", "at step 5 the loss became nan: use a smaller rate")


def test_a_study_counts_its_trials(tmp_path: Path) -> None:
    folder = folders.study(tmp_path)
    reader = Reader(folder)
    entry = reader.entry()
    assert (entry.kind, entry.state, entry.metric) == ("study", "running", "accuracy")
    assert (entry.best, entry.curve) == (0.9, (0.8, 0.9, 0.9))
    assert (entry.done, entry.total, entry.unit, entry.seconds) == (3, 8, "trials", 0.75)
    trial = json.loads((folder / "trials/0001/result.json").read_text())
    (folder / "trials/0003").mkdir()
    (folder / "trials/0003/result.json").write_text(json.dumps(trial | {"status": "diverged", "ended": 200.0}))
    assert (reader.entry().done, reader.entry().best) == (4, 0.9)


def test_a_cross_validation_counts_its_folds(tmp_path: Path) -> None:
    folder = folders.run(tmp_path, status="running", folds=5)
    (folder / "history.jsonl").unlink()
    for number in (1, 2):
        (folder / f"fold-{number}").mkdir()
        (folder / f"fold-{number}" / "result.json").write_text("{}")
    entry = Reader(folder).entry()
    assert (entry.kind, entry.done, entry.total, entry.unit) == ("cross-validation", 2, 5, "folds")
    result = {"status": "finished", "task": "multiclass", "metrics": {"held_out": {"accuracy": 0.96}}}
    (folder / "result.json").write_text(json.dumps(result))
    entry = Reader(folder).entry()
    assert (entry.metric, entry.best, entry.state) == ("accuracy", 0.96, "finished")


def test_a_race_counts_its_runs(tmp_path: Path) -> None:
    folder = folders.race(tmp_path, trained=5)
    reader = Reader(folder)
    entry = reader.entry()
    assert (entry.kind, entry.state, entry.data, entry.rule) == ("race", "running", "digits", "sgd, adam")
    assert (entry.done, entry.total, entry.unit) == (10, 2 * (4 + (2 + 6) + 6 + 2), "runs")
    assert (entry.metric, round(entry.best, 9)) == ("accuracy", 0.92)
    before = reader.stamps()
    folders.more_of_a_race(folder, 5, 6)
    assert (reader.entry().done, reader.stamps() != before) == (12, True)
    sgd, adam = reader.lanes.read()
    assert (sgd.stages, sgd.runs) == ({"tuning": 4, "fresh seeds": 2}, 6)
    assert [round(value, 9) for value in adam.curve] == [0.8, 0.8, 0.86, 0.89, 0.92, 0.95]
    (folder / "runs" / "digits.jsonl").write_text("{nonsense\n")
    assert Reader(folder).entry().state == "damaged"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("result.json", b'{"status": "fini', "result.json is damaged"),
        ("result.json", b"[1, 2]", "result.json is damaged: it holds no object"),
        ("result.json", b"\xff\xfe\x00", "result.json is damaged"),
        ("result.json", b'{"status": "finished", "seconds": "long"}', "digits-1 cannot be read (ValueError"),
        ("result.json", b'{"status": "finished", "metrics": 3, "task": 4, "seconds": null}', "cannot be read (TypeError"),
        ("spec.toml", b"data = ", "spec.toml is damaged"),
        ("spec.toml", b'epochs = "many"\n', "cannot be read (ValueError"),
    ],
)  # fmt: skip
def test_what_is_broken_is_said_in_the_row(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    folder = folders.run(tmp_path)
    reader = Reader(folder)
    assert reader.entry().state == "finished"
    (folder / name).write_bytes(content)
    entry = reader.entry()
    assert entry.state == "damaged"
    assert said in entry.said
    assert "\n" not in entry.said


def test_a_run_without_measurements_has_no_curve(tmp_path: Path) -> None:
    entry = Reader(folders.run(tmp_path, passes=0, status="running")).entry()
    assert (entry.curve, entry.done, entry.state) == ((), 0, "running")
    assert math.isnan(entry.best)


def test_what_is_deleted_meanwhile_is_no_traceback(tmp_path: Path) -> None:
    folder = folders.run(tmp_path)
    reader = Reader(folder)
    reader.entry()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert reader.entry().state == "damaged"
    assert reader.stamps()
