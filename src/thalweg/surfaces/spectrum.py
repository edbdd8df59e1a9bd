"""The whole spectrum of a loss's Hessian as a density, by stochastic Lanczos quadrature, and what it makes of a point.

>>> found = spectrum(lambda: cross_entropy(model(x), y), model.parameters(), iterations=60, starts=4)
>>> found.largest, found.smallest, found.trace
(41.3, -0.9, 512.0)
>>> found.share_below(-0.01)                                       # of the eigenvalues
0.08
>>> found.density(np.linspace(-2, 45, 500), width=0.4)             # (500,), of integral 1

Lanczos from a random start gives nodes and weights of a Gauss quadrature of that start's share in each eigenvector; averaged
over starts it is that of ``trace(f(H))/n`` (Ghorbani, Krishnan & Xiao 2019, arXiv 1901.10159; Lin, Saad & Yang 2016). The
starts are vectors of ±1, so that the first moment is Hutchinson's estimate of the trace. Each product with the Hessian
costs two gradients, and ``iterations`` vectors of the size of the model are held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch

from thalweg.errors import InputError
from thalweg.surfaces.curvature import hessian_products

Product = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Spectrum:
    """Ritz ``values`` of each start, ascending, and their ``weights``, which add up to 1."""

    size: int
    """Eigenvalues there are."""
    values: tuple[np.ndarray, ...]
    weights: tuple[np.ndarray, ...]

    @property
    def largest(self) -> float:
        """The largest eigenvalue, from below: no Ritz value lies outside the spectrum."""
        return max(float(values[-1]) for values in self.values)

    @property
    def smallest(self) -> float:
        """The smallest eigenvalue, from above: below zero it proves that the loss curves downwards somewhere."""
        return min(float(values[0]) for values in self.values)

    @property
    def reach(self) -> float:
        """The largest curvature of either sign."""
        return max(abs(self.largest), abs(self.smallest))

    def moment(self, power: int) -> float:
        """``trace(H^power) / size``."""
        return float(np.mean(self._each(lambda values: values**power)))

    @property
    def trace(self) -> float:
        """Hutchinson's estimate: the sum of all eigenvalues."""
        return self.size * self.moment(1)

    @property
    def trace_error(self) -> float:
        """The standard error of the trace over the starts; NaN for one start."""
        each = self._each(lambda values: values)
        return self.size * float(np.std(each, ddof=1)) / len(each) ** 0.5 if len(each) > 1 else float("nan")

    def share_below(self, bound: float) -> float:
        """The share of eigenvalues below ``bound``."""
        return float(np.mean(self._each(lambda values: (values < bound).astype(float))))

    def density(self, at: np.ndarray, *, width: float) -> np.ndarray:
        """The density of eigenvalues at ``at`` ``(k,)``, each widened to a Gaussian of standard deviation ``width``."""
        found = np.zeros(len(at))
        for values, weights in zip(self.values, self.weights, strict=True):
            away = (np.asarray(at, dtype=float)[:, None] - values) / width
            found += np.exp(-(away**2) / 2) @ weights / (width * (2 * np.pi) ** 0.5 * len(self.values))
        return found

    def _each(self, function: Callable[[np.ndarray], np.ndarray]) -> list[float]:
        return [float(w @ function(v)) for v, w in zip(self.values, self.weights, strict=True)]


def spectrum(
    loss: Callable[[], torch.Tensor],
    parameters: Iterable[torch.Tensor],
    *,
    iterations: int = 60,
    starts: int = 4,
    seed: int = 0,
    told: Callable[[], None] = lambda: None,
) -> Spectrum:
    """The spectrum of the Hessian of ``loss`` over ``parameters``, from ``starts`` times ``iterations`` products with it.

    ``loss`` computes a scalar from the parameters as they stand, the same each time (no dropout). ``told`` is called after
    each product. Exact where ``iterations`` reaches the number of parameters that matter. Raises ``InputError`` where the loss
    does not depend on the parameters, or its gradient is not finite.
    """
    tensors = [parameter for parameter in parameters if parameter.requires_grad]
    product = hessian_products(loss, tensors)
    return quadrature(
        _counted(product, told),
        sum(tensor.numel() for tensor in tensors),
        iterations=iterations,
        starts=starts,
        seed=seed,
    )


def quadrature(product: Product, size: int, *, iterations: int, starts: int, seed: int = 0) -> Spectrum:
    """The same of any symmetric matrix ``(size, size)``, told by its ``product`` ``v → Hv``, float64 ``(size,)``."""
    if iterations < 1 or starts < 1 or size < 1:
        raise InputError(f"a spectrum from {starts} starts of {iterations} products: give at least one of each")
    draw = np.random.default_rng(seed)
    begins = (2.0 * draw.integers(0, 2, size) - 1 for _ in range(starts))
    pairs = [lanczos(product, begin, iterations=iterations) for begin in begins]
    return Spectrum(size, tuple(values for values, _ in pairs), tuple(weights for _, weights in pairs))


def lanczos(product: Product, begin: np.ndarray, *, iterations: int) -> tuple[np.ndarray, np.ndarray]:
    """Ritz values ``(k,)``, ascending, and their quadrature weights ``(k,)``, which add up to 1; ``k`` ≤ ``iterations``.

    Each new direction is made orthogonal to all before it, twice (Golub & Van Loan, *Matrix Computations*, §10.3: without
    it eigenvalues found come back as ghosts). Ends early where the directions span all that ``begin`` reaches.
    """
    basis = torch.empty(min(iterations, len(begin)), len(begin), dtype=torch.float64)
    basis[0] = torch.from_numpy(begin / np.linalg.norm(begin))
    diagonal: list[float] = []
    beside: list[float] = []
    for k in range(len(basis)):  # in torch, which obeys its own number of threads: NumPy's wake for each product
        image = torch.from_numpy(product(basis[k].numpy()))
        diagonal.append(float(basis[k] @ image))
        if k + 1 == len(basis):
            break
        known = basis[: k + 1]
        for _ in range(2):
            image = image - known.T @ (known @ image)
        size = float(image.norm())
        if size <= 1e-7 * max(map(abs, diagonal + beside)):
            break
        beside.append(size)
        basis[k + 1] = image / size
    off = beside[: len(diagonal) - 1]
    values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1))
    return values, vectors[0] ** 2


def _counted(product: Product, told: Callable[[], None]) -> Product:
    def counted(vector: np.ndarray) -> np.ndarray:
        found = product(vector)
        told()
        return found

    return counted
