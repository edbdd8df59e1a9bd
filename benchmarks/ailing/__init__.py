"""Small plain PyTorch programs, each healthy or with one known fault, to hold the doctor against.

>>> from ailing import PROGRAMS, run
>>> run(PROGRAMS["lr high sgd 30"](0)).findings()[0].kind
'lr_too_high'

``program`` says what a program is and runs it; ``rows``, ``nets`` and ``spoilt`` are what programs are made of; the others
are the collection: ``healthy``, ``of_the_loop``, ``of_the_start``, ``of_the_fit``; ``apart`` and ``apart_well``, written later
in another hand; and, made of ``hand``, the programs ``hand_start``, ``hand_loop``, ``hand_fit`` and ``hand_well`` of a second
hand that knew neither the others nor the doctor's rules.
"""

from __future__ import annotations

from ailing import (  # noqa: F401  importing enters the programs
    apart,
    apart_well,
    hand_fit,
    hand_loop,
    hand_start,
    hand_well,
    healthy,
    of_the_fit,
    of_the_loop,
    of_the_start,
)
from ailing.program import NEW, PROGRAMS, Program, run

__all__ = ["NEW", "PROGRAMS", "Program", "run"]
