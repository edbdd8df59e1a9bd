"""The curve of a history is what the whole history says, however the file grows, shrinks or is torn."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.history import History
from thalweg.view.curve import Curve
from view import folders

NUMBERS = st.floats(allow_nan=False, width=32)


@given(st.lists(st.tuples(st.booleans(), NUMBERS), max_size=12), st.lists(st.integers(0, 200), max_size=4))
def test_it_reads_what_a_history_reads(tmp_path_factory: pytest.TempPathFactory, rows: list, cuts: list[int]) -> None:
    path = tmp_path_factory.mktemp("curve") / "history.jsonl"
    history = History(path)
    for step, (measured, value) in enumerate(rows):
        history.record(step, {"dev/loss" if measured else "batch/loss": value, "seconds": float(step)})
    history.close()
    whole = path.read_bytes()
    curve = Curve(path)
    for cut in sorted(min(cut, len(whole)) for cut in cuts):  # seen as it grew, lines half written too
        path.write_bytes(whole[:cut])
        curve.refresh()
    path.write_bytes(whole)
    curve.refresh()
    steps, values = History.read(path).column("dev/loss")
    assert curve.values("loss") == tuple(values[steps > 0].tolist())
    assert curve.passes == int((steps > 0).sum())
    assert len(rows) < 2 or curve.seconds == len(rows) - 1


def test_a_run_that_went_back_is_read_anew(tmp_path: Path) -> None:
    folder = folders.run(tmp_path, passes=6)
    curve = Curve(folder / "history.jsonl")
    curve.refresh()
    assert curve.passes == 6
    (folder / "history.jsonl").unlink()
    folders.grow(folder, 0, 2)
    curve.refresh()
    assert curve.passes == 2
    assert curve.values("accuracy") == (0.5, 0.75)


def test_what_is_no_record_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(
        b'{"step":1,"dev/loss":NaN}\n["dev/"]\n{"dev/loss": 3}\n\0\0\0{"step":4,"dev/loss":2}\n"dev/" nonsense\n'
    )
    curve = Curve(path)
    curve.refresh()
    first, second = curve.values("loss")
    assert math.isnan(first) and second == 2.0
    assert curve.passes == 2
