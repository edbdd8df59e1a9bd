"""How findings read: cards, pictures, numbers in words, notes folded; and the page of a watched loop."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from thalweg.diagnose import KINDS, Chart, Facts, Finding, Series, Verdict, examine
from thalweg.diagnose.pictures import DRAWN, bars, picture
from thalweg.history import History
from thalweg.report import RunReport, evidence, render, render_verdict
from thalweg.report.sheet import Sheet


def watched(**numbers: float) -> History:
    """The history of a loop of 640 steps whose rate was too high; ``__`` in a name stands for ``/``."""
    history = History()
    for step, error in ((0, 0.9), (1, 0.9), (64, 0.8), (640, 0.71)):
        history.record(
            step, {"train/loss": 3 * error, "dev/loss": 3.1 * error, "train/error": error, "dev/error": error}
        )
        history.record(step + 1, {"lr": 0.5, "grad_norm": 2.0, "grad_norm/0.weight": 1.0, "grad_norm/2.weight": 1.7})
    given = {
        "chance": 0.9, "reference/train": 0.03, "reference/dev": 0.04, "n/steps": 640.0, "n/train": 1000.0, "n/dev": 300.0,
        "n/batch": 32.0, "trial/same/error": 0.71, "trial/same/loss": 2.1, "trial/slow/error": 0.06, "trial/slow/loss": 0.2,
        "trial/slow/steps": 80.0, "rate/top": 0.5,
    }  # fmt: skip
    history.record(640, given | {name.replace("__", "/"): value for name, value in numbers.items()})
    return history


@pytest.fixture(scope="module")
def page() -> str:
    history = watched()
    return render_verdict(examine(history, said=("a probe failed",)), history, title="my <loop>")


def figures(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.S)
    assert found is not None
    return json.loads(found[1])


def test_a_watched_loop_has_a_page(page: str) -> None:
    assert page.startswith("<!doctype html>")
    assert "<h1>my &lt;loop&gt; " in page
    assert "640 steps · 1,000 training rows · 300 dev rows · 32 rows a mini-batch" in page
    order = [page.index(f'id="{key}"') for key in ("findings", "tried", "course", "signals", "numbers")]
    assert order == sorted(order)


def test_a_card_says_what_decided_and_shows_it(page: str) -> None:
    assert page.index("Learning rate too high") < page.index('id="tried"')
    assert "<strong>What decided.</strong> a tenth of the rate from the same start." in page
    assert "<dt>error, a tenth of the rate</dt><dd>0.06</dd>" in page
    shown = figures(page)["finding-0"]
    assert shown["data"][0]["type"] == "bar"
    assert shown["data"][0]["y"] == ["as it was", "a tenth of the rate"]
    assert shown["data"][0]["x"] == [0.71, 0.06]
    assert shown["layout"]["shapes"][0]["x0"] == 0.03


def test_notes_are_folded_below(page: str) -> None:
    notes = re.search(r'<details class="notes">(.*?)</details>', page, re.S)
    assert notes is not None
    assert "1 remark that asks for no action" in notes[1]
    assert "<li>A probe failed.</li>" in notes[1]
    assert page.index("Learning rate too high") < page.index('<details class="notes">')


def test_all_numbers_are_there(page: str) -> None:
    table = page[page.index('id="numbers"') :]
    assert "reference/train" in table and "training error these data allow" in table


def test_the_same_verdict_gives_the_same_bytes(page: str) -> None:
    history = watched()
    assert render_verdict(examine(history, said=("a probe failed",)), history, title="my <loop>") == page


def test_nothing_found_says_what_was_tested() -> None:
    sheet = Sheet()
    tested = evidence.findings(sheet, Verdict(tested=True))
    read = evidence.findings(sheet, Verdict(), so_far=True)
    assert tested is not None and read is not None
    assert "Tested: " in tested.html and "gradients not cleared" in tested.html
    assert "found so far" in read.html and "gradients not cleared" not in read.html
    assert sheet.figures == {}


def test_a_page_without_any_number() -> None:
    page = render_verdict(Verdict(), History())
    assert "Nothing wrong was found" in page
    assert figures(page) == {}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("trial/free/dev_error", "dev error, more steps, unregularised"),
        ("trial/one_batch/error", "error, one batch"),
        ("train/error", "training error"),
        ("optimizer/weight_decay", "optimizer weight decay"),
        ("start loss", "start loss"),
    ],
)
def test_names_of_numbers_in_words(name: str, said: str) -> None:
    assert evidence.words(name) == said


def test_many_bars_stand_and_negative_ones_fit() -> None:
    chart = bars("cosine", {f"layer {k}": value for k, value in enumerate(np.linspace(-0.9, 0.5, 12))}, level=0.0)
    assert chart is not None
    figure = evidence.figure("a", chart)
    assert figure.data[0]["orientation"] == "v"
    assert figure.layout["yaxis"]["range"][0] < -0.9
    few = evidence.figure("b", Chart((Series("x", np.arange(2), np.array([0.1, 0.2])),), y="x", ticks=("a<b>", "c")))
    assert few.data[0]["orientation"] == "h"
    assert few.data[0]["y"] == ["a&lt;b&gt;", "c"]


def test_bars_need_two_numbers() -> None:
    assert bars("error", {"a": 0.1, "b": float("nan")}) is None
    assert bars("error", {"a": 0.1, "b": 0.0}, log=True) is None


NUMBERS = {
    "loop__largest_first": 1.0, "loop__largest_before": 1e9, "reference__dev": 0.4, "class__recall_common": 0.9,
    "class__recall_rare": 0.1, "order__batch_variance": 28.0, "loss__best": 0.0, "loss__null": 2.3, "loss__anti": 8.0,
    "gradcheck__0.weight": 0.3, "gradcheck__2.weight": 1e-9, "leak__column": 1.0, "leak__next": 0.2, "loop__eval": 1.0,
    "loop__judged_training": 0.0, "gradient__0.weight": 1e-7, "gradient__2.weight": 1.0, "dead__1": 1.0, "dead__3": 0.2,
    "saturated__1": 0.9, "saturated__3": 0.1, "weights__0.weight__scale": 30.0, "weights__2.weight__scale": 1.0,
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_has_a_picture(kind: str) -> None:
    history = watched(**NUMBERS)
    chart = picture(kind, {}, history)
    assert chart is not None
    assert all(len(series.steps) == len(series.values) for series in chart.series)
    assert chart.ticks == () or all(len(series.values) == len(chart.ticks) for series in chart.series)
    assert evidence.figure("a", chart).data
    if kind in DRAWN:
        assert chart.y != "loss" or kind in ("wrong_loss", "wrong_activation")


def test_without_numbers_there_is_no_picture() -> None:
    assert [picture(kind, {}, History()) for kind in KINDS] == [None] * len(KINDS)


def test_a_run_s_page_holds_words_as_evidence() -> None:
    history = watched()
    finding = Finding(
        "lr_too_high", "It is.", "lr", {"test": "a trial", "what": "words <b>", "n": 3.0}, 0.9, "Do.", "R", "critical"
    )
    page = render(RunReport(name="a"), history, Verdict((finding,)))
    assert "<dd>words &lt;b&gt;</dd>" in page and "<dd>3</dd>" in page


def test_a_run_read_from_curves_can_have_that_page_too() -> None:
    history = History()
    for step, loss in enumerate((2.3, 2.9, 2.4, 3.3, 2.5, 3.0, 2.6, 2.9)):
        history.record(step, {"train/loss": loss})
    page = render_verdict(examine(history, Facts(classes=10, n_train=100, n_dev=100)), history)
    assert "Learning rate too high" in page and "What decided" not in page
