"""A rule lowered: what is hoisted and shared, and that the text computes the equations."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg import rules
from thalweg.rules import Program, Rule
from thalweg.rules.named import TABLE
from thalweg.rules.program import lower
from thalweg.rules.symbols import beta, beta1, g, hyper, lr, state, t, w

NUMBERS = {
    "lr": 0.1, "beta": 0.9, "beta1": 0.9, "beta2": 0.99, "rho": 0.9, "alpha": 0.99, "eps": 1e-3, "momentum": 0.8,
    "dampening": 0.3, "weight_decay": 0.1, "lr_decay": 0.2, "momentum_decay": 0.004, "clip_value": 0.5, "clip_norm": 2.0,
}  # fmt: skip
ARRAYS = {
    "sqrt": np.sqrt, "square": np.square, "absolute": np.abs, "sign": np.sign, "exp": np.exp, "log": np.log, "tanh": np.tanh,
    "maximum": np.maximum, "minimum": np.minimum, "where": np.where, "power": np.power,
}  # fmt: skip


def executed(program: Program, stored: dict[str, np.ndarray], arguments: list[float]) -> dict[str, np.ndarray]:
    """A program's lines, evaluated by NumPy in float64."""
    scalars = dict(zip([name for name, _ in program.scalars], program.evaluate(*arguments), strict=True))
    values = {**stored, **scalars}
    for name, text in program.lines:
        values[name] = eval(text, {"__builtins__": {}}, {**ARRAYS, **values})
    return {name: values[line] for name, line in program.results}


def forms() -> list[tuple[str, dict[str, bool], tuple[str, ...]]]:
    plain = [(name, {}, ()) for name in rules.names()]
    optional = [
        ("sgd", {"momentum_on": True}, ()),
        ("sgd", {"momentum_on": True, "nesterov": True}, ("coupled_decay",)),
        ("adagrad", {"eps_inside": True}, ()),
        ("rmsprop", {"centered": True, "momentum_on": True}, ("clip_value", "decoupled_decay")),
        ("adam", {"amsgrad": True, "eps_inside": True}, ("maximize", "clip_norm", "clip_value", "coupled_decay")),
    ]
    return plain + optional


@pytest.mark.parametrize(("name", "options", "modifiers"), forms())
@pytest.mark.parametrize("step", [1, 7])
def test_the_program_computes_the_equations(name, options, modifiers, step) -> None:
    """Each assignment substituted by SymPy, one element at a time, against the lowered text on arrays."""
    rule = rules.variant(name, modifiers=modifiers, **options)
    program = rule.program()
    generator = np.random.default_rng(0)
    stored = {word: np.abs(generator.normal(size=4)) + 0.5 for word in ("w", "g", *program.states)}
    if "square_avg" in stored:
        stored["square_avg"] += 10.0  # the centered form takes the root of square_avg − grad_avg²
    norm, host = 3.0, {word: start for word, start, _ in program.hosts}
    arguments = [NUMBERS[word] for word in program.arguments]
    extra = [norm] if program.reductions else []
    hosts = dict(zip(host, program.advance(*arguments, step, *host.values(), *extra), strict=True))
    found = executed(program, stored, [*arguments, step, *hosts.values(), *extra])
    for index in range(4):
        numbers = {hyper(word): NUMBERS[word] for word in program.arguments}
        numbers |= {t: step, hyper("gradient_norm"): norm} | {hyper(word): value for word, value in host.items()}
        numbers |= {state(word): float(array[index]) for word, array in stored.items()}
        for word, _, value in rule.scalars:
            numbers[hyper(word)] = float(value.subs(numbers))
        for word, value in rule.assignments:
            numbers[state(word)] = float(value.subs(numbers))
        for word, array in found.items():
            assert array[index] == pytest.approx(numbers[state(word)], rel=1e-12), word


