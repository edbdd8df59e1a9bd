"""How many threads PyTorch works with, for a while.

>>> with threads(spec.threads):                      # None: as many as before
...     conduct(experiment, …)
>>> with threads():                                  # what is set within is put back too
...     torch.set_num_threads(2)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def threads(count: int | None = None) -> Iterator[None]:
    """PyTorch works with this many threads within; afterwards with as many as before."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(count or before)
        yield
    finally:
        torch.set_num_threads(before)
