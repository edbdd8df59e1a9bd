"""The page of a surface in Chromium: its sliders make the rules walk as Python does; it says where a rate is stable."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browser import Browser
from thalweg import rules
from thalweg.experiments.surveying import Survey, surface
from thalweg.optim import FromRule
from thalweg.report.surface import surface_page
from thalweg.surfaces import RAVINE, path

RULES = ("sgd", "nesterov", "adam")
SETTINGS = {"sgd": {"lr": 0.95}, "nesterov": {"lr": 0.3}, "adam": {"lr": 0.3, "beta2": 0.99}}
PATH = """
const [name, done] = arguments, frame = requestAnimationFrame;
frame(() => frame(() => {
  const traces = document.getElementById("chart-paths").data;
  const line = traces.find((trace) => trace.name?.startsWith(name + ",") && trace.mode === "lines+markers");
  done([...line.x].map((x, at) => [x, line.y[at]]));
}));
"""
PAUSE = """
const [done] = arguments, step = document.getElementById("step"), play = document.getElementById("play");
play.click();
const timer = setInterval(() => {
  const at = parseInt(step.value);
  if (at > 0 && at < 40) { clearInterval(timer); play.click(); done(at); }
}, 1);
"""
SET = """
const [rule, name, value, exact] = arguments;
const line = document.querySelector(`[data-rule="${rule}"] [data-name="${name}"]`);
const input = line.querySelector(exact ? "[type=number]" : "[type=range]");
input.value = value;
input.dispatchEvent(new Event(exact ? "change" : "input", { bubbles: true }));
return Number(line.querySelector("[type=number]").value);
"""


@pytest.fixture(scope="module")
def survey() -> Survey:
    return surface("ravine", rules=RULES, settings=SETTINGS, steps=40)


@pytest.fixture(scope="module")
def page(survey: Survey, tmp_path_factory: pytest.TempPathFactory) -> Path:
    at = tmp_path_factory.mktemp("surface") / "surface.html"
    survey.page(at)
    return at


def walked(rule: str, *, start: tuple[float, float] = RAVINE.start, steps: int = 40, **numbers: float) -> np.ndarray:
    return path(
        RAVINE, lambda w: FromRule(w, rules.variant(rule), hyperparameters=numbers), steps=steps, start=start
    )  # fmt: skip


def drawn(driver: Any, rule: str) -> np.ndarray:
    """The path that the page shows, after the next frame."""
    return np.array(driver.execute_async_script(PATH, rule))


@pytest.mark.browser
class TestInChromium:
    def test_it_opens_with_the_paths_of_python(self, survey: Survey, page: Path, browser: Browser) -> None:
        driver = browser.open(page)
        for rule in RULES:
            np.testing.assert_allclose(drawn(driver, rule), survey.walks[rule], rtol=1e-9, atol=1e-12)
        assert browser.errors() == []

    def test_sliders_make_the_rule_walk_anew(self, page: Path, browser: Browser) -> None:
        driver = browser.open(page)
        rate = driver.execute_script(SET, 1, "lr", -0.7, False)
        share = driver.execute_script(SET, 1, "beta", 0.5, False)
        assert rate == pytest.approx(10**-0.7, rel=1e-2) and share == pytest.approx(1 - 10**-0.5, rel=1e-2)
        wanted = walked("nesterov", lr=rate, beta=share)
        np.testing.assert_allclose(drawn(driver, "nesterov"), wanted, rtol=1e-9, atol=1e-12)
        driver.execute_script(SET, 2, "beta1", 0.123456789, True)
        wanted = walked("adam", lr=0.3, beta1=0.123456789, beta2=0.99)
        np.testing.assert_allclose(drawn(driver, "adam"), wanted, rtol=1e-9, atol=1e-12)
        assert "--set nesterov.beta=" in driver.find_element("id", "command").text
        driver.find_element("id", "reset").click()
        np.testing.assert_allclose(
            drawn(driver, "nesterov"), walked("nesterov", lr=0.3, beta=0.9), rtol=1e-9, atol=1e-12
        )

    def test_another_start_and_more_steps(self, page: Path, browser: Browser) -> None:
        driver = browser.open(page)
        for name, value in (("x", "3.5"), ("y", "-1.25"), ("steps", "25")):
            driver.execute_script(
                "const node = document.getElementById(arguments[0]); node.value = arguments[1];"
                "node.dispatchEvent(new Event('change'));",
                name, value,
            )  # fmt: skip
        wanted = walked("sgd", start=(3.5, -1.25), steps=25, lr=0.95)
        np.testing.assert_allclose(drawn(driver, "sgd"), wanted, rtol=1e-9, atol=1e-12)

    @pytest.mark.parametrize("value", ["1e200", "", "1e5"])
    def test_a_start_out_of_sight_is_not_taken(self, page: Path, browser: Browser, value: str) -> None:
        driver = browser.open(page)
        driver.execute_script(
            "const node = document.getElementById('x'); node.value = arguments[0];"
            "node.dispatchEvent(new Event('change'));",
            value,
        )
        assert driver.find_element("id", "x").get_attribute("value") == "-7"
        assert drawn(driver, "sgd")[0] == pytest.approx(RAVINE.start)

    def test_what_falls_without_end_is_drawn_as_far_as_it_goes(self, browser: Browser, tmp_path: Path) -> None:
        surface("x + y", rules=["sgd"], steps=9).page(tmp_path / "slope.html")
        driver = browser.open(tmp_path / "slope.html")
        driver.execute_script(SET, 0, "lr", 1e308, True)
        assert len(drawn(driver, "sgd")) == 1
        assert browser.errors() == []

    def test_beyond_the_limit_it_says_so(self, page: Path, browser: Browser) -> None:
        driver = browser.open(page)
        field = driver.find_element("css selector", '[data-rule="0"]')
        said = field.find_element("css selector", ".readout").text
        assert "Stable up to α = 1 (2/λ, λ = 2); this is 95 % of it" in said and "shrinks the distance by 0.905" in said
        assert driver.execute_script(SET, 0, "lr", 1.05, True) == 1.05
        said = field.find_element("css selector", ".readout").text
        assert "Beyond the limit, α = 1 " in said and "stretches the distance by 1.1" in said
        assert "beyond" in field.find_element("css selector", ".gauge").get_attribute("class")
        assert "no fixed limit" in driver.find_element("css selector", '[data-rule="2"] .readout').text

    def test_what_it_measures_is_what_python_measures(self, survey: Survey, page: Path, browser: Browser) -> None:
        driver = browser.open(page)
        for at, rule in enumerate(RULES):
            said = driver.find_element("css selector", f'[data-rule="{at}"] .readout').text.replace("above α = ", "")
            found = float(said.partition("Measured here: ")[2].split()[0].rstrip("."))
            assert found == pytest.approx(survey[rule].measured_limit, rel=0.003)

    def test_steps_one_by_one_by_keyboard(self, page: Path, browser: Browser) -> None:
        from selenium.webdriver.common.keys import Keys

        driver = browser.open(page)
        assert driver.find_element("id", "step").text == "40 of 40"  # still, where motion is not wanted
        driver.find_element("id", "back").send_keys(Keys.ENTER)
        assert driver.find_element("id", "step").text == "39 of 40"
        assert len(drawn(driver, "sgd")) == 40
        driver.find_element("id", "at").send_keys(Keys.HOME)
        assert driver.find_element("id", "step").text == "0 of 40"
        driver.find_element("id", "on").send_keys(Keys.SPACE)
        assert len(drawn(driver, "sgd")) == 2

    def test_play_plays_and_pauses(self, page: Path, browser: Browser) -> None:
        driver = browser.open(page)
        shown = driver.execute_async_script(PAUSE)
        assert driver.find_element("id", "play").text == "Play"
        assert len(drawn(driver, "sgd")) == shown + 1
        assert driver.find_element("id", "step").text == f"{shown} of 40"
        assert browser.errors() == []

    @pytest.mark.parametrize(("width", "dark"), [(1280, False), (400, False), (400, True)])
    def test_it_fits_and_does_not_complain(
        self, page: Path, open_page: Callable[..., Any], browser: Browser, width: int, dark: bool
    ) -> None:
        driver = open_page(page, width=width, dark=dark)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        assert len(driver.find_elements("css selector", ".chart .main-svg")) >= 2
        assert all(figure.text for figure in driver.find_elements("css selector", "figcaption"))
        assert browser.errors() == []

    def test_its_noise_and_its_command_are_those_of_python(self, browser: Browser, tmp_path: Path) -> None:
        noisy = surface("ravine", rules=["sgd"], settings={"sgd": {"lr": 0.1}}, steps=9, noise=0.5, seed=10**23 + 7)
        noisy.page(tmp_path / "noisy.html")
        driver = browser.open(tmp_path / "noisy.html")
        np.testing.assert_allclose(drawn(driver, "sgd"), noisy.walks["sgd"], rtol=1e-9, atol=1e-12)
        words = driver.find_element("id", "command").text.split()
        assert words[words.index("--noise") + 1] == "0.5"
        again = surface("ravine", rules=["sgd"], settings={"sgd": {"lr": 0.1}}, steps=9, noise=0.5, seed=int(words[-1]))
        np.testing.assert_array_equal(again.walks["sgd"], noisy.walks["sgd"])

    def test_a_rule_can_be_left_out(self, page: Path, browser: Browser) -> None:
        driver = browser.open(page)
        driver.find_element("css selector", '[data-rule="0"] [type=checkbox]').click()
        assert "--rules nesterov,adam" in driver.find_element("id", "command").text
        assert len(drawn(driver, "sgd")) == 0 and len(drawn(driver, "adam")) == 41


def test_no_text_breaks_out_of_the_script(tmp_path: Path) -> None:
    """A rule of one's own may have any name; JSON in the script escapes what could end it."""
    survey = surface("x**2 + y**2", rules=["sgd"], settings={"sgd": {"lr": 0.1}}, steps=3)
    survey.page(tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    script = html.partition("const SURVEY = ")[2].partition("</script>")[0]
    assert "</" not in script.partition("(() => {")[0]
    assert html.count("nonce=") == 2 and "unsafe-eval" not in html
    assert len(html) < 6_000_000


def test_what_the_axis_cannot_show_is_said() -> None:
    said = "What falls below a ten-billionth of the first loss is drawn there"
    floored, plain = (surface_page(surface(on, rules=["sgd"], steps=1).report) for on in ("ravine", "saddle"))
    assert said in floored and said not in plain


def test_plain_data(survey: Survey) -> None:
    told = json.loads(json.dumps(survey.to_dict()))
    assert told["curvatures"] == pytest.approx([0.1, 2.0])
    assert told["rules"]["sgd"]["exact_limit"] == pytest.approx(1.0)
    assert told["rules"]["adam"]["exact_limit"] is None
    assert told["rules"]["sgd"]["path"][0] == [-7.0, 2.0] and len(told["rules"]["sgd"]["path"]) == 41
