"""Sums over tensors and units, and matrix functions, against NumPy: odd shapes, empty tensors, many chunks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tables import Table, storage
from thalweg import engines, rules
from thalweg.engines import MATRICES, decoded
from thalweg.engines.cpu import MANY
from thalweg.engines.segments import CHUNK
from thalweg.rules import Rule
from thalweg.rules.symbols import beta, g, lr, norm, state, sum_all, sum_group, sum_tensor, sum_unit, w

both = pytest.mark.parametrize("engine", ["cpu", "reference"])
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
SHAPES = [
    (3, 4), (), (1,), (0,), (0, 3), (3, 0), (0, 0), (7, 1), (1, 7), (5, 3, 2, 2), (2, 0, 3), (CHUNK,), (CHUNK + 1,),
    (3, CHUNK + 1), (2 * CHUNK - 1,), (257, 3), (2, 2 * CHUNK),
]  # fmt: skip
SUMS = {"all": sum_all, "group": sum_group, "tensor": sum_tensor, "unit": sum_unit}
RELATIVE = {"float32": 1e-6, "float64": 1e-13, "bfloat16": 1e-6}
"""Each product is rounded in the arithmetic's type; what adds them up is float64."""


def first_phase(engine: str, rule: Rule, dtype: str, shapes=SHAPES) -> tuple[Table, np.ndarray]:
    program = rule.program()
    table = Table(program, storage(program, dtype), shapes)
    phase = program.phases[0]
    found = (
        engines.engine(engine)
        .compile(program, table.storage)
        .run(0, table.segments, np.zeros((table.segments.count, len(phase.passed))))
    )
    assert found is not None
    return table, found


@both
@dtypes
@pytest.mark.parametrize("scope", ["tensor", "unit"])
def test_sums_are_numpys(engine: str, dtype: str, scope: str) -> None:
    over = SUMS[scope]
    rule = Rule("two sums", step=lr * g * over(g**2) / over(w * g))
    table, found = first_phase(engine, rule, dtype)
    assert found.shape == (table.segments.count, 2)
    for row, units, weight, gradient in zip(table.rows, table.units, table.weights, table.gradients, strict=True):
        wide = [tensor.double().numpy().reshape(units, -1) for tensor in (weight, gradient)]
        by_meaning = {"g**2": wide[1] ** 2, "g*w": wide[0] * wide[1]}
        for column, taken in enumerate(table.program.phases[0].sums):
            values = by_meaning[taken.meaning]
            size = max(float(np.abs(values).sum()), 1e-30)
            assert found[row : row + units, column] == pytest.approx(values.sum(1), abs=RELATIVE[dtype] * size)


@both
def test_a_group_has_one_sum_over_its_tensors(engine: str) -> None:
    for scope in (sum_all, sum_group):
        table, found = first_phase(engine, Rule("one sum", step=lr * g * scope(g**2)), "float64")
        expected = sum(float((gradient**2).sum()) for gradient in table.gradients)
        assert found.tolist() == [[pytest.approx(expected, rel=1e-12)]]


@both
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("elements", [0, 1, 1000, MANY + 3])
def test_the_norm_is_accumulated_in_float64(engine: str, dtype: torch.dtype, elements: int) -> None:
    program = rules.variant("sgd", modifiers=("clip_norm",)).program()
    table = Table(program, storage(program, dtype), [(elements,)])
    table.gradients[0].fill_(1e-3)
    square = float(table.gradients[0][:1].double().sum()) ** 2 if elements else 0.0
    found = engines.engine(engine).compile(program, table.storage).run(0, table.segments, np.zeros((1, 0)))
    assert found is not None
    assert float(found[0, 0]) == pytest.approx(square * elements, rel=1e-12)


@both
@pytest.mark.parametrize("size", [1e25, 1e-30])
def test_squares_that_float32_has_not_are_summed(engine: str, size: float) -> None:
    program = rules.variant("sgd", modifiers=("clip_norm",)).program()
    table = Table(program, storage(program, torch.float32), [(7,)])
    table.gradients[0].fill_(size)
    found = engines.engine(engine).compile(program, table.storage).run(0, table.segments, np.zeros((1, 0)))
    assert found is not None
    assert float(found[0, 0]) == pytest.approx(7 * size**2, rel=1e-6)


