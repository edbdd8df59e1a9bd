"""Narrow numbers: what is stored, to the bit, and that rounding at random is right on average."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy
import torch

from tables import Table, same_bits, storage
from thalweg import engines, rules
from thalweg.engines import Segments, Storage, blocks, decoded, encoded
from thalweg.engines.cpu import MANY
from thalweg.engines.segments import CHUNK
from thalweg.engines.storage import key_of, mixed, narrowed, random_bits
from thalweg.rules import Rule
from thalweg.rules.symbols import beta, g, lr, state

both = pytest.mark.parametrize("engine", ["cpu", "reference"])
m = state("m")
KEEP = Rule("keep", m=sympy.Piecewise((g, beta > 0), (m, True)), step=lr * m).program()
"""Puts the gradient into the state as it is: no arithmetic touches it."""
SIZES = [1, 255, 256, 257, CHUNK, CHUNK + 1]
EDGES = [0.0, -0.0, 1.0, -1.0, math.nan, math.inf, -math.inf, 2.0**-149, -(2.0**-149), 2.0**-126, 3.4028234e38, -3.4028234e38,
         1.0 + 2.0**-8, 1.0 + 2.0**-7, 1e-45, 1e-39]  # fmt: skip


def kept(
    engine: str, values: torch.Tensor, form: str, *, step: int = 1, number: int = 0, weight: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What the engine stores of a state: its tensor, and its scales in 8 bits."""
    gradient = values.to(weight)
    weights = torch.zeros_like(gradient)
    held = Storage(str(weight).removeprefix("torch."), (form,))
    column = torch.zeros(values.shape, dtype=torch.int8 if form == "8bit" else torch.bfloat16)
    scales = torch.zeros(blocks(values.numel())) if form == "8bit" else None
    segments = Segments([weights], [[column]], [0], scales=[None if scales is None else [scales]], numbers=[number])
    segments.point([gradient], [gradient.data_ptr()])
    numbers = {"lr": 0.0, "beta": 1.0}
    passed = KEEP.evaluate[0](*(numbers[name] for name in KEEP.arguments), step)
    scalars = np.array([[*passed, step]] if held.rolls else [passed], dtype=np.float64)
    engines.engine(engine).compile(KEEP, held).run(0, segments, scalars)
    return column, scales


def any_numbers(count: int, seed: int = 0) -> torch.Tensor:
    """float32 of random bits, all sizes and all that is not finite among them."""
    bits = torch.randint(-(1 << 31), 1 << 31, (count,), generator=torch.Generator().manual_seed(seed))
    values = bits.to(torch.int32).view(torch.float32)
    values[: min(len(EDGES), count)] = torch.tensor(EDGES)[:count]
    return values


class TestNearest:
    @both
    def test_every_bfloat16_and_what_lies_around_it(self, engine: str) -> None:
        """All 65536 patterns, the float32 just above each, just below and at the middle to the next."""
        patterns = torch.arange(1 << 16).reshape(-1, 1) << 16
        around = patterns + torch.tensor([0, 1, 0x7FFE, 0x7FFF, 0x8000, 0x8001, 0xFFFF])
        values = (
            torch.where(around >= 1 << 31, around - (1 << 32), around).to(torch.int32).view(torch.float32).flatten()
        )
        found, _ = kept(engine, values, "bfloat16")
        assert same_bits(found, values.bfloat16())

    @both
    def test_random_numbers(self, engine: str) -> None:
        values = any_numbers(1 << 18)
        found, _ = kept(engine, values, "bfloat16")
        assert same_bits(found, values.bfloat16())


class TestEitherAtRandom:
    @both
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("step", [1, 77])
    def test_the_engine_stores_what_storage_says(self, engine: str, size: int, step: int) -> None:
        values = any_numbers(size, seed=step)
        found, _ = kept(engine, values, "bfloat16~", step=step, number=5)
        assert same_bits(found, narrowed(values, key_of(step, 5, 1)))

    def test_it_is_one_of_the_two_around(self) -> None:
        values = any_numbers(100_000)
        found = narrowed(values, key_of(3, 0, 0)).float()
        finite = values.isfinite()
        assert same_bits(found[~finite], values[~finite])
        below = (values.view(torch.int32) & -0x10000).view(torch.float32)
        above = ((values.view(torch.int32) & -0x10000) + 0x10000).view(torch.float32)
        assert bool(((found == below) | (found == above))[finite].all())
        assert bool((found == values)[finite & (values == below)].all())  # what fits stays as it is

    @both
    def test_the_mean_is_right(self, engine: str) -> None:
        """100 000 roundings of 1 + 0.3/128: a mean within five standard errors, √(0.3·0.7/n)/128 each."""
        count, share = 100_000, 0.3
        values = torch.full((count,), 1 + share / 128)
        found, _ = kept(engine, values, "bfloat16~", step=9)
        assert found.float().unique().tolist() == [1.0, 1 + 1 / 128]
        assert abs(float(found.double().mean()) - (1 + share / 128)) < 5 * math.sqrt(share * (1 - share) / count) / 128

    def test_an_average_that_the_nearest_would_freeze_moves(self) -> None:
        """β = 0.999 towards 1 from 0.5: after 3000 steps 1 − 0.5·0.999³⁰⁰⁰; the nearest of 8 bits stays where it is."""
        program = rules.momentum.program()
        found = {}
        for form in ("bfloat16", "bfloat16~"):
            table = Table(program, storage(program, "float32", form), [(4096,)])
            table.states[0][0].fill_(0.5)
            table.gradients[0].fill_(1.0)
            for step in range(1, 3001):
                table.step("cpu", {"lr": 0.0, "beta": 0.999}, step)
            found[form] = float(table.states[0][0].double().mean())
        assert found["bfloat16"] == 0.5
        assert found["bfloat16~"] == pytest.approx(1 - 0.5 * 0.999**3000, abs=0.002)


