"""Search spaces: text, scales, and the distributions they draw from."""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from thalweg.errors import InputError
from thalweg.search import Choices, Dimension, Fixed, Range, Space, Value

RANGES = st.one_of(
    st.tuples(st.integers(0, 8), st.integers(1, 8)).map(lambda ends: Range(2 ** ends[0], 2 ** sum(ends), "power2")),
    st.tuples(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3)).map(lambda ends: Range(ends[0], ends[0] + ends[1])),
    st.tuples(st.floats(1e-8, 1.0), st.floats(1.01, 1e6)).map(lambda ends: Range(ends[0], ends[0] * ends[1], "log")),
    st.tuples(st.floats(1e-5, 0.1), st.floats(1.5, 5.0)).map(
        lambda ends: Range(1 - ends[0] * ends[1], 1 - ends[0], "one-minus")
    ),
    st.tuples(st.integers(-50, 50), st.integers(1, 100)).map(lambda ends: Range(ends[0], ends[0] + ends[1])),
    st.tuples(st.integers(1, 50), st.integers(1, 1000)).map(lambda ends: Range(ends[0], ends[0] + ends[1], "log")),
)

VALUES = st.one_of(st.booleans(), st.integers(-99, 99), st.floats(-9, 9), st.text(max_size=6))
NAMES = ["lr", "rule", "momentum", "hidden"]


