"""What each member achieves on its dev part, from forward passes of all of them at once.

>>> measured(way, seats)                            # [{"loss": 0.31, "accuracy": 0.91}, …, None where there is no dev part]

Where an optimizer keeps an average of the weights, the average is what is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

from thalweg.optim import Optimizer
from thalweg.population.losses import member_losses
from thalweg.population.members import Part, Seat
from thalweg.population.ways import Way
from thalweg.train.objectives import CrossEntropy

PIECE = 1 << 24
"""Numbers of inputs, over all members, that go through the nets at once."""


@contextmanager
def averaged(seats: Sequence[Seat]) -> Iterator[None]:
    """Within it, the weights of members whose optimizers average them are the averages."""
    with ExitStack() as stack:
        for seat in seats:
            if seat.averages is None:  # the same after every pass
                own = seat.optimizer if isinstance(seat.optimizer, Optimizer) else None
                seat.averages = own if own is not None and next(own.averages(), None) is not None else False
            if seat.averages:
                stack.enter_context(seat.averages.averaged())
        yield


@torch.no_grad()
def measured(way: Way, seats: Sequence[Seat]) -> list[dict[str, float] | None]:
    """Dev metrics of each member, as ``train.evaluate`` gives them; None where it has no dev part."""
    parts = [seat.member.dev for seat in seats]
    if all(part is None for part in parts):
        return [None] * len(seats)
    objectives = [seat.member.objective for seat in seats]
    first = parts[0]
    if first is None or any(part is not first for part in parts):
        outputs = _own_outputs(way, parts)
    else:
        together = _shared_outputs(way, first, len(seats))
        targets = first.targets if first.rows is None else first.targets[first.rows]
        if targets.ndim == 1 and all(_plain(objective) for objective in objectives):
            losses = member_losses(objectives, together, targets.expand(len(seats), -1)).tolist()
            hits = (together.argmax(2) == targets).double().mean(1).tolist()
            return [{"loss": loss, "accuracy": hit} for loss, hit in zip(losses, hits, strict=True)]
        outputs = list(together)
    found: list[dict[str, float] | None] = []
    for objective, part, mine in zip(objectives, parts, outputs, strict=True):
        if part is None:
            found.append(None)
            continue
        targets = part.targets if part.rows is None else part.targets[part.rows]
        found.append({"loss": float(objective(mine, targets)), **objective.metrics(mine, targets)})
    return found


def _plain(objective: object) -> bool:
    return type(objective) is CrossEntropy and objective.class_weights is None and not objective.also


def _pieces(rows: int, inputs: Tensor, members: int) -> int:
    return max(1, min(rows, PIECE // max(inputs[:1].numel() * members, 1)))


def _shared_outputs(way: Way, part: Part, members: int) -> Tensor:
    inputs = part.inputs if part.rows is None else part.inputs[part.rows]
    pieces = inputs.split(_pieces(len(inputs), inputs, members))
    return torch.cat([way.outputs(piece.expand(members, *piece.shape)) for piece in pieces], dim=1)


def _own_outputs(way: Way, parts: Sequence[Part | None]) -> list[Tensor]:
    """Where dev parts differ: shorter ones are filled up with rows of their own, whose outputs are dropped."""
    given = [part for part in parts if part is not None]
    lengths = [0 if part is None else len(part) for part in parts]
    most = max(lengths)
    size = _pieces(most, given[0].inputs, len(parts))
    found = []
    for start in range(0, most, size):
        places = torch.arange(start, min(start + size, most))
        found.append(way.outputs(torch.stack([_filled(part or given[0], places) for part in parts])))
    return [mine[:length] for mine, length in zip(torch.cat(found, dim=1), lengths, strict=True)]


def _filled(part: Part, places: Tensor) -> Tensor:
    numbers = part.numbers()
    return part.inputs.index_select(0, numbers[places.clamp(max=len(numbers) - 1).to(numbers.device)])
