"""Small plain PyTorch programs, each healthy or with one known fault, to hold the doctor against.

>>> from ailing import PROGRAMS, run
>>> run(PROGRAMS["lr high sgd 30"](0)).findings()[0].kind
'lr_too_high'

``program`` says what a program is and runs it; ``rows``, ``nets`` and ``spoilt`` are what programs are made of; the others
are the collection: ``healthy``, ``of_the_loop``, ``of_the_start``, ``of_the_fit``, and ``apart`` and ``apart_well``,
written later in another hand.
"""

from __future__ import annotations

from ailing import apart, apart_well, healthy, of_the_fit, of_the_loop, of_the_start  # noqa: F401  importing enters the programs
from ailing.program import NEW, PROGRAMS, Program, run

__all__ = ["NEW", "PROGRAMS", "Program", "run"]
