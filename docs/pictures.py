"""Makes the README's pictures from real runs:  python docs/pictures.py  (needs Chromium and its driver)."""

from __future__ import annotations

import base64
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from browser import Browser  # noqa: E402

WIDTH = 1180


def crop(browser: Browser, page: Path, top: str, bottom: str, to: Path) -> None:
    """The page from the element ``top`` to the end of the element ``bottom``."""
    driver = browser.open(page, width=WIDTH, height=3000)
    box = driver.execute_script(
        "const a=document.querySelector(arguments[0]).getBoundingClientRect(),"
        "b=document.querySelector(arguments[1]).getBoundingClientRect();"
        "return [a.top+window.scrollY, b.bottom+window.scrollY];",
        top,
        bottom,
    )
    clip = {"x": 0, "y": max(box[0] - 12, 0), "width": WIDTH, "height": box[1] - box[0] + 24, "scale": 0.8}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
    to.write_bytes(base64.b64decode(shot["data"]))


def main() -> None:
    with tempfile.TemporaryDirectory() as place, Browser() as browser:
        for words in (["digits"], [str(ROOT / "examples/diabetes.csv"), "--target", "progression"]):
            subprocess.run([sys.executable, "-m", "thalweg", "train", *words], cwd=place, check=True)
        digits, diabetes = (Path(place) / f"runs/{name}-1/page.html" for name in ("digits", "diabetes"))
        crop(browser, digits, "body", "#learning", ROOT / "docs/page.png")
        crop(browser, diabetes, "#errors", "#errors", ROOT / "docs/table.png")
        crop(browser, digits, "#signals", "#signals", ROOT / "docs/signals.png")
        crop(browser, digits, "#rate", "#rate", ROOT / "docs/rate.png")


if __name__ == "__main__":
    main()
