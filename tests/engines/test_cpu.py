"""The fused engine against the living definition."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tables import Table, same_bits, storage
from thalweg import engines, rules
from thalweg.engines.cpu import MANY, source
from thalweg.engines.segments import CHUNK
from thalweg.rules import Program, Rule
from thalweg.rules.modifiers import ORDER
from thalweg.rules.symbols import beta, g, lr, norm, state, sum_all, sum_tensor, sum_unit, w

dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
ROUNDING = {torch.float32: 1e-5, torch.float64: 1e-13, torch.bfloat16: 2**-7}
NUMBERS = {
    "lr": 0.1, "beta": 0.9, "beta1": 0.9, "beta2": 0.99, "eps": 1e-6, "weight_decay": 0.1, "clip_norm": 3.0,
    "clip_tensor_norm": 2.0, "clip_adaptive": 0.5, "clip_value": 1.0, "l1": 0.01, "ema": 0.9, "swa_start": 2.0,
    "swa_every": 1.0,
}  # fmt: skip
SHAPES = [(3, 4), (), (0,), (CHUNK,), (CHUNK + 1,), (2 * CHUNK - 1,), (1,)]
m = state("m")
EVERYTHING = Rule(
    "everything",
    m=beta * m + sympy.tanh(g) * sympy.Max(w, -g) - sympy.Min(g, w, m) * sympy.exp(-sympy.Abs(w)),
    v=sympy.sqrt(1 + g**2) + sympy.sign(g) * sympy.log(2 + w**2) + sympy.Abs(g) ** sympy.Rational(3, 2),
    step=lr * sympy.Piecewise((m * g**3, g > 0), (-g / (1 + state("v") ** 2), sympy.Abs(g) < lr * 10), (g, True)),
)
"""A rule that uses the whole language of a program's lines."""
SUMS = Rule(
    "sums",
    m=beta * m + g / (1 + norm(g, sum_unit)),
    step=lr * m / (1 + norm(m)) + lr * g / (1 + sum_all(sympy.Abs(g) / (1 + sum_tensor(w**2)))),
)
"""Sums of all scopes, and sums inside sums."""


def stepped(engine: str, program: Program, shapes, dtype, rows=None, states: str | None = None, steps: int = 3) -> list:
    table = Table(program, storage(program, dtype, states), shapes, rows=rows)
    for step in range(1, steps + 1):
        table.step(engine, NUMBERS, step)
    return table.tensors()


def assert_engines_agree(program: Program, shapes, dtype, rows=None, states: str | None = None) -> None:
    slow, fast = (stepped(engine, program, shapes, dtype, rows, states) for engine in ("reference", "cpu"))
    for expected, found in zip(slow, fast, strict=True):
        assert expected.dtype == found.dtype
        size = max(float(expected.abs().max()), 1e-30) if expected.numel() else 1.0
        apart = float((expected.double() - found.double()).abs().max()) if expected.numel() else 0.0
        assert apart <= ROUNDING[dtype] * size


@dtypes
@pytest.mark.parametrize(
    "rule",
    [
        rules.adam,
        rules.variant("amsgrad", eps_inside=True),
        EVERYTHING,
        SUMS,
        rules.variant("lamb", modifiers=("clip_norm",)),
    ],
    ids=lambda rule: rule.name,
)
def test_numbers_are_the_references(rule: Rule, dtype: torch.dtype) -> None:
    program = rule.program()
    rows = [0, 1, 0, 1, 0, 0, 1] if program.grain == "group" else None
    assert_engines_agree(program, SHAPES, dtype, rows)


