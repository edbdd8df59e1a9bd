"""A real browser for tests of pages: Chromium, headless, without network.

>>> with Browser() as browser:
...     driver = browser.open(path, width=400)
...     browser.errors()
[]

``open_page`` in ``tests/conftest.py`` is this as a fixture; tests that use it carry the marker ``browser`` and are skipped in
plain sight where Chromium or its driver is not installed.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
MISSING = "" if CHROMIUM and DRIVER else "chromium and chromedriver are not both installed"
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip


class Browser:
    """One Chromium with an empty profile; pages are opened in it one after the other."""

    def __init__(self) -> None:
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        self.profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        for flag in (*FLAGS, f"--user-data-dir={self.profile.name}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(str(DRIVER)))
        self.driver.set_page_load_timeout(60)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.driver.quit()
        self.profile.cleanup()

    def open(self, path: str | Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> Any:
        """The driver, once the page's charts are drawn."""
        return self.visit(Path(path).resolve().as_uri(), width=width, height=height, dark=dark)

    def visit(self, address: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> Any:
        """The same for a page of any address."""
        from selenium.webdriver.support.ui import WebDriverWait

        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.errors()  # of the page before
        self.driver.get(address)
        WebDriverWait(self.driver, 30).until(
            lambda driver: driver.execute_script("return document.documentElement.dataset.charts")
        )
        return self.driver

    def errors(self) -> list[str]:
        """What the console has complained about since last asked."""
        found = self.driver.get_log("browser")
        return [json.dumps(entry) for entry in found if entry["level"] in ("SEVERE", "WARNING")]

    def picture(self, path: str | Path) -> None:
        """The whole page, as a PNG."""
        import base64

        size = self.driver.execute_script("return [document.documentElement.clientWidth, document.body.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        Path(path).write_bytes(base64.b64decode(shot["data"]))
