"""Where pixels go, against PyTorch's own flips, turns, padding and slicing, and against formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import affine_transform

from thalweg.data.augment.draws import Draws
from thalweg.data.augment.geometry import (
    Crop,
    Elastic,
    Flip,
    Rotate,
    Shear,
    VerticalFlip,
    Zoom,
    copied,
    moved,
    rotation,
    warp,
)

BLACK = torch.tensor([-0.7, 0.3]).view(1, 2, 1, 1)


def images(rows: int = 6, height: int = 9, width: int = 7) -> torch.Tensor:
    return torch.randn(rows, 2, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("step", "axis"), [(Flip, 3), (VerticalFlip, 2)])
@pytest.mark.parametrize("size", [(8, 8), (9, 7)])
def test_flips_are_torchs_to_the_bit(step, axis, size) -> None:
    given = images(200, *size)
    assert torch.equal(moved(given, [step(1.0)], Draws(0, 200), fill=BLACK), given.flip(axis))
    found = moved(given, [step()], Draws(0, 200), fill=BLACK)
    flipped = torch.tensor([torch.equal(a, b.flip(axis - 1)) for a, b in zip(found, given, strict=True)])
    same = torch.tensor([torch.equal(a, b) for a, b in zip(found, given, strict=True)])
    assert bool((flipped ^ same).all()) and 70 < int(flipped.sum()) < 130


def test_a_crop_is_a_slice_of_the_padded_image() -> None:
    given, pad = images(300), 3
    found = moved(given, [Crop(pad)], Draws(0, 300), fill=BLACK)
    padded = BLACK.expand(300, 2, 9 + 2 * pad, 7 + 2 * pad).clone()
    padded[:, :, pad:-pad, pad:-pad] = given
    shifts = Draws(0, 300).whole(-pad, pad, 2).long() + pad
    for image, wide, (left, top) in zip(found, padded, shifts.tolist(), strict=True):
        assert torch.equal(image, wide[:, top : top + 9, left : left + 7])
    assert set(map(tuple, shifts.tolist())) == {(x, y) for x in range(7) for y in range(7)}


@pytest.mark.parametrize("turns", [0, 1, 2, 3, -1])
def test_turns_by_right_angles_are_rot90(turns) -> None:
    given = images(4, 8, 8)
    found = warp(given, rotation(torch.full((4,), 90.0 * turns)), fill=BLACK)
    torch.testing.assert_close(found, torch.rot90(given, turns, (2, 3)), rtol=0, atol=2e-5)


def test_an_affine_map_is_scipys() -> None:
    """Away from the border, where SciPy blends with the constant otherwise."""
    given = images(3, 15, 11).double()
    matrix = (
        rotation(torch.tensor([20.0, -70.0, 5.0])) @ Zoom().matrix(0.3, Draws(1, 3)) @ Shear().matrix(20.0, Draws(2, 3))
    )
    matrix = matrix.double() @ Crop().matrix(2, Draws(3, 3)).double()
    found = warp(given, matrix, fill=BLACK.double()).numpy()
    centre = np.array([7.0, 5.0])
    for image, result, one in zip(given.numpy(), found, matrix.numpy(), strict=True):
        linear = one[:2, :2][::-1, ::-1]  # SciPy counts (y, x)
        offset = centre - linear @ centre + one[:2, 2][::-1]
        for channel in range(2):
            expected = affine_transform(
                image[channel], linear, offset, order=1, mode="grid-constant", cval=float(BLACK[0, channel])
            )
            np.testing.assert_allclose(result[channel], expected, atol=1e-5)


def test_pixel_maps_are_the_same_copied_and_read() -> None:
    given, draws = images(50), Draws(4, 50)
    matrix = Flip().matrix(0.5, draws) @ Crop().matrix(3, draws) @ VerticalFlip().matrix(0.5, draws)
    torch.testing.assert_close(copied(given, matrix, fill=BLACK), warp(given, matrix, fill=BLACK), rtol=0, atol=2e-5)


def test_steps_are_composed_in_the_order_written() -> None:
    """First shifted, then turned: as two readings one after the other, for a shift that blurs nothing."""
    given = F.pad(images(20, 11, 11), (6,) * 4)
    steps = [Crop(3), Rotate(40.0)]
    together = moved(given, steps, Draws(0, 20), fill=torch.zeros(1, 1, 1, 1))
    draws = Draws(0, 20)
    shift, turn = (step.matrix(step.on((2, 23, 23)), draws) for step in steps)
    one_by_one = warp(copied(given, shift), turn)
    torch.testing.assert_close(together, one_by_one, rtol=0, atol=1e-4)
    assert (together - copied(warp(given, turn), shift)).abs().max() > 0.1


@pytest.mark.parametrize(
    ("step", "size_of"),
    [
        (Zoom(0.3), lambda m: 1.0 / m[:, 0, 0] - 1.0),
        (Rotate(40.0), lambda m: torch.rad2deg(torch.atan2(m[:, 1, 0], m[:, 0, 0]))),
        (Shear(20.0), lambda m: torch.rad2deg(torch.atan(m[:, 0, 1]))),
        (Crop(3), lambda m: m[:, 0, 2]),
        (Crop(3), lambda m: m[:, 1, 2]),
    ],
)
def test_strength_is_the_most_and_both_ways_are_alike(step, size_of) -> None:
    sizes = size_of(step.matrix(step.strength, Draws(0, 4000)))
    assert 0.98 * step.strength < float(sizes.max()) <= step.strength * 1.0001
    assert 0.98 * step.strength < -float(sizes.min()) <= step.strength * 1.0001
    assert abs(float(sizes.mean())) < 0.05 * step.strength


class TestElastic:
    def test_the_field_is_as_large_as_asked_everywhere(self) -> None:
        field = Elastic().displacements(1.5, Draws(0, 3000), (28, 20))
        assert field.shape == (3000, 2, 28, 20)
        torch.testing.assert_close(field.std(0), torch.full((2, 28, 20), 1.5), rtol=0.1, atol=0)
        assert field.mean(0).abs().max() < 0.15
        across, down = field.unbind(1)
        assert abs(float((across * down).mean())) < 0.05

    def test_the_field_is_smooth(self) -> None:
        """Noise smoothed with a Gaussian of length s is correlated as exp(−d²/4s²): s = 4 pixels for 28, as the paper's."""
        field = Elastic().displacements(1.0, Draws(0, 3000), (28, 28))[:, 0]
        for away in (1, 2, 4, 8):
            found = float((field[:, :, away:] * field[:, :, :-away]).mean())
            assert found == pytest.approx(math.exp(-(away**2) / (4 * 4.0**2)), abs=0.06)

    def test_pixels_are_read_where_the_field_says(self) -> None:
        """A plane x + 2y stays a plane plus the displacement, for bilinear reading is exact on planes."""
        y, x = torch.meshgrid(torch.arange(30.0), torch.arange(24.0), indexing="ij")
        plane = (x + 2 * y).expand(5, 1, 30, 24)
        field = Elastic().displacements(1.0, Draws(0, 5), (30, 24))
        found = moved(plane, [Elastic(1.0)], Draws(0, 5), fill=torch.zeros(1, 1, 1, 1))
        expected = plane[:, 0] + field[:, 0] + 2 * field[:, 1]
        torch.testing.assert_close(found[:, 0, 6:-6, 6:-6], expected[:, 6:-6, 6:-6], rtol=0, atol=1e-3)