@both
def test_sums_see_what_is_not_finite(engine: str) -> None:
    program = Rule("sizes", step=lr * g * sum_tensor(g)).program()
    for bad in (float("nan"), float("inf"), -float("inf")):
        table = Table(program, storage(program), [(CHUNK + 5,), (3,)])
        table.gradients[0][CHUNK + 2] = bad
        found = engines.engine(engine).compile(program, table.storage).run(0, table.segments, np.zeros((2, 0)))
        assert found is not None
        assert str(found[0, 0]) == str(bad)
        assert math.isfinite(found[1, 0])


@both
@pytest.mark.parametrize("value", [2.0, 0.0])
def test_a_sum_of_a_constant_counts_elements(engine: str, value: float) -> None:
    """A line that uses no element has one value; its sum is over all."""
    program = Rule("count", step=lr * g / (1 + sum_tensor(lr * beta + 0 * g))).program()
    shapes = [(3, 4), (), (0,), (CHUNK + 1,)]
    table = Table(program, storage(program), shapes)
    scalars = np.full((len(shapes), len(program.phases[0].passed)), value)
    found = engines.engine(engine).compile(program, table.storage).run(0, table.segments, scalars)
    assert found is not None
    assert found[:, 0].tolist() == [value * math.prod(shape) for shape in shapes]


@both
def test_units_take_steps_of_their_own_length(engine: str) -> None:
    """Each output unit's step has length lr, a vector's as a whole; typed by hand."""
    program = Rule("unit steps", step=lr * g / norm(g, sum_unit)).program()
    table = Table(program, storage(program, "float64"), [(4, 5), (3,), (2, 3, 2), ()])
    before = [weight.clone() for weight in table.weights]
    table.step(engine, {"lr": 0.5}, 1)
    for weight, start, gradient in zip(table.weights, before, table.gradients, strict=True):
        if weight.ndim > 1:
            length = gradient.flatten(1).norm(dim=1).reshape(-1, *(1,) * (weight.ndim - 1))
        else:
            length = gradient.norm()
        assert torch.allclose(weight, start - 0.5 * gradient / length, rtol=1e-12)


@both
def test_adaptive_clipping_is_brocks(engine: str) -> None:
    """Unit by unit, as in Brock et al. 2021, typed by hand in NumPy."""
    program = rules.variant("sgd", modifiers=("clip_adaptive",)).program()
    table = Table(program, storage(program, "float64"), [(6, 5), (4,), (3, 2, 2)])
    table.weights[0][0] = 0.0
    table.gradients[0][1] = 0.0
    expected = []
    for weight, gradient in zip(table.weights, table.gradients, strict=True):
        units = len(weight) if weight.ndim > 1 else 1
        a, b = weight.numpy().reshape(units, -1), gradient.numpy().reshape(units, -1).copy()
        for unit in range(units):
            limit = 0.5 * max(np.sqrt((a[unit] ** 2).sum()), 1e-3)
            length = np.sqrt((b[unit] ** 2).sum())
            if length > limit:
                b[unit] *= limit / length
        expected.append((a - 0.1 * b).reshape(weight.shape))
    table.step(engine, {"lr": 0.1, "clip_adaptive": 0.5}, 1)
    for weight, own in zip(table.weights, expected, strict=True):
        assert weight.numpy() == pytest.approx(own, rel=1e-12)


@both
def test_no_phase_but_the_last_changes_anything(engine: str) -> None:
    program = rules.variant("lamb", modifiers=("clip_norm",)).program()
    table = Table(program, storage(program), [(3, 4), (5,)])
    before = [tensor.clone() for tensor in table.tensors()]
    kernel = engines.engine(engine).compile(program, table.storage)
    for number, phase in enumerate(program.phases[:-1]):
        kernel.run(number, table.segments, np.full((table.segments.count, len(phase.passed)), 0.5))
    assert all(torch.equal(one, two) for one, two in zip(before, table.tensors(), strict=True))
    assert kernel.run(len(program.phases) - 1, table.segments, np.full((2, len(program.last.passed)), 0.5)) is None


