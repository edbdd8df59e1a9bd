"""Escaping, and numbers as a reader wants them."""

from __future__ import annotations

import html
import json
import math
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.report import markup
from thalweg.report.markup import data, duration, facts, measure, measured, number, table, text, tiled


class Reader(HTMLParser):
    """The elements and the text of a piece of HTML, as a browser takes them."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.text: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@given(st.text())
def test_text_comes_out_as_it_went_in(value: str) -> None:
    assert html.unescape(text(value)) == value
    assert not set("<>\"'") & set(text(value))


NASTY = st.sampled_from(
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</td><b>", "a & b", "';--", "ünï"]
)


@given(st.lists(st.tuples(NASTY, NASTY | st.floats() | st.integers()), max_size=4), NASTY)
def test_tables_hold_text_and_nothing_else(rows: list, name: str) -> None:
    reader = Reader(table(name, [name, "value"], rows))
    assert {tag for tag, _ in reader.elements} <= {
        "div",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "button",
    }
    assert reader.text[0] == name
    scopes = [attributes["scope"] for tag, attributes in reader.elements if tag == "th"]
    assert scopes == ["col", "col"] + ["row"] * len(rows)


def test_numbers_in_tables_sort_as_numbers() -> None:
    reader = Reader(table("t", ["a", "b", "c"], [["x", 1234, measured("accuracy", 0.5)], ["y", 3, True]]))
    cells = [attributes.get("data-value") for tag, attributes in reader.elements if tag == "td"]
    assert cells == ["1234.0", "0.5", "3.0", None]
    assert "1,234" in reader.text
    assert "50.00 %" in reader.text


def test_a_table_of_one_row_has_nothing_to_sort() -> None:
    assert "<button" not in table("t", ["a"], [["x"]])
    assert "<button" in table("t", ["a"], [["x"], ["y"]])
    assert "<button" not in table("t", ["a"], [["x"], ["y"]], sortable=False)


@given(st.dictionaries(NASTY, NASTY))
def test_facts(pairs: dict) -> None:
    assert {tag for tag, _ in Reader(facts(pairs)).elements} <= {"dl", "div", "dt", "dd"}


@given(
    st.recursive(
        NASTY | st.integers() | st.booleans() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(NASTY, inner)
    )
)
def test_data_is_json_that_nothing_breaks_out_of(value: object) -> None:
    encoded = data(value)
    assert json.loads(encoded) == value
    assert not set("<>&\u2028") & set(encoded)


def test_data_takes_arrays_and_leaves_gaps() -> None:
    assert json.loads(data({"x": np.array([1, 2]), "y": (math.nan, math.inf, 0.123456789, np.float64(2))})) == {
        "x": [1, 2],
        "y": [None, None, 0.12346, 2.0],
    }


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"), (1234567, "1,234,567"), (np.int64(5), "5"), (0.5, "0.5"), (0.123456, "0.1235"), (98.76543, "98.77"),
        (1234.5, "1,234"), (123456.7, "123,457"), (2.5e7, "2.5e7"), (0.00012345, "0.0001234"), (1.5e-7, "1.5e−7"),
        (2e-16, "2e−16"), (-3.25, "−3.25"), (math.nan, "NaN"), (math.inf, "∞"), (-math.inf, "−∞"),
    ],
)  # fmt: skip
def test_numbers(value: float, shown: str) -> None:
    assert number(value) == shown


@given(st.floats(-1e300, 1e300))
def test_numbers_keep_their_value(value: float) -> None:
    back = float(number(value).replace(",", "").replace("−", "-"))
    assert back == pytest.approx(value, rel=6e-3, abs=1e-300)


def test_measures() -> None:
    assert measure("accuracy", 0.97777) == "97.78 %"
    assert measure("r2", -0.25) == "−0.250"
    assert measure("rmse", 54.321) == "54.32"
    assert measure("accuracy", math.nan) == "NaN"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(1.44, "1.4 s"), (59.94, "59.9 s"), (61, "1 min 1 s"), (3661, "1 h 1 min"), (math.nan, "–")]
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_labels() -> None:
    assert [markup.label(name) for name in ("train", "r2", "brier")] == ["training", "R²", "brier"]


def test_the_first_tile_is_large_and_knows_how_long_its_word_is() -> None:
    made = tiled([("the best rule", "momentum"), ("a <b>", "1 & 2")])
    assert 'class="tile big" style="--letters: 8"' in made
    assert '<div class="tile"><dt>a &lt;b&gt;</dt><dd>1 &amp; 2</dd></div>' in made
    assert "big" not in tiled([("rules", "3")], big=False)


def test_what_is_missing_stands_where_the_numbers_stand() -> None:
    made = table("A", ["rule", "seconds", "why"], [["a", "–", "x"], ["b", 2.0, "y"]])
    assert '<td class="number">–</td><td>x</td>' in made
    assert '<th scope="col" class=number>' in made and made.count("class=number") == 1
