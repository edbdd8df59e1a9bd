"""Where the pixels of an image go: flips, shifts, rotation, zoom, shear, elastic distortion, in one resampling.

>>> moved = warp(images, rotation(torch.full((len(images),), 90.0)), fill=black)

Each step gives for each image a matrix ``(3, 3)`` that takes a place in the result to the place in the image it comes from, in
pixels from the centre, x to the right and y down. Matrices are multiplied and the image is read once, bilinearly, so that
three steps blur no more than one and cost one pass. Steps that go from pixel to pixel (flips, shifts) copy and blur nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from thalweg.data.augment.draws import Draws, Step

Size = tuple[int, int]
SMOOTH = 7.0
"""Smoothing lengths to an image's side: Simard et al. take σ = 4 for images of 29 pixels."""


class Geometric(Step):
    """A step that moves pixels by an affine map."""

    on_pixels = False
    """Whether it takes pixels to pixels."""

    def matrix(self, strength: float, draws: Draws) -> Tensor:
        """For each image the map from the result to where it comes from, ``(B, 3, 3)``."""
        raise NotImplementedError


def affine(xx: Tensor, xy: Tensor, x: Tensor, yx: Tensor, yy: Tensor, y: Tensor) -> Tensor:
    """The matrices of ``(xx·u + xy·v + x, yx·u + yy·v + y)``, ``(B, 3, 3)`` from numbers ``(B,)``."""
    zero, one = torch.zeros_like(xx), torch.ones_like(xx)
    return torch.stack([xx, xy, x, yx, yy, y, zero, zero, one], dim=1).view(-1, 3, 3)


def rotation(degrees: Tensor) -> Tensor:
    """Turns images ``(B,)`` degrees anticlockwise, as ``torch.rot90`` does."""
    zero, angle = torch.zeros_like(degrees), torch.deg2rad(degrees)
    cos, sin = angle.cos(), angle.sin()
    return affine(cos, -sin, zero, sin, cos, zero)


class Flip(Geometric):
    """Left to right, with probability ``strength``."""

    name, sentence, usual, most, on_pixels = "flip", "flipped left to right with probability {}", 0.5, 1.0, True

    def matrix(self, strength: float, draws: Draws) -> Tensor:
        sign = 1.0 - 2.0 * (draws.uniform() < strength).float()
        zero, one = torch.zeros_like(sign), torch.ones_like(sign)
        return affine(sign, zero, zero, zero, one, zero)


class VerticalFlip(Geometric):
    """Upside down, with probability ``strength``."""

    name, sentence, usual, most, on_pixels = "vflip", "flipped upside down with probability {}", 0.5, 1.0, True

    def matrix(self, strength: float, draws: Draws) -> Tensor:
        sign = 1.0 - 2.0 * (draws.uniform() < strength).float()
        zero, one = torch.zeros_like(sign), torch.ones_like(sign)
        return affine(one, zero, zero, zero, sign, zero)


class Crop(Geometric):
    """Padded by ``strength`` pixels on each side and cropped at random to the old size: a shift."""

    name, sentence, share, whole, on_pixels = "crop", "shifted by up to {} pixels", 1 / 14, True, True

    def matrix(self, strength: float, draws: Draws) -> Tensor:
        shift = draws.whole(-int(strength), int(strength), 2)
        zero, one = torch.zeros_like(shift[:, 0]), torch.ones_like(shift[:, 0])
        return affine(one, zero, shift[:, 0], zero, one, shift[:, 1])


class Zoom(Geometric):
    """Enlarged by a factor from 1 − strength to 1 + strength."""

    name, sentence, usual, most = "zoom", "enlarged or reduced by up to {}", 0.15, 0.9

    def matrix(self, strength: float, draws: Draws) -> Tensor:
        factor = 1.0 / (1.0 + draws.within(strength))
        zero = torch.zeros_like(factor)
        return affine(factor, zero, zero, zero, factor, zero)


class Rotate(Geometric):
    """Turned by up to ``strength`` degrees either way."""

    name, sentence, usual, most = "rotate", "turned by up to {}°", 15.0, 180.0

    def matrix(self, strength: float, draws: Draws) -> Tensor:
        return rotation(draws.within(strength))


class Shear(Geometric):
    """Slanted along x by up to ``strength`` degrees either way."""

    name, sentence, usual, most = "shear", "slanted by up to {}°", 10.0, 60.0

    def matrix(self, strength: float, draws: Draws) -> Tensor:
        slant = torch.deg2rad(draws.within(strength)).tan()
        zero, one = torch.zeros_like(slant), torch.ones_like(slant)
        return affine(one, slant, zero, zero, one, zero)