def test_each_row_has_its_own_scalars() -> None:
    """Two groups with rates of their own in one call: every weight moves by its row's rate."""
    program = rules.sgd.program()
    for engine in ("cpu", "reference"):
        table = Table(program, storage(program), [(5,), (2, 2), (7,)], rows=[0, 1, 0])
        before = [weight.clone() for weight in table.weights]
        scalars = np.array([program.evaluate[0](0.5, 1), program.evaluate[0](2.0, 1)])
        engines.engine(engine).compile(program, table.storage).run(0, table.segments, scalars)
        for weight, start, gradient, rate in zip(table.weights, before, table.gradients, (0.5, 2.0, 0.5), strict=True):
            assert torch.allclose(weight, start - rate * gradient, rtol=1e-6)


def test_every_modifier_runs_as_the_reference_says() -> None:
    program = rules.variant("adam", modifiers=ORDER).program()
    assert_engines_agree(program, [(3, 4), (5,), (4, 0), (2, 3, 2)], torch.float64)


@pytest.mark.parametrize("states", [None, "float32"])
@pytest.mark.parametrize("rule", [rules.adam, SUMS, EVERYTHING], ids=lambda rule: rule.name)
def test_weights_in_bfloat16(rule: Rule, states: str | None) -> None:
    """Computed in float32, rounded once when stored; the states as narrow as the weights, or wide beside them."""
    program = rule.program()
    assert_engines_agree(program, [(3, 4), (), (0,), (300,), (CHUNK + 1,)], torch.bfloat16, states=states or "bfloat16")


@pytest.mark.parametrize("engine", ["cpu", "reference"])
def test_bfloat16_arithmetic_is_float32s(engine: str) -> None:
    """One step of momentum, typed by hand in float32, then rounded once."""
    program = rules.momentum_sum.program()
    table = Table(program, storage(program, "bfloat16", "bfloat16"), [(1000,)])
    wide = [tensor.float() for tensor in (table.weights[0], table.gradients[0], table.states[0][0])]
    buffer = torch.tensor(0.9) * wide[2] + wide[1]
    table.step(engine, NUMBERS, 1)
    assert same_bits(table.states[0][0], buffer.bfloat16())
    assert same_bits(table.weights[0], (wide[0] + torch.tensor(-0.1) * buffer).bfloat16())


TERMS = st.recursive(
    st.sampled_from([w, g, m, lr, beta, sympy.Integer(2), sympy.Rational(1, 3)]),
    lambda inner: (
        st.tuples(inner, inner).map(lambda pair: pair[0] + pair[1])
        | st.tuples(inner, inner).map(lambda pair: pair[0] * pair[1])
        | st.tuples(inner, inner).map(lambda pair: sympy.Max(pair[0], pair[1]))
        | st.tuples(inner, inner).map(lambda pair: sympy.Piecewise((pair[0], pair[0] > pair[1]), (g, True)))
        | inner.map(lambda value: sympy.Abs(value) / (1 + value**2))
        | inner.map(lambda value: g / (1 + sum_tensor(value**2)))
        | inner.map(sympy.tanh)
    ),
    max_leaves=6,
)


@settings(max_examples=6, deadline=None, derandomize=True)  # the same examples: their kernels are in the cache
@given(step=TERMS)
def test_any_equation_runs_as_the_reference_says(step) -> None:
    program = Rule("any", m=beta * m + g, step=step + lr * m).program()
    assert_engines_agree(program, [(17,)], torch.float64)


@pytest.mark.parametrize(
    ("dtype", "states"),
    [(torch.float32, None), (torch.float64, None), (torch.bfloat16, "bfloat16~"), (torch.float32, "8bit")],
)
def test_serial_and_threaded_runs_agree_to_the_bit(dtype: torch.dtype, states: str | None) -> None:
    """Sums too: they are added chunk by chunk, whoever took the chunk; and the dice are counted, not drawn."""
    program = rules.variant("adam", modifiers=("clip_norm", "clip_tensor_norm")).program()
    before, runs = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            runs.append(stepped("cpu", program, [(MANY + 7,), (3, CHUNK)], dtype, states=states))
    finally:
        torch.set_num_threads(before)
    for other in runs[1:]:
        assert all(same_bits(one, two) for one, two in zip(runs[0], other, strict=True))


