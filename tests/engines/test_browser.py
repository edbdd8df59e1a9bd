"""Programs as JavaScript: in Chromium every rule walks as the reference engine does, and every function means the same."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from browser import Browser
from thalweg import rules
from thalweg.engines.browser import FUNCTIONS, expression, source
from thalweg.errors import InputError
from thalweg.optim import FromRule
from thalweg.rules import Rule
from thalweg.rules.program import SCALAR_FUNCTIONS
from thalweg.rules.symbols import USUAL, g, hyper, state
from thalweg.surfaces import BEALE, PLATEAU, RAVINE, ROSENBROCK, Surface, path
from thalweg.surfaces.expression import as_javascript, surface_of
from thalweg.surfaces.functions import NOISY
from thalweg.surfaces.noise import JAVASCRIPT, normal

WALKABLE = [name for name in rules.names() if name != "muon"]
MODIFIED: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
    ("adam", ("clip_norm", "decoupled_decay", "ema"),
     {"clip_norm": 0.5, "weight_decay": 0.02, "decoupled_weight_decay": True, "ema": 0.9}),
    ("momentum_sum", ("maximize", "clip_tensor_norm", "coupled_decay", "swa"),
     {"maximize": True, "clip_tensor_norm": 0.7, "weight_decay": 0.02, "swa": (5, 3)}),
    ("sgd", ("clip_adaptive", "l1"), {"clip_adaptive": 0.3, "l1": 0.1}),
    ("rmsprop", ("clip_value",), {"clip_value": 0.4}),
]  # fmt: skip
OWN = surface_of("sin(x) * cosh(y/3) + x**2/10 + exp(-y**2) + log(2 + x**2) + abs(y)/7 + max(x, y)/9")
GROUNDS: list[tuple[Surface, float]] = [
    (RAVINE, 0.05), (BEALE, 0.01), (ROSENBROCK, 1e-3), (PLATEAU, 0.3), (OWN, 0.05), (NOISY, 0.05),
]  # fmt: skip
NUMBERS = {
    **USUAL, "weight_decay": 0.02, "clip_norm": 0.5, "ema": 0.9, "clip_tensor_norm": 0.7, "swa_start": 5.0, "swa_every": 3.0,
    "clip_adaptive": 0.3, "l1": 0.1, "clip_value": 0.4,
}  # fmt: skip
STEPS = 60


def walked(browser: Browser, walks: list[tuple[Rule, Surface, dict[str, float]]]) -> list[np.ndarray]:
    """The paths ``(steps + 1, 2)`` that generated text walks in the browser."""
    jobs = []
    for rule, surface, numbers in walks:
        _, *slopes = as_javascript(surface)
        jobs.append(
            f"walk({source(rule.program())}, (x, y) => [{', '.join(slopes)}], {json.dumps(surface.start)}, "
            f"{json.dumps(numbers)}, {surface.noise})"
        )
    script = f"""{FUNCTIONS}{JAVASCRIPT}
      const walk = (program, slopes, start, numbers, noise) => {{
        const weights = [...start], memory = program.begin(weights, numbers), path = [[...weights]];
        for (let step = 1; step <= {STEPS}; step++) {{
          const push = $normal(3, step);
          program.step(weights, slopes(...weights).map((slope, way) => slope + noise * push[way]), numbers, memory);
          path.push([...weights]);
        }}
        return path;
      }};
      return [{",".join(jobs)}];"""
    browser.driver.get("about:blank")
    return [np.array(found) for found in browser.driver.execute_script(script)]


def numbers_of(rule: Rule, lr: float) -> dict[str, float]:
    return {name: float({**NUMBERS, "lr": lr}[name]) for name in rule.hyperparameters}


@pytest.fixture
def wide() -> Iterator[None]:
    """PyTorch keeps some numbers of a step (ASGD's rate) in its default type: here in the type that a page has."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.browser
class TestInChromium:
    @pytest.mark.parametrize(("surface", "lr"), GROUNDS, ids=[surface.name[:10] for surface, _ in GROUNDS])
    def test_every_rule_walks_as_the_reference_does(
        self, browser: Browser, wide: None, surface: Surface, lr: float
    ) -> None:
        named = [(rules.variant(name), rules.variant(name), {}) for name in WALKABLE]
        named += [(rules.variant(name, modifiers=more), rules.variant(name), asked) for name, more, asked in MODIFIED]
        found = walked(browser, [(whole, surface, numbers_of(whole, lr)) for whole, _, _ in named])
        for (whole, rule, asked), here in zip(named, found, strict=True):

            def make(w: list[torch.nn.Parameter], rule: Rule = rule, asked: dict[str, Any] = asked) -> FromRule:
                return FromRule(w, rule, hyperparameters=numbers_of(rule, lr), engine="reference", **asked)

            wanted = path(surface, make, steps=STEPS, seed=3)
            assert np.isfinite(wanted).all() and np.abs(wanted[-1] - wanted[0]).max() > 1e-6
            np.testing.assert_allclose(here, wanted, rtol=1e-9, atol=1e-9, err_msg=str(whole))

    def test_functions_mean_what_they_mean_in_python(self, browser: Browser) -> None:
        numbers = [0.0, -0.0, 1.0, -1.5, 2.0, 1e-300, 1e300, math.inf, -math.inf, math.nan]
        rows = [(name, (a,)) for name in ("sqrt", "square", "absolute", "sign", "exp", "log", "tanh") for a in numbers]
        rows += [(name, (a, b)) for name in ("maximum", "minimum") for a in numbers for b in numbers]
        rows += [("power", (a, b)) for a in (0.5, 1.0, 2.0, 10.0) for b in numbers if math.isfinite(b)]
        rows += [("where", (a > 0, 1.0, 2.0)) for a in numbers]

        def text(value: float) -> str:
            return (
                repr(value)
                .replace("nan", "NaN")
                .replace("inf", "Infinity")
                .replace("True", "true")
                .replace("False", "false")
            )

        calls = ",".join(f"String(${name}({', '.join(map(text, values))}))" for name, values in rows)
        browser.driver.get("about:blank")
        found = browser.driver.execute_script(f"{FUNCTIONS} return [{calls}];")
        for (name, values), said in zip(rows, found, strict=True):
            try:
                wanted = SCALAR_FUNCTIONS[name](*values)
            except OverflowError:
                wanted = math.inf
            assert float(said.replace("Infinity", "inf")) == pytest.approx(wanted, rel=1e-14, nan_ok=True), (
                name,
                values,
            )

    def test_the_text_of_lines(self, browser: Browser) -> None:
        values = {"t": 7.0, "lr": 0.3, "a": -2.0, "b": 3.0}
        lines = [
            "(a % b)", "((-7.5) % b)", "(t % b)", "where((((t < 2.0) | (t >= 7.0)) & ((a == b) == False)), a, nan)",
            "(a - b/lr*t + (-1.0))", "where((a != b), power(b, a), 1e300)",
            "minimum(1e-07, sign(a))", "where((t <= 6.0), nan, 4)",
        ]  # fmt: skip
        names = "".join(f"const ${name} = {value};" for name, value in values.items())
        browser.driver.get("about:blank")
        found = browser.driver.execute_script(f"{FUNCTIONS}{names} return [{','.join(map(expression, lines))}];")
        space: dict[str, Any] = {**SCALAR_FUNCTIONS, **values, "nan": math.nan}
        assert found == pytest.approx([float(eval(line, space)) for line in lines], rel=1e-15)

    def test_noise_is_the_same_in_both_languages(self, browser: Browser) -> None:
        pairs = [(seed, step) for seed in (0, 1, 12345, 2**31) for step in (1, 2, 3, 1000, 10**6)]
        calls = ",".join(f"$normal({seed}, {step})" for seed, step in pairs)
        browser.driver.get("about:blank")
        found = browser.driver.execute_script(f"{JAVASCRIPT} return [{calls}];")
        np.testing.assert_allclose(found, [normal(*pair) for pair in pairs], rtol=1e-12)


def test_names_of_the_language_are_taken_for_names() -> None:
    function, new = hyper("function"), state("new")
    text = source(Rule("mine", new=function * new + g, step=hyper("lr") * new).program())
    assert "const $function = $h.function;" in text and "$m.$new[$i] = $new_1;" in text


def test_whole_matrices_are_refused() -> None:
    with pytest.raises(InputError, match="the rule muon works on whole matrices, which a page cannot do"):
        source(rules.lowered("muon"))
