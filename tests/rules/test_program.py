"""A rule lowered: that the text computes the equations, what is hoisted and shared."""

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

from programs import carried_out, substituted
from thalweg import rules
from thalweg.rules import Program, Rule
from thalweg.rules.lower import lower
from thalweg.rules.modifiers import AFTER, BEFORE, ORDER
from thalweg.rules.named import TABLE
from thalweg.rules.symbols import beta, beta1, g, lr, state, t, w

NUMBERS = {
    "lr": 0.1, "beta": 0.9, "beta1": 0.9, "beta2": 0.95, "beta3": 0.99, "rho": 0.9, "alpha": 0.99, "eps": 1e-3,
    "momentum": 0.8, "dampening": 0.3, "weight_decay": 0.1, "lr_decay": 0.2, "momentum_decay": 0.004, "lambd": 0.2, "t0": 3.0,
    "clip_value": 0.5, "clip_norm": 2.0, "clip_tensor_norm": 1.5, "clip_adaptive": 1.1, "l1": 2.5, "ema": 0.7,
    "swa_start": 3.0, "swa_every": 4.0, "trust_coefficient": 0.02, "eta_minus": 0.5, "eta_plus": 1.2, "step_min": 0.2,
    "step_max": 0.8, "ns_a": 3.4445, "ns_b": -4.775, "ns_c": 2.0315, "ns_steps": 5.0, "initial_accumulator_value": 0.3,
    "initial_accumulator": 1e-6, "r": 0.5, "warmup_steps": 5.0, "weight_lr_power": 2.0, "tol": 0.3, "rate": 0.4,
}  # fmt: skip
POSITIVE = ("exp_avg_sq", "max_exp_avg_sq", "square_avg", "sum", "acc_delta", "exp_inf", "step_size")
HOSTS = {"mu_product": 0.7, "mu": 0.5, "gamma_avg": 0.05, "gamma_slow_avg": 0.06, "gamma_drift_avg": 0.01}
"""Numbers in the middle of a run, for hosts that are not any; the others are 0.4."""


def forms() -> list[tuple[str, dict[str, bool | str], tuple[str, ...]]]:
    """Every named rule, every one of its options, every modifier."""
    plain = [(name, {}, ()) for name in rules.names()]
    optional = [
        ("sgd", {"momentum_on": True}, ()),
        ("sgd", {"momentum_on": True, "nesterov": True}, ("coupled_decay",)),
        ("lars", {"nesterov": True}, ()),
        ("muon", {"nesterov": False}, ("decoupled_decay",)),
        ("muon", {"match_rms": True}, ("clip_norm", "clip_adaptive")),
        ("adagrad", {"eps_inside": True}, ()),
        ("adam", {"eps_inside": True}, ()),
        ("rmsprop", {"eps_inside": True}, ()),
        ("rmsprop", {"centered": True, "momentum_on": True}, ("clip_value", "decoupled_decay")),
        ("adam", {"amsgrad": True, "eps_inside": True}, ("maximize", "clip_norm", "clip_value", "coupled_decay")),
        ("swats", {"scope": "group"}, ()),
        ("swats", {"scope": "tensor"}, ("clip_adaptive",)),
        ("swats", {"paper": True}, ("ema",)),
        ("swats", {"switched_over": True}, ()),
    ]
    modified = [(name, {}, (modifier,)) for modifier in ORDER for name in ("momentum", "lamb")]
    return [
        *plain,
        *optional,
        *modified,
        ("adam", {}, tuple(BEFORE)),
        ("schedule_free_adamw", {}, ORDER),
        ("asgd", {}, tuple(AFTER)),
    ]


@pytest.mark.parametrize("step", [1, 7])
@pytest.mark.parametrize(
    ("name", "options", "modifiers"), forms(), ids=lambda part: "-".join(map(str, part)) if part else "plain"
)
def test_the_program_computes_the_equations(name, options, modifiers, step) -> None:
    """Each assignment substituted by SymPy, one element at a time, against the lowered text on arrays, phase by phase."""
    rule = rules.variant(name, modifiers=modifiers, **options)
    program = rule.program()
    generator = np.random.default_rng(step)
    stored = {word: generator.normal(size=(2, 3)) for word in ("w", "g", *program.states)}
    stored |= {word: np.abs(array) + 0.5 for word, array in stored.items() if word in POSITIVE}
    stored["g"][0] *= 3.0
    if "square_avg" in stored:
        stored["square_avg"] += 10.0  # the centered form takes the root of square_avg − grad_avg²
    begun = {word: program.start(word, NUMBERS) or 0.0 for word, _ in program.hosts}
    for switched in (0.0, 1.0) if "switched" in begun and step > 1 else (0.0,):
        hosts = begun if step == 1 else {word: HOSTS.get(word, 0.4) for word in begun}
        hosts |= {"switched": switched} if "switched" in begun else {}
        numbers = {word: NUMBERS[word] for word in program.arguments}
        found, after = carried_out(program, stored, numbers, step, hosts)
        expected = substituted(rule, stored, numbers, step, hosts)
        assert set(found) == {"w", *program.states}
        for word, array in found.items():
            assert array == pytest.approx(expected[word], rel=1e-10, abs=1e-13), word
        for word, number in after.items():
            assert np.max(number) == np.min(number) == pytest.approx(expected[word].flat[0], rel=1e-10), word