@pytest.mark.parametrize("engine", ["cpu", "reference"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_stays_in_its_element(engine: str, bad: float) -> None:
    for rule in (rules.sgd, rules.adam, *([EVERYTHING] if bad != bad else [])):
        program = rule.program()
        table = Table(program, storage(program), [(50,)])
        table.gradients[0].copy_(torch.linspace(-1, 1, 50))
        table.gradients[0][33] = bad
        table.step(engine, NUMBERS, 1)
        finite = table.weights[0].isfinite()
        assert not finite[33] and int(finite.sum()) == 49


def test_the_sign_of_infinity_is_one() -> None:
    program = Rule("signs", step=lr * sympy.sign(g)).program()
    for engine in ("cpu", "reference"):
        table = Table(program, storage(program), [(6,)])
        table.weights[0].zero_()
        table.gradients[0].copy_(torch.tensor([float("inf"), -float("inf"), 0.0, -0.0, 3.0, float("nan")]))
        table.step(engine, {"lr": 1.0}, 1)
        assert table.weights[0][:5].tolist() == [-1.0, 1.0, 0.0, 0.0, -1.0]
        assert table.weights[0][5].isnan()


def test_a_kernel_takes_another_table_and_comes_back() -> None:
    """One kernel, two tables and two arrays of scalars, by turns."""
    program = rules.sgd.program()
    kernel = engines.engine("cpu").compile(program, storage(program))
    tables = [Table(program, storage(program), [(size,)]) for size in (5, 9)]
    expected = [table.weights[0].clone() for table in tables]
    for turn in range(6):
        table, rate = tables[turn % 2], 0.1 * (turn + 1)
        kernel.run(0, table.segments, np.array([program.evaluate[0](rate, 1)]))
        expected[turn % 2] -= rate * table.gradients[0]
    for table, weight in zip(tables, expected, strict=True):
        assert torch.allclose(table.weights[0], weight, rtol=1e-5, atol=1e-6)


def test_scalars_may_change_in_place() -> None:
    program = rules.sgd.program()
    table = Table(program, storage(program), [(3,)])
    table.weights[0].zero_()
    table.gradients[0].fill_(1.0)
    kernel, scalars = engines.engine("cpu").compile(program, table.storage), np.zeros((1, 1))
    for rate in (0.5, 2.0):
        scalars[0, 0] = -rate
        kernel.run(0, table.segments, scalars)
    assert table.weights[0].tolist() == [-2.5] * 3


def test_arithmetic_is_in_the_tensors_type() -> None:
    """Literals carry the type T: a plain 0.5 would widen a float32 line to float64 and halve its speed."""
    text = source(Rule("half", step=lr * sympy.Max(g, 0.5) ** 3).program())
    assert "T(3.0)" in text and "T = np.float32" in text and "= T(passed[0])" in text


def test_two_python_threads_may_step_at_once() -> None:
    """Two models trained side by side in one process."""
    program = rules.variant("momentum_sum", modifiers=("clip_norm",)).program()
    expected = stepped("cpu", program, [(2 * MANY,)], torch.float32)
    results: dict[int, list[list[torch.Tensor]]] = {0: [], 1: []}

    def work(number: int) -> None:
        for _ in range(5):
            results[number].append(stepped("cpu", program, [(2 * MANY,)], torch.float32))

    threads = [threading.Thread(target=work, args=(number,)) for number in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for runs in results.values():
        assert len(runs) == 5
        assert all(same_bits(one, two) for run in runs for one, two in zip(run, expected, strict=True))


def test_an_entry_that_is_no_program_is_lowered_anew(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path))
    rules.lowered.cache_clear()
    program = rules.lowered("adam")
    (path,) = tmp_path.glob("adam-*.json")
    path.write_text("[]")
    rules.lowered.cache_clear()
    assert rules.lowered("adam") == program
