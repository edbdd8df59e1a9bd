"""How curved a real loss is: the largest eigenvalues of its Hessian, without ever writing the Hessian down.

Lanczos needs the Hessian only as products with vectors, and such a product is the gradient of ``g·v`` (Pearlmutter 1994):
twice the cost of a gradient, whatever the number of parameters.

>>> sharpness(lambda: loss_of(model(x), y), model.parameters())
412.7
>>> hessian_eigenvalues(lambda: loss_of(model(x), y), model.parameters(), count=2, end="smallest")   # a saddle
array([-3.1, -0.4])

Gradient descent with rate α is stable only while the sharpness is below 2/α, (2 + 2β)/α with momentum β in the sum form
(Cohen et al. 2021, arXiv 2103.00065).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch

from thalweg.errors import InputError

DENSE = 32
"""Up to this many parameters the whole Hessian is cheaper than Lanczos."""


def sharpness(
    loss: Callable[[], torch.Tensor],
    parameters: Iterable[torch.Tensor],
    *,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> float:
    """The largest eigenvalue of the loss's Hessian; arguments and errors as in ``hessian_eigenvalues``."""
    return float(hessian_eigenvalues(loss, parameters, count=1, tolerance=tolerance, seed=seed)[0])


def hessian_eigenvalues(
    loss: Callable[[], torch.Tensor],
    parameters: Iterable[torch.Tensor],
    *,
    count: int = 1,
    end: Literal["largest", "smallest"] = "largest",
    tolerance: float = 1e-6,
    seed: int = 0,
) -> np.ndarray:
    """``count`` eigenvalues ``(count,)`` of the loss's Hessian from one end of the spectrum, the outermost first.

    ``loss`` computes a scalar from ``parameters`` as they stand, the same each time (no dropout); ``tolerance`` is relative.
    Parameters that need no gradient are left out. float32 parameters give about four digits. Raises ``InputError``
    where the loss does not depend on the parameters, its gradient is not finite, or Lanczos does not converge.
    """
    tensors = [parameter for parameter in parameters if parameter.requires_grad]
    size = sum(tensor.numel() for tensor in tensors)
    if not 1 <= count <= size:
        raise InputError(f"a Hessian of {size} parameters has 1 to {size} eigenvalues, not {count}")
    product = hessian_products(loss, tensors)
    if size <= max(DENSE, count + 1):
        hessian = np.stack([product(row) for row in np.eye(size)])
        values = np.linalg.eigvalsh((hessian + hessian.T) / 2)
        return values[::-1][:count].copy() if end == "largest" else values[:count].copy()
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
    begin = np.random.default_rng(seed).normal(size=size)
    if not product(begin).any():
        return np.zeros(count)  # a Hessian of zeros, where Lanczos has nothing to start from
    try:
        values = eigsh(
            operator,
            k=count,
            which="LA" if end == "largest" else "SA",
            v0=begin,
            tol=tolerance,
            return_eigenvectors=False,
        )
    except ArpackNoConvergence as error:
        raise InputError(
            f"the Hessian's eigenvalues do not settle to {tolerance:g}: raise tolerance, or use float64 parameters"
        ) from error
    return np.sort(values)[::-1] if end == "largest" else np.sort(values)


def hessian_products(
    loss: Callable[[], torch.Tensor], tensors: list[torch.Tensor]
) -> Callable[[np.ndarray], np.ndarray]:
    """``v → Hv``, float64 ``(size,)`` in and out. The graph of the gradient is built once and differentiated each time."""
    with torch.enable_grad():
        value = loss()
        if not value.requires_grad:
            raise InputError(
                "the loss does not depend on the parameters: something detaches it, or none needs a gradient"
            )
        gradients = torch.autograd.grad(value, tensors, create_graph=True, materialize_grads=True)
    if not all(bool(torch.isfinite(gradient).all()) for gradient in gradients):
        raise InputError("the gradient of the loss is not finite at these parameters: it has no curvature to measure")
    curved = [index for index, gradient in enumerate(gradients) if gradient.requires_grad]

    def product(vector: np.ndarray) -> np.ndarray:
        parts = torch.from_numpy(np.ascontiguousarray(vector.reshape(-1))).split([tensor.numel() for tensor in tensors])
        if not curved:
            return np.zeros(vector.size)
        found = torch.autograd.grad(
            [gradients[index] for index in curved],
            tensors,
            [parts[index].reshape(tensors[index].shape).to(gradients[index]) for index in curved],
            retain_graph=True,
            materialize_grads=True,
        )
        return torch.cat([part.detach().reshape(-1).double().cpu() for part in found]).numpy()

    return product


@contextmanager
def differentiable_twice(model: torch.nn.Module) -> Iterator[None]:
    """The model in evaluation mode, with kernels that know second derivatives; as it was afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in modes:
            module.training = False
        with (
            torch.enable_grad(),
            torch.random.fork_rng(),
            torch.backends.cudnn.flags(enabled=False),
            torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH),
        ):
            yield
    finally:
        for module, mode in modes:
            module.training = mode
