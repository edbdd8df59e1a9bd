"""Workers: processes that import and prepare once, live as long as the study, and train one job after another.

>>> Workers(materials, count=2, prune=prune).run(next_job, tell, stop)

Each is ``python -m thalweg.experiments.tuning.worker``, a process of its own on one core: no script is imported again, and
what it breaks it breaks alone. A worker that dies is told as ``Lost`` and replaced; its candidates can be asked again.
"""

from __future__ import annotations

import os
import pickle
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Listener, wait
from typing import Any

from thalweg.errors import InputError
from thalweg.experiments.tuning.engine import Materials, NextJob
from thalweg.experiments.tuning.trainer import Ended, Job, Lost, Passed, Prune, Tell

DONE = "done"
MOST_DEATHS = 3
"""Workers that may die one after another without having ended a candidate: then the machine, not the luck, is at fault."""


@dataclass
class _Worker:
    process: subprocess.Popen
    connection: Connection
    job: Job | None = None
    going: set[int] = field(default_factory=set)


@dataclass
class Workers:
    """``count`` processes, each with one thread."""

    materials: Materials
    count: int
    prune: Prune
    deaths: int = 0

    def run(self, next_job: NextJob, tell: Tell, stop: Callable[[], bool]) -> None:
        key = secrets.token_bytes(32)
        with Listener(authkey=key) as listener:
            workers = [self._hire(listener, key) for _ in range(self.count)]
            try:
                self._manage(workers, lambda: self._hire(listener, key), next_job, tell, stop)
            finally:
                for worker in workers:
                    worker.connection.close()
                for worker in workers:
                    _end(worker.process)

    def _hire(self, listener: Listener, key: bytes) -> _Worker:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "THALWEG_WORKER_KEY": key.hex()}
        process = subprocess.Popen(
            [sys.executable, "-m", "thalweg.experiments.tuning.worker", str(listener.address)],
            env=environment,
            start_new_session=True,  # Ctrl-C is this process's to answer
        )
        connection = _accepted(listener, process)
        connection.send_bytes(pickle.dumps((self.materials, self.prune)))
        return _Worker(process, connection)

    def _manage(
        self,
        workers: list[_Worker],
        hire: Callable[[], _Worker],
        next_job: NextJob,
        tell: Tell,
        stop: Callable[[], bool],
    ) -> None:
        told = False
        while True:
            if stop() and not told:
                told = True
                for worker in workers:
                    if worker.job is not None:
                        worker.connection.send(None)
            for worker in workers:
                if worker.job is None and not told and (job := next_job()) is not None:
                    worker.job, worker.going = job, set(job.numbers)
                    worker.connection.send(job)
            busy = {worker.connection: worker for worker in workers if worker.job is not None}
            if not busy:
                return
            for connection in wait(list(busy), timeout=0.2):
                worker = busy[connection]  # type: ignore[index]
                try:
                    message = worker.connection.recv()
                except (EOFError, OSError):
                    workers.remove(worker)
                    self._buried(worker, tell)
                    if not told:
                        workers.append(hire())
                    continue
                self._heard(worker, message, tell)

    def _heard(self, worker: _Worker, message: Any, tell: Tell) -> None:
        if message == DONE:
            worker.job = None
        elif isinstance(message, InputError):
            raise message
        elif isinstance(message, Passed | Ended):
            if isinstance(message, Ended):
                self.deaths = 0
                worker.going.discard(message.number)
            tell(message)

    def _buried(self, worker: _Worker, tell: Tell) -> None:
        _end(worker.process)
        self.deaths += 1
        tell(Lost(tuple(sorted(worker.going))))
        if self.deaths >= MOST_DEATHS:
            raise InputError(
                f"{self.deaths} workers have died one after another (exit status {worker.process.returncode}): is there memory "
                f"enough? Try fewer --workers or --members, or --workers 1 to see the error"
            )


def _accepted(listener: Listener, process: subprocess.Popen) -> Connection:
    """The connection of the worker that has just been started; one that dies before it calls is said."""
    from threading import Thread

    found: list[Connection] = []
    thread = Thread(target=lambda: found.append(listener.accept()), daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.05)
        if process.poll() is not None and not found:
            raise InputError(f"a worker ended with status {process.returncode} before it began: see what it said above")
    return found[0]


def _end(process: subprocess.Popen, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    if process.poll() is None:
        process.kill()
        process.wait()
