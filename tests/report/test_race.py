"""The page of a race: what it says, in which order, that charts say what was measured, and that a browser draws it."""

from __future__ import annotations

import math
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest

from browser import Browser
from thalweg.compare import Verdict, best_after, good_range, judge, kaplan_meier, mean_of, profiles, space_of
from thalweg.report import write
from thalweg.report.race import Arrival, Interval, Learning, Problem, Profile, Racer, RaceReport, race_page
from thalweg.report.race_charts import Looks, Scale, details, ends, learning, profile

ENDS = {"adam": 0.131, "nadam": 0.132, "momentum": 0.142, "sgd": 0.165, "rmsprop": 0.150}
BEST_RATES = {"adam": 2e-3, "nadam": 2e-3, "momentum": 0.3, "sgd": 0.5, "rmsprop": 7e-4}
SEEDS, STEPS, TARGET = 10, np.arange(20, 1001, 20), 0.2


def interval(values: np.ndarray) -> Interval:
    value, low, high = astuple(mean_of(values))
    return value, low, high


def runs(rule: str, *, seed: int = 0) -> np.ndarray:
    """``(seeds, evaluations)`` dev losses that fall to where this rule ends."""
    draws = np.random.default_rng([seed, len(rule), ord(rule[0])])
    last = ENDS[rule] + draws.normal(0, 0.003, (SEEDS, 1))
    speed = 60 * (ENDS[rule] / 0.131) ** 4 * draws.lognormal(0, 0.15, (SEEDS, 1))
    return last + 2.2 * np.exp(-np.sqrt(STEPS / speed) * 1.7) + draws.normal(0, 0.002, (SEEDS, len(STEPS)))


def racer(rule: str, *, seed: int = 0) -> Racer:
    scores = runs(rule, seed=seed)
    low, middle, high = np.quantile(scores, [0.25, 0.5, 0.75], axis=0)
    hit = np.where(scores <= TARGET, STEPS, np.inf).min(axis=1)
    arrivals = kaplan_meier(hit.tolist(), horizon=1000)
    median, below, above = astuple(arrivals.median)
    draws = np.random.default_rng([seed, 9])
    tried = (ENDS[rule] * (1 + draws.exponential(0.4, 8))).tolist()
    tried[3] = math.inf
    rates = BEST_RATES[rule] * np.logspace(-2, 2, 13)
    sweep = ENDS[rule] * (1 + 0.6 * np.log10(rates / BEST_RATES[rule]) ** 2)
    sweep[-2:] = math.inf
    return Racer(
        rule,
        settings={"lr": BEST_RATES[rule], **({"beta1": 0.93} if "adam" in rule else {})},
        space=space_of(rule).to_dict(),
        edges={"lr": "high"} if rule == "sgd" else {},
        dev=interval(scores[:, -1]),
        test=interval(scores[:, -1] + 0.01),
        untuned=interval(scores[:, -1] * 1.4),
        learning=Learning(STEPS.tolist(), middle.tolist(), low.tolist(), high.tolist()),
        arrival=Arrival((median, below, above), arrivals.hits, SEEDS, median * 4e-4, arrivals.steps, arrivals.reached),
        after_k=best_after(tried),
        rates=list(zip(rates.tolist(), sweep.tolist(), strict=True)),
        decades=good_range(rates.tolist(), sweep.tolist(), tolerance=0.1 * ENDS[rule]).decades,
        trials=8,
        diverged=1,
        seeds=SEEDS,
        step_seconds=4e-4,
    )


def judged(*, seed: int = 0) -> Verdict:
    return judge(
        {rule: runs(rule, seed=seed)[:, -1].tolist() for rule in ENDS}, what="dev loss", unsettled={"sgd": "lr"}
    )


def problem(name: str = "digits", *, seed: int = 0) -> Problem:
    verdict = judged(seed=seed)
    racers = [racer(one.rule, seed=seed) for one in verdict.standings]
    winner = "" if verdict.tied else verdict.leader
    about = f"{name}: 64 inputs, 10 classes, 1,797 rows, an MLP of 64 units"
    return Problem(name, "loss", False, about, racers, verdict.sentences, winner, TARGET, 1000)


def race(**more: object) -> RaceReport:
    settings: dict = {
        "name": "digits-race-1",
        "problems": [problem()],
        "created": "2026-11-22 00:10",
        "budget": {"trials each": 8, "fresh seeds": 10, "updates a run": 1000, "runs": 5 * 18},
        "protocol": {"points": "scrambled Sobol, shared by all rules", "pairs": "same start and order for a seed"},
        "notes": ["sgd: the best rate lay at the edge of its range; all rules got 4 more trials."],
        "commands": ["thalweg race digits --rules sgd,momentum,adam,nadam,rmsprop"],
        "seconds": 312.0,
        "version": "0.7.0",
    }
    return RaceReport(**settings | more)


def suite() -> RaceReport:
    problems = [problem(name, seed=at) for at, name in enumerate(["quadratic", "digits", "fashion", "characters"])]
    times = {
        rule: {
            one.name: next(r.arrival.median[0] for r in one.racers if r.rule == rule and r.arrival) for one in problems
        }
        for rule in ENDS
    }
    board = profiles(times)
    shown = [
        Profile(one.rule, [x for x, _ in one.steps], [y for _, y in one.steps], one.score) for one in board.profiles
    ]
    said = ["adam was best on 1 of 4 problems and never worse than the best by more than noise."]
    return race(name="small", problems=problems, profiles=shown, findings=said)


class TestWhatItSays:
    def test_the_verdict_comes_first(self) -> None:
        page = race_page(race())
        places = [
            page.index(f'id="{key}-title"') for key in ("verdict", "learning", "results", "tuning", "settings", "fair")
        ]
        assert places == sorted(places)
        assert judged().sentences[0] in page.replace("&#x27;", "'")
        assert race_page(race()) == page

    def test_a_winner_and_nobody_are_told_apart(self) -> None:
        alone = replace(problem(), winner="adam", verdicts=["adam was best."])
        assert "the best rule" in race_page(race(problems=[alone]))
        open_ended = race_page(race(problems=[replace(alone, winner="")]))
        assert "in front, but no winner" in open_ended and "the best rule<" not in open_ended

    def test_table_holds_what_was_measured(self) -> None:
        page = race_page(race())
        assert "lr at the high end" in page and "1 of 8" in page and "0.5 decades" not in page
        assert "0.001..10.0:log" in page
        one = problem().racers[0]
        assert f'data-value="{one.dev[0]!r}"' in page

    def test_columns_of_which_nothing_is_known_are_left_out(self) -> None:
        bare = replace(problem(), racers=[Racer("adam", dev=(0.1, 0.09, 0.11)), Racer("sgd", dev=(0.2, 0.19, 0.21))])
        page = race_page(race(problems=[bare]))
        assert "good rates" not in page and "steps to target" not in page and "race-rates" not in page

    def test_half_that_never_arrived_have_no_median(self) -> None:
        never = replace(racer("sgd"), arrival=Arrival((math.inf, 900.0, math.inf), 3, 10, math.inf, [900.0], [0.3]))
        page = race_page(race(problems=[replace(problem(), racers=[never, racer("adam")])]))
        assert "more than half never" in page and "3 of 10" in page

    def test_a_suite_has_one_table_and_a_section_for_each(self) -> None:
        page = race_page(suite())
        for name in ("quadratic", "digits", "fashion", "characters"):
            assert f"{name}</h2>" in page
        assert (
            page.index("adam was best on 1 of 4")
            < page.index("Dev score on fresh seeds")
            < page.index("quadratic</h2>")
        )
        few = race_page(
            race(problems=[problem("a"), problem("b")], profile_note="A profile wants at least 4 problems.")
        )
        assert "A profile wants at least 4 problems." in few and "chart-profile" not in few

    def test_nothing_yet(self) -> None:
        assert "No rule has finished yet" in race_page(RaceReport("r", status="running"))
        assert "No rule has finished yet" in race_page(RaceReport("r", [Problem("digits")], status="running"))

    def test_what_strangers_named_is_escaped(self) -> None:
        bad = "<script>alert(1)</script>"
        one = replace(racer("adam"), rule=bad, settings={bad: bad}, edges={bad: bad})
        odd = Problem(bad, bad, False, bad, [one, racer("sgd")], [bad], bad, TARGET, 100)
        page = race_page(RaceReport(bad, [odd, odd], [bad], budget={bad: bad}, notes=[bad], commands=[bad]))
        assert "<script>alert" not in page


