"""``thalweg diagnose`` and ``thalweg improve`` as a user runs them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from commandline import CommandLine
from thalweg.cli import commands
from thalweg.cli.commands import Told
from thalweg.experiments import improving
from thalweg.experiments.improving import Stopped

SETTINGS = (
    "--hidden",
    "16",
    "--epochs",
    "8",
    "--batch-size",
    "32",
    "--dropout",
    "0",
    "--no-skip",
    "--weight-decay",
    "0.01",
)


@pytest.fixture
def data(thalweg: CommandLine) -> str:
    generator = np.random.default_rng(0)
    label = np.arange(600) % 3
    centres = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    np.savez(
        thalweg.folder / "three.npz",
        X=(centres[label] + generator.normal(0, 0.5, (600, 2))).astype(np.float32),
        y=label,
    )
    return "three.npz"


def test_a_rate_too_low_is_found_and_repaired(thalweg: CommandLine, data: str) -> None:
    assert thalweg("train", data, *SETTINGS, "--lr", "1e-6", "--name", "low").status == 0
    recorded = thalweg("diagnose", "low", "--recorded", "--json")
    assert recorded.status == 0 and not recorded.json["tested"] and "From the history alone" in recorded.out
    found = thalweg("diagnose", "low", "--json")
    assert found.status == 0 and found.json["tested"]
    assert found.json["findings"][0]["kind"] == "lr_too_low"
    assert found.out.startswith("1. Learning rate too low") and "→ " in found.out
    assert "testing causes on copies, at most about" in found.err
    improved = thalweg("improve", "low", "--json")
    assert improved.status == 0 and improved.json["best"]["low"] > 0
    assert "changes to try, at most" in improved.err and "What helps: " in improved.out
    assert tomllib.loads((thalweg.folder / improved.json["improved"]).read_text())["lr"] > 1e-6
    again = thalweg("train", improved.json["improved"], "--json")
    score = next(iter(improved.json["best"]["scores"].values()))
    assert again.json["metrics"]["dev"]["accuracy"] == score


def test_a_healthy_run(thalweg: CommandLine, data: str) -> None:
    assert thalweg("train", data, *SETTINGS, "--lr", "1e-2", "--name", "good").status == 0
    found = thalweg("diagnose", "good")
    assert found.status == 0 and "found nothing wrong" in found.out
    improved = thalweg("improve", "good", "--json")
    assert "there is nothing to improve" in improved.out and improved.json["improved"] is None


@pytest.mark.parametrize("stop", [Stopped, KeyboardInterrupt])
def test_a_stop_says_how_to_go_on(
    stop: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "my run"
    folder.mkdir()
    (folder / "spec.toml").write_text('data = "digits"\n')

    def stopped(*_: object, **__: object) -> None:
        raise stop

    monkeypatch.setattr(improving, "improve_run", stopped)
    with pytest.raises(Told) as left:
        commands.improve(str(folder), as_json=True)
    assert left.value.code == 130
    said = capsys.readouterr()
    assert said.err == f"thalweg: stopped; go on with: thalweg improve '{folder}'\n"
    assert json.loads(said.out) == {"run": str(folder), "status": "stopped by the user"}


def test_what_is_no_run(thalweg: CommandLine) -> None:
    assert "is not a run" in thalweg.refuses("diagnose", "nothing")
    assert "is not a run" in thalweg.refuses("improve", "nothing")
    assert json.loads(thalweg("diagnose", "nothing", "--json").out)["error"].startswith("nothing is not a run")
