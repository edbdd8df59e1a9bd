"""Jobs on a Ray cluster: one actor for each worker, alive as long as the study, each training whole populations.

>>> Cluster(materials, count=8, prune=prune, address="ray://head:10001").run(next_job, tell, stop)

Ray's own trials are processes that import PyTorch anew, which takes longer than a small net trains; an actor imports once. What
happens comes back through a queue of Ray's, and this process alone writes it down, so the machines share no disk but for data
named by a path. An actor that is lost is told as ``Lost`` and replaced; its candidates are asked again.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from thalweg.errors import InputError, MissingDependency
from thalweg.experiments.tuning.engine import Materials, NextJob
from thalweg.experiments.tuning.trainer import Ended, Job, Lost, Passed, Prune, Tell

MOST_DEATHS = 3
WAIT = 0.2


class Trainer:
    """What an actor does: the same as a worker."""

    def __init__(self, materials: Materials, prune: Prune, events: Any) -> None:
        import torch

        torch.set_num_threads(1)
        self.laboratory = materials.laboratory(prune)
        self.events = events
        self.stopped = False

    def train(self, job: Job) -> None:
        """Trains a job; says what happens to the queue."""
        self.laboratory.train(job, self.events.put, lambda: self.stopped)

    def stop(self) -> None:
        """Ends the job under way after the pass that goes; told from beside it."""
        self.stopped = True


@dataclass
class Cluster:
    """``count`` actors with a core each, on the cluster at ``address`` (None: one that is started on this machine)."""

    materials: Materials
    count: int
    prune: Prune
    address: str | None = None

    def run(self, next_job: NextJob, tell: Tell, stop: Callable[[], bool]) -> None:
        try:
            ray: Any = import_module("ray")
            queue: Any = import_module("ray.util.queue")
        except ImportError:
            raise MissingDependency("ray", "a search on a cluster", extra="ray") from None
        if self.address is not None:
            _check_somebody(self.address)
        mine = not ray.is_initialized()
        if mine:
            try:
                ray.init(
                    address=self.address,
                    num_cpus=self.count + 1 if self.address is None else None,
                    include_dashboard=False if self.address is None else None,
                    log_to_driver=False,
                    logging_level="ERROR",
                )
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise InputError(f"there is no Ray cluster at {self.address}: {str(error).splitlines()[0]}") from None
        events = queue.Queue(actor_options={"num_cpus": 0})
        kind = ray.remote(num_cpus=1, max_concurrency=2)(Trainer)
        try:
            self._manage(ray, lambda: kind.remote(self.materials, self.prune, events), events, next_job, tell, stop)
        finally:
            events.shutdown(force=True)
            if mine:
                ray.shutdown()

    def _manage(
        self, ray: Any, hire: Callable[[], Any], events: Any, next_job: NextJob, tell: Tell, stop: Callable[[], bool]
    ) -> None:
        idle = [hire() for _ in range(self.count)]
        busy: dict[Any, tuple[Any, Job]] = {}
        ended: set[int] = set()
        told, deaths = False, 0

        def listen() -> bool:
            before = len(ended)
            while waiting := events.qsize():  # all of them: what a lost actor still said is not asked again
                for event in events.get_nowait_batch(min(waiting, 1000)):
                    assert isinstance(event, Passed | Ended)
                    if isinstance(event, Ended):
                        ended.add(event.number)
                    tell(event)
            return len(ended) > before

        while True:
            if stop() and not told:
                told = True
                for actor, _ in busy.values():
                    actor.stop.remote()
            while idle and not told and (job := next_job()) is not None:
                actor = idle.pop()
                ended.difference_update(job.numbers)
                busy[actor.train.remote(job)] = (actor, job)
            if not busy:
                return
            done, _ = ray.wait(list(busy), timeout=WAIT)
            deaths = 0 if listen() else deaths
            for reference in done:
                actor, job = busy.pop(reference)
                try:
                    ray.get(reference)
                    idle.append(actor)
                except ray.exceptions.RayActorError:
                    deaths += 1
                    tell(Lost(tuple(number for number in job.numbers if number not in ended)))
                    if deaths >= MOST_DEATHS:
                        raise InputError(
                            f"{deaths} workers of the cluster were lost one after another: is there memory enough there?"
                        ) from None
                    idle.append(hire())
                except ray.exceptions.RayTaskError as error:
                    cause = (
                        error.cause if isinstance(error.cause, InputError) else InputError(str(error).splitlines()[-1])
                    )
                    raise cause from None


def _check_somebody(address: str) -> None:
    """Raises ``InputError`` where nothing listens: Ray itself would try for minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not host or not port.isdecimal():
        return  # "auto" and the like
    try:
        socket.create_connection((host, int(port)), timeout=5.0).close()
    except OSError as error:
        reason = error.strerror or "no answer in 5 seconds"
        raise InputError(f"there is no Ray cluster at {address}: {reason.lower()}") from None
