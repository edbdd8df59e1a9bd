"""A rule's equations: how they are written, what is refused."""

from __future__ import annotations

import cmath
import re

import pytest
import sympy
from hypothesis import assume, given
from hypothesis import strategies as st

from thalweg import rules
from thalweg.errors import InputError
from thalweg.rules import Rule
from thalweg.rules.formula import LATEX, TEXT, written
from thalweg.rules.symbols import (
    beta,
    g,
    hyper,
    lr,
    norm,
    orthogonal,
    state,
    sum_all,
    sum_group,
    sum_tensor,
    sum_unit,
    t,
    w,
)

m = state("m")


def test_adam_is_written_as_in_the_paper() -> None:
    assert str(rules.adam) == (
        "adam:\n"
        "  exp_avg ← beta1·exp_avg + (1 − beta1)·g\n"
        "  exp_avg_sq ← beta2·exp_avg_sq + (1 − beta2)·g²\n"
        "  w ← w − lr·exp_avg/((1 − beta1ᵗ)·(√(exp_avg_sq/(1 − beta2ᵗ)) + eps))"
    )


def test_modifiers_are_part_of_the_formula_in_torchs_order() -> None:
    lines = str(rules.variant("sgd", modifiers=("coupled_decay", "clip_norm", "maximize"))).splitlines()
    assert lines[1:] == [
        "  g ← −g",
        "  gradient_norm ← √(Σ_all g²)",
        "  g ← min(1, clip_norm/(1e-06 + gradient_norm))·g",
        "  g ← g + weight_decay·w",
        "  w ← w − lr·g",
    ]


def test_first_steps_are_cases() -> None:
    assert "(1 if t = 1 else 1 − dampening)·g" in str(rules.variant("sgd", momentum_on=True))


def test_several_cases_are_told_apart() -> None:
    value = sympy.Piecewise((1, g > 0), (lr, (m > 0) & ((w > 1) | (w < -1))), (0, True))
    assert written(value, ("m",)) == "(1 if g > 0, lr if (w < −1 or w > 1) and m > 0 else 0)"
    assert written(value, ("m",), LATEX) == (
        r"\left(1\ \text{if}\ g > 0,\ \alpha\ \text{if}\ \left(w < -1 \lor w > 1\right) \land m > 0\ \text{else}\ 0\right)"
    )


def test_a_sum_ends_where_its_bracket_does() -> None:
    assert written(w * sum_tensor(g**2) / norm(w, sum_unit), ()) == "(Σ_tensor g²)·w/√(Σ_unit w²)"
    assert written(sum_all(g + w), ()) == "Σ_all (g + w)"
    assert written(sum_group(g**2), (), LATEX) == r"\sum_{\mathrm{group}} g^{2}"


@pytest.mark.parametrize("name", rules.names())
def test_latex_has_balanced_braces_and_a_row_for_each_assignment(name: str) -> None:
    rule = rules.variant(name)
    text = rule.latex()
    assert text.count("{") == text.count("}")
    assert text.count(r"\left(") == text.count(r"\right)")
    assert text.count(r"\leftarrow") == len(rule.assignments)
    used = {symbol.name for _, value in rule.assignments for symbol in value.free_symbols}
    assert (r"\alpha" in text) == ("lr" in used)  # Rprop's rate is only what its steps start as
    assert "_" not in text.replace(r"\_", "").replace(r"\beta_", "").replace(r"\sum_{", "")


a, b, c = sympy.symbols("a b c", positive=True)
EXPRESSIONS = st.recursive(
    st.sampled_from([a, b, c, sympy.Integer(2), sympy.Integer(3), sympy.Rational(1, 2)]),
    lambda inner: (
        st.tuples(inner, inner).map(lambda pair: pair[0] + pair[1])
        | st.tuples(inner, inner).map(lambda pair: pair[0] * pair[1])
        | st.tuples(inner, inner).map(lambda pair: pair[0] / pair[1])
        | st.tuples(inner, inner).map(lambda pair: pair[0] - 2 * pair[1])
        | inner.map(lambda value: value**2)
        | inner.map(lambda value: sympy.sqrt(1 + value**2))
    ),
    max_leaves=6,
)
SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def read(text: str, numbers: dict[str, float]) -> complex:
    """The value of a formula in Python's notation."""
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda found: "**" + found[0].translate(SUPERSCRIPT), text)
    text = re.sub(r"√(\w+)", r"sqrt(\1)", text).replace("√(", "sqrt(")
    for mark, python in {"·": "*", "−": "-", "^": "**"}.items():
        text = text.replace(mark, python)
    return complex(eval(text, {"sqrt": cmath.sqrt}, numbers))


