"""Bytes out of a file that may be compressed, and never more of them than memory can hold.

>>> content(Path("houses.csv.gz"))[:5]
b'size,'
>>> content(Path("train-images-idx3-ubyte.gz"), most=16)     # the first bytes alone

A few kilobytes of gzip can unpack to gigabytes: what would take more than half of the machine's memory is refused.
"""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

from thalweg.errors import InputError

BLOCK = 1 << 22


def room() -> int:
    """Bytes that may be unpacked: half of the machine's memory; 8 GB where the system does not tell it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return 1 << 33


def content(path: Path, *, most: int | None = None) -> bytes:
    """The bytes of a file, unpacked where its name ends in ``.gz``; at most the first ``most`` where that is given.

    Raises ``InputError`` where it cannot be read, is damaged, or does not fit in memory.
    """
    limit = room() if most is None else most
    blocks, size = [], 0
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
            while size <= limit and (block := file.read(min(BLOCK, limit + 1 - size))):
                blocks.append(block)
                size += len(block)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    if size > limit and most is None:
        raise InputError(f"{path} holds more than {limit:,} bytes, half of this machine's memory: give it as Parquet")
    return b"".join(blocks)[:limit]
