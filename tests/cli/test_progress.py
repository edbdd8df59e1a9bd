"""Stages of known length say how much time is left, on a clock that the test moves."""

from __future__ import annotations

import pytest

from thalweg.cli import progress
from thalweg.cli.progress import Bar, Lines


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(progress, "time", moved)
    return moved


def test_lines_say_what_is_left_and_not_too_often(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.stage("measuring", 1000)
    for seconds in range(1, 21):
        clock.now = 100.0 + seconds
        lines.advance(10 * seconds)
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "measuring …" and told[1] == "3 %  1:37 left" and told[-1] == "18 %  1:22 left"
    assert len(told) == 1 + 20 // 3


def test_stages_of_unknown_length_say_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.stage("measuring", 1000)
    lines.stage("looking")
    clock.now += 50
    lines.advance(10)
    assert capsys.readouterr().err == "measuring …\nlooking …\n"


def test_the_bar_says_the_same(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    bar = Bar()
    bar.stage("measuring", 1000)
    clock.now += 4
    bar.advance(250)
    bar.close()
    assert "25 %  0:12 left" in capsys.readouterr().err
