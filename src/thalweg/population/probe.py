"""Does one program pay, and for how many members? A second of measuring instead of a guess.

On a CPU the gain is removed overhead, and it ends where arithmetic begins: once the members' weights, moments and gradients
leave the cache, one program can be slower than one after another. So a few mini-batches are timed for several K, and one by
one; where PyTorch's operations walk over all members at once, no K is tried that the processor's cache can't hold.

>>> choice = probe(make, (1, 8, 64), batch_size=64)         # make(k): member number k, built anew
>>> choice.members, choice.way, choice.gain
(64, 'compiled', 21.4)
>>> choice.sentence
'64 members as one program (compiled): 41,300 member-steps a second, 21.4 × one by one'
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from thalweg.errors import InputError
from thalweg.population.members import Member, Part, Seat, orders_of
from thalweg.population.ways import Way, choose

LEAST_GAIN = 1.2
"""Below this one program is not worth what it costs to explain."""
MOST_BATCHES = 8
"""Mini-batches of a pass that is timed."""
COPIES = 5
"""A member's weights in memory: weights, gradients, two moments, the best so far."""


@dataclass(frozen=True)
class Choice:
    """What was found. ``members`` is how many train together (1: one by one, each in a process of its own where there are
    several cores); ``rates`` are member-steps a second by K, 0 for one by one, and ``ways`` how each K trained; ``most`` is how
    many members fit into memory."""

    members: int
    way: str
    gain: float
    rates: dict[int, float]
    ways: dict[int, str]
    most: int
    sentence: str


def probe(
    make: Callable[[int], Member],
    ks: Sequence[int] = (1, 4, 16, 64),
    *,
    batch_size: int,
    seconds: float = 1.0,
    memory: int | None = None,
    workers: int = 1,
) -> Choice:
    """Times K members as one program for each K of ``ks``, and one member alone, for about ``seconds`` in all.

    ``make(k)`` gives member number k with a module of its own. ``memory`` caps the bytes that all members' weights, gradients
    and states may take; by default half of the memory that is free. ``workers``
    is how many processes would train one by one instead, each on a core of its own: the gain is over all of them together,
    and the program may use as many threads as PyTorch may. A larger K is not tried once the rate has fallen.
    Raises ``InputError`` for no K, or one below 1.
    """
    if not ks or min(ks) < 1:
        raise InputError(f"the numbers of members to try are {tuple(ks)}: give at least one, each 1 or more")
    share = seconds / (len(ks) + 1)
    first = [_seat(make(0), batch_size)]
    alone, _ = choose(first, batch_size=batch_size, way="one by one")
    rates = {0: _rate(alone, first, batch_size, share)}
    size = sum(p.numel() * p.element_size() for p in make(0).module.parameters()) * COPIES
    most = _free(first[0]) // 2 if memory is None else memory
    fitting = max(most // size, 1)
    on_cpu = next(first[0].module.parameters()).is_cpu
    cached = _cache() if on_cpu else most
    ways, reason, capped = {0: "one by one"}, "", False
    for k in sorted(ks):
        if k > fitting:
            capped = True
            break
        seats = [_seat(make(number), batch_size) for number in range(k)]
        way, reason = choose(seats, batch_size=batch_size)
        if way.name == "one by one":
            continue
        if way.name == "batched" and len(ways) > 1 and k * size > cached:
            way.release()
            reason = f"{k} members do not fit into the processor's cache"
            break
        ways[k], rates[k] = way.name, _rate(way, seats, batch_size, share)
        way.release()
        if rates[k] < 0.8 * max(rate for tried, rate in rates.items() if tried):
            break
    against = "one by one" if workers == 1 else f"{workers} processes, one by one"
    best = max(ways, key=lambda k: rates[k] if k else 0.0)
    gain = rates[best] / (rates[0] * workers)
    if best == 0:
        why = reason or ("another member does not fit into memory" if capped else "one program is slower for this net")
        return Choice(1, "one by one", 1.0, rates, ways, fitting, f"one by one: {why}")
    if gain < LEAST_GAIN:
        why = f"one program would be {gain:.2g} × as fast as {against}"
        return Choice(1, "one by one", 1.0, rates, ways, fitting, f"one by one: {why}")
    speed = f"{rates[best]:,.0f} member-steps a second, {gain:.3g} × {against}"
    sentence = f"{best} members as one program ({ways[best]}): {speed}"
    sentence += "; more would not fit into memory" if capped else ""
    return Choice(best, ways[best], gain, rates, ways, fitting, sentence)


def _seat(member: Member, batch_size: int) -> Seat:
    """The member over a few mini-batches of its rows."""
    part = member.train
    rows = part.numbers()[: MOST_BATCHES * batch_size]
    few = Part(part.inputs, part.targets, rows)
    return Seat(
        Member(member.module, member.optimizer, member.objective, few, None, member.schedule, member.order, member.seed)
    )


def _rate(way: Way, seats: Sequence[Seat], batch_size: int, seconds: float) -> float:
    """Member-steps a second: the best of several short passes, after a mini-batch that warms up and one that says how many
    mini-batches a pass can afford: of a large net, eight for each of many members would take longer than all else."""
    whole = orders_of(seats, 0)
    for _ in range(2):
        start = time.perf_counter()
        way.train(_first(whole, batch_size))
        step = time.perf_counter() - start
    orders = _first(whole, batch_size * min(max(round(0.5 * seconds / step), 1), MOST_BATCHES))
    best, begun = 0.0, time.perf_counter()
    while best == 0.0 or time.perf_counter() - begun < seconds:
        start = time.perf_counter()
        losses = way.train(orders)
        best = max(best, sum(map(len, losses)) / (time.perf_counter() - start))
    return best


def _first(orders: Sequence[torch.Tensor], rows: int) -> list[torch.Tensor]:
    """So many rows of each order; of those that are one tensor, again one tensor."""
    cut = {id(order): order[:rows] for order in orders}
    return [cut[id(order)] for order in orders]


def _cache() -> int:
    """Bytes of the processor's largest cache; where the system does not say, so many that nothing is too large."""
    sizes = []
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        with suppress(OSError, ValueError):
            sizes.append(int(path.read_text(encoding="ascii").strip().removesuffix("K")) * 1024)
    return max(sizes, default=1 << 62)


def _free(seat: Seat) -> int:
    """Bytes of memory that are free where the members train; where the system does not say, four billion."""
    device = next(seat.module.parameters()).device
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 4 << 30