@both
@pytest.mark.parametrize(
    "formats", [("float32", "bfloat16~"), ("float32", "8bit"), ("bfloat16", "float32"), ("bfloat16~", "8bit")]
)
def test_sums_of_narrow_states_are_of_their_numbers(engine: str, formats: tuple[str, str]) -> None:

    m = state("m")
    program = Rule("sizes", m=beta * m + g, step=lr * m * sum_tensor(m**2)).program()
    (phase, _) = program.phases
    old = Rule("sizes", m=beta * m + g / sum_tensor(m**2), step=lr * m).program()
    assert "m" in str(phase.lines)
    table = Table(old, storage(old, *formats), [(300,), (7, 3), (CHUNK + 1,)])
    found = engines.engine(engine).compile(old, table.storage).run(0, table.segments, np.zeros((3, 1)))
    assert found is not None
    for index, tensor in enumerate(table.states[0]):
        scales = table.scales[0]
        wide = tensor if scales is None else decoded(tensor, scales[index])
        assert float(found[index, 0]) == pytest.approx(float((wide.double() ** 2).sum()), rel=1e-6)


class TestMatrices:
    @pytest.mark.parametrize("shape", [(4, 4), (3, 7), (9, 2), (4, 2, 3), (1, 5), (5,)])
    def test_singular_values_come_near_one(self, shape: tuple[int, ...]) -> None:
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        before = x.reshape(x.shape[0], -1).clone()
        MATRICES["orthogonal"](x, 3.4445, -4.775, 2.0315, 1e-7, 5)
        found = x.reshape(before.shape)
        assert torch.linalg.svdvals(found).tolist() == pytest.approx([1.0] * min(before.shape), abs=0.4)
        u, _, v = torch.linalg.svd(before, full_matrices=False)
        near = u @ v
        assert float((found * near).sum() / (found.norm() * near.norm())) > 0.95

    def test_it_is_pytorchs_own(self) -> None:
        muon = pytest.importorskip("torch.optim._muon")
        for shape in ((6, 4), (4, 6)):
            x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
            expected = muon._zeropower_via_newtonschulz(x.clone(), (3.4445, -4.775, 2.0315), 5, 1e-7)
            MATRICES["orthogonal"](x, 3.4445, -4.775, 2.0315, 1e-7, 5)
            assert torch.equal(x, expected.float())

    @both
    @dtypes
    def test_muon_steps_along_the_orthogonal_matrix(self, engine: str, dtype: str) -> None:
        program = rules.muon.program()
        table = Table(program, storage(program, dtype), [(6, 3), (2, 5), (4, 2, 2)])
        numbers = {
            "lr": 0.1,
            "momentum": 0.9,
            "ns_a": 3.4445,
            "ns_b": -4.775,
            "ns_c": 2.0315,
            "ns_steps": 5.0,
            "eps": 1e-7,
        }
        start = [
            [tensor.double().clone() for tensor in column]
            for column in (table.weights, table.gradients, table.states[0])
        ]
        table.step(engine, numbers, 1)
        for index, (weight, gradient, buffer) in enumerate(zip(*start, strict=True)):
            buffer = 0.9 * buffer + 0.1 * gradient
            ahead = 0.9 * buffer + 0.1 * gradient
            MATRICES["orthogonal"](ahead, 3.4445, -4.775, 2.0315, 1e-7, 5)
            factor = math.sqrt(max(1.0, weight.shape[0] / (weight.numel() / weight.shape[0])))
            expected = weight - 0.1 * factor * ahead
            assert torch.allclose(table.weights[index].double(), expected, atol=2e-2 if dtype == "bfloat16" else 2e-3)

    def test_zero_stays_zero(self) -> None:
        x = torch.zeros(3, 4)
        MATRICES["orthogonal"](x, 3.4445, -4.775, 2.0315, 1e-7, 5)
        assert not x.any()