class TestEightBits:
    @both
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("step", [1, 77])
    def test_the_engine_stores_what_storage_says(self, engine: str, size: int, step: int) -> None:
        """Codes and scales to the bit: ordinary numbers, and numbers of all sizes."""
        generator = torch.Generator().manual_seed(size)
        for values in (torch.randn(size, generator=generator), any_numbers(size, seed=step)):
            codes, scales = kept(engine, values, "8bit", step=step, number=5)
            expected_codes, expected_scales = encoded(values, key_of(step, 5, 1))
            assert scales is not None and same_bits(scales, expected_scales)
            assert same_bits(codes, expected_codes)

    @pytest.mark.parametrize("shape", [(), (0,), (0, 3), (17, 31), (3, 1, 129)])
    def test_any_shape(self, shape: tuple[int, ...]) -> None:
        values = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        for engine in ("cpu", "reference"):
            codes, scales = kept(engine, values, "8bit", step=2)
            expected_codes, expected_scales = encoded(values, key_of(2, 0, 1))
            assert codes.shape == values.shape and scales is not None
            assert same_bits(codes, expected_codes) and same_bits(scales, expected_scales)

    @pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 512, 513])
    def test_a_block_has_256_elements(self, count: int) -> None:
        assert blocks(count) == math.ceil(count / 256)
        codes, scales = encoded(torch.arange(count).float(), 0)
        assert scales.tolist() == [float(min(first + 255, count - 1)) for first in range(0, count, 256)]
        assert codes.shape == (count,)

    def test_every_code_is_kept_as_it_is(self) -> None:
        """Read and written again, whatever the dice: no drift without new numbers."""
        codes = torch.arange(-127, 128).to(torch.int8)
        for scale in (1.0, 3.7e-5, 2.5e11):
            values = decoded(codes, torch.tensor([scale]))
            for key in range(20):
                again, scales = encoded(values, key)
                apart = (decoded(again, scales) - values).abs() / scale
                assert float(apart.max()) < 1e-6
                assert float(scales) == pytest.approx(scale, rel=1e-6)

    def test_a_code_is_a_fourth_power(self) -> None:
        codes = torch.tensor([0, 1, 64, 127, -1, -127, -128], dtype=torch.int8)
        found = decoded(codes, torch.tensor([2.0])).tolist()
        expected = [0.0, 2 / 127**4, 2 * (64 / 127) ** 4, 2.0, -2 / 127**4, -2.0]
        assert found[:-1] == pytest.approx(expected, rel=1e-6)
        assert math.isnan(found[-1])

    @both
    def test_what_is_not_finite_is_nan_and_spares_its_block(self, engine: str) -> None:
        values = torch.linspace(-1, 1, 300)
        values[3], values[4], values[270] = math.inf, math.nan, -math.inf
        codes, scales = kept(engine, values, "8bit")
        assert scales is not None and scales.tolist() == [1.0, 1.0]
        found = decoded(codes, scales)
        assert found.isnan().nonzero().flatten().tolist() == [3, 4, 270]
        finite = ~found.isnan()
        assert float((found - values)[finite].abs().max()) < 0.04  # a step between codes: 4/127 at most

    @both
    def test_zeros_have_the_scale_zero_and_stay(self, engine: str) -> None:
        values = torch.zeros(257)
        values[256] = 5.0
        codes, scales = kept(engine, values, "8bit")
        assert scales is not None and scales.tolist() == [0.0, 5.0]
        assert decoded(codes, scales).tolist() == values.tolist()

    @both
    def test_a_block_of_infinities_only(self, engine: str) -> None:
        codes, scales = kept(engine, torch.full((256,), math.inf), "8bit")
        assert scales is not None and scales.tolist() == [0.0]
        assert codes.tolist() == [-128] * 256

    @both
    def test_only_zero_becomes_zero(self, engine: str) -> None:
        """A second moment that fell to zero beside a larger one would make its weight jump."""
        values = torch.tensor([1.0, 1e-12, -1e-20, 1e-38, 0.0, -0.0])
        codes, _ = kept(engine, values, "8bit")
        assert codes.tolist() == [127, 1, -1, 1, 0, 0]

    def test_the_mean_is_right(self) -> None:
        """Over n steps each element's mean is within six standard errors of it, at most (high − low)/(2√n) each."""
        values = torch.randn(256, generator=torch.Generator().manual_seed(3))
        values = torch.where(values.abs() < 1e-6, 0.5, values)
        steps, total = 2000, torch.zeros(256, dtype=torch.float64)
        for step in range(1, steps + 1):
            codes, scales = kept("cpu", values, "8bit", step=step)
            assert scales is not None
            total += decoded(codes, scales).double()
        scale = float(values.abs().max())
        below = torch.floor((values.abs().double() / scale) ** 0.25 * 127).clamp(max=126)
        width = scale * (((below + 1) / 127) ** 4 - (below / 127) ** 4)
        assert bool(((total / steps - values).abs() <= 6 * width / (2 * math.sqrt(steps)) + 1e-6 * scale).all())