class TestHoisting:
    def test_powers_of_the_step_never_reach_the_elements(self) -> None:
        phase = rules.adam.program().last
        assert not any("power" in text or " t" in text for _, text in phase.lines)
        assert any("power" in text for _, text in phase.scalars)

    def test_a_line_uses_scalars_for_all_that_is_uniform(self) -> None:
        program = Rule("mine", step=lr * beta1 / (1 - beta1**t) * g * 3).program()
        assert len(program.last.passed) == 1
        assert program.evaluate[0](0.1, 0.5, 2) == pytest.approx((-0.1 * 0.5 / 0.75 * 3,))

    def test_scalars_are_float64(self) -> None:
        """1 − 0.999 in float32 would lose four digits."""
        program = rules.adam.program()
        numbers = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
        assert 1 - 0.999 in program.evaluate[0](*(numbers[name] for name in program.arguments), 1)

    def test_division_by_zero_follows_ieee(self) -> None:
        """β₁ = 1 makes 1 − β₁ᵗ zero: Python would raise, arithmetic says infinity."""
        program = Rule("mine", step=lr * g / (1 - beta1**t)).program()
        (value,) = program.evaluate[0](0.1, 1.0, 3)
        assert math.isinf(value)
        assert math.isnan(program.evaluate[0](0.0, 1.0, 3)[0])

    @pytest.mark.parametrize("name", TABLE)
    def test_scalars_of_many_rows_are_those_of_each(self, name: str) -> None:
        """The array form and the number form of a phase's scalars, row for row."""
        program = rules.variant(name, modifiers=("clip_norm",)).program()
        generator = np.random.default_rng(0)
        known = len(program.inputs) - len(program.reductions)
        columns = [[NUMBERS[word]] * 3 for word in program.arguments] + [[1.0, 2.0, 7.0]]
        columns += [list(generator.random(3) + 0.1) for _ in range(known - len(columns) + len(program.reductions))]
        for number, phase in enumerate(program.phases):
            many = program.evaluate_rows[number](*columns[:known])
            for row in range(3):
                one = program.evaluate[number](*(column[row] for column in columns[:known]))
                assert one == pytest.approx([np.broadcast_to(value, 3)[row] for value in many], rel=1e-12, nan_ok=True)
            known += len(phase.sums)


class TestSharing:
    def test_what_stands_twice_is_computed_once(self) -> None:
        m, v = state("m"), state("v")
        heavy = sympy.tanh(g * w)
        program = Rule("mine", m=beta * m + heavy, v=beta * v + heavy**2, step=lr * m * v).program()
        assert sum(text.count("tanh") for _, text in program.last.lines) == 1

    def test_lines_nobody_needs_are_left_out(self) -> None:
        """A scratch value that cancels in the step, though it stands in an equation."""
        scratch, same = state("scratch"), sympy.Symbol("same", real=True)
        rule = Rule(
            "mine", scratch=g * 2, same=scratch, step=lr * g + lr * scratch * (same - same * sympy.S.One) + lr * same
        )
        (phase,) = rule.program().phases
        assert "scratch_1" in str(phase.lines)
        assert len(phase.results) == 1

    def test_a_state_set_before_it_is_read_is_not_stored(self) -> None:
        """AdaDelta's step is no state: it is computed and used within the step."""
        assert rules.adadelta.program().states == ("square_avg", "acc_delta")


def test_a_state_reads_the_states_updated_before_it() -> None:
    """AdaDelta: acc_delta takes this step's delta, the step the acc_delta of before."""
    stored = {"w": np.array([1.0]), "g": np.array([2.0]), "square_avg": np.array([0.0]), "acc_delta": np.array([0.0])}
    found, _ = carried_out(rules.adadelta.program(), stored, {"lr": 1.0, "rho": 0.9, "eps": 1e-6}, 1, {})
    delta = math.sqrt(1e-6) / math.sqrt(0.1 * 4 + 1e-6) * 2
    assert found["acc_delta"] == pytest.approx(0.1 * delta**2)
    assert found["w"] == pytest.approx(1 - delta)


def test_listing_names_everything() -> None:
    listing = rules.variant("nadam", modifiers=("clip_norm",)).program().listing()
    assert listing.startswith("scalars of (lr, beta1, beta2, clip_norm, eps, momentum_decay, t, mu_product)\n")
    assert "then r0 = sum of q0 over each all" in listing
    assert "exp_avg ← exp_avg_1" in listing
    assert "mu_product ← mu_product_1" in listing
    assert "then y0 = orthogonal(y0, " in rules.muon.program().listing()


@pytest.mark.parametrize("name", TABLE)
def test_programs_go_to_json_and_back(name: str) -> None:
    program = rules.variant(name, modifiers=("clip_adaptive",)).program()
    assert Program.from_json(program.to_json()) == program
    assert Program.from_json(program.to_json()).digest == program.digest
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
    stored = {"w": np.array([0.4, -1.3]), "g": np.array([-0.9, 2.1])}
    kept = np.array([0.2, 1.7])
    hosts = {name: kept[0] for name, _ in program.hosts}  # an m made of itself alone is one number
    stored |= {} if hosts else {"m": kept}
    found, after = carried_out(program, stored, numbers, 3, hosts)
    expected = substituted(rule, stored, numbers, 3, hosts)
    for name, array in found.items():
        assert array == pytest.approx(expected[name], rel=1e-9, abs=1e-12), name
    for name, number in after.items():
        assert number == pytest.approx(expected[name][0], rel=1e-9, abs=1e-12), name