class TestHoisting:
    def test_powers_of_the_step_never_reach_the_elements(self) -> None:
        program = rules.adam.program()
        assert not any("power" in text or " t" in text for _, text in program.lines)
        assert any("power" in text for _, text in program.scalars)

    def test_a_line_uses_scalars_for_all_that_is_uniform(self) -> None:
        program = Rule("mine", step=lr * beta1 / (1 - beta1**t) * g * 3).program()
        assert len(program.scalars) == 1
        assert program.evaluate(0.1, 0.5, 2) == pytest.approx((-0.1 * 0.5 / 0.75 * 3,))

    def test_scalars_are_float64(self) -> None:
        """1 − 0.999 in float32 would lose four digits."""
        program = rules.adam.program()
        values = program.evaluate(
            *[{"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}[a] for a in program.arguments], 1
        )
        assert 1 - 0.999 in values

    def test_division_by_zero_follows_ieee(self) -> None:
        """β₁ = 1 makes 1 − β₁ᵗ zero: Python would raise, arithmetic says infinity."""
        program = Rule("mine", step=lr * g / (1 - beta1**t)).program()
        (value,) = program.evaluate(0.1, 1.0, 3)
        assert math.isinf(value)
        assert math.isnan(program.evaluate(0.0, 1.0, 3)[0])


class TestSharing:
    def test_what_stands_twice_is_computed_once(self) -> None:
        m, v = state("m"), state("v")
        heavy = sympy.tanh(g * w)
        program = Rule("mine", m=beta * m + heavy, v=beta * v + heavy**2, step=lr * m * v).program()
        assert sum(text.count("tanh") for _, text in program.lines) == 1

    def test_lines_nobody_needs_are_left_out(self) -> None:
        """A scratch value that cancels in the step, though it stands in an equation."""
        scratch, same = state("scratch"), sympy.Symbol("same", real=True)
        rule = Rule(
            "mine", scratch=g * 2, same=scratch, step=lr * g + lr * scratch * (same - same * sympy.S.One) + lr * same
        )
        text = str(rule.program().lines)
        assert "scratch_1" in text
        assert len(rule.program().results) == 1

    def test_a_state_set_before_it_is_read_is_not_stored(self) -> None:
        """AdaDelta's step is no state: it is computed and used within the step."""
        assert rules.adadelta.program().states == ("square_avg", "acc_delta")


def test_a_state_reads_the_states_updated_before_it() -> None:
    """AdaDelta: acc_delta takes this step's delta, the step the acc_delta of before."""
    program = rules.adadelta.program()
    stored = {"w": np.array([1.0]), "g": np.array([2.0]), "square_avg": np.array([0.0]), "acc_delta": np.array([0.0])}
    numbers = {"lr": 1.0, "rho": 0.9, "eps": 1e-6}
    found = executed(program, stored, [*(numbers[name] for name in program.arguments), 1])
    delta = math.sqrt(1e-6) / math.sqrt(0.1 * 4 + 1e-6) * 2
    assert found["acc_delta"] == pytest.approx(0.1 * delta**2)
    assert found["w"] == pytest.approx(1 - delta)


def test_listing_names_everything() -> None:
    listing = rules.variant("nadam", modifiers=("clip_norm",)).program().listing()
    assert listing.startswith(
        "scalars of (lr, beta1, beta2, clip_norm, eps, momentum_decay, t, mu_product, gradient_norm)"
    )
    assert "exp_avg ← exp_avg_1" in listing


@pytest.mark.parametrize("name", TABLE)
def test_programs_go_to_json_and_back(name: str) -> None:
    program = rules.variant(name).program()
    assert Program.from_json(program.to_json()) == program
    assert json.loads(program.to_json())["name"] == program.name


def test_lowering_is_the_same_in_every_process() -> None:
    """The digest names kernels on disk: it must not depend on the order of a set."""
    code = "from thalweg import rules; print([rules.variant(n).program().digest for n in rules.names()])"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_the_cache_spares_sympy(tmp_path, monkeypatch) -> None:
    code = (
        "import sys; from thalweg.rules import lowered; "
        "p = lowered('adam', (('amsgrad', True),), ('coupled_decay',)); print(p.digest, 'sympy' in sys.modules)"
    )
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path))
    first, second = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    )
    assert first[0] == second[0]
    assert (first[1], second[1]) == ("True", "False")


def test_a_damaged_cache_entry_is_made_again(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path))
    rules.lowered.cache_clear()
    program = rules.lowered("sgd")
    (path,) = tmp_path.glob("sgd-*.json")
    path.write_text('{"name": "sgd"')
    rules.lowered.cache_clear()
    assert rules.lowered("sgd") == program
    assert Program.from_json(path.read_text()) == program


m = state("m")
TERMS = st.recursive(
    st.sampled_from([w, g, m, lr, beta, sympy.Integer(2), t]),
    lambda inner: (
        st.tuples(inner, inner).map(lambda pair: pair[0] + pair[1])
        | st.tuples(inner, inner).map(lambda pair: pair[0] * pair[1])
        | st.tuples(inner, inner).map(lambda pair: sympy.Max(pair[0], pair[1]))
        | inner.map(lambda value: sympy.Abs(value) / (1 + value**2))
        | inner.map(sympy.tanh)
        | inner.map(lambda value: sympy.sqrt(1 + value**2))
        | inner.map(lambda value: sympy.Piecewise((value, value > 0), (-2 * value, True)))
        | st.tuples(inner, inner).map(
            lambda pair: sympy.Piecewise((pair[0], sympy.Eq(t, 3)), (lr, pair[1] < beta), (0, True))
        )
    ),
    max_leaves=7,
)


@settings(max_examples=60, deadline=None)
@given(update=TERMS, step=TERMS)
def test_any_equations_are_lowered_to_what_they_mean(update, step) -> None:
    rule = Rule("any", m=update + beta * m, step=step + lr * m * g)
    program = lower(rule)
    numbers = {"lr": 0.3, "beta": 0.7}
    stored = {"w": np.array([0.4, -1.3]), "g": np.array([-0.9, 2.1]), "m": np.array([0.2, 1.7])}
    found = executed(program, stored, [*(numbers[name] for name in program.arguments), 3])
    for index in range(2):
        now = {hyper(name): value for name, value in numbers.items()} | {t: 3}
        now |= {state(name): float(array[index]) for name, array in stored.items()}
        for name, value in rule.assignments:
            now[state(name)] = float(value.subs(now))
            if name in found:
                assert np.broadcast_to(found[name], 2)[index] == pytest.approx(now[state(name)], rel=1e-9, abs=1e-12)