class TestDice:
    def test_they_are_even_and_differ(self) -> None:
        """16 bits as used: their mean within five standard errors; other steps, parameters, slots give others."""
        count = 1 << 16
        like = torch.empty(count)
        keys = [key_of(1, 0, 0), key_of(2, 0, 0), key_of(1, 1, 0), key_of(1, 0, 1), key_of(1 << 20, 0, 0)]
        assert len(set(keys)) == len(keys)
        rolls = [(random_bits(key, like) & 0xFFFF).double() / 65536 - 0.5 for key in keys]
        for number, roll in enumerate(rolls):
            assert abs(float(roll.mean())) < 5 / math.sqrt(12 * count)
            for other in rolls[:number]:
                assert abs(float((roll * other).mean())) < 5 / (12 * math.sqrt(count))
        steps = [(random_bits(key_of(step, 3, 1), torch.empty(1)) & 0xFFFF) for step in range(1, 4097)]
        assert abs(float(torch.cat(steps).double().mean()) / 65536 - 0.5) < 5 / math.sqrt(12 * 4096)

    def test_mixing_is_murmurs(self) -> None:
        """Typed by hand with Python's integers."""

        def by_hand(a: int) -> int:
            a ^= a >> 16
            a = a * 0x85EBCA6B % (1 << 32)
            a ^= a >> 13
            a = a * 0xC2B2AE35 % (1 << 32)
            return a ^ a >> 16

        numbers = [0, 1, 2, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xDEADBEEF]
        assert mixed(torch.tensor(numbers)).tolist() == [by_hand(number) for number in numbers]

    def test_each_parameter_has_its_own(self) -> None:
        values = torch.full((1000,), 1.001)
        assert not torch.equal(
            kept("cpu", values, "bfloat16~", number=0)[0], kept("cpu", values, "bfloat16~", number=1)[0]
        )
        assert torch.equal(kept("cpu", values, "bfloat16~", number=4)[0], kept("cpu", values, "bfloat16~", number=4)[0])


@pytest.mark.parametrize("weight", ["float32", "float64", "bfloat16", "bfloat16~"])
@pytest.mark.parametrize("form", ["float32", "bfloat16", "bfloat16~", "8bit"])
def test_engines_roll_the_same(weight: str, form: str) -> None:
    """A rule without a root or a quotient, whose arithmetic is the same everywhere: five steps, to the bit."""
    program = rules.momentum_sum.program()
    runs = []
    for engine in ("cpu", "reference"):
        table = Table(program, storage(program, weight, form), [(3, 4), (), (0,), (257,), (CHUNK + 1,)])
        for step in range(1, 6):
            table.step(engine, {"lr": 0.25, "beta": 0.5}, step)
        runs.append(table.tensors())
    assert all(same_bits(one, two) for one, two in zip(*runs, strict=True))


@pytest.mark.parametrize("form", ["bfloat16~", "8bit"])
def test_serial_and_threaded_runs_agree_to_the_bit(form: str) -> None:
    before, runs = torch.get_num_threads(), []
    values = torch.randn(2 * MANY + 77, generator=torch.Generator().manual_seed(0))
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            runs.append(kept("cpu", values, form))
    finally:
        torch.set_num_threads(before)
    for column, scales in runs[1:]:
        assert same_bits(column, runs[0][0])
        assert scales is None or (runs[0][1] is not None and same_bits(scales, runs[0][1]))


@both
def test_units_of_a_narrow_weight_roll_their_own_dice(engine: str) -> None:
    """Cut into units, a tensor's elements keep their numbers: the same dice as in one piece."""
    program = rules.variant("sgd", modifiers=("clip_adaptive",)).program()
    table = Table(program, storage(program, "bfloat16~"), [(300, 7)])
    gradient, start = table.gradients[0].float(), table.weights[0].float()
    table.step(engine, {"lr": 0.25, "clip_adaptive": 1e9}, 3)
    assert same_bits(table.weights[0], narrowed(start + -0.25 * gradient, key_of(3, 0, 0)))
