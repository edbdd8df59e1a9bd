"""Every kind of page: how large it is, and how soon it is there and drawn when ``thalweg view`` serves it on loopback.

    python benchmarks/pages.py --out benchmarks/results/pages.md

Pages are those of ``tests/report/every_page.py``, opened in headless Chromium with an empty cache; of several openings the
median. *First paint* is the browser's own first-contentful-paint: something to read. *Drawn* is when the last chart is there,
which waits for the chart library (4.8 MB) to be unpacked and run. The goal: under 6 MB, first paint under 2 s.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from browser import Browser
from report.every_page import PAGES
from thalweg.report import write
from thalweg.view import Server, Site
from view import folders

MANY = 300
WHEN_DRAWN = """new MutationObserver(() => {
    if (document.documentElement.dataset.charts && !window.drawnAt) window.drawnAt = performance.now();
}).observe(document, { attributes: true, subtree: true, attributeFilter: ['data-charts'] })"""


def opened(driver: Any, url: str, repeats: int) -> tuple[float, float]:
    """Seconds until the first paint and until all charts are drawn, medians."""
    found = []
    for _ in range(repeats):
        driver.get("about:blank")
        driver.get(url)
        script = "return [performance.getEntriesByName('first-contentful-paint')[0]?.startTime, window.drawnAt]"
        while None in (times := driver.execute_script(script)):
            time.sleep(0.02)
        found.append(times)
    paint, drawn = zip(*found, strict=True)
    return statistics.median(paint) / 1000, statistics.median(drawn) / 1000


def measure(repeats: int) -> list[tuple[str, int, float, float]]:
    rows = []
    with tempfile.TemporaryDirectory() as name:
        runs = Path(name) / "runs"
        runs.mkdir()
        for kind, make in PAGES.items():
            write(runs / f"{kind}.html", make())
        folders.run(runs, "live", passes=8, status="running")
        many = Path(name) / "many"
        for number in range(MANY):
            if number == 0:
                folders.run(many, "run-0", passes=8)
            else:
                shutil.copytree(many / "run-0", many / f"run-{number}")
        with Server(Site(runs), port=0) as first, Server(Site(many), port=0) as second, Browser() as browser:
            for server in (first, second):
                threading.Thread(target=server.serve, daemon=True).start()
            driver = browser.driver
            driver.execute_cdp_cmd("Network.enable", {})
            driver.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
            driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WHEN_DRAWN})
            pages = {kind: f"{first.url}page/{kind}.html" for kind in PAGES}
            pages |= {"a run that goes": f"{first.url}page/live", f"the list of {MANY} runs": second.url}
            driver.get(first.url + "page/live")  # the server's first page of a run imports torch
            for kind, url in pages.items():
                size = len(urllib.request.urlopen(url).read())
                rows.append((kind, size, *opened(driver, url, repeats)))
                print(rows[-1], file=sys.stderr)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="benchmarks/results/pages.md")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    rows = measure(given.repeats)
    lines = [
        "# Pages",
        "",
        f"`python benchmarks/pages.py` on {os.cpu_count()} CPUs ({platform.machine()}), headless Chromium, empty cache, pages",
        f"served by `thalweg view` on loopback; median of {given.repeats} openings.",
        "",
        "| page | MB | first paint, s | charts drawn, s |",
        "|---|---|---|---|",
        *(f"| {kind} | {size / 1e6:.2f} | {paint:.2f} | {drawn:.2f} |" for kind, size, paint, drawn in rows),
        "",
        f"The largest page has {max(size for _, size, *_ in rows) / 1e6:.2f} MB; the slowest first paint takes "
        f"{max(paint for *_, paint, _ in rows):.2f} s.",
        "",
    ]
    Path(given.out).write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
