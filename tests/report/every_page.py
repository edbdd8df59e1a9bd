"""A page of every kind that there is, by name: what all pages must do is tested on each, and a new kind is one more line.

>>> PAGES["study"]().startswith("<!doctype html>")
True
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from report import samples, test_check_page, test_evidence, test_race, test_study
from thalweg.diagnose import Verdict, examine
from thalweg.experiments.surveying import surface
from thalweg.history import History
from thalweg.report import RunReport, render, render_verdict
from thalweg.report.check import check_page
from thalweg.report.figure import Figure
from thalweg.report.gallery import Plate, gallery_page
from thalweg.report.index import Entry, index_page
from thalweg.report.landscape import Between, Density, Field, LandscapeReport, Stand, Told, landscape_page
from thalweg.report.race import race_page
from thalweg.report.schedule import schedule_page
from thalweg.report.study import study_page
from thalweg.report.surface import surface_page
from thalweg.report.underway import Lane, underway_page
from thalweg.schedules import outline, parse


def folds() -> str:
    scores = (0.966, 0.973, 0.961, 0.98, 0.969)
    each = [
        {"held_out": 360, "metrics": {"loss": 3 * (1 - score), "accuracy": score}, "lr": 0.003, "best_epoch": 12, "epochs": 20,
         "seconds": 1.5}
        for score in scores
    ]  # fmt: skip
    metrics = {"held_out": {"loss": 0.09, "accuracy": float(np.mean(scores))}}
    run = RunReport(name="digits-folds-1", metrics=metrics, part="held_out", folds=each, created="2026-01-02 03:04:05")
    return render(run, History(), Verdict())


def doctor() -> str:
    history = test_evidence.watched()
    return render_verdict(examine(history), history, title="my loop")


def schedule() -> str:
    parsed = parse("warmup(500) >> cosine(10000)")
    drawn = outline(0.1 * parsed)
    return schedule_page(repr(parsed), drawn, [(step, drawn.value(step), "") for step in drawn.key_steps()], lr=0.1)


def gallery() -> str:
    def plate(key: str, group: str, holds: int, but: str = "") -> Plate:
        shown = {
            "type": "scatter",
            "mode": "lines",
            "name": key,
            "x": [1, 2, 3],
            "y": [3, 2, 1.5],
            "line": {"color": "--accent"},
        }
        return Plate(
            key=key, title=key.title(), group=group, source="a paper, equation 3", but=but, file=f"{key}.py", seconds=9.0,
            claim=f"{key} does what it is said to do, in a sentence of some length that a reader takes in at once.",
            holds=[True] * holds + [False] * (10 - holds), numbers={"loss at the end": list(np.linspace(1.4, 1.6, 10))},
            figure=Figure(key, key.title(), "The loss falls by a half.", [shown]), code="print(1)\n" * 20,
        )  # fmt: skip

    plates = [
        plate("momentum", "Rules", 10),
        plate("warmup", "Rates", 9, "Not with batch norm."),
        plate("luck", "Rates", 4),
    ]
    return gallery_page("The atlas", plates, version="1.0")


def survey() -> str:
    made = surface("ravine", rules=["sgd", "momentum", "adam"], settings={"sgd": {"lr": 0.95}}, steps=60)
    return surface_page(made.report)


def landscape() -> str:
    grid = np.linspace(-0.5, 1.5, 21)
    bowl = Field(
        grid, grid, {"train": 0.05 + (grid[:, None] - 0.5) ** 2 + 3 * (grid[None, :] * (1 - grid[None, :])) ** 2}
    )
    at = np.linspace(0, 1, 11)
    hill = {"train": 0.05 + 1.2 * (at * (1 - at)) ** 2, "dev": 0.1 + 1.5 * (at * (1 - at)) ** 2}
    fall = {"train": 2.3 * (1 - at) ** 2 + 0.05, "dev": 2.3 * (1 - at) ** 2 + 0.1}
    eigenvalues = np.linspace(-1, 20, 60)
    density = Density(eigenvalues, np.exp(-(eigenvalues**2)) + 1e-3)
    ends = [
        Stand(
            rule, {"lr": 0.01}, {"train": 0.05, "dev": 0.1, "sharpness": 19.0, "negative": 0.2}, ("a minimum", "It curves up."),
            (float(place), 0.5, 0.01), [(0.5, 1.5), (float(place), 0.5)], 0.8, grid, 0.05 + np.outer([1.0, 1.1], grid**2),
            bowl, density,
        )
        for place, rule in enumerate(["sgd", "adam"])
    ]  # fmt: skip
    told = Told("A barrier", "Between sgd and adam the loss rises by 0.075.", "warning")
    way = Between("sgd", "adam", at, hill, {"train": (0.075, 0.5)}, 3.0)
    falls = [Between("start", end.name, at, fall) for end in ends]
    return landscape_page(
        LandscapeReport("digits-landscape-1", ends, lines=[way], descents=falls, plane=bowl, findings=[told])
    )


def underway() -> str:
    done = {"tuning": 8, "more seeds": 4}
    lanes = [
        Lane("digits", rule, "accuracy", done, tuple(np.linspace(0.6, 0.97, 12))) for rule in ("sgd", "adam", "nadam")
    ]
    return underway_page("digits-race-1", lanes, state="running", said="", total=148)


def listed() -> str:
    curve = tuple(1 - 0.5 / (at + 1) for at in range(20))
    whole = {"link": "/page/x", "data": "digits", "rule": "adamw", "metric": "accuracy", "best": 0.975, "curve": curve}
    states = {
        "finished": "", "running": "", "failed": "at step 5 the loss became nan: use a smaller rate",
        "stopped": "go on with: thalweg resume stopped-1", "damaged": "result.json is damaged: Expecting value",
        "silent": "no sign of life since 2026-01-02 03:04:05; if it was killed, go on with: thalweg resume silent-1",
    }  # fmt: skip
    entries = [
        Entry(
            f"{state}-1",
            "run",
            state=state,
            said=said,
            done=20,
            total=20,
            seconds=71.0,
            when="2026-01-02 03:04:05",
            **whole,
        )
        for state, said in states.items()
    ]
    study = Entry(
        "digits-study-1", "study", "/page/y", state="running", unit="trials", done=41, total=64, seconds=3700.0
    )
    return index_page("runs", [*entries, study])


PAGES: dict[str, Callable[[], str]] = {
    "run": lambda: render(*samples.digits()),
    "regression": lambda: render(*samples.diabetes()),
    "failure": lambda: render(*samples.failure("sgd blows up")),
    "new": lambda: render(RunReport(name="new", status="running"), History(), Verdict()),
    "folds": folds,
    "study": lambda: study_page(test_study.study(front=test_study.front())),
    "check": lambda: check_page(test_check_page.REPORT),
    "doctor": doctor,
    "schedule": schedule,
    "race": lambda: race_page(test_race.race()),
    "underway": underway,
    "suite": lambda: race_page(replace(test_race.suite(), problems=test_race.suite().problems[:2])),
    "surface": survey,
    "landscape": landscape,
    "gallery": gallery,
    "list": listed,
}  # fmt: skip
