"""Files that are whole or not there: a reader, a crash or a full disk never meets half of one.

>>> with replacing(Path("result.json")) as beside:
...     beside.write_text(text)                      # under a name of this process's own; then it takes its place
>>> with replacing(Path("checkpoint.pt"), sure=True) as beside:
...     torch.save(state, beside)                    # on the disk before it takes its place: a power cut loses neither
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path, *, sure: bool = False) -> Iterator[Path]:
    """A path beside ``path`` that takes its place where the block ends well, and is removed where it does not.

    ``sure`` waits until the content is on the disk. Raises ``OSError`` where it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        yield beside
        if sure:
            with beside.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        with suppress(OSError):  # what went wrong before is told, not this
            beside.unlink(missing_ok=True)
