"""What is built: results kept under the text they came from, and read back as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import build
from claim import SEEDS
from thalweg.report.gallery import gallery_page

SCRIPT = """
from claim import Entry, Shown, tell
from tiny_colour import COLOUR
from draw import curve, picture

def show(seeds, small):
    drawn = picture("It rises.", curve("a", [0, 1, 2], [[0.0, s, 1.0] for s in seeds], COLOUR), x="x")
    return Shown([s > 0 for s in seeds], {"seed": [float(s) for s in seeds]}, drawn, "Not for 0.")

ENTRY = Entry("Tiny", "Averages", "It rises.", "nobody", show)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An atlas of one entry, which takes a colour from its neighbour."""
    (tmp_path / "tiny.py").write_text(SCRIPT)
    (tmp_path / "tiny_colour.py").write_text('COLOUR = "--train"\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(build, "HERE", tmp_path)
    return tmp_path


def test_a_result_is_read_back_as_it_was(folder: Path) -> None:
    assert build.run("tiny", folder) >= 0
    plate = build.plate("tiny", folder)
    assert plate.verdict == f"{SEEDS - 1} of {SEEDS} seeds"
    assert plate.numbers == {"seed": [float(seed) for seed in range(SEEDS)]}
    assert plate.code == SCRIPT
    middle = plate.figure.data[1]
    assert middle["line"]["color"] == "--train"
    assert middle["y"] == [0.0, float(np.median(range(SEEDS))), 1.0]
    assert "It rises." in gallery_page("The atlas", [plate])


def test_another_text_is_another_result(folder: Path) -> None:
    before = build.kept("tiny", folder)
    assert build.kept("tiny", folder) == before
    (folder / "tiny_colour.py").write_text('COLOUR = "--dev"\n')
    after = build.kept("tiny", folder)
    assert after != before
    (folder / "tiny.py").write_text(SCRIPT + "\n")
    assert build.kept("tiny", folder) not in (before, after)
