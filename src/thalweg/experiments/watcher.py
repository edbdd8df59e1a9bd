"""Who looks on while a run goes: told of stages, notes and passes; says nothing itself.

The command line draws a progress bar from it; a library user gets ``Silent``.
"""

from __future__ import annotations

from thalweg.history import History
from thalweg.train import Hook


class Watcher(Hook):
    """Follows a run from outside. All it needs of the numbers it reads from the history."""

    def stage(self, name: str, total: int = 0) -> None:
        """A stage begins (``total`` steps long, where known)."""

    def note(self, sentence: str) -> None:
        """Something the user should know: a choice made, a column left out."""

    def follow(self, history: History, *, epochs: int, steps_per_epoch: int) -> None:
        """Training begins."""

    def advance(self, done: int) -> None:
        """Progress within a stage that is not training."""


class Silent(Watcher):
    """Looks on and says nothing."""
