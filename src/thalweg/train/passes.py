"""Checkpoints of passes that have ended, so that a run can go back to one of them.

The run's own checkpoint, written between two passes, gets a second name (a hard link: nothing is copied). The few that are
kept lie the further apart the longer ago they are, so that both the last pass and the tenth of a thousand can be gone back to.

>>> checkpoints = Passes("runs/digits-1/checkpoint.pt", remember={"model": model, "optimizer": optimizer})
>>> checkpoints.epochs()
(1, 8, 24, 32, 36, 38, 39, 40)
>>> state, offset = checkpoints.go_back(36, model, optimizer)
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import torch

from thalweg.errors import InputError
from thalweg.train.checkpoint import ALONE, Checkpoints, Remembers
from thalweg.train.hooks import State
from thalweg.train.parallel import Ranks

MOST = 8
MOST_BYTES = 4 << 30
"""Bytes of all checkpoints of passes, from which on only the last two are kept."""


class Passes(Checkpoints):
    """``Checkpoints`` that also keeps those of a few passes, beside its own in the folder ``passes``.

    A pass has one where the run wrote a checkpoint at its end, which it does at most once a second; those in ``wanted`` always.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        remember: Mapping[str, Remembers],
        wanted: Collection[int] = (),
        seconds: float = 10.0,
        offset: Callable[[], int] = lambda: 0,
        ranks: Ranks = ALONE,
        agreed: Callable[[], bool] | None = None,
    ) -> None:
        super().__init__(path, remember=remember, seconds=seconds, offset=offset, ranks=ranks, agreed=agreed)
        self.folder = self.path.parent / "passes"
        self.wanted = frozenset(wanted)

    def on_epoch(self, state: State) -> None:
        if state.epoch in self.wanted:
            self.save(state)
        else:
            super().on_epoch(state)

    def save(self, state: State) -> None:
        before = _identity(self.path)
        super().save(state)
        if state.epoch and state.position == 0 and self.ranks.first and _identity(self.path) != before:
            self.folder.mkdir(exist_ok=True)
            temporary = self.folder / f".{os.getpid()}"
            temporary.unlink(missing_ok=True)
            try:
                os.link(self.path, temporary)
            except OSError:  # a file system without links
                shutil.copyfile(self.path, temporary)
            temporary.replace(self._file(state.epoch))
            self._thin()

    def epochs(self) -> tuple[int, ...]:
        """The passes that can be gone back to, in order."""
        return tuple(sorted(int(path.stem) for path in self.folder.glob("*.pt") if path.stem.isdigit()))

    def go_back(self, epoch: int, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> tuple[State, int]:
        """Puts everything back as it was at the end of a pass, as ``load`` does; later passes are forgotten.

        Raises ``InputError`` where that pass is not kept.
        """
        self.check(epoch)
        found = Checkpoints(self._file(epoch), remember=self.remember).load(model, optimizer)
        for later in self.epochs():  # they are of a way that the run has left
            if later > epoch:
                self._file(later).unlink(missing_ok=True)
        return found

    def check(self, epoch: int) -> None:
        """Raises ``InputError`` where ``epoch`` is not kept, with those that are."""
        there = self.epochs()
        if epoch not in there:
            kept = f"those kept are {', '.join(map(str, there))}" if there else "none is kept yet"
            raise InputError(f"there is no checkpoint of epoch {epoch} to go back to: {kept}")

    def clear(self) -> None:
        """Gives the space back: a run that has finished goes nowhere."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, epoch: int) -> Path:
        return self.folder / f"{epoch:04d}.pt"

    def _thin(self) -> None:
        kept = list(self.epochs())
        sizes = [self._file(epoch).stat().st_size for epoch in kept]
        most = MOST if sum(sizes) <= MOST_BYTES else 2
        for epoch in thinned(kept, most=most, wanted=self.wanted):
            self._file(epoch).unlink(missing_ok=True)


def thinned(epochs: Collection[int], *, most: int, wanted: Collection[int] = ()) -> list[int]:
    """Which of these passes to drop, so that ``most`` remain whose distances grow with their age; never ``wanted`` ones.

    >>> thinned([1, 2, 3, 4, 5], most=4)
    [2]
    """
    kept, dropped = sorted(epochs), []
    while len(kept) > most:
        newest = kept[-1]
        gaps = [
            ((kept[i + 1] - kept[i - 1]) / (newest + 1 - kept[i]), i)
            for i in range(1, len(kept) - 1)
            if kept[i] not in wanted
        ]
        if not gaps:
            first = kept[0]
            if len(kept) <= 2 or first in wanted:
                break
            gaps = [(0.0, 0)]
        dropped.append(kept.pop(min(gaps)[1]))
    return dropped


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns
