"""``thalweg schedule``: the curve is the schedule, at any width; nonsense is one sentence."""

from __future__ import annotations

import json
import re

import pytest

from thalweg.cli.chart import DOTS, chart
from thalweg.errors import InputError
from thalweg.schedules import SHAPES, Schedule, outline, parse


def dots(lines: list[str], height: int) -> set[tuple[int, int]]:
    """(column, row) of every dot, read back from the characters."""
    margin = lines[0].index("┤") + 1
    found = set()
    for row, line in enumerate(lines[:height]):
        for column, character in enumerate(line[margin:]):
            bits = ord(character) - 0x2800
            if 0 < bits < 256:
                found |= {(2 * column + x, 4 * row + y) for x in range(2) for y in range(4) if bits & DOTS[x][y]}
    return found


class TestTheChart:
    def test_a_straight_line_is_its_diagonal(self) -> None:
        lines = chart(lambda step: step / 79, 79, width=43, height=5)  # 80 columns of dots, one for each step
        drawn = dots(lines, 5)
        assert {column for column, _ in drawn} == set(range(80))
        for column, row in drawn:
            assert abs(row - 19 * (1 - column / 79)) <= 1.0
        assert lines[0].startswith("1 ┤") and lines[4].startswith("0 ┤")

    def test_a_dip_of_one_step_is_not_lost(self) -> None:
        lines = chart(lambda step: 0.0 if step == 300 else 1.0, 600, width=40, height=5)
        assert {row for _, row in dots(lines, 5)} == set(range(20))

    def test_joins_are_marked_and_named(self) -> None:
        lines = chart(lambda step: abs(step - 500), 1000, width=60, height=6, marks=[500])
        assert any("┊" in line for line in lines)
        assert lines[-1].split() == ["0", "500", "1,000"]
        assert lines[-2].count("┬") == 3

    @pytest.mark.parametrize("width", [20, 40, 80, 100])
    @pytest.mark.parametrize(
        "text",
        ["constant(0.5)", "1e-9 * (warmup(500) >> cosine(1000000))", "staircase((1, 2, 3), (1.0, 0.5, -0.2, 0.1))"],
    )
    def test_no_line_is_wider_than_asked(self, text: str, width: int) -> None:
        drawn = outline(parse(text))
        for line in chart(drawn.value, drawn.steps, width=width, height=6, marks=[1, 2, 3]):
            assert len(line) <= width

    def test_it_can_be_drawn_without_braille(self) -> None:
        lines = chart(lambda step: step, 100, width=40, height=6, marks=[50], plain=True)
        assert "".join(lines).isascii() and "*" in "".join(lines)

    def test_what_is_too_large_is_said(self) -> None:
        with pytest.raises(InputError, match="too large"):
            chart(lambda step: float("inf"), 10, width=40, height=5)


class TestTheOutline:
    @pytest.mark.parametrize(
        "text, steps, starts",
        [
            ("warmup(500) >> cosine(10000)", 10500, [0, 500]),
            ("0.1 * every(10, warmup(5) >> linear(10))", 150, [0, 50]),
            ("warmup(500) >> constant()", 750, [0, 500]),
            ("staircase((10, 20), (1.0, 0.1, 0.01))", 25, [0, 10, 20]),
            ("every(2, staircase((10,), (1.0, 0.1)))", 24, [0, 20]),
            ("restarts(10, growth=2)", 69, [0]),
            ("constant()", 100, [0]),
            ("exponential(0.95)", 45, [0]),
            ("inverse_time(0.01)", 900, [0]),
            ("until('dev/loss', 0.5, constant(0.1)) >> cosine(50)", 150, [0, 100]),
        ],
    )
    def test_goes_as_far_as_the_shape_shows(self, text: str, steps: int, starts: list[int]) -> None:
        drawn = outline(parse(text))
        assert (drawn.steps, [stretch.start for stretch in drawn.stretches]) == (steps, starts)

    @pytest.mark.parametrize(
        "text",
        ["0.1 * every(10, warmup(5) >> linear(10))", "warmup(7) >> (0.5 * every(3, staircase((2,), (1.0, 0.1))))"],
    )
    def test_its_stretches_are_the_schedule(self, text: str) -> None:
        schedule = parse(text)
        drawn = outline(schedule)
        starts = [stretch.start for stretch in drawn.stretches]
        for step in range(drawn.steps):
            part = max(index for index, start in enumerate(starts) if start <= step)
            assert drawn.stretches[part].schedule(step - starts[part]) == pytest.approx(schedule(step))

    def test_of_one_that_reacts_shows_what_follows_its_bound(self) -> None:
        drawn = outline(parse("until('train/r2', 0.8, constant(0.1)) >> plateau()"))
        assert [drawn.value(step) for step in (0, 99, 100)] == [0.1, 0.1, 1.0]
        assert "train/r2 reaches 0.8 at step 100 and dev/loss always improves" in drawn.imagined


