"""The page in a real browser: no complaint, charts drawn, both themes, narrow and wide, tables that sort, on paper."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from browser import Browser
from report import samples
from report.test_evidence import watched
from thalweg.diagnose import Verdict, examine
from thalweg.history import History
from thalweg.report import RunReport, render, render_verdict, write

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {"digits": samples.digits(), "diabetes": samples.diabetes(), "sgd blows up": samples.failure("sgd blows up")}
    for name, sample in made.items():
        write(folder / f"{name}.html", render(*sample))
    history = watched()
    write(folder / "watched.html", render_verdict(examine(history), history))
    return {name: folder / f"{name}.html" for name in (*made, "watched")}


@pytest.mark.parametrize(
    ("name", "charts", "width", "dark"),
    [
        ("digits", 8, 400, False), ("digits", 8, 760, True), ("digits", 8, 1280, False), ("digits", 8, 1600, True),
        ("diabetes", 7, 400, True), ("diabetes", 7, 1280, False), ("sgd blows up", 6, 400, False),
        ("watched", 7, 400, True), ("watched", 7, 1280, False),
    ],
)  # fmt: skip
def test_opens_without_a_complaint(
    pages: dict[str, Path], browser: Browser, name: str, charts: int, width: int, dark: bool
) -> None:
    driver = browser.open(pages[name], width=width, dark=dark)
    assert browser.errors() == []
    assert driver.execute_script("return document.documentElement.dataset.charts") == "drawn"
    assert driver.execute_script("return document.documentElement.dataset.theme") == ("dark" if dark else "light")
    assert len(driver.find_elements("css selector", ".chart .plot-container")) == charts
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    outside = """return [...document.querySelectorAll('.chart .main-svg')].filter(
        (svg) => svg.getBoundingClientRect().right > svg.closest('.chart').getBoundingClientRect().right + 1).length"""
    assert driver.execute_script(outside) == 0


def colour_of_first_curve(driver: Any) -> str:
    script = "return getComputedStyle(document.querySelector('#chart-metric .scatterlayer .js-line')).stroke"
    return driver.execute_script(script)


def wait(driver: Any, script: str) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 10).until(lambda opened: opened.execute_script(script))


def test_the_button_changes_page_and_charts(pages: dict[str, Path], open_page: Callable[..., Any]) -> None:
    driver = open_page(pages["digits"])
    button = driver.find_element("id", "theme")
    seen = [colour_of_first_curve(driver)]
    for label, theme in (("light", "light"), ("dark", "dark"), ("as the system", "light")):
        button.click()
        assert button.get_attribute("aria-label") == f"Colours: {label}"
        assert driver.execute_script("return document.documentElement.dataset.theme") == theme
        seen.append(colour_of_first_curve(driver))
    assert seen[0] == seen[1] == seen[3] == "rgb(36, 104, 176)"
    assert seen[2] == "rgb(109, 177, 240)"


def test_the_choice_of_colours_is_remembered(pages: dict[str, Path], open_page: Callable[..., Any]) -> None:
    driver = open_page(pages["digits"])
    for _ in range(2):
        driver.find_element("id", "theme").click()
    driver = open_page(pages["digits"])
    assert driver.execute_script("return document.documentElement.dataset.theme") == "dark"
    driver.find_element("id", "theme").click()  # the profile is shared: leave it as it was
    assert driver.execute_script("return localStorage.getItem('thalweg-theme')") == "auto"


def test_charts_follow_the_window(pages: dict[str, Path], browser: Browser) -> None:
    driver = browser.open(pages["digits"], width=1280)
    metrics = {"width": 500, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    wait(driver, "return document.querySelector('#chart-loss .main-svg').clientWidth < 480")
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 500
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics | {"width": 1500})
    wait(driver, "return document.querySelector('#chart-loss .main-svg').clientWidth > 1000")
    assert browser.errors() == []


def test_tables_sort_by_click_and_by_key(pages: dict[str, Path], open_page: Callable[..., Any]) -> None:
    from selenium.webdriver.common.keys import Keys

    driver = open_page(pages["digits"])
    region = driver.find_element("css selector", "[aria-label='Each class']")
    recall = next(button for button in region.find_elements("css selector", "thead button") if button.text == "recall")

    def column() -> list[float]:
        return [
            float(cell.get_attribute("data-value"))
            for cell in region.find_elements("css selector", "tbody td:nth-child(3)")
        ]

    unsorted = column()
    recall.click()
    assert column() == sorted(unsorted)
    recall.send_keys(Keys.ENTER)
    assert column() == sorted(unsorted, reverse=True)
    assert recall.find_element("xpath", "..").get_attribute("aria-sort") == "descending"


def test_on_paper(pages: dict[str, Path], browser: Browser) -> None:
    driver = browser.open(pages["digits"], width=1600, dark=True)
    paper = base64.b64decode(driver.print_page())
    assert paper.startswith(b"%PDF")
    assert 3 <= paper.count(b"/Type /Page\n") + paper.count(b"/Type /Page ") <= 14
    wait(driver, "return document.documentElement.dataset.theme === 'dark'")  # as before, when the paper is out


def test_a_browser_that_cannot_unpack_says_so(pages: dict[str, Path], browser: Browser, tmp_path: Path) -> None:
    old = (
        pages["digits"]
        .read_text(encoding="utf-8")
        .replace('"use strict";', '"use strict"; delete window.DecompressionStream;', 1)
    )
    (tmp_path / "old.html").write_text(old, encoding="utf-8")
    driver = browser.open(tmp_path / "old.html")
    assert "too old to unpack the charts" in driver.find_element("id", "notice").text
    assert driver.find_element("css selector", "[aria-label='Each class']").is_displayed()
    assert browser.errors() == []


def test_scripts_of_strangers_do_not_run(browser: Browser, tmp_path: Path) -> None:
    nasty = '<img src=x onerror="document.title=\'broken into\'"><script>document.title="broken into"</script>'
    history = History()
    for step in range(1, 5):
        history.record(step, {"batch/loss": 1.0 / step, f"grad_norm/{nasty}": 1.0, f"update_ratio/{nasty}": 1e-3})
    run = RunReport(name=nasty, confusion={"classes": [nasty, "b"], "matrix": [[3, 2], [1, 4]]}, notes=[nasty])
    write(tmp_path / "page.html", render(run, history, Verdict()))
    driver = browser.open(tmp_path / "page.html")
    assert browser.errors() == []
    assert driver.title == f"{nasty} · thalweg"
    assert driver.find_elements("tag name", "img") == []
    names = driver.execute_script(
        "return [...document.querySelectorAll('#chart-confusion .xtick text')].map((t) => t.textContent)"
    )
    assert names[0] == nasty


def test_the_policy_stops_what_would_slip_in(pages: dict[str, Path], browser: Browser, tmp_path: Path) -> None:
    """Should an escape ever be missed, the browser still refuses."""
    broken = (
        pages["digits"]
        .read_text(encoding="utf-8")
        .replace("<main>", '<main><script>document.title="broken into"</script>', 1)
    )
    (tmp_path / "broken.html").write_text(broken, encoding="utf-8")
    driver = browser.open(tmp_path / "broken.html")
    assert driver.title == "digits-1 · thalweg"
    assert any("Content Security Policy" in entry for entry in browser.errors())
