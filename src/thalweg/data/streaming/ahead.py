"""An iterator that a thread of its own runs ahead of, a bounded number of items.

>>> for block in ahead(lambda stopped: map(read, files), depth=2): ...
>>> for block in ahead(lambda stopped: takewhile(lambda _: not stopped(), slow()), depth=2): ...

What goes wrong in the thread is raised in the loop. A loop that is left early, or forgotten, ends the thread; so does the end
of the program, whatever still refers to the iterator.
"""

from __future__ import annotations

import atexit
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Produce = Callable[[Callable[[], bool]], Iterable[Item]]
"""Is told how to ask whether it may stop; one that takes long over an item asks."""


def ahead(produce: Produce[Item], *, depth: int) -> Iterator[Item]:
    """Items of ``produce(stopped)``, of which at most ``depth`` wait and one more is being made."""
    reader: Reader[Item] = Reader(produce, depth)
    try:
        yield from reader
    finally:
        reader.close()


class Reader(Iterable[Item]):
    def __init__(self, produce: Produce[Item], depth: int) -> None:
        self._waiting: queue.Queue[tuple[Item] | BaseException | None] = queue.Queue(depth)
        self._stop = threading.Event()
        # A daemon, for the interpreter waits for other threads before it calls what ends this one.
        self._thread = threading.Thread(target=self._run, args=(produce,), name="thalweg-reader", daemon=True)
        atexit.register(self.close)
        self._thread.start()

    def __iter__(self) -> Iterator[Item]:
        while (item := self._waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]

    def close(self) -> None:
        """Ends the thread, after the item it is at."""
        atexit.unregister(self.close)
        self._stop.set()
        if threading.current_thread() is self._thread:  # collected as garbage there
            return
        while self._thread.is_alive():
            while not self._waiting.empty():
                self._waiting.get_nowait()
            self._thread.join(0.01)

    def _run(self, produce: Produce[Item]) -> None:
        last = None
        try:
            for item in produce(self._stop.is_set):
                if self._stop.is_set():
                    return
                self._waiting.put((item,))
        except BaseException as error:  # it belongs to the loop, whatever it is
            last = error
        self._waiting.put(last)
