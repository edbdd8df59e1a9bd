"""``thalweg surface``: a table, a page, one JSON object; mistakes are one sentence and status 2."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from thalweg.cli.surface import _point, _settings, surface
from thalweg.errors import InputError


def test_table_page_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "ravine.html"
    surface(
        "ravine", rules="sgd,adam", settings=["sgd.lr=0.95", "adam.lr=0.3", "adam.beta1=0.8"], start="-7,2", steps=20,
        noise=None, seed=0, out=str(out), as_json=True,
    )  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["rule", "lr"] and lines[1].split()[:2] == ["sgd", "0.95"]
    assert lines[-2] == f"page  {out}"
    told = json.loads(lines[-1])
    assert told["rules"]["adam"]["numbers"]["beta1"] == 0.8 and told["page"] == str(out)
    assert "<title>ravine: sgd, adam" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize("word", ["lr=1", "sgd.lr", "sgd.lr=fast", ".lr=1", "sgd.lr=nan"])
def test_a_setting_is_written_in_one_way(word: str) -> None:
    with pytest.raises(InputError, match=r"write it as RULE\.NAME=NUMBER"):
        _settings([word])


def test_settings_and_points() -> None:
    assert _settings(["sgd.lr=1e-2", "adam.beta1=0.5", "adam.lr=3"]) == {
        "sgd": {"lr": 0.01},
        "adam": {"beta1": 0.5, "lr": 3.0},
    }
    with pytest.raises(InputError, match=r"--set gives sgd\.lr two values"):
        _settings(["sgd.lr=1", "sgd.lr=2"])
    assert _point("-7,2.5") == (-7.0, 2.5)
    for word in ("1", "1,2,3", "a,b"):
        with pytest.raises(InputError, match="write it as two numbers"):
            _point(word)


def test_a_mistake_is_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "thalweg", "surface", "__import__('os')", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("thalweg: ") and done.stderr.count("\n") == 1
    assert "which is no function of a formula" in json.loads(done.stdout)["error"]
    assert list(tmp_path.iterdir()) == []
