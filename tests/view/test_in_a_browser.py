"""The site in a real browser: the list and the page of a run keep up, and keep what the reader has done to them."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import Browser
from thalweg.view import Server, Site
from view import folders

pytestmark = pytest.mark.browser


@pytest.fixture
def server(tmp_path: Path, browser: Browser) -> Iterator[Server]:
    folders.run(tmp_path, "going", passes=2, status="running")
    for number in range(6):
        folders.run(tmp_path, f"done-{number}", passes=number + 1)
    folders.page(tmp_path / "check.html")
    server = Server(Site(tmp_path), port=0)
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield server
    browser.driver.get("about:blank")  # or the page goes on asking a server that has gone
    server.close()
    thread.join()


def wait(driver: Any, script: str, *words: object) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 20).until(lambda opened: opened.execute_script(script, *words))


ROWS = "return [...document.querySelectorAll('tbody tr')].filter((row) => !row.hidden).map((row) => row.dataset.key)"
EPOCHS = "return document.querySelector('tr[data-key=going] td:nth-child(8)').textContent === arguments[0]"


@pytest.mark.parametrize(("width", "dark"), [(400, True), (1280, False)])
def test_the_list_opens_without_a_complaint(server: Server, browser: Browser, width: int, dark: bool) -> None:
    driver = browser.visit(server.url, width=width, dark=dark)
    assert browser.errors() == []
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    assert len(driver.find_elements("css selector", "svg.spark")) == 6  # a curve has two points
    assert len(driver.execute_script(ROWS)) == 8


def test_rows_keep_up_and_keep_their_order(server: Server, browser: Browser, tmp_path: Path) -> None:
    driver = browser.visit(server.url)
    epochs = next(b for b in driver.find_elements("css selector", "thead button") if b.text == "epochs")
    epochs.click()
    epochs.click()
    driver.find_element("id", "sift").send_keys("run done")
    shown = driver.execute_script(ROWS)
    assert shown == [f"done-{number}" for number in reversed(range(6))]
    driver.execute_script("document.querySelector('tr[data-key=going]').marked = true")
    folders.grow(tmp_path / "going", 2, 7)
    wait(driver, EPOCHS, "7 / 8")
    assert driver.execute_script(
        "return document.querySelector('tr[data-key=going]').marked"
    )  # the same row, brought up to date
    assert driver.execute_script(ROWS) == shown
    driver.find_element("id", "sift").clear()
    driver.find_element("id", "sift").send_keys(" ")
    assert driver.execute_script(ROWS)[0] == "going"
    folders.run(tmp_path, "new", passes=8)
    shutil.rmtree(tmp_path / "done-5")
    wait(driver, "return document.querySelector('tr[data-key=new]') && !document.querySelector('tr[data-key=done-5]')")
    assert driver.execute_script(ROWS)[0] == "new"
    assert driver.execute_script("return document.activeElement.id") == "sift"
    assert browser.errors() == []


def test_the_page_of_a_run_draws_what_is_new(server: Server, browser: Browser, tmp_path: Path) -> None:
    from selenium.webdriver import ActionChains

    driver = browser.visit(server.url + "page/going")
    points = "return document.getElementById('chart-metric').data.find((one) => one.name === 'dev').x.length"
    assert driver.execute_script(points) == 3
    numbers = driver.find_element("css selector", "#learning details:not(.numbers) summary")
    numbers.click()
    driver.execute_script("document.getElementById('chart-loss').marked = true")
    area = driver.find_element("css selector", "#chart-metric .nsewdrag")
    ActionChains(driver).move_to_element_with_offset(area, -60, 0).click_and_hold().move_by_offset(
        120, 2
    ).release().perform()
    zoomed = "return document.getElementById('chart-metric').layout.xaxis.range"
    wait(driver, zoomed + "[0] > 0.1")
    before = driver.execute_script(zoomed)
    folders.grow(tmp_path / "going", 2, 5)
    wait(driver, points + " === 6")
    assert driver.execute_script("return document.getElementById('chart-loss').marked")
    assert driver.execute_script("return document.querySelector('#learning details:not(.numbers)').open")
    assert driver.execute_script(zoomed) == before
    (tmp_path / "going" / "result.json").write_text(json.dumps({"status": "finished", "task": "multiclass"}))
    wait(driver, "return document.querySelector('h1 .status').textContent === 'finished'")
    wait(driver, "return !('live' in document.documentElement.dataset)")
    assert browser.errors() == []


def test_a_run_that_has_just_begun_gets_its_charts(server: Server, browser: Browser, tmp_path: Path) -> None:
    folder = folders.run(tmp_path, "fresh", passes=0, status="running")
    (folder / "history.jsonl").unlink()
    driver = browser.visit(server.url + "page/fresh")
    assert not driver.find_elements("css selector", ".chart")
    folders.grow(folder, 0, 3)
    wait(driver, "return document.querySelectorAll('#chart-loss .main-svg').length")
    assert browser.errors() == []


def test_nobody_is_asked_while_the_page_is_not_seen(server: Server, browser: Browser) -> None:
    driver = browser.visit(server.url + "page/going")
    count = "return performance.getEntriesByType('resource').filter((one) => one.name.includes('?light')).length"
    hide = """const hidden = arguments[0];
        Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
        document.dispatchEvent(new Event('visibilitychange'));"""
    wait(driver, count + " > 0")
    driver.execute_script(hide, True)
    driver.execute_async_script("setTimeout(arguments[0], 1500)")  # one that was on its way may still come
    before = driver.execute_script(count)
    driver.execute_async_script("setTimeout(arguments[0], 2500)")
    assert driver.execute_script(count) == before
    driver.execute_script(hide, False)
    wait(driver, count + " > arguments[0]", before)


def test_a_server_that_has_ended_is_said(tmp_path: Path, browser: Browser) -> None:
    folders.run(tmp_path, "going", status="running")
    with Server(Site(tmp_path), port=0) as server:
        thread = threading.Thread(target=server.serve)
        thread.start()
        driver = browser.visit(server.url)
        server.close()
        thread.join()
    wait(driver, "return document.getElementById('notice').textContent.startsWith('The server does not answer')")
    browser.driver.get("about:blank")
    browser.errors()  # the browser's own complaint about it


def test_pages_of_others_are_shown_and_confined(server: Server, browser: Browser, tmp_path: Path) -> None:
    script = "fetch('/').then(() => document.title = 'read', () => document.title = 'refused')"
    (tmp_path / "theirs.html").write_text(f"<title>x · thalweg</title><script>{script}</script>")
    browser.driver.get(server.url + "page/theirs.html")
    wait(browser.driver, "return document.title === 'refused'")
    browser.errors()
