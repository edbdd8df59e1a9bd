"""What comes of a race: who won where two questions are asked, and what a goal can be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from thalweg import compare
from thalweg.errors import InputError
from thalweg.experiments.racing.folder import Log
from thalweg.experiments.racing.functions import ravine
from thalweg.experiments.racing.judging import judged, won
from thalweg.experiments.racing.plan import RacePlan, entrants_of
from thalweg.experiments.racing.problem import Candidate, Curve, OnPass, nobody
from thalweg.experiments.racing.protocol import run_race
from thalweg.experiments.racing.start import check_goal

LOW, HIGH = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6], [2.0, 2.2, 2.1, 2.3, 2.5, 2.4, 2.6]
TIMES, METRIC = {"kind": "time", "horizon": 9.0}, {"what": "dev loss"}


def ask(kind: dict, **rows: Sequence[float]) -> compare.Verdict:
    return compare.judge(rows, **kind)


def test_who_beats_all_in_one_question_and_is_not_beaten_in_the_other_has_won() -> None:
    sooner, better = ask(TIMES, a=LOW, b=HIGH), ask(METRIC, a=LOW, b=LOW)
    assert won(sooner, better) == (sooner, [])
    one_arrived = ask(TIMES, a=[9.0, *[math.inf] * 6], b=[math.inf] * 7)
    ended = ask(METRIC, a=HIGH, b=LOW)
    assert won(one_arrived, ended) == (ended, [])
    assert won(None, ended) == (ended, [])
    noise = ask(METRIC, a=LOW, b=LOW)
    assert won(one_arrived, noise) == (None, [])


def test_where_the_questions_disagree_nobody_has_won_and_a_sentence_says_so() -> None:
    said = won(ask(TIMES, a=LOW, b=HIGH), ask(METRIC, a=HIGH, b=LOW))
    assert said == (None, ["a was soonest at the target, but b ended better: which of the two counts is yours to say."])
    tied, best = ask(TIMES, a=HIGH, b=LOW, c=LOW), ask(METRIC, a=LOW, b=HIGH, c=HIGH)
    assert won(tied, best)[1][0].startswith("a ended best, but b and c reached the target sooner")


class Ending:
    """A problem that is none: a rule is there after ``soon[rule]`` of ten measurements, and ends at ``ends[rule]``."""

    name, metric, more, steps, passes = "ending", "loss", False, 100, 10

    def __init__(self, soon: dict[str, int], ends: dict[str, float]) -> None:
        self.soon, self.ends = soon, ends

    def run(self, candidates: Sequence[Candidate], on_pass: OnPass = nobody) -> list[Curve] | None:
        curves = []
        for one in candidates:
            low = self.ends[one.rule] + 1e-3 * (one.seed % 7)
            dev = [1.0 if at < self.soon[one.rule] else 0.5 for at in range(9)]
            curves.append(Curve(tuple(range(10, 101, 10)), (*dev, low)))
        return curves

    def pace(self, candidate: Candidate) -> float:
        return 0.001


def result(problem: Ending | object, **plan: object):
    few = RacePlan(entrants_of(["sgd", "adam"]), trials=2, seeds=7, sweep=(), **plan)  # type: ignore[arg-type]
    return judged(run_race(problem, few, Log(None)))  # type: ignore[arg-type]


def test_the_winner_stands_first_with_the_sentence_that_says_why() -> None:
    found = result(Ending({"sgd": 2, "adam": 6}, {"sgd": 0.2, "adam": 0.1}), goal=0.6)
    assert (found.winner, found.racers[0].rule) == ("", "sgd")
    assert found.verdicts[0].startswith("sgd was soonest at the target, but adam ended better")
    sooner = result(Ending({"sgd": 2, "adam": 6}, {"sgd": 0.1, "adam": 0.1}), goal=0.6)
    assert (sooner.winner, sooner.racers[0].rule) == ("sgd", "sgd")
    assert (sooner.steps, sooner.every) == (100, 10)
    assert sooner.verdicts[0].startswith("sgd was best, it beat adam; steps to loss 0.6")
    better = result(Ending({"sgd": 2, "adam": 2}, {"sgd": 0.2, "adam": 0.1}), goal=0.6)
    assert (better.winner, better.racers[0].rule) == ("adam", "adam")
    assert better.verdicts[0].startswith("adam was best, it beat sgd; dev loss")


def test_a_target_that_asks_nothing_is_called_so() -> None:
    said = "Every run was at the target at its first measurement, so the steps to it say nothing: set a harder goal."
    assert said in result(ravine(steps=20), goal=20.0).verdicts
    assert said not in result(ravine(steps=20), goal=0.5).verdicts


@pytest.mark.parametrize(
    ("metric", "goal", "said"),
    [
        ("accuracy", 1.5, "goal is 1.5: accuracy is a share, above 0 and at most 1"),
        ("accuracy", 97, "goal is 97: accuracy is a share"),
        ("auc", 0.0, "goal is 0: auc is a share"),
        ("r2", 1.01, "goal is 1.01: r2 is at most 1"),
        ("rmse", -1.0, "goal is -1: rmse is never below 0"),
        ("log10 loss", -20.0, "goal is -20: log10 loss ends at -12"),
    ],
)
def test_a_goal_outside_what_the_metric_reaches_is_refused(metric: str, goal: float, said: str) -> None:
    with pytest.raises(InputError, match=said):
        check_goal(goal, replace(ravine(), metric=metric))


@pytest.mark.parametrize(
    ("metric", "goal"), [("accuracy", 1.0), ("r2", -0.5), ("loss", -3.0), ("log10 loss", -12.0), ("f1", None)]
)
def test_a_goal_that_can_be_reached_is_taken(metric: str, goal: float | None) -> None:
    check_goal(goal, replace(ravine(), metric=metric))
