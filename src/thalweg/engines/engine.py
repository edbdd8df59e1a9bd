"""What an engine is: it makes a kernel from a program, and a kernel carries out its phases over a table of tensors.

An engine has never heard of Adam, a program has never heard of a device. ``reference.Reference`` is the trivial inhabitant and
the definition: every other engine is tested against it.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from thalweg.engines.segments import Segments
from thalweg.engines.storage import Storage
from thalweg.rules import Program


class Kernel(Protocol):
    """One program, ready to run on tensors of one storage and place."""

    def run(self, phase: int, segments: Segments, scalars: np.ndarray) -> np.ndarray | None:
        """Carries out a phase. ``scalars`` is float64 ``(rows, passed)``; a storage that rolls dice has one column more,
        the number of the step. Gives the phase's sums, float64 ``(rows, sums)``, accumulated in float64; None for none.
        """
        ...


class Engine(Protocol):
    """A way to run programs."""

    def compile(self, program: Program, storage: Storage) -> Kernel:
        """The kernel of a program for tensors held so; made once and kept."""
        ...
