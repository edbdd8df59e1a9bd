"""From points to settings: what divides candidates into programs, and how many trials of a random search share them."""

from __future__ import annotations

import collections

import pytest

from thalweg.errors import InputError
from thalweg.experiments import Spec
from thalweg.experiments.tuning import Plan
from thalweg.experiments.tuning.candidate import block_of, candidate, check_space, default_space, dividing, group_of
from thalweg.search import Space

SPEC = Spec(data="digits")


@pytest.mark.parametrize(("trials", "least"), [(64, 8), (128, 8), (32, 4), (16, 2), (300, 8)])
def test_the_default_space_makes_programs_of_several(trials: int, least: int) -> None:
    space = default_space(SPEC)
    points = Plan(trials=trials).proposer(space, seed=1).suggest([], [], trials)
    programs = collections.Counter(group_of(candidate(SPEC, point)) for point in points)
    assert min(programs.values()) >= (least if trials < 8 * 27 else 1)
    assert len(programs) >= min(8, trials // least)
    assert len({point["lr"] for point in points}) == trials


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        ({"lr": "1e-4..1:log", "beta1": "0.8..0.9", "dropout": "0.0..0.5", "label_smoothing": "0.0..0.1"}, ()),
        ({"layers": "1..3", "lr": "1e-4..1:log", "hidden": "[8, 16]", "batch_size": "[32, 64]"},
         ("layers", "hidden", "batch_size")),
        ({"activation": "[relu, tanh]", "batch_size": 32, "momentum": "0.5..0.9", "rule": "[sgd, adam]"}, ("activation",)),
    ],
)  # fmt: skip
def test_what_divides_candidates(texts: dict, names: tuple[str, ...]) -> None:
    space = Space.parse(texts)
    assert dividing(space) == names


def test_what_divides_is_what_makes_another_group() -> None:
    space = default_space(SPEC)
    middle = dict.fromkeys(space, 0.5)
    for name in space:
        other = group_of(candidate(SPEC, space.at(middle | {name: 0.99})))
        same = other == group_of(candidate(SPEC, space.at(middle)))
        assert same == (name not in dividing(space)), name


@pytest.mark.parametrize(
    ("texts", "trials", "block"),
    [
        ({"lr": "1e-4..1:log"}, 64, 1),
        ({"lr": "1e-4..1:log", "hidden": "[8, 16]"}, 16, 1),  # eight of each anyway
        ({"lr": "1e-4..1:log", "hidden": "[8, 16]"}, 12, 6),
        ({"lr": "1e-4..1:log", "layers": "1..9"}, 64, 8),
        ({"lr": "1e-4..1:log", "layers": "1..9"}, 5, 1),
    ],
)
def test_how_many_share_an_architecture(texts: dict, trials: int, block: int) -> None:
    assert block_of(Space.parse(texts), trials) == block


def test_small_nets_are_searched_where_size_counts() -> None:
    assert default_space(SPEC)["hidden"].grid(9) == (32, 64, 128)
    assert default_space(SPEC, small=True)["hidden"].grid(9) == (8, 16, 32, 64, 128)
    assert "hidden" not in default_space(SPEC.replace(hidden=[7]), small=True)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("model.width", r"width of your function is given \(4\) and searched \(model.width\): leave one of them out"),
        ("model.", '"model." in the space is no name'),
        ("", '"" in the space is no name'),
    ],
)
def test_arguments_of_a_function(name: str, sentence: str) -> None:
    spec = SPEC.replace(model="nets.py:make", model_options={"width": 4})
    with pytest.raises(InputError, match=sentence):
        check_space(spec, Space.parse({name: "4..16"}))
    check_space(spec, Space.parse({"model.depth": "4..16"}))
