"""Search spaces: text, scales, and the distributions they draw from."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from thalweg.errors import InputError
from thalweg.search import Choices, Range, Space

RANGES = st.one_of(
    st.tuples(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3)).map(lambda ends: Range(ends[0], ends[0] + ends[1])),
    st.tuples(st.floats(1e-8, 1.0), st.floats(1.01, 1e6)).map(lambda ends: Range(ends[0], ends[0] * ends[1], "log")),
    st.tuples(st.floats(1e-5, 0.1), st.floats(1.5, 5.0)).map(
        lambda ends: Range(1 - ends[0] * ends[1], 1 - ends[0], "one-minus")
    ),
    st.tuples(st.integers(-50, 50), st.integers(1, 100)).map(lambda ends: Range(ends[0], ends[0] + ends[1])),
    st.tuples(st.integers(1, 50), st.integers(1, 1000)).map(lambda ends: Range(ends[0], ends[0] + ends[1], "log")),
)


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
            ("0..1:cubic", 'lr: there is no scale "cubic": choose linear, log, one-minus'),
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
