"""Training a population: pass after pass, each member measured, stopped, marked and let go on its own.

>>> trained = train_population(members, batch_size=64, epochs=30, patience=5, watch="accuracy")
>>> best = max(trained.outcomes, key=lambda outcome: outcome.dev[outcome.best_epoch - 1]["accuracy"])
>>> module.load_state_dict(best.weights)

A caller that prunes looks at the curves after each pass and says who leaves:

>>> def halve(epoch, going):                        # going: {number of a member: its Outcome so far}
...     return worse_half(going) if epoch in (3, 9, 27) else ()
>>> train_population(members, batch_size=64, epochs=81, on_epoch=halve)

Members of several architectures train group after group, and a population that is killed goes on from its file:

>>> train_population(members, batch_size=64, epochs=81, checkpoint="study/population.safetensors")
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thalweg.errors import InputError
from thalweg.population.architectures import groups
from thalweg.population.keeping import Keeping
from thalweg.population.measuring import averaged, measured
from thalweg.population.members import Member, Outcome, Seat, check, orders_of
from thalweg.population.ways import choose
from thalweg.train import Best

LEAVE = 0.25
"""The share of members that have left from which the stack is made smaller, which costs about a step."""

OnEpoch = Callable[[int, Mapping[int, Outcome]], Collection[int]]


@dataclass(frozen=True)
class Trained:
    """The outcomes, in the order of the members; which way they went, and why not a faster one (empty: it was the fastest)."""

    outcomes: list[Outcome]
    way: str
    reason: str


class Going:
    """A member that still trains."""

    def __init__(self, number: int, seat: Seat, best: Best) -> None:
        self.number, self.seat, self.best = number, seat, best
        self.outcome = Outcome()

    def trained(self, losses: np.ndarray, size: int, batch_size: int) -> None:
        """Takes in the losses of a pass over ``size`` rows."""
        broken = np.flatnonzero(~np.isfinite(losses))
        if len(broken):
            steps = int(broken[0])
            self.outcome.diverged = self.seat.steps + 1
            self.outcome.stopped = f"the loss became {float(losses[steps])} in update {self.outcome.diverged}"
            self.outcome.losses.append(math.nan)
        else:
            sizes = np.minimum(batch_size, size - batch_size * np.arange(len(losses)))
            self.outcome.losses.append(float(np.average(losses.astype(np.float64), weights=sizes)))
        self.outcome.steps = self.seat.steps

    def measured(self, metrics: dict[str, float], epoch: int) -> None:
        """Takes in the dev metrics of a pass; keeps the weights where they are the best so far."""
        if self.best.watch not in metrics:
            raise InputError(
                f"the members' objective does not measure {self.best.watch}: watch one of {', '.join(metrics)}"
            )
        self.outcome.dev.append(metrics)
        self.outcome.stopped = self.best.look(metrics, self.seat.module, epoch)
        self.outcome.best_epoch, self.outcome.weights = self.best.epoch, self.best.weights

    def keep(self, epoch: int) -> None:
        """Keeps the weights as they are now."""
        self.best.keep(self.seat.module, epoch)
        self.outcome.best_epoch, self.outcome.weights = epoch, self.best.weights


def train_population(
    members: Sequence[Member],
    *,
    batch_size: int,
    epochs: int,
    watch: str = "loss",
    patience: int = 0,
    min_gain: float = 0.0,
    on_epoch: OnEpoch | None = None,
    way: str = "auto",
    checkpoint: str | Path | None = None,
) -> Trained:
    """Trains all members for ``epochs`` passes, in mini-batches of ``batch_size``; the modules are trained in place.

    Each member with a dev part is measured after each pass: its weights of the pass with the best ``watch`` (a tie goes to
    the lower loss) are kept, and it leaves ``patience`` passes after its last gain of more than ``min_gain`` (patience 0:
    never). A member whose loss is not finite leaves with its weights before that update. ``on_epoch(epoch, going)`` is told
    the outcomes so far of all that still train and gives the numbers of those that shall leave. ``way`` is one of ``WAYS``,
    or ``auto`` for the first that can be gone; whether it pays is what ``probe`` measures.

    Members of different architectures train group after group, each group as a population of its own: ``on_epoch`` is then
    told of one group's members, from pass 1 again for the next. With ``checkpoint``, a file, the state of all members is kept
    after passes (for at most a twentieth of the time), and a call that finds the file goes on from there to the same bits; it
    is the caller's to remove.

    A member ends as it would alone, with the same order of mini-batches, but for the rounding of sums taken in another order.

    Raises ``InputError`` for a population that can't be trained, and for a checkpoint of another one.
    """
    check(members, batch_size)
    everyone = [
        Going(
            number,
            Seat(member),
            Best(watch=watch, patience=patience if member.dev is not None else 0, min_gain=min_gain),
        )
        for number, member in enumerate(members)
    ]
    ways: dict[str, str] = {}
    apart = groups([member.module for member in members])
    for index, numbers in enumerate(apart):
        kept = None
        if checkpoint is not None:
            path = Path(checkpoint)
            path = path if len(apart) == 1 else path.with_name(f"{path.stem}-{index + 1}{path.suffix}")
            kept = Keeping(path, batch_size=batch_size)
        name, reason = _train_group(
            [everyone[number] for number in numbers],
            batch_size=batch_size, epochs=epochs, on_epoch=on_epoch, way=way, kept=kept,
        )  # fmt: skip
        ways[name] = ways.get(name) or reason
    return Trained([member.outcome for member in everyone], ", ".join(ways), "; ".join(filter(None, ways.values())))


def _train_group(
    everyone: Sequence[Going],
    *,
    batch_size: int,
    epochs: int,
    on_epoch: OnEpoch | None,
    way: str,
    kept: Keeping | None,
) -> tuple[str, str]:
    """Trains members of one architecture; the way they went, and why not a faster one."""
    made, there, before = (0, list(everyone), "") if kept is None else kept.restore(everyone)
    if made >= epochs or not (going := [member for member in there if not member.outcome.stopped]):
        return before, ""
    run, reason = choose([member.seat for member in there], batch_size=batch_size, way=before or way)
    if kept is not None:
        kept.dice(run)
    try:
        for epoch in range(made + 1, epochs + 1):
            orders = orders_of([member.seat for member in there], epoch - 1)
            for member, losses in zip(there, run.train(orders), strict=True):
                if not member.outcome.stopped:
                    member.trained(losses, len(member.seat.member.train), batch_size)
            with averaged([member.seat for member in there]):
                for member, metrics in zip(there, measured(run, [member.seat for member in there]), strict=True):
                    if metrics is not None and not member.outcome.stopped:
                        member.measured(metrics, epoch)
            going = [member for member in there if not member.outcome.stopped]
            if on_epoch is not None and going:
                leaving = set(on_epoch(epoch, {member.number: member.outcome for member in going}))
                for member in going:
                    if member.number in leaving:
                        member.outcome.stopped = f"pruned after epoch {epoch}"
            for member in there:
                last = member.outcome.stopped or epoch == epochs
                if last and member.seat.member.dev is None and not member.outcome.weights:
                    with averaged([member.seat]):
                        member.keep(epoch)
            going = [member for member in going if not member.outcome.stopped]
            if going and (run.name != "batched" or len(there) - len(going) >= LEAVE * len(there)):
                run.keep([place for place, member in enumerate(there) if not member.outcome.stopped])
                there = going
            if kept is not None:
                kept.save(epoch=epoch, everyone=everyone, there=there, way=run, last=not going or epoch == epochs)
            if not going:
                break
    finally:
        run.release()
    return run.name, reason
