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


def speed() -> str:
    """The small nets' rows of ``benchmarks/results/steps.md`` as bars, in plain HTML."""
    table = (ROOT / "benchmarks/results/steps.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("| ")
    ]
    small = [
        (row[0], row[2], float(row[3].split()[0]), row[3].split("(")[-1].rstrip(")"))
        for row in rows
        if row[1].startswith("9 ")
    ]
    widest = max(ratio for _, _, ratio, _ in small)
    bars = "".join(
        f"<tr><th>{name}</th><td><div style='width:{560 * ratio / widest:.0f}px'></div>"
        f"<b>{ratio:.1f} ×</b> torch {form}<i>{ours} µs</i></td></tr>"
        for name, ours, ratio, form in small
    )
    return (
        "<!doctype html><meta charset=utf-8><style>body{font:15px system-ui;background:#f6f5f2;color:#16202c;margin:20px 32px}"
        "table{border-spacing:0 7px}th{text-align:right;font-weight:500;padding-right:14px;white-space:nowrap}td div{"
        "height:18px;"
        "background:#0d6478;border-radius:4px;display:inline-block;vertical-align:middle;margin-right:10px}i{color:#667;"
        "margin-left:12px;font-size:13px}h3{margin:4px 0 12px}</style><body data-charts=1><h3>One step of a net of 9 thousand "
        f"weights: how many times as fast as PyTorch's fastest form</h3><table id=bars>{bars}</table>"
        "<script>document.documentElement.dataset.charts=1</script>"
    )


def main() -> None:
    ailing = ["--activation", "sigmoid", "--hidden", "64,64,64,64,64,64", "--lr", "0.001", "--epochs", "15"]
    with tempfile.TemporaryDirectory() as place, Browser() as browser:
        for words in (
            ["train", "digits"],
            ["train", "digits", "--name", "ailing", *ailing],
            ["diagnose", "ailing"],
            ["tune", "digits", "--trials", "64", "--epochs", "20", "--members", "32", "--name", "study"],
            ["surface", "ravine", "--rules", "sgd,momentum,adam"],
            ["race", "digits", "--rules", "sgd,momentum,adam", "--trials", "8", "--epochs", "15", "--name", "race"],
        ):
            subprocess.run([sys.executable, "-m", "thalweg", *words], cwd=place, check=True)
        digits, ailing_page, study, race = (
            Path(place) / f"runs/{name}/page.html" for name in ("digits-1", "ailing", "study", "race")
        )
        crop(browser, digits, "body", "#learning", ROOT / "docs/page.png")
        crop(browser, ailing_page, "#findings", "#findings", ROOT / "docs/doctor.png")
        (Path(place) / "speed.html").write_text(speed(), encoding="utf-8")
        crop(browser, Path(place) / "speed.html", "h3", "#bars", ROOT / "docs/steps.png")
        crop(browser, study, "#search", "#importance", ROOT / "docs/study.png")
        crop(browser, Path(place) / "surface.html", "#paths", "#rules", ROOT / "docs/surface.png")
        crop(browser, race, "#verdict", "#learning", ROOT / "docs/race.png")


if __name__ == "__main__":
    main()