@given(EXPRESSIONS)
def test_what_is_written_means_the_expression(value: sympy.Expr) -> None:
    numbers = {"a": 0.7, "b": 1.9, "c": 0.31}
    expected = complex(value.subs({a: 0.7, b: 1.9, c: 0.31})) if not value.has(sympy.zoo, sympy.nan) else 0j
    assume(1e-30 < abs(expected) < 1e30)
    assert read(written(value, ("b",), TEXT), numbers) == pytest.approx(expected, rel=1e-9)


def test_brackets_stand_where_they_must() -> None:
    p, q, r = hyper("p"), hyper("q"), hyper("r")
    assert written(p / (q * r), ()) == "p/(q·r)"
    assert written(p / (q + r), ()) == "p/(q + r)"
    assert written(-(p + q) * r, ()) in ("(−p − q)·r", "r·(−p − q)")
    assert written((p + q) ** 2, ()) == "(p + q)²"
    assert written(p - q * r, ()) == "p − q·r"
    assert written(sympy.sqrt(p + q), ()) == "√(p + q)"
    assert written(p**q, (), LATEX) == "p^{q}"
    assert written(p / q, (), LATEX) == r"\frac{p}{q}"


class TestRefusals:
    def test_a_state_without_equation(self) -> None:
        with pytest.raises(InputError, match=r"rule mine: v is unknown; .* an equation \(v=…\) if it is a state"):
            Rule("mine", defaults={"lr": 0.1}, step=lr * g / state("v"))

    def test_a_default_nobody_uses(self) -> None:
        with pytest.raises(InputError, match="beta has a default, but no equation uses it"):
            Rule("mine", defaults={"lr": 0.1, "beta": 0.9}, step=lr * g)

    def test_a_state_that_never_moves(self) -> None:
        with pytest.raises(InputError, match="the state m is never updated"):
            Rule("mine", m=beta * lr, step=lr * m * g)

    def test_a_state_nobody_reads(self) -> None:
        with pytest.raises(InputError, match="the state m is never used"):
            Rule("mine", m=g, step=lr * g)

    def test_a_step_that_ignores_the_gradient(self) -> None:
        with pytest.raises(InputError, match="depends neither on the gradient nor on a state"):
            Rule("mine", step=lr * w)

    def test_a_term_that_is_not_elementwise(self) -> None:
        with pytest.raises(InputError, match="the step uses Integral, which does not act on each element"):
            Rule("mine", step=lr * sympy.Integral(g, (g, 0, 1)) * g)

    @pytest.mark.parametrize("name", ["w", "g", "t", "not a name"])
    def test_a_state_with_a_taken_name(self, name: str) -> None:
        with pytest.raises(InputError, match="a state cannot be called"):
            Rule("mine", **{name: g + 1}, step=lr * g)

    def test_a_misspelt_rule(self) -> None:
        with pytest.raises(AttributeError, match="no rule 'adamn'"):
            _ = rules.adamn

    def test_a_number_of_orthogonal_that_differs_by_element(self) -> None:
        for varied in (w, m, g**2):
            with pytest.raises(InputError, match="gives orthogonal a number that differs by element"):
                Rule("mine", m=beta * m + g, step=lr * orthogonal(m, 3, varied, 2, 1e-7, 5))
        Rule(
            "mine", m=beta * m + g, step=lr * orthogonal(m, 3, lr * sum_tensor(g**2), 2, 1e-7, 5)
        )  # one number for each

    def test_a_start_for_a_name_without_equation(self) -> None:
        with pytest.raises(InputError, match="starts has v, which has no equation"):
            Rule("mine", m=beta * m + g, step=lr * m, starts={"v": 1})

    def test_a_state_used_only_in_its_own_equation(self) -> None:
        with pytest.raises(InputError, match="the state m is used only in its own equation"):
            Rule("mine", m=beta * m + g, step=lr * g)

    def test_a_number_may_be_kept_for_its_own_sake(self) -> None:
        rates = hyper("rates")
        assert Rule("mine", rates=rates + lr, step=lr * g).persistent == ("rates",)


