"""Which engine runs what, and what the table of tensors holds."""

from __future__ import annotations

import pytest
import torch

from thalweg.engines import Segments, choose, engine
from thalweg.engines.segments import CHUNK, GRADIENT, LENGTH, OFFSET, ROW, STATES, TENSOR, WEIGHT


@pytest.mark.parametrize(
    ("weight", "gradient", "expected"),
    [
        (torch.ones(3), torch.ones(3), "cpu"),
        (torch.ones(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64), "cpu"),
        (torch.nn.Parameter(torch.ones(2, 3)), torch.ones(2, 3), "cpu"),
        (torch.ones(3, dtype=torch.bfloat16), torch.ones(3, dtype=torch.bfloat16), "reference"),
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


def test_the_table_covers_every_element_once() -> None:
    sizes = [5, 0, CHUNK, CHUNK + 1, 3 * CHUNK - 1]
    weights = [torch.zeros(size) for size in sizes]
    states = [[torch.zeros(size) for size in sizes] for _ in range(2)]
    segments = Segments(weights, states, [0, 0, 1, 1, 2])
    assert segments.elements == sum(sizes)
    for index, size in enumerate(sizes):
        lines = segments.table[segments.table[:, TENSOR] == index]
        assert lines[:, LENGTH].sum() == size
        assert lines[:, OFFSET].tolist() == [4 * CHUNK * part for part in range(len(lines))]
        assert (lines[:, LENGTH] <= CHUNK).all()
        assert (lines[:, ROW] == [0, 0, 1, 1, 2][index]).all()
        for column in range(2):
            assert (lines[:, STATES + column] - lines[:, OFFSET] == states[column][index].data_ptr()).all()


def test_gradients_are_pointed_at_anew() -> None:
    weight = torch.zeros(7)
    segments = Segments([weight], [], [0])
    assert segments.addresses[WEIGHT].tolist() == [weight.data_ptr()]
    for gradient in (torch.ones(7), torch.zeros(7)):
        segments.point([gradient], [gradient.data_ptr()])
        assert segments.addresses[GRADIENT].tolist() == [gradient.data_ptr()]
        assert segments.gradients[0] is gradient
