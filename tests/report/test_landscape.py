"""The page of a landscape: what it says, in which order, what its charts hold, and that a browser draws it."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from browser import Browser
from thalweg.report import write
from thalweg.report.landscape import Between, Density, Field, LandscapeReport, Stand, Told, landscape_page
from thalweg.report.landscape_charts import contour, fields, lines, planes, spectra

AT = np.linspace(0, 1, 9)
HUMP = 0.1 + 4 * AT * (1 - AT)


def bowl(points: int = 7) -> Field:
    x = np.linspace(-1, 1, points)
    losses = 0.01 + x[None, :] ** 2 + x[:, None] ** 2
    return Field(x, x, {"train": losses, "dev": 2 * losses})


def end(name: str, shift: float) -> Stand:
    return Stand(
        name,
        {"rule": name, "lr": 0.1},
        {
            "train": 0.01,
            "dev": 0.02,
            "dev error": 0.05,
            "from start": 3.0,
            "sharpness": 8.0,
            "smallest": -0.2,
            "negative": 0.04,
        },
        ("saddle", "A saddle: 4 % of the directions curve downwards."),
        (shift, 0.1, 0.0),
        [(0.0, 0.0), (shift / 2, 0.2), (shift, 0.1)],
        0.8,
        np.linspace(-1, 1, 5),
        0.01 + np.outer([1, 2], np.linspace(-1, 1, 5) ** 2),
        bowl(),
        Density(np.linspace(-1, 9, 50), np.exp(-(np.linspace(-1, 9, 50) ** 2))),
    )


def report(**more: object) -> LandscapeReport:
    settings: dict = {
        "name": "sgd and adam on digits",
        "ends": [end("sgd", 0.5), end("adam", -0.5)],
        "starts": [Stand("start", {}, {"train": 2.3, "dev": 2.4}, place=(0.0, 0.0, 0.0))],
        "findings": [Told("A barrier between sgd and adam", "The training loss rises to 1 above the line.", "warning")],
        "lines": [
            Between("sgd", "adam", AT, {"train": HUMP, "dev": HUMP + 1}, {"train": (1.0, 0.5), "dev": (0.0, 0.0)}, 1.5)
        ],
        "descents": [Between("start", name, AT, {"train": 2.3 - 2 * AT}) for name in ("sgd", "adam")],
        "plane": bowl(),
        "about": {"parameters": 26122},
        "seconds": 9.6,
    }
    return LandscapeReport(**settings | more)


def test_findings_come_first_then_pictures_then_numbers() -> None:
    page = landscape_page(report())
    order = [
        "A barrier between sgd and adam",
        "From sgd to adam",
        "on the plane",
        "Around sgd",
        "Curvature at sgd",
        "Barriers",
    ]
    assert [page.index(one) for one in order] == sorted(page.index(one) for one in order)
    assert ">a barrier<" in page and ">no barrier<" in landscape_page(
        report(findings=[Told("No barrier", "None.", "good")])
    )
    assert landscape_page(report()) == page


def test_a_line_shows_its_barrier_above_the_straight_one() -> None:
    found = lines(report())
    assert [figure.title for figure in found] == ["From sgd to adam", "From the start to each end"]
    curves = {trace["name"]: trace for trace in found[0].data if trace["name"]}
    np.testing.assert_allclose(curves["training loss"]["y"], HUMP)
    straight = found[0].data[2]["y"]
    np.testing.assert_allclose(straight, 0.1)
    assert "training loss is at most 1 above" in found[0].caption and "dev loss" not in found[0].caption
    assert "it only falls" in found[1].caption
    bump = Between("start", "sgd", AT, {"train": 2.3 - 2 * AT + (AT == 0.5)})
    assert "On the way to sgd it rises" in lines(report(descents=[bump]))[1].caption


def test_the_plane_says_how_much_of_the_paths_it_holds_and_who_is_off_it() -> None:
    shown = planes(report(starts=[Stand("start", place=(0.0, 0.0, 14.0))]))
    assert [figure.title for figure in shown] == ["Training loss on the plane", "Dev loss on the plane"]
    assert (
        "80 % of sgd's, 80 % of adam's variance" in shown[0].caption and "The start lies 14 off it" in shown[0].caption
    )
    marks = {trace["name"]: trace for trace in shown[0].data[1:]}
    assert (marks["sgd"]["x"], marks["adam"]["x"]) == ([0.5], [-0.5])
    assert marks["path of sgd"]["x"] == [0.0, 0.25, 0.5]
    assert "14 off the plane" in marks["start"]["hovertemplate"]
    assert planes(report(plane=None)) == []


def test_contours_are_of_logarithms_and_survive_odd_losses() -> None:
    drawn = contour(bowl(), "train", "loss")
    np.testing.assert_allclose(10 ** drawn["z"], bowl().values["train"])
    odd = Field(np.arange(2), np.arange(2), {"train": np.array([[0.0, 1.0], [math.nan, math.inf]])})
    z = contour(odd, "train", "loss")["z"]
    assert np.isfinite(z).all() and z[0, 0] == pytest.approx(-6) and (z[1] == 0).all()
    level = Field(np.arange(2), np.arange(2), {"train": np.full((2, 2), 0.5)})
    assert contour(level, "train", "loss")["zmax"] > contour(level, "train", "loss")["zmin"]


def test_losses_below_the_scale_are_said_to_share_a_colour() -> None:
    x = bowl().x
    deep = Field(x, x, {"train": x[None, :] ** 2 + x[:, None] ** 2})
    said = "Losses below 2e−6 share its colour: a logarithmic scale has no 0."
    found = report(plane=deep, ends=[dataclasses.replace(end("sgd", 0.5), around=deep)])
    assert said in planes(found)[0].caption and said in fields(found)[0].caption
    assert "share its colour" not in planes(report())[0].caption + fields(report())[0].caption


def test_fields_around_ends_share_their_colours() -> None:
    wide = Field(bowl().x, bowl().y, {"train": 100 * bowl().values["train"]})
    high = Stand("adam", around=wide)
    drawn = [figure.data[0] for figure in fields(report(ends=[end("sgd", 0.5), high]))]
    assert drawn[0]["zmin"] == drawn[1]["zmin"] and drawn[0]["zmax"] == drawn[1]["zmax"]
    assert 10 ** drawn[0]["zmax"] == pytest.approx(wide.values["train"].max())


def test_each_spectrum_says_its_ends() -> None:
    found = spectra(report())
    assert [figure.title for figure in found] == ["Curvature at sgd", "Curvature at adam"]
    assert "From −0.2 to 8, 4.00 % below 0." in found[0].caption


def test_what_strangers_named_is_escaped() -> None:
    bad = "<script>alert(1)</script>"
    page = landscape_page(
        report(name=bad, data=bad, ends=[end(bad, 0.5), end("adam", -0.5)], findings=[Told(bad, bad)], notes=[bad],
               lines=[Between(bad, bad, AT, {"train": HUMP, "dev": HUMP})], about={bad: bad})
    )  # fmt: skip
    assert "<script>alert" not in page
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.S)[1])  # type: ignore[index]
    assert "&lt;script" in json.dumps(figures)


def test_a_landscape_with_next_to_nothing_has_a_page() -> None:
    page = landscape_page(LandscapeReport("a and b", findings=[Told("No barrier", "None.")]))
    assert "<h1>a and b" in page


@pytest.mark.browser
@pytest.mark.parametrize(("width", "dark"), [(400, True), (1280, False)])
def test_a_browser_draws_it(tmp_path: Path, browser: Browser, width: int, dark: bool) -> None:
    write(tmp_path / "page.html", landscape_page(report()))
    driver = browser.open(tmp_path / "page.html", width=width, dark=dark)
    assert browser.errors() == []
    assert driver.execute_script("return document.documentElement.dataset.charts") == "drawn"
    assert len(driver.find_elements("css selector", ".chart .plot-container")) == 2 + 2 + 1 + 2 + 2
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    assert (tmp_path / "page.html").stat().st_size < 6e6
    table = driver.find_element("css selector", "[aria-label='The ends and the start']")
    head = next(one for one in table.find_elements("css selector", "thead button") if one.text == "training loss")
    head.click()
    assert [row.text.split()[0] for row in table.find_elements("css selector", "tbody tr")][-1] == "start"
