"""``thalweg tune`` from a terminal: what it says, what it leaves, how it stops and goes on."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

from commandline import CommandLine


def test_a_study_is_stated_searched_and_left_usable(thalweg: CommandLine, tmp_path: Path) -> None:
    done = thalweg(
        "tune", "wine", "--vary", "lr=1e-3..0.1:log", "--vary", "hidden=[8, 16]", "--trials", "6", "--epochs", "3",
        "--confirm", "2", "--name", "w", "--json",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert "Searching lr in 0.001..0.1:log; hidden in [8, 16]" in done.err
    assert "6 trials of at most 3 passes" in done.err
    assert done.json["study"] == "runs/w"
    assert done.json["trials"] == 6
    assert len(done.json["confirmed"]["values"]) == 2
    assert "thalweg train runs/w/best.toml" in done.out
    listed = thalweg("runs", "--json")
    assert [(row["run"], row["status"]) for row in listed.json["runs"]] == [("runs/w", "finished, 6 trials")]
    predicted = thalweg("predict", "w", "wine", "--out", "out.csv")
    assert predicted.status == 0, predicted.err
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 179
    page = (tmp_path / "runs/w/page.html").read_text()
    assert "fresh seeds" in page
    (tmp_path / "runs/w/page.html").unlink()
    assert thalweg("report", "w").status == 0
    assert (tmp_path / "runs/w/page.html").read_text() == page


def test_a_grid_says_its_size_first(thalweg: CommandLine) -> None:
    done = thalweg(
        "tune", "wine", "--vary", "lr=1e-3..0.1:log", "--vary", "layers=1..2", "--sampler", "grid", "--points", "3",
        "--trials", "6", "--epochs", "2", "--confirm", "0",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert "The grid has 3 × 2 = 6 points" in done.err


def test_several_objectives_leave_a_front(thalweg: CommandLine) -> None:
    words = (
        "--vary",
        "lr=1e-3..0.1:log",
        "--vary",
        "hidden=[2, 16]",
        "--trials",
        "4",
        "--epochs",
        "3",
        "--confirm",
        "0",
    )
    done = thalweg("tune", "wine", "--objectives", "accuracy,size", *words, "--name", "w", "--json")
    assert done.status == 0, done.err
    assert "Objectives: dev accuracy, size (numbers that are trained)" in done.err
    assert "None ends early" in done.err
    assert "thalweg train runs/w/trials/NUMBER/spec.toml" in done.out
    assert done.json["front"][0]["number"] == done.json["best"]["number"]
    last = done.json["front"][-1]["number"]
    again = thalweg("train", f"runs/w/trials/{last:04}/spec.toml")
    assert again.status == 0, again.err


def test_mistakes_are_one_sentence(thalweg: CommandLine) -> None:
    for words, sentence in (
        (("tune", "wine", "--vary", "lr"), '--vary "lr" says no range'),
        (("tune", "wine", "--vary", "lrr=1..2"), "lrr"),
        (("tune", "wine", "--members", "many"), "--members many: give how many candidates train together, 1 or more"),
        (("tune", "wine", "--vary", "lr=1..2", "--vary", "lr=1..3"), "--vary gives lr two ranges: give one"),
        (("tune", "wine", "--space", "nowhere.toml"), "nowhere.toml"),
        (("tune", "wine", "--objectives", "accuracy,,size"), 'there is no objective ""'),
    ):
        done = thalweg(*words)
        assert done.status == 2
        assert sentence in done.err
        assert "Traceback" not in done.err


def test_stopped_and_gone_on(thalweg: CommandLine, tmp_path: Path) -> None:
    words = (
        "tune", "wine", "--vary", "lr=1e-3..0.1:log", "--trials", "8", "--epochs", "400", "--patience", "0", "--prune", "none",
        "--members", "2", "--confirm", "0", "--name", "s",
    )  # fmt: skip
    process = thalweg.start(*words)
    trials = tmp_path / "runs/s/trials"
    deadline = time.monotonic() + 120
    while len(list(trials.glob("*/result.json"))) < 2 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "with --name s goes on" in said
    before = {path: path.read_text() for path in trials.glob("*/result.json")}
    assert 2 <= len(before) < 8
    done = thalweg(*words, "--json")
    assert done.status == 0, done.err
    assert done.json["trials"] == 8
    assert all(path.read_text() == text for path, text in before.items())
    assert len({json.loads(path.read_text())["number"] for path in trials.glob("*/result.json")}) == 8
