"""What all pages must do, each in a browser: complete, alone, legible in both themes, narrow, on paper and by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import Browser
from report.every_page import PAGES
from thalweg.errors import InputError
from thalweg.report import write
from thalweg.report.figure import Figure
from thalweg.report.sheet import Sheet

INSPECT = (Path(__file__).parent / "inspect.js").read_text(encoding="utf-8")
MOST_BYTES = 6_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


def written(folder: Path, name: str) -> Path:
    """Every page at one address and with one nonce: the browser has compiled the chart library then, after the first."""
    page = PAGES[name]()
    nonce = page.split("nonce-", 1)[1].split("'", 1)[0]
    write(folder / "page.html", page.replace(nonce, "0" * 32))
    return folder / "page.html"


@pytest.fixture
def offline(browser: Browser) -> Iterator[Browser]:
    """The browser without a network."""
    browser.driver.execute_cdp_cmd("Network.enable", {})
    conditions = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    browser.driver.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)
    yield browser
    browser.driver.execute_cdp_cmd("Network.disable", {})


def looks(driver: Any, *what: str) -> list[str]:
    return driver.execute_script(INSPECT, *what)


def turn(driver: Any, *, width: int, dark: bool, media: str = "") -> None:
    """Another window and another theme for the page that is open, once its charts have followed."""
    from selenium.webdriver.support.ui import WebDriverWait

    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [
        {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features, "media": media})
    fits = """const follows = (svg) => Math.abs(svg.getBoundingClientRect().width - svg.closest('.chart').clientWidth) < 2;
        return document.documentElement.dataset.theme === arguments[0]
            && [...document.querySelectorAll('.chart .main-svg')].every(follows)"""
    WebDriverWait(driver, 20).until(lambda opened: opened.execute_script(fits, "dark" if dark else "light"))


@pytest.mark.browser
@pytest.mark.parametrize("name", PAGES)
def test_every_page(folder: Path, offline: Browser, name: str) -> None:
    from selenium.webdriver.common.keys import Keys

    path = written(folder, name)
    assert path.stat().st_size < MOST_BYTES
    driver = offline.open(path, width=1280)
    assert driver.execute_script("return document.documentElement.dataset.charts") == "drawn"
    assert looks(driver, "structure", "charts", "width", "contrast", "still", "alone", "open") == []
    driver.execute_async_script(
        "requestAnimationFrame(() => setTimeout(arguments[0]))"
    )  # numbers come when details have opened
    assert looks(driver, "numbers") == []

    turn(driver, width=400, dark=True)
    assert looks(driver, "charts", "width", "contrast") == []

    driver.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
    body = driver.find_element("css selector", "body")
    body.send_keys(Keys.TAB)
    first = driver.switch_to.active_element
    assert first.get_attribute("class") == "skip"
    assert driver.execute_script("return arguments[0].getBoundingClientRect().left >= 0", first)
    for _ in range(6):
        driver.switch_to.active_element.send_keys(Keys.TAB)
        if driver.switch_to.active_element.tag_name == "body":  # a page with little on it
            break
        outline = driver.execute_script(
            "const style = getComputedStyle(document.activeElement); return style.outlineStyle"
        )
        assert outline not in ("none", ""), driver.switch_to.active_element.get_attribute("outerHTML")[:200]

    for slider in driver.find_elements("css selector", "input[type=range]"):
        if slider.is_displayed() and slider.is_enabled():
            before = slider.get_attribute("value")
            slider.send_keys(Keys.ARROW_RIGHT if before != slider.get_attribute("max") else Keys.ARROW_LEFT)
            assert slider.get_attribute("value") != before

    sorts = """const head = arguments[0].closest('th');
        arguments[0].click(); const rises = head.getAttribute('aria-sort');
        arguments[0].click(); return [rises, head.getAttribute('aria-sort')].sort().join()"""
    for button in driver.find_elements("css selector", "thead button"):
        assert driver.execute_script(sorts, button) == "ascending,descending"

    turn(driver, width=760, dark=False, media="print")
    assert looks(driver, "paper") == []
    driver.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert looks(driver, "printed") == []
    assert offline.errors() == []


def test_a_chart_without_a_caption_is_refused() -> None:
    with pytest.raises(InputError, match="the chart loss has no caption: say in a sentence what is to be seen in it"):
        Sheet().chart(Figure("loss", "Loss", "", []))
