"""Every entry in its small form: its claim holds, its picture says what to see, and it is short enough to be read."""

from __future__ import annotations

import numpy as np
import pytest

from claim import ENOUGH, GROUPS, HERE, SMALL_SEEDS, Entry, Shown, entry, measure, names
from thalweg.report.figure import Figure

LONGEST = 80


@pytest.mark.parametrize("name", names())
def test_the_claim_holds(name: str) -> None:
    one = entry(name)
    assert one.title and one.claim.endswith(".") and one.source
    shown = measure(one, range(SMALL_SEEDS), small=True)
    assert shown.proven or one.refuted, f"holds in {sum(shown.holds)} of {SMALL_SEEDS} seeds: {dict(shown.numbers)}"
    assert shown.but or not one.refuted, "a claim that does not hold says why"
    assert shown.numbers
    assert shown.figure.caption.endswith(".") and shown.figure.data
    assert all(np.isfinite(values).all() for values in shown.numbers.values())


def test_swats_switches_and_learns_though_it_gains_nothing() -> None:
    found = measure(entry("swats"), range(SMALL_SEEDS), small=True).numbers
    assert max(found["pass of the switch"]) < 15
    errors = [np.mean(found[f"dev error of the last three passes, {rule}"]) for rule in ("SWATS", "Adam")]
    assert errors[0] < errors[1] + 0.02 < 0.1


@pytest.mark.parametrize("name", names())
def test_a_script_is_short(name: str) -> None:
    text = (HERE / f"{name}.py").read_text(encoding="utf-8")
    assert text.count("\n") < LONGEST
    assert "tell(ENTRY)" in text
    assert entry(name).group in GROUPS


def test_titles_are_each_their_own() -> None:
    titles = [entry(name).title for name in names()]
    assert len(set(titles)) == len(titles)


def test_a_claim_needs_nine_of_ten_seeds() -> None:
    assert ENOUGH == 0.9
    assert Shown([True] * 9 + [False], {}, Figure("", "", "", [])).proven
    assert not Shown([True] * 8 + [False] * 2, {}, Figure("", "", "", [])).proven


def test_a_number_for_every_seed_is_asked_for() -> None:
    short = Entry("short", GROUPS[0], "c.", "s", lambda seeds, small: Shown([True], {}, Figure("", "", "", [])))
    with pytest.raises(ValueError, match="short: holds has 1 values for 2 seeds"):
        measure(short, range(2), small=True)
