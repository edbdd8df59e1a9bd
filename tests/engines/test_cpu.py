"""The fused engine against the living definition, and its life on disk."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg import engines, rules
from thalweg.engines.cpu import MANY, source
from thalweg.engines.segments import CHUNK, Segments
from thalweg.rules import Rule
from thalweg.rules.symbols import beta, g, lr, state, w

dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
ROUNDING = {torch.float32: 1e-5, torch.float64: 1e-13}
m = state("m")
EVERYTHING = Rule(
    "everything",
    m=beta * m + sympy.tanh(g) * sympy.Max(w, -g) - sympy.Min(g, w, m) * sympy.exp(-sympy.Abs(w)),
    v=sympy.sqrt(1 + g**2) + sympy.sign(g) * sympy.log(2 + w**2) + sympy.Abs(g) ** sympy.Rational(3, 2),
    step=lr * sympy.Piecewise((m * g**3, g > 0), (-g / (1 + state("v") ** 2), sympy.Abs(g) < lr * 10), (g, True)),
)
"""A rule that uses the whole language of programs."""


def tensors(shapes, states: int, dtype: torch.dtype) -> tuple[list, list, list]:
    generator = torch.Generator().manual_seed(2)
    weights = [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]
    gradients = [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]
    columns = [[torch.rand(shape, generator=generator, dtype=dtype) for shape in shapes] for _ in range(states)]
    return weights, gradients, columns


def stepped(engine: str, program, shapes, dtype, rows, scalars) -> list[torch.Tensor]:
    weights, gradients, columns = tensors(shapes, len(program.states), dtype)
    segments = Segments(weights, columns, rows)
    segments.point(gradients, [gradient.data_ptr() for gradient in gradients])
    kernel = engines.engine(engine).compile(program, dtype)
    for _ in range(3):
        kernel.update(segments, scalars)
    return [*weights, *(tensor for column in columns for tensor in column)]


def assert_engines_agree(program, shapes, dtype, rows, scalars) -> None:
    slow, fast = (stepped(engine, program, shapes, dtype, rows, scalars) for engine in ("reference", "cpu"))
    for expected, found in zip(slow, fast, strict=True):
        size = max(float(expected.abs().max()), 1e-30) if expected.numel() else 1.0
        assert float((expected - found).abs().max() if expected.numel() else 0.0) <= ROUNDING[dtype] * size


@dtypes
@pytest.mark.parametrize(
    "rule", [rules.adam, rules.variant("amsgrad", eps_inside=True), EVERYTHING], ids=lambda r: r.name
)
def test_numbers_are_the_references(rule: Rule, dtype: torch.dtype) -> None:
    program = rule.program()
    shapes = [(3, 4), (), (0,), (CHUNK,), (CHUNK + 1,), (2 * CHUNK - 1,), (1,)]
    values = [{"lr": 0.1, "beta": 0.9, "beta1": 0.9, "beta2": 0.99, "eps": 1e-6}[name] for name in program.arguments]
    scalars = np.array([program.evaluate(*values, 5), program.evaluate(*values, 9)])
    assert_engines_agree(program, shapes, dtype, [0, 1, 0, 1, 0, 0, 1], scalars)


TERMS = st.recursive(
    st.sampled_from([w, g, m, lr, beta, sympy.Integer(2), sympy.Rational(1, 3)]),
    lambda inner: (
        st.tuples(inner, inner).map(lambda pair: pair[0] + pair[1])
        | st.tuples(inner, inner).map(lambda pair: pair[0] * pair[1])
        | st.tuples(inner, inner).map(lambda pair: sympy.Max(pair[0], pair[1]))
        | st.tuples(inner, inner).map(lambda pair: sympy.Piecewise((pair[0], pair[0] > pair[1]), (g, True)))
        | inner.map(lambda value: sympy.Abs(value) / (1 + value**2))
        | inner.map(sympy.tanh)
    ),
    max_leaves=6,
)


@settings(max_examples=6, deadline=None, derandomize=True)  # the same examples: their kernels are in the cache
@given(step=TERMS)
def test_any_equation_runs_as_the_reference_says(step) -> None:
    program = Rule("any", m=beta * m + g, step=step + lr * m).program()
    values = [{"lr": 0.1, "beta": 0.9}[name] for name in program.arguments]
    assert_engines_agree(program, [(17,)], torch.float64, [0], np.array([program.evaluate(*values, 2)]))


@dtypes
def test_serial_and_threaded_forms_agree_to_the_bit(dtype: torch.dtype) -> None:
    program = rules.adam.program()
    scalars = np.array([program.evaluate(0.1, 0.9, 0.99, 1e-8, 3)])
    before, runs = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            runs.append(stepped("cpu", program, [(MANY + 7,)], dtype, [0], scalars))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, two) for one, two in zip(*runs, strict=True))


@dtypes
@pytest.mark.parametrize("elements", [0, 1, 1000, MANY + 3])
def test_the_norm_is_accumulated_in_float64(dtype: torch.dtype, elements: int) -> None:
    gradient = torch.full((elements,), 1e-3, dtype=dtype)
    segments = Segments([torch.zeros_like(gradient)], [], [0])
    segments.point([gradient], [gradient.data_ptr()])
    expected = float((gradient.double() ** 2).sum())
    for engine in ("cpu", "reference"):
        kernel = engines.engine(engine).compile(rules.sgd.program(), dtype)
        assert kernel.squared_norm(segments) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("engine", ["cpu", "reference"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_stays_in_its_element(engine: str, bad: float) -> None:
    for rule in (rules.sgd, rules.adam, *([EVERYTHING] if bad != bad else [])):
        program = rule.program()
        values = [
            {"lr": 0.1, "beta": 0.9, "beta1": 0.9, "beta2": 0.99, "eps": 1e-6}[name] for name in program.arguments
        ]
        weight, gradient = torch.ones(50), torch.linspace(-1, 1, 50)
        gradient[33] = bad
        states = [[torch.zeros(50)] for _ in program.states]
        segments = Segments([weight], states, [0])
        segments.point([gradient], [gradient.data_ptr()])
        engines.engine(engine).compile(program, torch.float32).update(
            segments, np.array([program.evaluate(*values, 1)])
        )
        finite = weight.isfinite()
        assert not finite[33] and int(finite.sum()) == 49


def test_the_sign_of_infinity_is_one() -> None:
    program = Rule("signs", step=lr * sympy.sign(g)).program()
    gradient = torch.tensor([float("inf"), -float("inf"), 0.0, -0.0, 3.0, float("nan")])
    for engine in ("cpu", "reference"):
        weight = torch.zeros(6)
        segments = Segments([weight], [], [0])
        segments.point([gradient], [gradient.data_ptr()])
        engines.engine(engine).compile(program, torch.float32).update(segments, np.array([[-1.0]]))
        assert weight[:5].tolist() == [-1.0, 1.0, 0.0, 0.0, -1.0]
        assert weight[5].isnan()


def test_arithmetic_is_in_the_tensors_type() -> None:
    """Literals carry the type T: a plain 0.5 would widen a float32 line to float64 and halve its speed."""
    text = source(Rule("half", step=lr * sympy.Max(g, 0.5) ** 3).program(), "float32")
    assert "T(3.0)" in text and "T = np.float32" in text and "= T(scalars[row, 0])" in text


@dtypes
def test_the_loop_is_vectorised(dtype: torch.dtype) -> None:
    """A packed square root in the machine code: what makes the kernel as fast as memory."""
    program = rules.adam.program()
    space: dict = {}
    exec(
        source(program, str(dtype).removeprefix("torch.")).replace("cache=True, ", ""), space
    )  # the cache keeps no text
    space["serial"](np.zeros((0, 6), dtype=np.int64), np.zeros((2, 0), dtype=np.int64), np.zeros((0, 7)))
    (code,) = space["serial"].inspect_asm().values()
    assert {torch.float32: "sqrtps", torch.float64: "sqrtpd"}[dtype] in code or "fsqrt\tv" in code


class TestOnDisk:
    CODE = (
        "import sys, torch; from thalweg import optim\n"
        "w = torch.nn.Parameter(torch.ones(5)); w.grad = torch.ones(5)\n"
        "o = optim.Adam([w], lr=0.5); o.step(); print(w[0].item())\n"
        "from thalweg import engines; k = o._plan.batches[0].kernel._forms[0]\n"
        "print(sum(k.stats.cache_hits.values()), 'sympy' in sys.modules, 'torch._dynamo' in sys.modules)\n"
    )

    def start(self, folder) -> subprocess.Popen:
        environment = {**os.environ, "THALWEG_CACHE": str(folder), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-c", self.CODE],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def test_the_second_process_compiles_nothing(self, tmp_path) -> None:
        first, err = self.start(tmp_path).communicate()
        assert first.split() == ["0.5", "0", "True", "False"], err
        second, err = self.start(tmp_path).communicate()
        assert second.split() == ["0.5", "1", "False", "False"], err

    def test_processes_that_start_together_do_not_disturb_each_other(self, tmp_path) -> None:
        for output, error in [process.communicate() for process in [self.start(tmp_path) for _ in range(2)]]:
            assert output.split()[:1] == ["0.5"], error

    @pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write anywhere")
    def test_a_folder_that_cannot_be_written_is_no_obstacle(self, tmp_path) -> None:
        tmp_path.chmod(0o500)
        output, error = self.start(tmp_path).communicate()
        assert output.split()[:1] == ["0.5"], error


def test_threads_are_torchs() -> None:
    import numba

    program = rules.sgd.program()
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
        stepped("cpu", program, [(MANY,)], torch.float32, [0], np.array([[-0.1]]))
        assert numba.get_num_threads() == torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 3])
def test_torchs_number_of_threads_stays_as_it_was_set(threads: int) -> None:
    """Numba's start sets it for both: one thread became two, and every small torch operation twenty times as slow."""
    code = (
        f"import torch; torch.set_num_threads({threads})\n"
        "from thalweg import optim\n"
        f"w = torch.nn.Parameter(torch.ones({2 * MANY})); w.grad = torch.ones({2 * MANY})\n"
        "optim.SGD([w], lr=0.5, clip_norm=1.0).step(); print(torch.get_num_threads())\n"
    )
    environment = {**os.environ, "NUMBA_NUM_THREADS": "4"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == [str(threads)]


def test_two_python_threads_may_step_at_once() -> None:
    """Two models trained side by side in one process."""
    program = rules.momentum_sum.program()
    scalars = np.array([program.evaluate(0.1, 0.9, 1)])
    expected = stepped("cpu", program, [(2 * MANY,)], torch.float32, [0], scalars)
    results: dict[int, list[torch.Tensor]] = {}

    def work(number: int) -> None:
        for _ in range(5):
            results[number] = stepped("cpu", program, [(2 * MANY,)], torch.float32, [0], scalars)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for found in results.values():
        assert all(torch.equal(one, two) for one, two in zip(found, expected, strict=True))
    assert len(results) == 2


@pytest.mark.parametrize("torn", ["", "import numpy as np\n"])
def test_a_torn_source_is_written_anew(tmp_path, monkeypatch, torn) -> None:
    from thalweg.cache import imported

    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path))
    text = f"whole = {len(torn)}\n"
    imported("torn", text)
    (path,) = tmp_path.glob("torn-*.py")
    path.write_text(torn)
    imported.cache_clear()
    assert imported("torn", text).whole == len(torn)


def test_an_entry_that_is_no_program_is_lowered_anew(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path))
    rules.lowered.cache_clear()
    program = rules.lowered("adam")
    (path,) = tmp_path.glob("adam-*.json")
    path.write_text("[]")
    rules.lowered.cache_clear()
    assert rules.lowered("adam") == program
