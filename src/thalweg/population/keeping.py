"""A population on disk: all members as they are after a pass, in one file of numbers, so that a killed study goes on.

Weights, optimizers, the best weights so far, curves, dice: what is put back makes the passes to come the same, to the bit.
The file is in the safetensors format (it can hold no code) and is replaced atomically.

>>> kept = Keeping("study/population.safetensors", batch_size=64)
>>> kept.save(epoch=3, everyone=everyone, there=there, way=run)         # where it is due
>>> epoch, there, way = kept.restore(everyone)                          # in a new process; epoch 0: nothing to restore
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from thalweg.errors import InputError
from thalweg.files import replacing
from thalweg.population.batched import Batched
from thalweg.population.ways import Way

if TYPE_CHECKING:
    from thalweg.population.loop import Going

FORMAT = 1
SHARE = 0.05
"""Of a run's time, at most, for writing; the first pass and the last are always written."""


class Keeping:
    """The file of a population."""

    def __init__(self, path: str | Path, *, batch_size: int) -> None:
        self.path, self.batch_size = Path(path), batch_size
        self.due = 0.0
        self.generators: list[Tensor] = []
        self.draws = 0

    def save(
        self, *, epoch: int, everyone: Sequence[Going], there: Sequence[Going], way: Way, last: bool = False
    ) -> None:
        """Writes all members after pass ``epoch``, where enough time has passed since, or this is the ``last``."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        begun = time.monotonic()
        if begun < self.due and not last:
            return
        tensors: dict[str, Tensor] = {}
        still = {member.number for member in there}
        notes = [_collect(member, tensors, weights=member.number in still) for member in everyone]
        meta = {
            "format": FORMAT, "epoch": epoch, "way": way.name, "batch_size": self.batch_size, "members": notes,
            "there": [everyone.index(member) for member in there],
        }  # fmt: skip
        if isinstance(way, Batched):
            meta["draws"] = way.stacking.draws
            for member, generator in zip(there, way.stacking.generators, strict=True):
                tensors[f"{member.number}/dice"] = generator.get_state()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.path, sure=True) as beside:
                save_file(tensors, beside, metadata={"population": json.dumps(meta)})
        except (OSError, SafetensorError) as error:
            raise InputError(f"{self.path} cannot be written: {error}; name a file in a folder that can") from None
        now = time.monotonic()
        self.due = now + (now - begun) / SHARE

    def restore(self, everyone: Sequence[Going]) -> tuple[int, list[Going], str]:
        """Puts the members back; the passes made, those that were still in the program, and the way they went.

        Without a file: no passes. Raises ``InputError`` for a file of another population.
        """
        from safetensors import safe_open

        if not self.path.exists():
            return 0, list(everyone), ""
        try:
            with safe_open(str(self.path), framework="pt") as file:
                meta = json.loads(file.metadata()["population"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
        except Exception as error:  # safetensors has errors of its own
            raise InputError(f"{self.path} is no checkpoint of a population: remove it to begin anew") from error
        if meta["format"] != FORMAT or len(meta["members"]) != len(everyone) or meta["batch_size"] != self.batch_size:
            raise InputError(
                f"{self.path} is of a population of {len(meta['members'])} members with mini-batches of {meta['batch_size']}, "
                f"not of {len(everyone)} with {self.batch_size}: remove it to begin anew"
            )
        try:
            for member, said in zip(everyone, meta["members"], strict=True):
                _put_back(member, said, tensors)
        except (RuntimeError, KeyError, ValueError) as error:
            raise InputError(f"{self.path} is of members that are built otherwise: remove it to begin anew") from error
        there = [everyone[number] for number in meta["there"]]
        self.generators = [tensors[f"{member.number}/dice"] for member in there if f"{member.number}/dice" in tensors]
        self.draws = meta.get("draws", 0)
        return int(meta["epoch"]), there, str(meta["way"])

    def dice(self, way: Way) -> None:
        """Puts back the dice of dropout, where the way has some of its own."""
        if isinstance(way, Batched) and self.generators:
            way.stacking.draws = self.draws
            for generator, state in zip(way.stacking.generators, self.generators, strict=True):
                generator.set_state(state)


def _collect(member: Going, tensors: dict[str, Tensor], *, weights: bool) -> dict[str, Any]:
    """A member's tensors into ``tensors``; all else about it as plain data. One that has left has its best weights alone."""
    number, seat = member.number, member.seat
    best = member.best.state_dict()
    for name, tensor in best.pop("best_weights").items():
        tensors[f"{number}/best/{name}"] = _own(tensor)
    outcome = {name: value for name, value in _outcome(member).items() if name != "weights"}
    said: dict[str, Any] = {"outcome": outcome, "best": best, "steps": seat.steps}
    if not weights:
        return said
    for name, tensor in seat.module.state_dict().items():
        tensors[f"{number}/module/{name}"] = _own(tensor)
    saved = seat.optimizer.state_dict()
    states: dict[str, dict[str, Any]] = {}
    for index, state in saved["state"].items():
        states[str(index)] = {}
        for name, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"{number}/state/{index}/{name}"] = _own(value)
            else:
                states[str(index)][name] = value
    groups = [
        {
            name: float(value) if isinstance(value, Tensor) else value
            for name, value in group.items()
            if _is_plain(value)
        }
        for group in saved["param_groups"]
    ]
    return said | {"states": states, "groups": groups}


def _outcome(member: Going) -> dict[str, Any]:
    """What came of a member so far, without its weights."""
    weights, member.outcome.weights = member.outcome.weights, {}
    try:
        return asdict(member.outcome)
    finally:
        member.outcome.weights = weights


def _put_back(member: Going, said: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    number, seat = member.number, member.seat

    def under(kind: str) -> dict[str, Tensor]:
        start = f"{number}/{kind}/"
        return {name[len(start) :]: tensor for name, tensor in tensors.items() if name.startswith(start)}

    device = next(seat.module.parameters()).device
    best = under("best")
    weights = {name: best[name].to(device) for name in seat.module.state_dict() if best}
    member.best.load_state_dict({**said["best"], "best_weights": weights})
    for name, value in said["outcome"].items():
        if name != "weights":
            setattr(member.outcome, name, value)
    member.outcome.weights = member.best.weights
    seat.steps = said["steps"]
    if "groups" not in said:
        return
    seat.module.load_state_dict(under("module"))
    states: dict[int, dict[str, Any]] = {int(index): dict(state) for index, state in said["states"].items()}
    for name, tensor in under("state").items():
        index, _, own = name.partition("/")
        states[int(index)][own] = tensor
    groups = [
        {**now, **{name: _like(value, now.get(name)) for name, value in then.items() if name in now}}
        for now, then in zip(seat.optimizer.state_dict()["param_groups"], said["groups"], strict=True)
    ]
    seat.optimizer.load_state_dict({"state": states, "param_groups": groups})


def _own(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous().clone()


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str | list | tuple) or _is_number(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, Tensor) and value.numel() == 1


def _like(value: Any, now: Any) -> Any:
    """JSON has no tuples, and no tensors."""
    if isinstance(now, tuple):
        return tuple(value)
    return torch.full_like(now, value) if isinstance(now, Tensor) else value
