"""Which engine runs what, and what the table of tensors holds."""

from __future__ import annotations

import pytest
import torch

from thalweg.engines import Segments, can_run, choose, engine
from thalweg.engines.segments import BLOCK, CHUNK, GRADIENT, LENGTH, NUMBER, ROW, SLOTS, START, TENSOR, WEIGHT


@pytest.mark.parametrize(
    ("weight", "gradient", "expected"),
    [
        (torch.ones(3), torch.ones(3), "cpu"),
        (torch.ones(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64), "cpu"),
        (torch.nn.Parameter(torch.ones(2, 3)), torch.ones(2, 3), "cpu"),
        (torch.ones(3, dtype=torch.bfloat16), torch.ones(3, dtype=torch.bfloat16), "cpu"),
        (torch.ones(3, dtype=torch.bfloat16), torch.ones(3), "reference"),
        (torch.ones(3, dtype=torch.complex64), torch.ones(3, dtype=torch.complex64), "reference"),
        (torch.ones(3, dtype=torch.float16), torch.ones(3, dtype=torch.float16), "reference"),
        (torch.ones(2, 3).t(), torch.ones(2, 3).t(), "reference"),
        (torch.ones(3, 3), torch.ones(3, 3).t(), "reference"),
        (torch.ones(3), torch.ones(1).expand(3), "reference"),
        (torch.ones(3, device="meta"), torch.ones(3, device="meta"), "reference"),
        (torch.ones(4, dtype=torch.float32), torch.ones(4, dtype=torch.float64), "reference"),
    ],
)
def test_choice_by_device_type_and_layout(weight, gradient, expected) -> None:
    assert choose(weight, gradient) == expected


def test_an_engine_is_made_once() -> None:
    assert engine("cpu") is engine("cpu")
    assert engine("reference") is engine("reference")


def test_which_engine_can_stand_in_for_the_chosen_one(monkeypatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    for chosen in ("cpu", "gpu", "reference"):
        able = [name for name in ("auto", "cpu", "gpu", "reference") if can_run(name, chosen)]
        assert able == [name for name in ("auto", "cpu", "gpu", "reference") if name in ("auto", "reference", chosen)]
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert can_run("gpu", "cpu") and not can_run("gpu", "reference") and not can_run("cpu", "gpu")


def covered(segments: Segments, index: int) -> list[tuple[int, int]]:
    """The row of each element of a tensor, by element, as the table has it."""
    found = []
    for line in segments.table[segments.table[:, TENSOR] == index]:
        found += [(int(line[START]) + place, int(line[ROW])) for place in range(int(line[LENGTH]))]
    return found


def test_the_table_covers_every_element_once() -> None:
    sizes, rows = [5, 0, CHUNK, CHUNK + 1, 3 * CHUNK - 1], [0, 0, 1, 1, 2]
    weights = [torch.zeros(size) for size in sizes]
    slots = [[torch.zeros(size, dtype=dtype) for size in sizes] for dtype in (torch.float32, torch.bfloat16)]
    segments = Segments(weights, slots, rows)
    assert segments.elements == sum(sizes)
    assert segments.count == 3
    for index, size in enumerate(sizes):
        assert covered(segments, index) == [(place, rows[index]) for place in range(size)]
        lines = segments.table[segments.table[:, TENSOR] == index]
        assert (lines[:, LENGTH] <= CHUNK).all()
        for column, width in enumerate((4, 2)):
            assert (lines[:, SLOTS + column] - lines[:, START] * width == slots[column][index].data_ptr()).all()


@pytest.mark.parametrize("shape", [(3, 4), (4, CHUNK + 1), (2, 3, 5), (5, 0), (1, 7)])
def test_each_unit_has_a_row_and_begins_a_chunk(shape: tuple[int, ...]) -> None:
    units = shape[0]
    weights = [torch.zeros(2), torch.zeros(shape), torch.zeros(3)]
    segments = Segments(weights, [], [0, 1, 1 + units], units=[1, units, 1])
    size = weights[1].numel() // units
    assert covered(segments, 1) == [(unit * size + place, 1 + unit) for unit in range(units) for place in range(size)]
    assert segments.count == units + 2


def test_scales_lie_a_block_apart() -> None:
    size = 2 * CHUNK + 300
    column, scales = torch.zeros(size, dtype=torch.int8), torch.zeros(-(-size // BLOCK))
    plain = torch.zeros(size)
    segments = Segments([torch.zeros(size)], [[plain], [column]], [0], scales=[None, [scales]])
    assert segments.table.shape == (3, SLOTS + 3)
    firsts = [0, CHUNK, 2 * CHUNK]
    assert segments.table[:, SLOTS + 1].tolist() == [column.data_ptr() + first for first in firsts]
    assert segments.table[:, SLOTS + 2].tolist() == [scales.data_ptr() + first // BLOCK * 4 for first in firsts]


def test_gradients_are_pointed_at_anew() -> None:
    weight = torch.zeros(7)
    segments = Segments([weight], [], [0], numbers=[31])
    assert segments.addresses[WEIGHT].tolist() == [weight.data_ptr()]
    assert segments.addresses[NUMBER].tolist() == [31]
    for gradient in (torch.ones(7), torch.zeros(7)):
        segments.point([gradient], [gradient.data_ptr()])
        assert segments.addresses[GRADIENT].tolist() == [gradient.data_ptr()]
        assert segments.gradients[0] is gradient
    segments.release()
    assert segments.gradients == []


def test_no_tensors_are_no_chunks() -> None:
    segments = Segments([], [], [])
    assert segments.table.shape == (0, SLOTS) and segments.count == 0 and segments.elements == 0