def test_symbols_made_elsewhere_mean_the_same_letters() -> None:
    beta_, m_, g_, lr_ = sympy.symbols("beta m g lr")
    theirs = Rule("mine", m=beta_ * m_ + g_, step=lr_ * m_)
    ours = Rule("mine", m=beta * m + g, step=lr * m)
    assert theirs.program() == ours.program()


def test_hyperparameters_are_what_is_left() -> None:
    assert rules.nadam.hyperparameters == ("lr", "beta1", "beta2", "eps", "momentum_decay")
    assert Rule("mine", step=lr * g / t).hyperparameters == ("lr",)


def test_numbers_for_a_whole_group_are_told_from_states() -> None:
    """Of hyperparameters, the step, sums and one another: a host if kept, else only a name for a value."""
    norm_of, kept, mean = hyper("norm_of"), hyper("kept"), state("mean")
    rule = Rule(
        "mine",
        norm_of=norm(g),
        kept=kept + norm_of / t,
        mean=beta * mean + g / kept,
        step=lr * mean,
        after=(("mean", mean / (1 + norm_of)),),
    )
    assert rule.uniform == {"norm_of", "kept"}
    assert rule.persistent == ("kept", "mean")
    assert [name for name, _ in rule.states] == ["mean", "mean"]
    assert rule.hyperparameters == ("lr", "beta")


def test_a_name_made_of_one_that_differs_differs_too() -> None:
    """Round about: a reads b, b reads a's element."""
    a_, b_ = state("a"), state("b")
    rule = Rule("mine", a=b_ * lr, b=a_ + g, step=lr * (a_ + b_))
    assert rule.uniform == frozenset()
    assert rule.persistent == ("b",)


def test_what_is_around_a_rule_is_replaced_and_its_equations_stay() -> None:
    rule = Rule("mine", defaults={"beta": 0.9}, m=beta * m + g, step=lr * m, starts={"m": 1})
    other = rule.replacing(name="other", before=(("g", -g),), after=(("w", w / 2),), starts={"m": w})
    assert (other.name, other.equations, other.step, other.defaults) == (
        "other",
        rule.equations,
        rule.step,
        {"beta": 0.9},
    )
    assert [name for name, _ in other.assignments] == ["g", "m", "w", "w"]
    assert other.starts == {"m": w}
    assert rule.replacing().starts == {"m": 1}


@pytest.mark.parametrize("name", ["lambda", "s0", "table", "sqrt", "a b", "T"])
def test_names_that_generated_code_cannot_have_are_refused(name) -> None:
    symbol = sympy.Symbol(name)
    with pytest.raises(InputError, match=f'a symbol cannot be called "{name}"'):
        Rule("mine", step=lr * g * symbol)
    with pytest.raises(InputError, match=f'a state cannot be called "{name}"'):
        Rule("mine", **{name: symbol + g}, step=lr * symbol)


@pytest.mark.parametrize("name", ["", "../mine", "a\0b", 'a"""', "a" * 100])
def test_a_name_that_no_file_can_have_is_refused(name) -> None:
    with pytest.raises(InputError, match="a rule cannot be called"):
        Rule(name, step=lr * g)


def test_infinity_is_refused() -> None:
    with pytest.raises(InputError, match="the step contains oo"):
        Rule("mine", step=lr * g * sympy.oo)


def test_an_unknown_modifier_is_refused() -> None:
    with pytest.raises(InputError, match="there is no modifier nope; choose among maximize"):
        rules.variant("adam", modifiers=("nope",))


def test_equations_are_kept_between_processes(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path))
    form = ("sgd", (("momentum_on", True),), ("coupled_decay",))
    rules.equations.cache_clear()
    text = rules.equations(*form)
    assert text == str(rules.variant("sgd", momentum_on=True, modifiers=("coupled_decay",)))
    (path,) = tmp_path.iterdir()
    path.write_text("sgd: as it was kept", encoding="utf-8")
    assert rules.equations(*form) == text
    rules.equations.cache_clear()
    assert rules.equations(*form) == "sgd: as it was kept"
    rules.equations.cache_clear()
