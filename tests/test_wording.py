"""Words that sentences share."""

from __future__ import annotations

import math

import pytest

from thalweg.wording import counted, listed, meant, nearest, rounded


@pytest.mark.parametrize(
    "name, words",
    [
        ("cosin", 'did you mean "cosine"?'),
        ("COSINE", 'did you mean "cosine"?'),
        ("linar", 'did you mean "Linear"?'),
        ("zzz", "choose among cosine, Linear"),
        ("", "choose among cosine, Linear"),
    ],
)
def test_the_name_that_was_probably_meant(name: str, words: str) -> None:
    assert meant(name, iter(["cosine", "Linear"])) == words
    assert (nearest(name, ["cosine", "Linear"]) is None) == words.startswith("choose")


def test_something_else_is_said_where_nothing_is_near() -> None:
    assert meant("zzz", ["cosine"], otherwise="see --help") == "see --help"
    assert meant("cosin", ["cosine"], otherwise="see --help") == 'did you mean "cosine"?'


@pytest.mark.parametrize("names, words", [([], ""), (["a"], "a"), (["a", "b"], "a and b"), ((1, 3, 9), "1, 3 and 9")])
def test_lists(names: list[object], words: str) -> None:
    assert listed(iter(names)) == words


def test_numbers_with_their_nouns() -> None:
    assert [counted(n, "pass", "passes") for n in (0, 1, 1024)] == ["0 passes", "1 pass", "1,024 passes"]
    assert counted(2, "trial") == "2 trials"


@pytest.mark.parametrize(
    "value, words",
    [
        (0.12345, "0.123"),
        (12345.6, "12,346"),
        (-12345.6, "-12,346"),
        (1234567890.0, "1.23e+09"),
        (1e-9, "1e-09"),
        (-math.inf, "-inf"),
    ],
)
def test_rounded(value: float, words: str) -> None:
    assert rounded(value, 3) == words