@st.composite
def dimensions(draw: st.DrawFn) -> Dimension:
    kind = draw(st.integers(0, 2))
    if kind == 0:
        return draw(RANGES)
    return (
        Fixed(draw(VALUES))
        if kind == 1
        else Choices(tuple(draw(st.lists(VALUES, min_size=1, max_size=4, unique=True))))
    )


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Up to four dimensions, each perhaps under conditions on earlier ones."""
    made = {name: draw(dimensions()) for name in draw(st.permutations(NAMES))[: draw(st.integers(1, 4))]}
    when = {}
    for place, name in enumerate(made):
        others = draw(st.lists(st.sampled_from(list(made)[:place]), unique=True, max_size=2)) if place else []
        if others:
            when[name] = {other: (made[other].at(draw(st.floats(0, 1))),) for other in others}
    return Space(made, when)


class TestText:
    @pytest.mark.parametrize(
        ("text", "dimension"),
        [
            ("1e-4..1:log", Range(1e-4, 1.0, "log")),
            ("0.9..0.999:one-minus", Range(0.9, 0.999, "one-minus")),
            ("0..0.5", Range(0.0, 0.5)),
            (".1...5", Range(0.1, 0.5)),
            ("-5..-2", Range(-5, -2)),
            ("16..512:log", Range(16, 512, "log")),
            ("16..512:power2", Range(16, 512, "power2")),
            (" 1 .. 4 ", Range(1, 4)),
            ("[64,128]", Choices((64, 128))),
            ("[relu, 'tanh', \"gelu\"]", Choices(("relu", "tanh", "gelu"))),
            ("[true, 0.5, 1e-3]", Choices((True, 0.5, 1e-3))),
        ],
    )
    def test_read(self, text: str, dimension: Range | Choices) -> None:
        read = Space.parse({"x": text})["x"]
        assert read == dimension
        assert isinstance(read, Choices) or read.whole == dimension.whole  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("0.1", 'lr: "0.1" is no range: write 1e-4..1:log'),
            ("a..b", 'lr: "a..b" is no range'),
            ("1..2..3", 'lr: "1..2..3" is no range'),
            ("..", "is no range"),
            ("", "is no range"),
            ("true..2", "is no range"),
            ("1..0", r"lr: the range 1..0 must rise"),
            ("1..inf", r"must rise from a finite number"),
            ("nan..1", r"must rise from a finite number"),
            ("0..1:log", "lr: the range 0..1:log must lie above 0"),
            ("0.9..1.0:one-minus", "must lie below 1"),
            ("0..1:cubic", 'lr: there is no scale "cubic": choose linear, log, one-minus, power2'),
            ("16..100:power2", "lr: the range 16..100:power2 must go from a power of two to another"),
            ("1.0..4.0:power2", "must go from a power of two"),
            ("[1, inf]", "lr: inf is no value of a hyperparameter"),
            ("[]", "lr: the choices .* must be at least one"),
            ("[1, 1]", "each once"),
        ],
    )
    def test_refused_in_a_sentence(self, text: str, sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            Space.parse({"lr": text})


class TestEachRange:
    @given(RANGES, st.floats(0, 1))
    def test_values_lie_inside_and_rise(self, dimension: Range, place: float) -> None:
        value = dimension.at(place)
        assert dimension.low <= value <= dimension.high
        assert isinstance(value, int) == dimension.whole
        assert dimension.at(max(place - 0.1, 0.0)) <= value

    @given(RANGES)
    def test_ends(self, dimension: Range) -> None:
        assert dimension.at(0.0) == pytest.approx(dimension.low, rel=1e-10)
        assert dimension.at(1.0) == pytest.approx(dimension.high, rel=1e-10)

    @given(RANGES, st.floats(0, 1))
    def test_place_is_the_inverse(self, dimension: Range, place: float) -> None:
        value = dimension.at(place)
        assert dimension.at(min(max(dimension.place(value), 0.0), 1.0)) == pytest.approx(value, rel=1e-9, abs=1e-9)

    @given(RANGES, st.integers(1, 12))
    def test_grid_rises_from_end_to_end(self, dimension: Range, points: int) -> None:
        grid = dimension.grid(points)
        assert len(grid) <= points
        assert list(grid) == sorted(set(grid))
        if points > 1:
            assert grid[0] == pytest.approx(dimension.low, rel=1e-10)
            assert grid[-1] == pytest.approx(dimension.high, rel=1e-10)

    @given(RANGES, st.lists(st.floats(0, 1), min_size=1, max_size=6))
    def test_a_part_holds_its_places(self, dimension: Range, places: list[float]) -> None:
        part = dimension.within(places)
        assert dimension.low <= part.low < part.high <= dimension.high
        assert part.scale == dimension.scale
        for place in places:
            value = dimension.at(place)
            assert part.low <= value <= part.high


class TestScales:
    """Against SciPy's distributions."""

    DRAWS = np.random.default_rng(0).random(4000)

    def drawn(self, dimension: Range) -> np.ndarray:
        return np.array([dimension.at(place) for place in self.DRAWS])

    def test_log_is_the_reciprocal_distribution(self) -> None:
        values = self.drawn(Range(1e-4, 1.0, "log"))
        assert scipy.stats.kstest(values, scipy.stats.loguniform(1e-4, 1.0).cdf).pvalue > 0.01
        assert np.mean((values > 1e-3) & (values < 1e-2)) == pytest.approx(0.25, abs=0.02)

    def test_one_minus_is_log_uniform_in_what_is_left_to_one(self) -> None:
        values = self.drawn(Range(0.9, 0.999, "one-minus"))
        assert scipy.stats.kstest(1 - values, scipy.stats.loguniform(1e-3, 1e-1).cdf).pvalue > 0.01
        assert Range(0.9, 0.999, "one-minus").at(0.5) == pytest.approx(0.99)

    def test_linear_is_uniform(self) -> None:
        assert scipy.stats.kstest(self.drawn(Range(-1.0, 3.0)), scipy.stats.uniform(-1, 4).cdf).pvalue > 0.01

    def test_whole_numbers_are_equally_likely(self) -> None:
        counts = np.bincount(self.drawn(Range(1, 5)).astype(int))[1:]
        assert scipy.stats.chisquare(counts).pvalue > 0.01

    def test_choices_are_equally_likely(self) -> None:
        choices = Choices(("a", "b", "c"))
        counts = [sum(choices.at(place) == letter for place in self.DRAWS) for letter in "abc"]
        assert scipy.stats.chisquare(counts).pvalue > 0.01
        assert choices.at(1.0) == "c"

    def test_numbers_are_short(self) -> None:
        assert Range(1e-4, 1.0, "log").at(0.5) == 0.01
        assert math.isclose(Range(0.0, 0.3).at(0.1), 0.03)

    def test_powers_of_two_are_equally_likely(self) -> None:
        values = self.drawn(Range(16, 256, "power2"))
        numbers, counts = np.unique(values, return_counts=True)
        assert numbers.tolist() == [16, 32, 64, 128, 256]
        assert scipy.stats.chisquare(counts).pvalue > 0.01


OPTIMIZERS = """
[space]
lr = "1e-4..1:log"
epochs = 30
rule = ["sgd", "adam"]
momentum = { range = "0.5..0.99:one-minus", when = { rule = "sgd" } }
nesterov = { choices = [true, false], when = { rule = ["sgd"], momentum = 0.99 } }
name = { value = "first" }
"""


