"""Runs shared out among processes, where one program for all of them would not keep every core busy.

>>> shared_out(candidates, train, on_pass, processes=2)          # train(share, on_pass) -> curves, in each process
[Curve(…), …]

Processes are forked, so they have the problem, whatever it is made of; each works on one thread. What they found is the same
for any number of them, but for populations, whose sums depend on who is in them: shares are decided by the count alone.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import cast

import torch

from thalweg.errors import InputError
from thalweg.experiments.racing.problem import Candidate, Curve, OnPass

Train = Callable[[Sequence[Candidate], OnPass], list[Curve] | None]


def can_fork() -> bool:
    """Whether this system forks."""
    return "fork" in multiprocessing.get_all_start_methods()


def shared_out(candidates: Sequence[Candidate], train: Train, on_pass: OnPass, *, processes: int) -> list[Curve] | None:
    """The curves of the candidates, in their order; None where ``on_pass`` stopped it.

    Raises what a process raised as ``InputError``, with the kind of what was none, and ``InputError`` where one was killed.
    """
    shares = [candidates[at::processes] for at in range(min(processes, len(candidates)))]
    context = multiprocessing.get_context("fork")
    workers, pipes = [], []
    for share in shares:
        here, there = context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(share, train, there), daemon=True)
        worker.start()
        there.close()
        workers.append(worker)
        pipes.append(here)
    found: dict[int, list[Curve]] = {}
    try:
        while len(found) < len(shares):
            going = [pipe for at, pipe in enumerate(pipes) if at not in found]
            for pipe in cast("list[Connection]", wait(going)):
                try:
                    said = pipe.recv()
                except EOFError:
                    if on_pass(0):  # who stops the race by a signal to the whole group stops us too
                        return None
                    raise InputError(
                        "a process that trained runs of the race was killed: is there enough memory?"
                    ) from None
                if isinstance(said, int):
                    if on_pass(said):
                        return None
                elif isinstance(said, str):
                    raise InputError(said)
                else:
                    found[pipes.index(pipe)] = said
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
    return [found[at % len(shares)][at // len(shares)] for at in range(len(candidates))]


def _work(share: Sequence[Candidate], train: Train, pipe: Connection) -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)

    def tell(passes: int) -> bool:
        pipe.send(passes)
        return False

    try:
        pipe.send(train(share, tell))
    except InputError as error:
        pipe.send(str(error))
    except Exception as error:  # a module of the user's own may raise anything, in the middle of a pass
        pipe.send(f"a run of the race failed: {type(error).__name__}: {' '.join(str(error).split())}")
