"""Functions of whole matrices, which no pass over elements can compute. They are torch's own products, on any device.

Each takes a tensor, on which it works in place, and the numbers that stand beside it in the equation.
"""

from __future__ import annotations

from collections.abc import Callable

import torch


@torch.no_grad()
def orthogonal(x: torch.Tensor, a: float, b: float, c: float, eps: float, steps: float) -> None:
    """Newton–Schulz iterations of the odd polynomial ``aσ + bσ³ + cσ⁵``, which moves all singular values towards 1.

    In bfloat16, as in PyTorch's Muon: the iteration forgives its own rounding (Jordan et al. 2024).
    """
    if not x.numel():
        return
    flat = x.reshape(x.shape[0], -1)
    m = flat.bfloat16()
    turned = m.shape[0] > m.shape[1]
    if turned:
        m = m.T
    m = m / m.norm().clamp(min=eps)
    for _ in range(int(steps)):
        gram = m @ m.T
        m = torch.addmm(m, torch.addmm(gram, gram, gram, beta=b, alpha=c), m, beta=a)
    x.copy_((m.T if turned else m).reshape(x.shape))


MATRICES: dict[str, Callable[..., None]] = {"orthogonal": orthogonal}