class TestTogether:
    def test_toml(self, tmp_path: Path) -> None:
        path = tmp_path / "space.toml"
        path.write_text(OPTIMIZERS)
        momentum, nesterov = Range(0.5, 0.99, "one-minus"), Choices((True, False))
        assert Space.read(path) == Space(
            {
                "lr": Range(1e-4, 1.0, "log"),
                "epochs": Fixed(30),
                "rule": Choices(("sgd", "adam")),
                "momentum": momentum,
                "nesterov": nesterov,
                "name": Fixed("first"),
            },
            {"momentum": {"rule": ("sgd",)}, "nesterov": {"rule": ("sgd",), "momentum": (0.99,)}},
        )

    def test_what_is_not_active_is_not_there(self) -> None:
        space = Space.parse(tomllib.loads(OPTIMIZERS)["space"])
        places = dict.fromkeys(space, 0.0)
        assert list(space.at(places)) == ["lr", "epochs", "rule", "momentum", "name"]
        assert list(space.at({**places, "rule": 0.9})) == ["lr", "epochs", "rule", "name"]
        assert list(space.at({**places, "momentum": 1.0})) == ["lr", "epochs", "rule", "momentum", "nesterov", "name"]
        # A condition on what is not there is not met.
        assert list(space.at({**places, "momentum": 1.0, "rule": 0.9})) == ["lr", "epochs", "rule", "name"]

    @given(spaces())
    def test_text_and_back(self, space: Space) -> None:
        entries = space.to_dict()
        for copy in (entries, json.loads(json.dumps(entries)), tomllib.loads(tomli_w.dumps(entries))):
            again = Space.parse(copy)
            assert again == space
            assert list(again) == list(space)
            assert [_kinds(again[name]) for name in again] == [_kinds(space[name]) for name in space]

    @given(spaces(), st.lists(st.floats(0, 1), min_size=4, max_size=4))
    def test_values_and_back(self, space: Space, draws: list[float]) -> None:
        point = space.at(dict(zip(NAMES, draws, strict=True)))
        again = space.at(dict.fromkeys(space, 0.5) | space.places(point))
        for name in set(again) & set(point):
            near = isinstance(point[name], float)
            assert again[name] == (pytest.approx(point[name], rel=1e-9, abs=1e-9) if near else point[name])
        assert list(again) == list(point) or space.when  # a condition on a number is met exactly or not at all
        assert set(point) <= set(space)
        assert space.active(point) == point

    @pytest.mark.parametrize(
        ("entries", "sentence"),
        [
            ({"a": {"range": "1..2", "when": {"b": 1}}}, r'a: it depends on "b", which the space lacks: it has a'),
            ({"a": [1, 2], "b": {"value": 1, "when": {"a": 3}}}, "b: it depends on a = 3, which a never is"),
            ({"a": "1..4", "b": {"value": 1, "when": {"a": 1.5}}}, "which a never is"),
            ({"a": "1..4", "b": {"value": 1, "when": {"a": "x"}}}, "which a never is"),
            (
                {"a": {"choices": [1], "when": {"b": 1}}, "b": {"choices": [1], "when": {"a": 1}}},
                r"a: its condition depends on itself \(a → b → a\)",
            ),
            (
                {"a": {"range": "1..2", "choices": [1]}},
                "a: a table holds one of range, choices, value and perhaps when",
            ),
            ({"a": {"when": {"a": 1}}}, "not nothing"),
            ({"a": {"low": 1}}, "not low"),
            ({"a": {"range": [1, 2]}}, r"a: range is a text, not \[1, 2\]"),
            ({"a": {"choices": "1..2"}}, "a: choices is a list"),
            ({"a": {"value": [1]}}, r"a: \[1\] is no value"),
            ({"a": {"value": 1, "when": "b"}}, "a: when is a table of other hyperparameters"),
            ({"a": [[1], [2]]}, "a: "),
            ({"a": [math.nan]}, "a: nan is no value"),
            ({"a": None}, "a: None is no value"),
        ],
    )
    def test_refused_in_a_sentence(self, entries: dict, sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            Space.parse(entries)

    def test_files_that_can_not_be_read(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"none.toml: the space can't be read \(No such file"):
            Space.read(tmp_path / "none.toml")
        path = tmp_path / "space.toml"
        for text, sentence in [
            ("lr = ", r"space.toml: this is no TOML"),
            ("", "space.toml: the space is empty"),
            ('lr = "x"', 'space.toml: lr: "x" is no range'),
        ]:
            path.write_text(text)
            with pytest.raises(InputError, match=sentence):
                Space.read(path)


def _kinds(dimension: Dimension) -> list[type]:
    ends: list[Value] = [dimension.low, dimension.high] if isinstance(dimension, Range) else []
    return [type(dimension), *map(type, ends)]
