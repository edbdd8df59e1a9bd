"""What a phase's kernel reads and writes, whatever language it is written in: operands, their formats, their columns.

Every generator of kernels starts from here: which operands a phase uses, how each is held, where a slot's addresses and
scales stand in the table (see ``segments``), and what the dice of each are salted with (see ``storage``).
"""

from __future__ import annotations

import re

from thalweg.engines.segments import SLOTS
from thalweg.engines.storage import Storage, salt
from thalweg.rules import Program
from thalweg.rules.program import summed_lines

NAMES = re.compile(r"\b([A-Za-z_]\w*)\b(?!\()")
"""Names in a line that are no function."""


class Operands:
    """The operands of one phase of a program held in a storage."""

    def __init__(self, program: Program, storage: Storage, number: int) -> None:
        phase = self.phase = program.phases[number]
        self.slots = (*program.states, *program.scratch)
        self.formats = {"w": storage.weight, "g": storage.weight.removesuffix("~")}
        self.formats |= dict.fromkeys(program.scratch, storage.wide)
        self.formats |= dict(zip(program.states, storage.states, strict=True))
        self.scaled = [name for name in self.slots if self.formats[name] == "8bit"]
        self.width = SLOTS + len(self.slots) + len(self.scaled)
        self.passed = len(phase.passed) + storage.rolls
        words = set(NAMES.findall(" ".join(text for _, text in phase.lines)))
        written = [name for name, _ in phase.results]
        self.read = [name for name in ("w", "g", *self.slots) if name in words]
        self.used = [name for name in ("w", "g", *self.slots) if name in words or name in written]
        self.rolled = [name for name in written if self.formats[name] in ("8bit", "bfloat16~")]
        self.summed = summed_lines(phase)

    def column(self, slot: str) -> int:
        """Where a slot's addresses stand in the table."""
        return SLOTS + self.slots.index(slot)

    def scale_column(self, slot: str) -> int:
        """Where the addresses of a slot's scales stand in the table."""
        return SLOTS + len(self.slots) + self.scaled.index(slot)

    def salt(self, name: str) -> int:
        """What the dice of an operand are salted with."""
        return salt(0 if name == "w" else 1 + self.slots.index(name))
