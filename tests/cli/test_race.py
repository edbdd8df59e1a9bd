"""``thalweg race`` from a terminal: what it says, what it leaves, how it stops and goes on."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from commandline import CommandLine
from thalweg.cli.commands import app
from thalweg.errors import InputError

SMALL = (
    "--rules",
    "sgd,adam",
    "--trials",
    "2",
    "--seeds",
    "2",
    "--epochs",
    "1",
    "--hidden",
    "4",
    "--dropout",
    "0",
    "--no-skip",
)


def test_a_race_is_stated_run_and_left_readable(
    thalweg: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = thalweg("race", "wine", *SMALL, "--name", "r", "--json")
    assert done.status == 0, done.err
    assert "sgd, adam:" in done.err
    assert "passes in all" in done.err
    assert done.json["race"] == "runs/r"
    assert {racer["rule"] for racer in done.json["problems"][0]["racers"]} == {"sgd", "adam"}
    assert "as it comes" in done.out
    assert "runs/r/page.html" in done.out
    assert "Adam" not in (tmp_path / "runs/r/best/sgd.toml").read_text()
    monkeypatch.chdir(tmp_path)
    app(["train", "runs/r/best/adam.toml", "--epochs", "1"], standalone_mode=False)
    for name, result in (("a", "[1]"), ("b", "{}"), ("c", "{")):
        (tmp_path / "runs" / name).mkdir()
        (tmp_path / "runs" / name / "race.toml").write_text("")
        (tmp_path / "runs" / name / "result.json").write_text(result)
    capsys.readouterr()
    app(["runs", "--json"], standalone_mode=False)
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])["runs"]
    listed = {row["run"]: row for row in rows}["runs/r"]
    assert (listed["task"], list(listed["winners"])) == ("race", ["wine"])
    assert all("damaged" in {row["run"]: row["status"] for row in rows}[f"runs/{name}"] for name in "abc")
    with pytest.raises(InputError, match=r"is a race, not a run: its page is runs/r/page.html"):
        app(["report", "r"], standalone_mode=False)


def test_a_killed_race_goes_on_to_the_same_numbers(thalweg: CommandLine, tmp_path: Path) -> None:
    words = ("race", "ravine", "--rules", "sgd,adam", "--trials", "2", "--seeds", "2")
    whole = thalweg(*words, "--name", "whole", "--json")
    assert whole.status == 0, whole.err
    process = thalweg.start(*words, "--name", "part")
    log = tmp_path / "runs/part/runs/ravine.jsonl"
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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("wine --rules sgd,adm", "did you mean"),
        ("wine --rules sgd", "a race needs at least two rules"),
        ("wine --rules ,", "a list of names is empty"),
        ("--rules sgd,adam", "say what to race on"),
        ("ravine --epochs 3", "epochs does not belong to ravine"),
        ("wine --suite small", "leave out the data"),
        ("--suite small --goal 0.9", "leave out the data and --goal"),
        ("wine --lr 0.1", "lr is not given to a race"),
        ("wine --rules sgd,adam --goal 97", "goal is 97: accuracy is a share, above 0 and at most 1, as in 0.97"),
        ("wine --goal nan", "goal is nan: it must be a number"),
        ("wine --seeds 1", "seeds is 1: it must be a whole number, 2 or more"),
        ("nowhere.csv --target y", "does not exist"),
        ("net.py:build", "say what to race it on with --data"),
    ],
)
def test_what_the_words_cannot_mean(words: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said):
        app(["race", *words.split()], standalone_mode=False)
    assert not list(tmp_path.iterdir())
