"""How many threads PyTorch works with: which number a run wants, and that it is put back afterwards.

>>> with threads(spec.threads):                      # None: as many as before
...     conduct(experiment, …)
>>> with threads():                                  # what is set within is put back too
...     torch.set_num_threads(2)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

FEW_OPERATIONS = 1e8
"""Floating-point operations in a step below which a second thread costs more than it brings."""


@contextmanager
def threads(count: int | None = None) -> Iterator[None]:
    """PyTorch works with this many threads within; afterwards with as many as before."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(count or before)
        yield
    finally:
        torch.set_num_threads(before)


def choose_threads(model: torch.nn.Module, batch_size: int) -> int:
    """One thread for a step of little arithmetic, else one for each core that PyTorch would use.

    Waking a second thread costs some tens of microseconds in every operation; a forward and backward pass has about
    six floating-point operations for each weight and example.
    """
    if any(isinstance(module, torch.nn.modules.conv._ConvNd) for module in model.modules()):
        return torch.get_num_threads()  # each weight works at every place of an image
    weights = sum(parameter.numel() for parameter in model.parameters())
    return 1 if 6 * weights * batch_size < FEW_OPERATIONS else torch.get_num_threads()
