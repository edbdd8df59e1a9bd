"""What an engine is: it makes a kernel from a program, and a kernel carries out one step over a table of tensors.

An engine has never heard of Adam, a program has never heard of a device. ``reference.Reference`` is the trivial inhabitant and
the definition: every other engine is tested against it.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

from thalweg.engines.segments import Segments
from thalweg.rules import Program


class Kernel(Protocol):
    """One program, ready to run on tensors of one type and place."""

    def update(self, segments: Segments, scalars: np.ndarray) -> None:
        """Carries out a step in place. ``scalars`` is float64 ``(rows, len(program.scalars))``: a row for each group."""
        ...

    def squared_norm(self, segments: Segments) -> float:
        """Sum of the squares of all gradient elements, accumulated in float64."""
        ...


class Engine(Protocol):
    """A way to run programs."""

    def compile(self, program: Program, dtype: torch.dtype) -> Kernel:
        """The kernel of a program for tensors of ``dtype``; made once and kept."""
        ...
