"""The page as text: complete, escaped, self-contained, the same each time, written whole."""

from __future__ import annotations

import base64
import gzip
import json
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from report import samples
from thalweg.diagnose import Facts, Finding, Verdict, examine
from thalweg.errors import InputError
from thalweg.history import History
from thalweg.report import RunReport, bundle, render, write
from thalweg.report.underway import Lane, underway_page

NASTY = '</script><script>alert("x")</script><img src=x onerror=alert(1)>'


class Outline(HTMLParser):
    """Elements, ids, headings and scripts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, dict]] = []
        self.headings: list[int] = []
        self.scripts: dict[str, str] = {}
        self._script = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.attributes.append((tag, given))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self._script = given.get("id") or "main" if tag == "script" else ""

    def handle_data(self, data: str) -> None:
        if self._script:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data


@pytest.fixture(scope="module")
def digits() -> tuple[RunReport, History, list[Finding]]:
    return samples.digits()


@pytest.fixture(scope="module")
def page(digits: tuple) -> str:
    return render(*digits)


def test_everything_is_told(page: str) -> None:
    outline = Outline(page)
    sections = [given["id"] for tag, given in outline.attributes if tag == "section"]
    assert sections == [
        "findings",
        "result",
        "learning",
        "signals",
        "rate",
        "errors",
        "choices",
        "network",
        "data",
        "settings",
    ]
    assert outline.headings[0] == 1 and outline.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(outline.headings, outline.headings[1:], strict=False))
    told = [
        "digits-1", "Nothing wrong was found", "98.29 %", "Each class", "w ← w − lr", "the training part has 1,347 rows",
        "2.13.0+cpu", "pixel_4_7", "batch_size = 64", "Confirming runs", "How the rate was found",
    ]  # fmt: skip
    for words in told:
        assert words in page


def test_figures_are_data_and_each_has_its_place(page: str) -> None:
    outline = Outline(page)
    figures = json.loads(outline.scripts["figures"])
    places = {given["id"] for _, given in outline.attributes if given.get("class") == "chart"}
    assert {f"chart-{key}" for key in figures} == places
    assert set(figures) == {"loss", "metric", "lr", "gradients", "ratios", "range", "candidates", "confusion"}
    labels = [given for _, given in outline.attributes if given.get("class") == "chart"]
    assert all(given["role"] == "img" and given["aria-label"] for given in labels)
    assert outline.tags.count("figcaption") == len(figures)


def test_it_is_self_contained_and_small(page: str) -> None:
    assert len(page.encode()) < 2_500_000
    outline = Outline(page)
    for tag, given in outline.attributes:
        assert not {"src", "srcset", "action", "data", "poster"} & set(given), tag
        assert tag != "link"
        assert given.get("href", "#").startswith("#")
    assert "url(" not in page.split("</style>")[0]
    library = gzip.decompress(base64.b64decode(outline.scripts["plotly"]))
    assert b"plotly.js" in library[:200]


def test_scripts_run_by_nonce_alone(page: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    nonce = re.search(r"script-src 'nonce-([0-9a-f]{32})'", policy[1])
    assert nonce is not None
    assert "default-src 'none'" in policy[1]
    assert "connect-src" not in policy[1]
    assert "unsafe-eval" not in policy[1]
    run = [given.get("nonce") for tag, given in Outline(page).attributes if tag == "script" and "type" not in given]
    assert run == [nonce[1]]


def test_names_of_strangers_stay_text() -> None:
    history = History()
    for step in range(1, 4):
        history.record(
            step, {"batch/loss": 1.0, f"grad_norm/{NASTY}": 1.0, f"update_ratio/{NASTY}": 1e-3, f"dev/{NASTY}": 1.0}
        )
    finding = Finding(NASTY, NASTY, NASTY, {NASTY: 1.0}, 0.5, NASTY, NASTY, "note")
    run = RunReport(
        name=NASTY, created=NASTY, status=f"{NASTY}: {NASTY}", task="binary", part=NASTY, rule=NASTY, notes=[NASTY],
        data={"name": NASTY, NASTY: NASTY, "classes": {NASTY: 3}, "columns": [{NASTY: NASTY}]},
        spec={"data": NASTY, "options": {NASTY: NASTY}}, choices=[(NASTY, NASTY, NASTY)],
        layers=[{"name": NASTY, "type": NASTY, "shape": NASTY, "parameters": 3}],
        metrics={"test": {"accuracy": 0.5, NASTY: 1.0}}, environment={NASTY: NASTY, "thalweg": NASTY},
        confusion={"classes": [NASTY, "b"], "matrix": [[1, 2], [3, 4]]},
    )  # fmt: skip
    page = render(run, history, Verdict((finding,), (finding,)))
    assert "<script>alert" not in page
    assert "<img" not in page
    outline = Outline(page)
    assert outline.tags.count("script") == 3
    assert "onerror" not in {name for _, given in outline.attributes for name in given}
    figures = outline.scripts["figures"]
    assert "<" not in figures
    for figure in json.loads(figures).values():
        assert "<" not in " ".join(strings(figure))  # Plotly would take it for markup


def strings(value: object) -> list[str]:
    """All texts anywhere in a figure, but those of ours that Plotly must read as markup."""
    if isinstance(value, dict):
        return [text for key, item in value.items() if key != "hovertemplate" for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


def test_the_same_run_gives_the_same_bytes(digits: tuple, page: str) -> None:
    assert render(*digits) == page


def test_findings_come_first_with_remedy_and_evidence() -> None:
    history = History()
    for step, loss in enumerate((2.3, 2.9, 2.4, 3.3, 2.5, 3.0, 2.6, 2.9)):
        history.record(step, {"train/loss": loss, "train/accuracy": 0.1})
    verdict = examine(history, Facts(classes=10, n_train=100, n_dev=100))
    page = render(RunReport(name="a", status="running"), history, verdict)
    assert page.index("Learning rate too high") < page.index('id="result"')
    assert "What to do." in page and "Rule: " in page and "80 % sure" in page
    assert 'id="chart-finding-0"' in page


def test_a_run_that_has_just_begun() -> None:
    page = render(RunReport(name="new", status="running"), History(), Verdict())
    outline = Outline(page)
    assert [given["id"] for tag, given in outline.attributes if tag == "section"] == ["findings"]
    assert "Nothing wrong was found so far" in page
    assert len(page) < 60_000  # no charts, no library


def test_a_run_without_result_shows_its_newest_numbers(digits: tuple) -> None:
    _, history, _ = digits
    page = render(RunReport(name="live", status="running"), history, Verdict())
    assert f"{history.last('dev/accuracy'):.2%}".replace("%", " %") in page


def test_settings_are_toml_that_reads_back(digits: tuple, page: str) -> None:
    run = digits[0]
    written = re.search(r"<h3>spec.toml</h3><pre[^>]*>(.*?)</pre>", page, re.S)
    assert written is not None
    assert tomllib.loads(written[1].replace("&quot;", '"')) == run.spec
    assert "hidden = [64, 64]" in written[1]


def test_regression_page() -> None:
    page = render(*samples.diabetes())
    assert "test R²" in page and "0.487" in page
    assert '"predictions"' in page
    assert "confusion" not in json.loads(Outline(page).scripts["figures"])


def test_writing_replaces_the_old_page_at_once(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write(path, "old")
    write(path, "new ü")
    assert path.read_text(encoding="utf-8") == "new ü"
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
    with pytest.raises(InputError, match=r"nowhere/page\.html cannot be written: No such file or directory"):
        write(tmp_path / "nowhere" / "page.html", "x")
    with pytest.raises(InputError, match="names no file to write"):
        write("", "x")


def test_the_packed_library_is_made_once_and_is_the_whole() -> None:
    assert bundle.packed() is bundle.packed()
    assert len(bundle.packed()) < 2_100_000


def test_colours_named_in_figures_are_in_the_style_sheet_in_both_themes(page: str) -> None:
    style = page.split("<style>")[1].split("</style>")[0]
    light, dark = style.split(':root[data-theme="dark"]')
    dark = dark.split("}")[0]
    figures = json.loads(Outline(page).scripts["figures"])
    used = set(re.findall(r'"(--[\w-]+)"', json.dumps(figures)))
    assert len(used) > 8
    for name in used | {f"--layer-{k}" for k in range(8)}:
        assert f"{name}:" in light, name
        assert f"{name}:" in dark, name


def test_text_can_be_read_in_both_themes(page: str) -> None:
    """WCAG 2.1 contrast: at least 4.5 for text on its ground."""
    style = page.split("<style>")[1].split("</style>")[0]
    light, dark = style.split(':root[data-theme="dark"]')

    def luminance(colour: str) -> float:
        parts = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for theme in (light, dark.split("}")[0]):
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", theme))
        grounds = [
            ("ink", "paper"), ("ink", "card"), ("muted", "paper"), ("muted", "card"), ("accent", "paper"), ("good", "card"),
            ("good", "good-soft"), ("bad", "bad-soft"), ("warn", "warn-soft"), ("hero-ink", "hero"),
            ("heat-ink-0", "heat-0"), ("heat-ink-1", "heat-2"),
        ]  # fmt: skip
        for ink, ground in grounds:
            a, b = sorted((luminance(colours[ink]), luminance(colours[ground])))
            assert (b + 0.05) / (a + 0.05) >= 4.5, (ink, ground)


@pytest.mark.parametrize(("metric", "form"), [("accuracy", ".0%"), ("balanced_accuracy", ".0%"), ("r2", None)])
def test_a_race_underway_tells_shares_in_percent(metric: str, form: str | None) -> None:
    page = underway_page(
        "r", [Lane("digits", "sgd", metric, {"tuning": 2}, (0.45, 0.81))], state="goes", said="", total=8
    )
    assert set(re.findall(r'"tickformat": ?"(.*?)"', page)) == ({form} if form else set())
