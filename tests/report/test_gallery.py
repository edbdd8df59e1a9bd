"""The page of a gallery: what it says first, what it keeps from its text, and that a browser draws it."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from browser import Browser
from thalweg.errors import InputError
from thalweg.report import write
from thalweg.report.figure import Figure, axis
from thalweg.report.gallery import Plate, gallery_page


def plate(key: str, *, group: str = "Averages", holds: int = 10, but: str = "", **more: object) -> Plate:
    steps = np.arange(20)
    figure = Figure(
        "",
        "",
        "The curve falls.",
        [
            {
                "type": "scatter",
                "mode": "lines",
                "name": "a",
                "x": steps,
                "y": 1.0 / (1 + steps),
                "line": {"color": "--train"},
            }
        ],
        {"xaxis": axis("step"), "yaxis": axis("loss")},
    )
    settings: dict = {
        "title": f"About {key}",
        "claim": "v falls as 1/t.",
        "source": "Somebody 1951",
        "numbers": {"loss": [0.5, 0.25, 0.75], "never": [math.nan] * 3},
        "code": 'print("a < b")\n',
        "file": f"atlas/{key}.py",
        "seconds": 2.5,
    }
    return Plate(
        key=key, group=group, holds=[True] * holds + [False] * (10 - holds), figure=figure, but=but, **settings | more
    )


PLATES = [
    plate("one"),
    plate("two", group="Signals", but="Only where x > 0."),
    plate("three", holds=8),
    plate("four", holds=9),
]


def test_findings_come_first_and_count_what_holds() -> None:
    page = gallery_page("The atlas", PLATES, version="1.2.3")
    assert (
        "3 of 4 claims hold in at least nine of ten seeds, 1 of them with a reservation, which is measured too; "
        '1 does not hold as stated: <a href="#three">About three</a>.'
    ) in page
    tiles = re.findall(r"<dd>([^<]*)</dd><dt>([^<]*)</dt>", page)
    assert tiles == [
        ("3 of 4", "claims hold"),
        ("2", "hold as they stand"),
        ("1", "hold, with a reservation"),
        ("1", "does not hold as stated"),
    ]
    contents = re.search(r'<div class="themes".*?</ul></div></div>', page)
    assert contents is not None
    assert re.findall(r'href="#([^"]*)"', contents[0]) == ["group-0", "one", "three", "four", "group-1", "two"]
    assert re.findall(r'<span class="(\w+)" title="[^"]*">([^<]*)</span>', contents[0]) == [
        ("finished", "holds"),
        ("failed", "refuted"),
        ("finished", "holds"),
        ("running", "holds, but"),
    ]
    assert "Measured, 10 seeds" in page
    assert page.index("Every claim") < page.index('id="one"') < page.index('id="three"') < page.index('id="two"')
    assert page.count("does not hold as stated: 8 of 10 seeds") == 1
    assert "holds: 9 of 10 seeds" in page
    assert '<a href="#two">About two</a>' in page
    assert "Only where x &gt; 0." in page
    assert "thalweg 1.2.3" in page
    assert gallery_page("The atlas", PLATES, version="1.2.3") == page


def test_numbers_have_their_spread_by_hand() -> None:
    page = gallery_page("The atlas", [plate("one")])
    row = re.search(r'<th scope="row">loss</th>(.*?)</tr>', page)
    assert row is not None
    assert re.findall(r">([^<>]+)</td>", row[1]) == ["0.5", "0.25", "0.25", "0.75"]
    single = gallery_page("The atlas", [plate("one", numbers={"loss": [0.5]})])
    assert re.search(r'<th scope="row">loss</th><td class="number"[^>]*>0.5</td><td>–</td>', single)


def test_the_code_is_shown_and_does_nothing() -> None:
    bad = "</script><script>alert(1)</script>"
    odd = plate("one", title=bad, claim=bad, source=bad, but=bad, code=bad, group=bad, numbers={bad: [1.0]}, file=bad)
    page = gallery_page(bad, [odd])
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_each_figure_has_the_key_of_its_plate() -> None:
    page = gallery_page("The atlas", PLATES)
    drawn = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page)
    assert drawn is not None
    assert list(json.loads(drawn[1])) == ["one", "three", "four", "two"]
    assert page.count("The curve falls.") == 4


def test_nothing_to_show_is_said() -> None:
    with pytest.raises(InputError, match="nothing to show"):
        gallery_page("The atlas", [])
    with pytest.raises(InputError, match="two plates of the gallery have the key one"):
        gallery_page("The atlas", [plate("one"), plate("one")])


def test_no_seed_no_proof() -> None:
    assert not plate("one", holds=8).proven
    assert plate("one", holds=9).proven
    assert not Plate("k", "t", "g", "c", "s", [], {}, Figure("", "", "", [])).proven


@pytest.mark.browser
@pytest.mark.parametrize(("width", "dark"), [(400, False), (1280, True)])
def test_a_browser_draws_it(tmp_path: Path, browser: Browser, width: int, dark: bool) -> None:
    write(tmp_path / "page.html", gallery_page("The atlas", PLATES))
    driver = browser.open(tmp_path / "page.html", width=width, dark=dark)
    assert browser.errors() == []
    driver.execute_script("document.getElementById('two').scrollIntoView()")
    assert len(driver.find_elements("css selector", "#two .chart .plot-container")) == 1
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    driver.find_element("css selector", "#two > details > summary").click()
    assert 'print("a < b")' in driver.find_element("css selector", "#two > details pre").text
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.browser
def test_findings_sort_by_how_often_they_hold(tmp_path: Path, browser: Browser) -> None:
    write(tmp_path / "page.html", gallery_page("The atlas", PLATES))
    driver = browser.open(tmp_path / "page.html")
    head = driver.find_elements("css selector", "#findings thead button")
    next(one for one in head if one.text == "holds in").click()
    rows = [row.text for row in driver.find_elements("css selector", "#findings tbody th")]
    assert rows[:2] == ["About three", "About four"]
