"""One worker of a study: ``python -m thalweg.experiments.tuning.worker ADDRESS``, started by ``workers``.

It says what happens to its candidates as it happens, and ends when nobody listens any more.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from multiprocessing.connection import Client
from typing import Any


def work(address: str, key: bytes) -> None:
    """Trains the jobs that come, until the connection closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Client(
        _address(address), authkey=key
    )  # before anything slow is imported: the study waits for the call
    import torch

    from thalweg.errors import InputError
    from thalweg.experiments.tuning.workers import DONE

    torch.set_num_threads(1)
    stopped = False

    def stop() -> bool:
        nonlocal stopped
        stopped = stopped or connection.poll()
        return stopped

    try:
        materials, prune = pickle.loads(connection.recv_bytes())
        laboratory = materials.laboratory(prune)
        while True:
            job: Any = connection.recv()
            if job is None or stopped:
                return
            laboratory.train(job, connection.send, stop)
            connection.send(DONE)
    except InputError as error:
        connection.send(error)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _address(text: str) -> Any:
    if text.startswith("("):
        host, port = text.strip("()").split(",")
        return host.strip("' "), int(port)
    return text


if __name__ == "__main__":
    work(sys.argv[1], bytes.fromhex(os.environ.pop("THALWEG_WORKER_KEY")))
