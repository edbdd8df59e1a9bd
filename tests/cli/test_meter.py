"""The bar: what it shows, above what, and that it may begin anew."""

from __future__ import annotations

import pytest

from thalweg.cli.meter import Meter


def test_words_stand_on_both_sides_and_notes_above(capsys: pytest.CaptureFixture[str]) -> None:
    meter = Meter()
    meter.draw(16, 64, "trial 16/64", "[bold]best[/bold] 98.61 %")
    assert meter.drawn
    meter.note("[red] is a word")
    meter.close()
    assert not meter.drawn
    said = capsys.readouterr().err
    assert "trial 16/64 ━" in said and "best 98.61 %" in said and "note: [red] is a word" in said
    assert said.index("note") < said.rindex("trial 16/64")


def test_it_may_begin_anew_and_a_length_may_be_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    meter = Meter()
    for name, total in (("looking", None), ("measuring", 10)):
        meter.draw(0, total, name)
        meter.close()
    said = capsys.readouterr().err
    assert said.index("looking") < said.index("measuring")
