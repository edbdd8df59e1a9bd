"""A checkpoint: everything a run needs to go on as if it had never stopped.

Weights, optimizer, counters, what hooks remember, the random states, and how long the history was: one file, replaced
atomically, so that a process killed at any moment leaves a whole checkpoint behind. It is read with
``weights_only=True``: a checkpoint from a stranger can hold numbers, not code. Of several processes the first writes, and the
random states of all are in it: a run goes on in any number of processes, and to the same bits in as many as wrote it.

>>> checkpoints = Checkpoints("runs/digits-1/checkpoint.pt", remember={"model": model, "optimizer": optimizer})
>>> train(…, hooks=(…, checkpoints))                     # last among the hooks: it saves what the others did
>>> state = checkpoints.load(model, optimizer)          # in a new process
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from thalweg.errors import InputError
from thalweg.files import replacing
from thalweg.train.hooks import Hook, State
from thalweg.train.parallel import Ranks
from thalweg.train.stopping import weights_are_finite

FORMAT = 1
LATER = ("steering",)
"""What checkpoints did not have when there were runs already."""
ALONE = Ranks()


class Remembers(Protocol):
    """Has something to keep across a restart; torch's words."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, saved: dict[str, Any], /) -> Any: ...


class Checkpoints(Hook):
    """Saves a run as it goes: every ``seconds`` in the middle of a pass, every second at the end of one.

    ``remember`` names all that has a ``state_dict``: model, optimizer, early stopping … ``offset`` gives the length of the
    history now and ``rewind`` takes it back there on resume. When a checkpoint is written changes no number of the run.

    Several processes write together: ``agreed`` then says after each step what ``due`` said in the first of ``ranks``.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        remember: Mapping[str, Remembers],
        seconds: float = 10.0,
        offset: Callable[[], int] = lambda: 0,
        ranks: Ranks = ALONE,
        agreed: Callable[[], bool] | None = None,
    ) -> None:
        self.path = Path(path)
        self.remember = dict(remember)
        self.seconds = seconds
        self.offset = offset
        self.ranks = ranks
        self.agreed = self.due if agreed is None else agreed
        self._due = time.monotonic() + seconds
        self._due_between = time.monotonic() + min(1.0, seconds)

    def due(self) -> bool:
        """Whether by this process's clock it is time to write one in the middle of a pass."""
        return time.monotonic() >= self._due

    def on_step(self, state: State) -> None:
        if self.agreed():
            self.save(state)

    def on_epoch(self, state: State) -> None:
        if self.ranks.tell(time.monotonic() >= self._due_between):
            self.save(state)

    def save(self, state: State) -> None:
        """Writes the checkpoint now; one whose weights are not finite would be worth nothing, so the last good one stays."""
        if not weights_are_finite(state.model):
            return
        counters = {
            name: getattr(state, name) for name in ("epoch", "position", "step", "examples", "batch_size", "stop")
        }
        saved = {
            "format": FORMAT,
            "counters": counters,
            "loss": state.loss.detach().cpu(),
            "history": self.offset(),
            "random": self.ranks.gather(_random_states()),
            **{name: thing.state_dict() for name, thing in self.remember.items()},
        }
        if self.ranks.first:
            with replacing(self.path, sure=True) as beside:
                torch.save(saved, beside)
        self._due = time.monotonic() + self.seconds
        self._due_between = time.monotonic() + min(1.0, self.seconds)

    def load(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> tuple[State, int]:
        """Puts everything back; returns the state to continue from and the length the history had.

        Raises ``InputError`` where the file is no checkpoint of this run.
        """
        try:
            # Several processes of one machine share the pages of the file instead of a copy each.
            saved = torch.load(self.path, map_location="cpu", weights_only=True, mmap=not self.ranks.alone)
            if saved["format"] != FORMAT:
                raise InputError(f"{self.path} was written by another version of thalweg (format {saved['format']})")
            for name, thing in self.remember.items():
                if name in saved or name not in LATER:
                    thing.load_state_dict(saved[name])
        except InputError:
            raise
        except Exception as error:  # torch.load raises half a dozen kinds for a file that is not what it should be
            raise InputError(
                f"{self.path} cannot be resumed from: it is damaged or of another model; start a new run"
            ) from error
        kept = (
            saved["random"] if isinstance(saved["random"], list) else [saved["random"]]
        )  # one, before there were several
        if self.ranks.rank < len(kept):  # a process that was not there before begins with its own seed
            _restore_random_states(kept[self.ranks.rank])
        return State(model=model, optimizer=optimizer, loss=saved["loss"], **saved["counters"]), int(saved["history"])


def _random_states() -> dict[str, Any]:
    version, words, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002 (the user's modules may draw from it)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python": [version, list(words), gauss],
        "numpy": [str(kind), torch.from_numpy(np.asarray(keys, dtype=np.int64)), position, has_gauss, cached],
    }


def _restore_random_states(saved: Mapping[str, Any]) -> None:
    torch.set_rng_state(saved["torch"])
    if torch.cuda.is_available() and len(saved["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(saved["cuda"])
    version, words, gauss = saved["python"]
    random.setstate((version, tuple(words), gauss))
    kind, keys, position, has_gauss, cached = saved["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002