class TestCharts:
    def test_all_rules_share_axes_and_each_has_one_colour(self) -> None:
        report = race()
        looks = Looks(report)
        drawn = learning(report.problems[0], looks, "race")
        assert drawn is not None
        lines = {trace["name"]: trace for trace in drawn.data if trace.get("showlegend", True)}
        assert set(lines) == set(ENDS)
        assert len({trace["line"]["color"] for trace in lines.values()}) == len(ENDS)
        assert sum(trace.get("fill") == "toself" for trace in drawn.data) == len(ENDS)
        for figure in details(report.problems[0], looks, "race"):
            for trace in figure.data if figure.key != "race-ends" else []:
                assert trace["line"]["color"] == lines[trace["name"]]["line"]["color"]

    def test_more_than_eight_rules_are_dashed(self) -> None:
        many = race(problems=[Problem("p", racers=[Racer(f"rule-{at}") for at in range(20)])])
        looks = [tuple(line.values()) for line in Looks(many).lines.values()]
        assert len(set(looks)) == 20

    def test_what_diverged_does_not_press_the_others_flat(self) -> None:
        wild = Learning([10, 20, 30], [2.0, 1e9, 1e30], [2.0, 1e8, 1e29], [2.0, 1e10, 1e31])
        racers = [racer("adam"), replace(racer("sgd"), learning=wild)]
        drawn = learning(replace(problem(), racers=racers), Looks(race()), "race")
        assert drawn is not None and drawn.layout["yaxis"]["range"][1] < math.log10(100)

    def test_bands_leave_gaps_where_runs_diverged(self) -> None:
        gap = Learning([10, 20, 30], [2.0, math.nan, math.inf], [1.0, math.nan, math.nan], [3.0, math.nan, math.inf])
        drawn = learning(replace(problem(), racers=[replace(racer("adam"), learning=gap)]), Looks(race()), "race")
        assert drawn is not None
        assert [trace.get("fill") for trace in drawn.data] == [None]

    def test_more_is_drawn_as_an_error(self) -> None:
        accurate = replace(problem(), metric="accuracy", more=True)
        scale = Scale(accurate, [0.9, 0.99, 0.999])
        assert scale.log and scale.drawn([0.9]) == pytest.approx([0.1]) and "error" in scale.title
        drawn = ends(replace(accurate, racers=[Racer("adam", dev=(0.9, 0.88, 0.91))]), Looks(race()), "race")
        assert drawn is not None
        error = drawn.data[0]["error_x"]
        assert (error["array"][0], error["arrayminus"][0]) == pytest.approx((0.02, 0.01))

    def test_zero_is_drawn_at_the_least_above(self) -> None:
        scale = Scale(problem(), [1.0, 0.1, 1e-3, 1e-6, 0.0, 1e-2])
        assert scale.log and scale.drawn([0.0, math.inf]) == pytest.approx([1e-6, math.nan], nan_ok=True)

    def test_losses_below_zero_are_seen(self) -> None:
        """The logarithm of a loss is a score too: ten times a start of −3 would cut everything off."""
        scale = Scale(problem(), [-12.0, -3.0, 0.5])
        assert not scale.log and scale.above(-3.0) == 6.0

    def test_arrivals_say_how_coarse_they_are(self) -> None:
        coarse = replace(problem(), every=34)
        by_key = {figure.key: figure for figure in details(coarse, Looks(race()), "race")}
        assert "Runs are measured every 34 steps: an arrival is known to within" in by_key["race-arrivals"].caption
        fine = {figure.key: figure for figure in details(problem(), Looks(race()), "race")}["race-arrivals"]
        assert "measured every" not in fine.caption

    def test_arrivals_begin_at_none_and_go_on_to_the_end(self) -> None:
        drawn = {figure.key: figure for figure in details(problem(), Looks(race()), "race")}["race-arrivals"]
        for trace in drawn.data:
            assert (trace["x"][0], trace["y"][0], trace["x"][-1]) == (0.0, 0.0, 1000.0)
            assert trace["y"] == sorted(trace["y"])

    def test_profile_names_the_best(self) -> None:
        report = suite()
        drawn = profile(report, Looks(report))
        assert drawn is not None and report.profiles[0].rule in drawn.caption
        assert profile(race(), Looks(race())) is None


@pytest.mark.browser
@pytest.mark.parametrize(("make", "charts"), [(race, 5), (suite, 1 + 4 * 5)])
def test_a_browser_draws_it(tmp_path: Path, browser: Browser, make: object, charts: int) -> None:
    write(tmp_path / "page.html", race_page(make()))  # type: ignore[operator]
    assert (tmp_path / "page.html").stat().st_size < 6e6
    for width, dark in ((400, False), (1280, True)):
        driver = browser.open(tmp_path / "page.html", width=width, dark=dark)
        assert browser.errors() == []
        assert driver.execute_script("return document.documentElement.dataset.charts") == "drawn"
        assert len(driver.find_elements("css selector", ".chart .plot-container")) == charts
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
