"""``thalweg race`` from a terminal: what it says, what it leaves, how it stops and goes on."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

from commandline import CommandLine

SMALL = ("--rules", "sgd,adam", "--trials", "2", "--seeds", "6", "--epochs", "2", "--hidden", "4", "--dropout", "0")


def test_a_race_is_stated_run_and_left_readable(thalweg: CommandLine, tmp_path: Path) -> None:
    done = thalweg("race", "wine", *SMALL, "--name", "r", "--json")
    assert done.status == 0, done.err
    assert "sgd, adam:" in done.err
    assert "passes in all" in done.err
    assert done.json["race"] == "runs/r"
    assert {racer["rule"] for racer in done.json["problems"][0]["racers"]} == {"sgd", "adam"}
    assert "as it comes" in done.out
    assert "runs/r/page.html" in done.out
    assert "Adam" not in (tmp_path / "runs/r/best/sgd.toml").read_text()
    trained = thalweg("train", "runs/r/best/adam.toml", "--json")
    assert trained.status == 0, trained.err
    listed = {row["run"]: row for row in thalweg("runs", "--json").json["runs"]}["runs/r"]
    assert (listed["task"], list(listed["winners"])) == ("race", ["wine"])
    assert "is a race, not a run: its page is runs/r/page.html" in thalweg.fails("report", "r")


def test_a_killed_race_goes_on_to_the_same_numbers(thalweg: CommandLine, tmp_path: Path) -> None:
    words = ("race", "rosenbrock", "--rules", "sgd,adam", "--trials", "4", "--seeds", "6")
    whole = thalweg(*words, "--name", "whole", "--json")
    assert whole.status == 0, whole.err
    process = thalweg.start(*words, "--name", "part")
    log = tmp_path / "runs/part/runs/Rosenbrock.jsonl"
    while not log.exists() and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    again = thalweg(*words, "--name", "part", "--json")
    assert again.status == 0, again.err

    def numbers(found: dict) -> object:
        kept = ("rule", "settings", "dev", "untuned")
        return [[racer[name] for name in kept] for racer in found["problems"][0]["racers"]]

    assert numbers(again.json) == numbers(whole.json)
    assert again.json["problems"][0]["verdicts"] == whole.json["problems"][0]["verdicts"]


def test_ctrl_c_keeps_what_ended(thalweg: CommandLine, tmp_path: Path) -> None:
    process = thalweg.start(
        "race", "rosenbrock", "--rules", "sgd,adam,nadam", "--trials", "16", "--name", "r", "--json"
    )
    log = tmp_path / "runs/r/runs/Rosenbrock.jsonl"
    while not log.exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "the same command with --name r goes on" in err
    assert json.loads(out.splitlines()[-1]) == {"race": "runs/r", "status": "stopped by the user"}


def test_mistakes_are_one_sentence(thalweg: CommandLine, tmp_path: Path) -> None:
    assert "did you mean adam" in thalweg.fails("race", "wine", "--rules", "sgd,adm")
    assert "say what to race on" in thalweg.fails("race", "--rules", "sgd,adam")
    assert "epochs does not belong to ravine" in thalweg.fails("race", "ravine", "--epochs", "3")
    assert "leave out the data" in thalweg.fails("race", "wine", "--suite", "small")
    assert "lr is not given to a race" in thalweg.fails("race", "wine", "--lr", "0.1")
    assert "does not exist" in thalweg.fails("race", "nowhere.csv", "--target", "y")
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())
