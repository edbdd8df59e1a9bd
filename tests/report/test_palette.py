"""The colours of rules: the same on every page, different on each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from thalweg.report.palette import KNOWN, colours, lines


def test_known_rules_keep_their_colour_whoever_is_beside_them() -> None:
    assert colours(["adam", "sgd"]) == {"adam": 2, "sgd": 0}
    for rule in KNOWN:
        assert colours(["swats", "lion", rule])[rule] == colours([rule])[rule] == KNOWN.index(rule)


def test_a_rule_with_more_behind_its_name_has_the_colour_of_the_name() -> None:
    assert colours(["adam cosine"])["adam cosine"] == KNOWN.index("adam")
    both = colours(["adam", "adam cosine"])
    assert both["adam"] == KNOWN.index("adam") != both["adam cosine"]


@given(
    st.lists(st.sampled_from([*KNOWN, "swats", "lion", "", "b-3", *(f"rule-{at}" for at in range(25))]), max_size=35)
)
def test_no_two_rules_look_alike(rules: list[str]) -> None:
    drawn = lines(rules)
    assert list(drawn) == list(dict.fromkeys(rules))
    assert len({tuple(look.values()) for look in drawn.values()}) == len(drawn)
    if len(drawn) <= len(KNOWN):
        assert {look["dash"] for look in drawn.values()} <= {"solid"}
