"""``thalweg landscape``: from words to a page, and one sentence for what makes no sense."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from thalweg.cli.commands import app
from thalweg.cli.landscape import own_of
from thalweg.errors import InputError
from thalweg.experiments import Silent, Spec, start

QUICK = ("--epochs", "2", "--hidden", "4", "--lr", "0.05", "--points", "5")


def test_settings_of_single_rules() -> None:
    words = [
        "sgd.lr=0.5",
        "sgd.momentum=0.9",
        "adam.betas=0.9,0.99",
        "sgd.nesterov=true",
        "adam.schedule=linear",
        "sgd.epochs=3",
    ]
    assert own_of(words) == {
        "sgd": {"lr": 0.5, "momentum": 0.9, "nesterov": True, "epochs": 3},
        "adam": {"betas": [0.9, 0.99], "schedule": "linear"},
    }
    for word in ("sgd=0.5", "sgd.lr", "lr=0.5", ".lr=1", "sgd.=1", "sgd.lr="):
        with pytest.raises(InputError, match=r"write it as RULE\.NAME=VALUE"):
            own_of([word])
    with pytest.raises(InputError, match=r"--set gives sgd\.lr two values"):
        own_of(["sgd.lr=0.5", "sgd.lr=0.1"])


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The command in this process and an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *given: CliRunner().invoke(app, ["landscape", *given], catch_exceptions=False)


def test_rules_leave_a_page_and_runs_another(words, tmp_path: Path) -> None:
    told = words("wine", *QUICK, "--rules", "sgd,adam", "--set", "adam.lr=0.01", "--json")
    assert told.exit_code == 0
    found = json.loads(told.stdout.splitlines()[-1])
    assert [(end["name"], end["lr"]) for end in found["ends"]] == [("sgd", 0.05), ("adam", 0.01)]
    assert "arrier between sgd and adam" in told.stdout and "How far they went" in told.stdout
    assert "measuring" in told.stderr and "points" in told.stderr
    folder = tmp_path / "runs" / "wine-landscape-1"
    assert found["page"] == "runs/wine-landscape-1/page.html" and (folder / "page.html").is_file()
    assert json.loads((folder / "result.json").read_text())["barriers"] == found["barriers"]
    for rule, rate in (("sgd", 0.05), ("adam", 0.01)):
        start(Spec(data="wine", rule=rule, name=rule, epochs=2, hidden=[4], lr=rate), Silent())
    told = words("sgd", "adam", "--points", "5", "--out", "l.html", "--json")
    assert told.exit_code == 0 and (tmp_path / "l.html").is_file()
    again = json.loads(told.stdout.splitlines()[-1])
    assert [end["train"] for end in again["ends"]] == [end["train"] for end in found["ends"]]
    assert again["barriers"][0]["train"] == found["barriers"][0]["train"]
    for given, sentence in (
        (["sgd"], "1 run was given"), (["sgd", "adam", "--epochs", "2"], "--epochs is for training"),
        (["sgd", "adam", "--rules", "sgd,adam"], "--rules is for training"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=sentence):
            words(*given)


def test_rules_are_trained_on_bundled_data_also_where_a_run_has_its_name(words, tmp_path: Path) -> None:
    start(Spec(data="wine", rule="sgd", name="wine", epochs=1, hidden=[2], lr=0.01), Silent())
    told = words("wine", *QUICK, "--rules", "sgd,adam", "--points", "5", "--out", "l.html")
    assert told.exit_code == 0 and (tmp_path / "l.html").is_file()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["wine", "--rules", "sgd"], "two or three rules, and 1 rule was given"),
        (["wine", "--rules", ""], "two or three rules, and 0 rules were given"),
        (["wine", "--out", "nowhere/l.html"], r"nowhere/l.html cannot be written: name a file"),
        (["wine", "--out", "."], r"\. cannot be written: name a file"),
        (["wine", "--rule", "sgd"], "--rule has no meaning here"),
        (["wine", "--points", "3"], "5 to 201 points"),
        (["no.csv"], r"no\.csv does not exist"),
        (["no-1", "no-2"], "no-1 is not a run"),
    ],
)
def test_nonsense_is_one_sentence(words, given: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        words(*given)


def test_a_mistake_ends_the_process_with_its_sentence(thalweg) -> None:
    assert "1 rule was given" in thalweg.fails("landscape", "wine", "--rules", "sgd")
