"""Interventions on the page: marks where the curves still have them, a list of all."""

from __future__ import annotations

import numpy as np

from thalweg.diagnose import Verdict
from thalweg.history import History
from thalweg.report import RunReport, render
from thalweg.report.figure import Figure
from thalweg.report.interventions import interventions, marked, words

DONE = [
    {"act": "set", "step": 40, "what": "lr", "before": 0.01, "to": 0.1, "when": "2026-01-01 10:00:00"},
    {"act": "set", "step": 70, "what": "clip_norm", "before": 1.0, "to": None, "when": "2026-01-01 10:01:00"},
    {"act": "back", "step": 95, "what": "epoch", "before": None, "to": 5, "when": "2026-01-01 10:02:00"},
    {"act": "pause", "step": 60, "when": "2026-01-01 10:03:00"},
    {"act": "set", "step": 65, "what": "betas", "before": [0.9, 0.999], "to": [0.8, 0.9], "when": "<b>"},
]
CLOCK = ("epoch", lambda steps: np.asarray(steps) / 10)


def test_marks_stand_where_the_curves_still_are() -> None:
    figure = Figure("loss", "Loss", "", [], {"shapes": ["kept"]})
    run = RunReport("a", interventions=DONE)
    first, none = marked([figure, None], run, CLOCK)
    assert none is None and first is not None and figure.layout["shapes"] == ["kept"]
    kept, *lines = first.layout["shapes"]
    assert kept == "kept" and [line["x0"] for line in lines] == [4.0, 5.0, 6.5]


def test_the_list_has_all_in_words() -> None:
    section = interventions(RunReport("a", interventions=DONE), CLOCK)
    assert section is not None and "&lt;b&gt;" in section.html and "<b>" not in section.html
    said = [words(one) for one in DONE]
    assert said == ["lr 0.01 → 0.1", "clip_norm 1 → none", "back to epoch 5", "paused", "betas 0.9, 0.999 → 0.8, 0.9"]
    assert words({"act": "stop", "step": 3}) == "ended"
    assert all(one in section.html for one in said)


def test_a_run_that_was_not_steered_has_neither() -> None:
    history = History()
    for step in range(1, 30):
        history.record(step, {"batch/loss": 1.0 / step, "lr": 0.1})
    plain, steered = (render(RunReport("a", interventions=done), history, Verdict()) for done in ((), DONE))
    assert "nterventions" not in plain and 'id="interventions"' in steered
    assert interventions(RunReport("a"), CLOCK) is None
