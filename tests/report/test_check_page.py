"""The page of a check: all answers, all pictures, nothing of anybody's as markup, the same text each time."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browser import Browser
from thalweg.diagnose.checks.check import Check, passed
from thalweg.diagnose.checks.one_batch import OneBatch, Trial
from thalweg.diagnose.checks.rate import read
from thalweg.diagnose.checks.signals import Layer
from thalweg.report.check import CheckReport, check_page
from thalweg.report.page import write

NASTY = "</script><img src=x onerror=alert(1)>"
rng = np.random.default_rng(0)


def layer(place: int, fade: float) -> Layer:
    counts, edges = np.histogram(rng.normal(0, fade**place, 2000), bins=48)
    sizes, size_edges = np.histogram(rng.normal(-4 + place, 0.5, 2000), bins=48)
    kind = "Linear" if place % 2 == 0 else "Tanh"
    return Layer(str(place), kind, place % 2 == 0, 0.0, fade**place, fade**place, 0.0, math.nan, math.nan, 10.0 ** (place - 8),
                 edges, counts, size_edges, sizes)  # fmt: skip


RATES = np.geomspace(1e-6, 1.0, 60)
LOSSES = np.where(RATES < 0.05, 2.3 - 1.5 / (1 + np.exp(-3 * (np.log10(RATES) + 3))), 9.0)
REPORT = CheckReport(
    "digits", "multiclass", "mlp",
    (
        passed("data", "Nothing suspicious."),
        Check("gradients", "failed", f"It falls at {NASTY}.", "vanishing_gradient", "0", evidence={"first": 1e-8}),
        Check("rate", "warned", "The rate given is low.", "lr_too_low"),
        Check("gradient check", "skipped", "Not asked."),
    ),
    tuple(layer(place, 0.3) for place in range(9)), tuple(layer(place, 0.95) for place in range(9)), "norm = batch",
    read(RATES, LOSSES, LOSSES, band=(1e-4, 0.05)),
    OneBatch(32, 2.3, 0.0, (Trial(0.1, np.full(50, 2.3)), Trial(0.01, np.geomspace(2.3, 0.01, 80)))), 1.5,
)  # fmt: skip


def figures(page: str) -> dict[str, Any]:
    found = re.search(r'id="figures">(.*?)</script>', page, re.S)
    assert found is not None
    return json.loads(found[1])


def test_every_answer_is_there_and_escaped() -> None:
    page = check_page(REPORT)
    for check in REPORT.checks:
        assert check.name[1:] in page
    assert NASTY not in page and "&lt;/script&gt;&lt;img" in page
    assert page.index("It falls at") < page.index("The rate given is low") < page.index("Nothing suspicious")
    assert page == check_page(REPORT)


def test_pictures_hold_what_was_measured() -> None:
    drawn = figures(check_page(REPORT))
    assert set(drawn) == {"spread", "gradient", "outputs", "sizes", "range", "batch"}
    here, suggested = drawn["spread"]["data"]
    weighted = [layer for layer in REPORT.layers if layer.weighted]
    assert here["y"] == pytest.approx([layer.spread for layer in weighted], rel=1e-4)
    assert suggested["name"] == "norm = batch"
    assert len(drawn["outputs"]["data"]) == len(drawn["sizes"]["data"]) == 9
    assert drawn["outputs"]["layout"]["yaxis"]["ticktext"][0] == "0 Linear"
    names = [curve["name"] for curve in drawn["range"]["data"]]
    assert [name.split()[0] for name in names[2:]] == ["valley", "steepest", "minimum", "diverges"]
    assert [len(curve["y"]) for curve in drawn["batch"]["data"]] == [50, 80]


def test_what_was_not_measured_is_left_out() -> None:
    page = check_page(CheckReport("digits", "multiclass", "mlp", (passed("shapes", "64 inputs."),)))
    assert figures(page) == {} and "Nothing stands in the way" in page and "Which rates" not in page


def test_a_net_where_nothing_comes_through_has_a_page() -> None:
    dead = replace(layer(2, 1.0), spread=0.0, gradient=0.0, sizes=np.zeros(1), size_edges=np.array([0.0, 1.0]))
    page = check_page(replace(REPORT, layers=(dead, dead), suggested=()))
    assert set(figures(page)) == {"outputs", "range", "batch"}


@pytest.mark.browser
@pytest.mark.parametrize("width, dark", [(400, True), (1280, False)])
def test_opens_without_a_complaint(tmp_path: Path, browser: Browser, width: int, dark: bool) -> None:
    write(tmp_path / "check.html", check_page(REPORT))
    driver = browser.open(tmp_path / "check.html", width=width, dark=dark)
    assert browser.errors() == []
    assert driver.execute_script("return document.documentElement.dataset.charts") == "drawn"
    assert len(driver.find_elements("css selector", ".chart .plot-container")) == 6
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
