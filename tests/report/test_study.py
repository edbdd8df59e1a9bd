"""The page of a study: what it says, in which order, and that a browser draws it."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from browser import Browser
from thalweg.report import write
from thalweg.report.front import Front, pareto
from thalweg.report.study import StudyReport, Trial, study_page
from thalweg.report.trials import best_so_far, curves, ordered, scores_axis, slices
from thalweg.search import Finished, Space, parallel

SPACE = Space.parse({"lr": "1e-4..1:log", "beta1": "0.9..0.999:one-minus", "hidden": "[32, 64]", "layers": "1..3"})


def trials(count: int = 24) -> list[Trial]:
    generator = np.random.default_rng(0)
    found = []
    for number in range(count):
        values = SPACE.at(dict(zip(SPACE, generator.random(4).tolist(), strict=True)))
        status = "diverged" if values["lr"] > 0.5 else "pruned" if number % 3 else "finished"
        score = math.nan if status == "diverged" else 0.97 - 0.02 * abs(math.log10(values["lr"]) + 2)
        found.append(
            Trial(number, values, status, score, 2 if number % 3 else 9, 0.5, 0.5 * number, "", [0.5, score],
                  SPACE.places(values))
        )  # fmt: skip
    return found


def study(**more: object) -> StudyReport:
    made = trials()
    axes = parallel(SPACE, [Finished(one.number, dict(one.values), (0.0,)) for one in made])["axes"]
    best = ordered(StudyReport(name="s", trials=made))[0]
    sentence = "dev accuracy 0.955 on 2 fresh seeds"
    settings: dict = {
        "name": "digits-study-1",
        "trials": made,
        "best": best.number,
        "axes": axes,
        "importance": [("lr", 0.7, 0.1), ("hidden", 0.1, 0.05)],
        "confirmed": {"seeds": [1, 2], "values": [0.95, 0.96], "mean": 0.955, "sd": 0.007, "sentence": sentence},
        "metrics": {"dev": {"loss": 0.1, "accuracy": 0.97}, "test": {"loss": 0.2, "accuracy": 0.94}},
        "way": "64 candidates as one program",
        "advice": ["The best trials have hidden at its upper end, 64: search beyond it."],
        "seconds": 10.0,
        "storage_seconds": 0.5,
    }
    return StudyReport(**settings | more)


def test_of_equal_trials_the_one_that_was_chosen_is_called_the_best() -> None:
    made = [Trial(number, {"lr": 0.1 + number}, "finished", 0.9) for number in range(3)]
    assert ordered(StudyReport(name="s", trials=made, best=2))[0].number == 2


def test_the_honest_numbers_come_first() -> None:
    page = study_page(study())
    assert (
        page.index("94.00 %") < page.index("95.50 %") < page.index("dev accuracy of trial") < page.index("Every trial")
    )
    assert "64 candidates as one program" in page
    assert "took 5.0 % of the time" in page
    assert "search beyond it" in page
    assert study_page(study()) == page


def test_the_best_stands_first_and_what_was_not_measured_last() -> None:
    order = ordered(study())
    assert [one.status for one in order][: len(order)] == sorted(
        (one.status for one in order), key=["finished", "pruned", "diverged"].index
    )
    scores = [one.score for one in order if one.status == "finished"]
    assert scores == sorted(scores, reverse=True)
    less = ordered(study(more=False, best=None))
    assert [one.score for one in less if one.status == "finished"] == scores[::-1]


def front() -> Front:
    made = [trial for trial in trials() if trial.status == "finished"]
    scores = {one.number: {"accuracy": one.score, "size": 100.0 * one.number + 50, "time": 0.3} for one in made}
    members = sorted(scores, key=lambda number: -scores[number]["accuracy"])[:3]
    aims = {"accuracy": True, "size": False, "time": False}
    return Front(
        aims, scores, members, {"size": [("hidden", 0.9, 0.1)]}, "thalweg train runs/<s>/trials/NUMBER/spec.toml"
    )


def test_several_objectives_have_a_front() -> None:
    whole = study(front=front())
    page = study_page(whole)
    assert page.index("Result</h2>") < page.index("The front</h2>") < page.index("How it was found</h2>")
    assert "runs/&lt;s&gt;/trials/NUMBER" in page
    assert "Importance for accuracy" in page
    assert "Importance for size" in page
    drawn = pareto(whole)
    assert [figure.key for figure in drawn] == ["front-size", "front-time"]
    beaten, ahead = drawn[0].data
    assert len(ahead["x"]) == 3
    assert len(beaten["x"]) + 3 == len(front().scores)
    assert ahead["x"] == sorted(ahead["x"])
    assert "weights 50" in " ".join([*ahead["text"], *beaten["text"]])
    assert "The front" not in study_page(study())


def test_a_line_joins_the_front_of_two_objectives_alone() -> None:
    three = front()
    two = Front({"accuracy": True, "size": False}, three.scores, three.members)
    assert pareto(study(front=three))[0].data[1]["mode"] == "markers"
    assert pareto(study(front=two))[0].data[1]["mode"] == "lines+markers"


def test_best_so_far_only_falls() -> None:
    best = best_so_far(study())[0].data[-1]["y"]
    seen = [value for value in best if math.isfinite(value)]
    assert seen == sorted(seen, reverse=True)
    finished = [1 - one.score for one in trials() if one.status == "finished"]
    assert seen[-1] == pytest.approx(min(finished))


def test_within_a_decade_every_tick_says_its_whole_number() -> None:
    """Of an axis from 0.015 to 0.09, ticks named 2 to 9 would leave open which decade is meant."""
    near = [Trial(at, {}, "finished", score) for at, score in enumerate((0.985, 0.91))]
    far = [Trial(at, {}, "finished", score) for at, score in enumerate((0.999, 0.1))]
    assert scores_axis(study(trials=near))["ticktext"] == ["0.02", "0.05", "0.1"]
    assert scores_axis(study(trials=far))["dtick"] == 1


def test_an_error_of_zero_is_drawn_at_a_place_that_the_captions_say() -> None:
    perfect = Trial(99, dict(trials()[0].values), "finished", 1.0, 2, 0.5, 99.0, "", [0.5, 1.0], trials()[0].places)
    made = study(trials=[*trials(), perfect])
    least = min(1 - one.score for one in trials() if math.isfinite(one.score)) / 2
    drawn = [*best_so_far(made), *slices(made), *curves(made), *pareto(study(trials=made.trials, front=front()))]
    assert scores_axis(made)["type"] == "log" and made.least == least
    for figure in drawn:
        assert f"An error of 0 is drawn at {least:.2g}: a logarithmic axis has no 0." in figure.caption
    assert min(best_so_far(made)[0].data[-1]["y"]) == least
    (line,) = [one for one in curves(made)[0].data if one["name"] == "trial 99"]
    assert line["y"][-1] == least and line["text"][-1] == "100.00 %"
    assert not any("error of 0" in figure.caption for figure in best_so_far(study()))
    near = [Trial(at, {}, "finished", score) for at, score in enumerate((0.95, 0.94))]
    assert not any("error of 0" in figure.caption for figure in best_so_far(StudyReport("s", trials=near)))


def test_each_hyperparameter_stands_on_its_scale() -> None:
    drawn = {figure.key: figure for figure in slices(study())}
    assert drawn["slice-0"].layout["xaxis"]["type"] == "log"
    assert drawn["slice-1"].layout["xaxis"]["autorange"] == "reversed"
    assert drawn["slice-2"].layout["xaxis"]["type"] == "category"
    assert sum(len(trace["x"]) for trace in drawn["slice-0"].data) == 24


def test_what_strangers_named_is_escaped() -> None:
    bad = "<script>alert(1)</script>"
    odd = Trial(0, {bad: bad}, "finished", 0.5, 1, 1.0, 1.0, bad)
    axes = [{"name": bad, "scale": "choices", "ticks": [{"place": 0.5, "text": bad}]}]
    page = study_page(StudyReport(name=bad, trials=[odd], best=0, axes=axes, way=bad, settings={bad: bad}))
    assert "<script>alert" not in page


def test_a_study_with_nothing_yet_has_a_page(tmp_path: Path) -> None:
    page = study_page(StudyReport(name="s", status="running", trials=[Trial(0, {"lr": 0.1}, "pruned", math.nan)]))
    assert "No trial has finished yet" in page
    write(tmp_path / "page.html", page)
    assert re.search(r"<title>s · thalweg</title>", page)


@pytest.mark.browser
@pytest.mark.parametrize(("width", "dark"), [(400, False), (1280, True)])
def test_a_browser_draws_it(tmp_path: Path, browser: Browser, width: int, dark: bool) -> None:
    write(tmp_path / "page.html", study_page(study(front=front())))
    driver = browser.open(tmp_path / "page.html", width=width, dark=dark)
    assert browser.errors() == []
    assert driver.execute_script("return document.documentElement.dataset.charts") == "drawn"
    assert len(driver.find_elements("css selector", ".chart .plot-container")) == 2 + 2 + 2 + 4 + 1 + 1
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