class TestTheCommand:
    def test_shows_the_curve_and_its_key_steps(self, thalweg) -> None:
        finished = thalweg("schedule", "warmup(500) >> cosine(10000)", "--lr", "0.1")
        assert finished.status == 0, finished.err
        table = dict(
            match.groups() for line in finished.out.splitlines() if (match := re.match(r" *([\d,]+) +([\d.e-]+)", line))
        )
        assert table["0"] == "0.0002" and table["499"] == "0.1" and table["500"] == "0.1" and table["10,500"] == "0"
        assert "0.1 ┤" in finished.out and "┊" in finished.out

    @pytest.mark.parametrize("columns", ["20", "40", "80"])
    def test_fits_a_terminal_of_any_width(self, thalweg, columns) -> None:
        thalweg.environment["COLUMNS"] = columns
        finished = thalweg("schedule", "until('dev/loss', 0.1, constant(0.1)) >> warmup(5) >> cosine(1000)")
        assert finished.status == 0, finished.err
        assert max(map(len, finished.out.splitlines())) <= int(columns)

    def test_is_seen_where_only_ascii_can_be(self, thalweg) -> None:
        thalweg.environment["PYTHONIOENCODING"] = "ascii"
        finished = thalweg("schedule", "warmup(5) >> cosine(100)")
        assert finished.status == 0 and finished.out.isascii() and "*" in finished.out

    def test_steps_say_how_far(self, thalweg) -> None:
        found = thalweg("schedule", "cosine(100)", "--steps", "200", "--lr", "2", "--json").json
        assert found["steps"] == 200 and found["schedule"] == "cosine(100)"
        assert {"step": 200, "value": 0.0} in found["values"] and {"step": 0, "value": 2.0} in found["values"]

    def test_writes_a_page(self, thalweg) -> None:
        finished = thalweg("schedule", "0.5 * (warmup(5) >> plateau())", "--page", "s.html")
        assert finished.status == 0, finished.err
        page = (thalweg.folder / "s.html").read_text()
        figure = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.S)[1])["schedule"]
        assert figure["data"][0]["y"][:5] == [0.1, 0.2, 0.3, 0.4, 0.5]
        assert figure["layout"]["shapes"][0]["x0"] == 5
        assert "It reacts to dev/loss" in page and "0.5 * (warmup(5) &gt;&gt; plateau())" in page

    def test_without_a_schedule_lists_the_words(self, thalweg) -> None:
        out = thalweg("schedule").out
        assert all(f"{name}(" in out for name in SHAPES)

    @pytest.mark.parametrize(
        "words, sentence",
        [
            (["cosin(100)"], 'did you mean "cosine"?'),
            (["cosine"], "no schedule"),
            (["cosine(100)", "--steps", "0"], "drawing of 0 steps"),
            (["cosine(100)", "--lr", "nan"], "finite number"),
            (["cosine(100)", "--page", "no/where.html"], "cannot be written"),
            (["linear(10, 1e308, -1e308)"], "too large to draw"),
        ],
    )
    def test_nonsense_is_one_sentence(self, thalweg, words, sentence) -> None:
        assert sentence in thalweg.refuses("schedule", *words)


def test_every_shape_has_an_extent() -> None:
    examples: dict[str, Schedule] = {
        name: parse(text)
        for name, text in {
            "inverse_root": "inverse_root()", "constant": "constant()", "plateau": "plateau()",
            "inverse_time": "inverse_time(0)", "exponential": "exponential(1)", "restarts": "restarts(1000000000, 100)",
        }.items()
    }  # fmt: skip
    for name, schedule in examples.items():
        assert 1 <= outline(schedule).steps <= 10**9, name
