"""Minimum, saddle, or neither: what the gradient and the signs of the Hessian's eigenvalues make of a point.

>>> found = critical(lambda: cross_entropy(model(x), y), model.parameters())
>>> found.kind, found.gradient, found.negative
('saddle', 1e-05, 0.08)
>>> found.sentence
'A saddle: the gradient is as good as zero, and 8 % of the directions curve downwards, …'

A point is critical where the gradient is as good as zero: where no step on the quadratic model, ``−|H|⁻¹ g`` (the saddle-free
Newton step of Dauphin et al. 2014, arXiv 1406.2572), would lower the loss by more than a thousandth of ``scale``. Curvature
below ``√ε · max|λ|``, with ε the precision of the parameters' type, counts as none: rounding makes as much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from thalweg.errors import InputError
from thalweg.surfaces.curvature import hessian_products
from thalweg.surfaces.spectrum import Spectrum, lanczos, quadrature

Kind = Literal["minimum", "maximum", "saddle", "slope", "flat"]
CRITICAL = 1e-3
"""The share of ``scale`` that a step may still gain where the gradient counts as zero."""
WHOLE = 1.5
"""Shares of the eigenvalues are estimated: below this many of them the number itself is not known."""


@dataclass(frozen=True)
class Critical:
    """A point of the loss: ``value`` there, the norm of the ``gradient``, and the ``spectrum`` of the Hessian."""

    value: float
    gradient: float
    gain: float
    """What a saddle-free Newton step would lower the loss by, on the quadratic model; 0 where the gradient is 0."""
    scale: float
    """The loss to which the gain is held."""
    spectrum: Spectrum
    tolerance: float
    """Curvature below this is rounding."""

    @property
    def kind(self) -> Kind:
        """``minimum``, ``maximum``, ``saddle``, ``slope`` (no critical point) or ``flat`` (neither gradient nor curvature)."""
        if self.gain > CRITICAL * self.scale or (self.spectrum.reach == 0 and self.gradient > 0):
            return "slope"
        if self.spectrum.reach == 0:
            return "flat"
        if self.spectrum.smallest >= -self.tolerance:
            return "minimum"
        return "saddle" if self.spectrum.largest > self.tolerance else "maximum"

    @property
    def negative(self) -> float:
        """The share of eigenvalues below −``tolerance``."""
        return self.spectrum.share_below(-self.tolerance)

    @property
    def sentence(self) -> str:
        """The verdict in words, with the numbers it rests on."""
        if self.kind == "flat":
            return "Flat: there is neither gradient nor curvature, so nothing says where it is lower."
        curved = self._curved()
        still = (
            "the gradient is zero"
            if self.gain == 0
            else f"the gradient is as good as zero (a step could gain {self.gain:.1g})"
        )
        if self.kind == "minimum":
            return f"A minimum as far as can be seen: {still}, and {curved}."
        if self.kind in ("saddle", "maximum"):
            return f"A {self.kind}: {still}, and {curved}."
        if self.spectrum.reach == 0:
            return "A slope without any curvature: the loss falls along the gradient, and no critical point is near."
        return (
            f"No critical point yet: a Newton step would lower the loss by about {self.gain:.2g}, {self._share_of_scale()}. "
            f"{curved[:1].upper()}{curved[1:]}."
        )

    def _share_of_scale(self) -> str:
        return (
            f"{self.gain / self.scale:.1%} of {self.scale:.3g}".replace("%", " %") if self.scale > 0 else "more than 0"
        )

    def _curved(self) -> str:
        found = self.spectrum
        if found.smallest >= -self.tolerance:
            return (
                f"no direction was found that curves downwards (by more than {self.tolerance:.1g}, which is rounding; the "
                f"sharpest curves upwards by {found.largest:.3g})"
            )
        many = self.negative * found.size
        if many < WHOLE:
            about = "at least one direction curves"
        elif self.negative < 0.001:
            about = f"about {many:,.0f} of {found.size:,} directions curve"
        else:
            about = f"about {self.negative:.1%} of the directions curve".replace("%", " %")
        if found.largest <= self.tolerance:
            return f"{about} downwards, the steepest by {-found.smallest:.3g}, and none upwards"
        return (
            f"{about} downwards, the steepest by {-found.smallest:.3g}, which is {-found.smallest / found.largest:.2g} of the "
            f"sharpest upwards ({found.largest:.3g})"
        )


def critical(
    loss: Callable[[], torch.Tensor],
    parameters: Iterable[torch.Tensor],
    *,
    iterations: int = 60,
    starts: int = 4,
    scale: float | None = None,
    seed: int = 0,
    told: Callable[[], None] = lambda: None,
) -> Critical:
    """The point where the parameters stand, from ``starts + 1`` times ``iterations`` products with the Hessian.

    ``loss`` as in ``spectrum``. ``scale`` is the size of loss that matters, as the fall that training brought; the loss itself,
    if None. Raises ``InputError`` where the loss does not depend on the parameters, or its gradient is not finite.
    """
    tensors = [parameter for parameter in parameters if parameter.requires_grad]
    if not tensors:
        raise InputError("none of the parameters needs a gradient, so the loss has no slope to look at: unfreeze some")
    product = hessian_products(loss, tensors)
    with torch.enable_grad():
        value = loss()
        slopes = torch.autograd.grad(value, tensors, materialize_grads=True)
    gradient = torch.cat([slope.detach().reshape(-1).double().cpu() for slope in slopes]).numpy()

    def counted(vector: np.ndarray) -> np.ndarray:
        found = product(vector)
        told()
        return found

    spectrum = quadrature(counted, len(gradient), iterations=iterations, starts=starts, seed=seed)
    narrowest = min((tensor.dtype for tensor in tensors), key=lambda dtype: -torch.finfo(dtype).eps)
    tolerance = torch.finfo(narrowest).eps ** 0.5 * spectrum.reach
    norm, gain = float(np.linalg.norm(gradient)), 0.0
    if norm > 0 and spectrum.reach > 0:
        values, weights = lanczos(counted, gradient, iterations=iterations)  # quadrature of gᵀ|H|⁻¹g
        curved = np.abs(values) > tolerance
        gain = 0.5 * norm**2 * float((weights[curved] / np.abs(values[curved])).sum())
    return Critical(
        float(value.detach()), norm, gain, abs(float(value.detach())) if scale is None else scale, spectrum, tolerance
    )
