"""Formulas: what is one is read as SciPy and NumPy would compute it; what is none is one sentence, and is never run."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import scipy.optimize
from hypothesis import example, given
from hypothesis import strategies as st

from thalweg.errors import InputError
from thalweg.surfaces.expression import FUNCTIONS, LONGEST, as_javascript, parsed, surface_of
from thalweg.surfaces.quadratics import quadratic

ARITHMETIC = st.recursive(
    st.sampled_from(["x", "y", "1", "2.5", "pi"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(inner, st.sampled_from(["2", "3"])).map("**".join).map("({})".format),
        st.tuples(st.sampled_from(["sin", "cos", "tanh"]), inner).map(lambda parts: f"{parts[0]}({parts[1]})"),
        inner.map("(-{})".format),
    ),
    max_leaves=8,
)
NUMPY = {"sin": np.sin, "cos": np.cos, "tanh": np.tanh, "pi": np.pi}


class TestWhatIsAFormula:
    @given(ARITHMETIC)
    def test_its_value_is_that_of_numpy(self, text: str) -> None:
        try:
            surface = surface_of(f"x + y + {text}", start=(0.3, -0.4), domain=((-1, 1), (-1, 1)))
        except InputError as refused:  # the sum may cancel, and powers of powers may leave all bounds
            assert "same everywhere" in str(refused) or "no real number" in str(refused)
            return
        for x, y in ((0.3, -0.4), (0.9, 0.2)):
            wanted = eval(text, NUMPY, {"x": x, "y": y})
            assert surface.value(x, y) == pytest.approx(x + y + wanted, rel=1e-9, abs=1e-9)

    @pytest.mark.parametrize(
        "text", ["x**4 - x**2 + y**2", "exp(x/5)*cos(y) + x**2", "sqrt(1 + x**2) + max(y, -y)", "abs(x) + y**2"]
    )
    def test_its_gradient_is_that_of_differences(self, text: str) -> None:
        surface, small = surface_of(text), 1e-6
        for x, y in np.random.default_rng(0).uniform(-4, 4, size=(20, 2)):
            found = surface.gradient(x, y)
            along = (surface.value(x + small, y) - surface.value(x - small, y)) / (2 * small)
            across = (surface.value(x, y + small) - surface.value(x, y - small)) / (2 * small)
            assert found == pytest.approx((along, across), rel=1e-6, abs=1e-7)

    def test_numbers_and_grids(self) -> None:
        surface = surface_of("x**2 + 0*y + 3")
        grid = np.meshgrid(np.linspace(-1, 1, 4), np.linspace(-1, 1, 3))
        assert surface.value(*grid).shape == surface.gradient(*grid)[1].shape == (3, 4)
        assert isinstance(surface.value(1.0, 2.0), float)
        assert surface.gradient(2.0, 5.0) == (4.0, 0.0)

    @pytest.mark.parametrize(
        "text",
        ["(x - 1)**2 + 3*(y + 2)**2 + x*y", "(x**2 + y - 11)**2 + (x + y**2 - 7)**2", "1 - exp(-(x**2 + y**2)/4)"],
    )
    def test_its_minimum_is_where_a_global_search_ends(self, text: str) -> None:
        surface = surface_of(text)
        found = scipy.optimize.differential_evolution(
            lambda at: float(surface.value(*at)), surface.domain, rng=0, tol=1e-10, popsize=30
        )
        assert surface.minimum is not None
        assert surface.value(*surface.minimum) == pytest.approx(found.fun, abs=1e-8)

    def test_it_is_not_looked_for_without_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        looks = []
        minimize = scipy.optimize.minimize

        def counted(function, *rest, **options):
            return minimize(lambda at: looks.append(1) or function(at), *rest, **options)

        monkeypatch.setattr(scipy.optimize, "minimize", counted)
        surface_of("log(x) + log(y)", start=(1.0, 1.0))
        assert len(looks) < 2000

    def test_what_falls_on_has_no_minimum(self) -> None:
        assert surface_of("x**2 - y**2").minimum is None
        assert surface_of("x + y").minimum is None


class TestWhatIsNone:
    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("__import__('os').system('echo')", "a part that is no formula"),
            ("__import__('os')", "uses __import__, which is no function"),
            ("open(x)", "uses open, which is no function"),
            ("(lambda: x)()", "a part that is no formula"),
            ("[x for x in y]", "a part that is no formula"),
            ("x.real", "a part that is no formula"),
            ("x if y else 1", "a part that is no formula"),
            ("'x'", "a part that is no formula"),
            ("True + x", "a part that is no formula"),
            ("1j*x", "a part that is no formula"),
            ("sin(x, y)", "gives sin 2 numbers: it takes one"),
            ("max(x)", "gives max 1 numbers: it takes two"),
            ("sin(x, key=y)", "uses sin, which|a part that is no formula"),
            ("x*z", "uses z, which is neither x nor y"),
            ("x^2", "which is not a power here"),
            ("x +", "no formula of x and y"),
            ("2x", "no formula of x and y"),
            ("", "no formula of x and y"),
            ("-" * 190 + "x*z", "uses z"),
            ("x" + "+x" * LONGEST, "characters: write it with"),
            ("9**9**9**9", "a power beyond 20"),
            ("x**100", "a power beyond 20"),
            ("((9**20)**20)**20*x", "not real, too large or too fine"),
            ("1e300*x", "a part that is no formula"),
            ("1e-300*x", "not real, too large or too fine"),
            ("x + 0.001" + "**20" * 40, "a power beyond 20|too large"),
            ("(" * 30 + "0.1" + "**20)" * 30 + "*x", "too fine"),
            ("x/0", "divides by zero"),
            ("x/(1-1)", "divides by zero"),
            ("x*0**-1", "divides by zero"),
            ("sqrt(-2)*x", "not real, too large or too fine"),
            ("log(0)*x", "not real, too large or too fine"),
            ("3 + pi", "the same everywhere"),
            ("x - x", "the same everywhere"),
            ("log(x)", "no finite value and slope at the start"),
            ("(-x**2)**0.5", "a slope that is not real somewhere"),
            ("abs(x**y)", "a slope that is not real somewhere"),
        ],
    )  # fmt: skip
    def test_one_sentence_says_why(self, text: str, why: str) -> None:
        with pytest.raises(InputError, match=why):
            surface_of(text)

    @given(st.text(max_size=60) | st.text("xy+-*/().,0123456789e sincomaxbt", max_size=40))
    @example("exp(exp(exp(exp(9))))")
    @example("x**y**x**y")
    @example("\x00")
    def test_any_text_is_a_formula_or_one_sentence(self, text: str) -> None:
        try:
            found = parsed(text)
        except InputError as refused:
            assert "\n" not in str(refused)
        else:
            assert {str(symbol) for symbol in found.free_symbols} <= {"x", "y"}

    @pytest.mark.parametrize(
        "text",
        [
            "(" * 32 + "x + y" + ")**20" * 32,
            "sin(" * 38 + "x" + ")" * 38 + "+ y",
            "max(x, y + sin(" * 11 + "x" + "))" * 11,
            "x" + "*".join(f"*(x+{n}*y)" for n in range(9)),
        ],
        ids=["powers", "nested", "max", "product"],
    )
    def test_large_ones_are_quick(self, text: str) -> None:
        """Expanded, the first would have a degree of 20³²."""
        surface = surface_of(text, start=(0.1, 0.1), domain=((0, 0.2), (0, 0.2)))
        assert quadratic(surface) is None
        assert all(map(len, as_javascript(surface)))

    def test_nothing_is_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "exit", lambda *_: pytest.fail("a formula was run"))
        for text in ("exit(1) + x", "sys.exit(1)", "__import__('sys').exit(1)"):
            with pytest.raises(InputError):
                surface_of(text)


def test_every_function_is_the_one_of_its_name() -> None:
    known = {"abs": abs, "max": max, "min": min}
    for name in FUNCTIONS:
        given_ = (0.7, 0.4) if name in ("max", "min") else (0.7,)
        text = f"{name}({', '.join(['x', 'y'][: len(given_)])}) + 0*x + y/1000000000000"
        found = surface_of(text, start=(0.7, 0.4)).value(0.7, 0.4)
        assert found == pytest.approx(known.get(name, getattr(math, name, None))(*given_), abs=1e-9)