class Elastic(Step):
    """Distorted by a smooth random field of displacements (Simard, Steinkraus, Platt 2003).

    ``strength`` is their standard deviation along each axis, in pixels. The paper smooths noise of each pixel with a Gaussian;
    here noise lies on nodes one smoothing length apart, which gives such a field for a fraction of the numbers.
    """

    name, sentence, share = "elastic", "distorted by about {} pixels", 1 / 28

    def displacements(self, strength: float, draws: Draws, size: Size) -> Tensor:
        """``(B, 2, H, W)`` along x and y, in pixels."""
        length = max(size) / SMOOTH
        rows, columns = (_bumps(pixels, length, draws.device) for pixels in size)
        noise = draws.normal(2, rows.shape[1], columns.shape[1])
        return strength * (rows @ noise @ columns.t())


def _bumps(pixels: int, length: float, device: torch.device | str) -> Tensor:
    """How much each node's noise counts for each pixel: Gaussians whose squares add up to 1, ``(pixels, nodes)``."""
    nodes = torch.arange(-2, math.ceil(pixels / length) + 2, device=device) * length
    away = (torch.arange(pixels, device=device)[:, None] - nodes) / length
    return F.normalize(torch.exp(-0.5 * away.square()), dim=1)


def moved(images: Tensor, steps: Sequence[Step], draws: Draws, *, fill: Tensor) -> Tensor:
    """Images ``(B, C, H, W)`` after all geometric steps; what comes from outside is ``fill`` ``(1, C, 1, 1)``."""
    shape = images.shape[1:]
    matrix: Tensor | None = None
    shifts: Tensor | None = None
    for step in steps:
        if isinstance(step, Geometric):
            one = step.matrix(step.on(shape), draws)
            matrix = one if matrix is None else matrix @ one
        elif isinstance(step, Elastic):
            shifts = step.displacements(step.on(shape), draws, (shape[1], shape[2]))
    if matrix is None:
        matrix = torch.eye(3, device=images.device).expand(len(images), 3, 3)
    if shifts is None and all(isinstance(step, Geometric) and step.on_pixels for step in steps):
        return copied(images, matrix, fill=fill)
    return warp(images, matrix, shifts, fill=fill)


def warp(images: Tensor, matrix: Tensor, shifts: Tensor | None = None, *, fill: Tensor | float = 0.0) -> Tensor:
    """Reads ``images`` ``(B, C, H, W)`` where ``matrix`` ``(B, 3, 3)`` and ``shifts`` ``(B, 2, H, W)`` say, bilinearly."""
    count, _, height, width = images.shape
    halves = matrix.new_tensor([2.0 / width, 2.0 / height])  # grid_sample's unit is half the image
    y, x = (torch.arange(pixels, device=matrix.device) - (pixels - 1) / 2 for pixels in (height, width))
    places = torch.stack(
        [x.repeat(height), y.repeat_interleave(width), torch.ones_like(matrix[0, 0, 0]).expand(height * width)]
    )
    rows = (matrix[:, :2] * halves[:, None]).reshape(-1, 3)
    if shifts is None:
        planes = rows @ places
    else:
        planes = torch.addmm((shifts * halves[:, None, None]).reshape(len(rows), -1), rows, places)
    grid = planes.view(count, 2, height, width).permute(0, 2, 3, 1)
    wide = images if images.dtype == torch.float64 else images.float()
    # Outside reads as 0, so black is made 0 and put back.
    found = F.grid_sample(wide - fill, grid.to(wide.dtype), align_corners=False) + fill
    return found.to(images.dtype)


def copied(images: Tensor, matrix: Tensor, *, fill: Tensor | float = 0.0) -> Tensor:
    """As ``warp`` for maps from pixel to pixel along the axes: copies, exact."""
    height, width = images.shape[2:]
    y, y_inside = _places(height, matrix[:, 1, 1], matrix[:, 1, 2])
    x, x_inside = _places(width, matrix[:, 0, 0], matrix[:, 0, 2])
    places = (y[:, :, None] * width + x[:, None, :]).flatten(1)[:, None, :].expand(-1, images.shape[1], -1)
    found = images.flatten(2).gather(2, places).view(images.shape)
    inside = (y_inside[:, :, None] & x_inside[:, None, :])[:, None]
    return found.where(inside, torch.as_tensor(fill, dtype=images.dtype, device=images.device))


def _places(pixels: int, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    centre = (pixels - 1) / 2
    place = scale[:, None] * (torch.arange(pixels, device=scale.device) - centre) + shift[:, None] + centre
    return place.round().long().clamp(0, pixels - 1), (place > -0.5) & (place < pixels - 0.5)
