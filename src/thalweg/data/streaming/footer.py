"""The footer of a Parquet file: how many rows its groups have, and whether the file is whole, without reading a value.

>>> footer = read_footer(Path("houses.parquet"))
>>> footer.groups[0]
RowGroup(rows=122880, decoded_bytes=9830400)

polars reads rows but does not say where row groups begin; a read that crosses such a border decodes two groups. The footer
is a Thrift struct in the compact protocol (``parquet.thrift`` and ``thrift-compact-protocol.md`` of the Apache projects),
between the columns and the last eight bytes: its length and ``PAR1``. Numbers of fields are those of ``FileMetaData``.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from thalweg.errors import InputError

DEEPEST = 32
"""Structs inside structs; real footers have eight."""


class RowGroup(NamedTuple):
    rows: int
    decoded_bytes: int
    """Without compression, though still with dictionaries."""


@dataclass(frozen=True)
class Footer:
    groups: tuple[RowGroup, ...]
    digest: str
    """SHA-256 of the footer: schema, sizes, places and statistics of every column in every group."""


def read_footer(path: Path) -> Footer:
    """Raises ``InputError`` for a file that is no Parquet, cut short, or encrypted."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - 8, 0))
            tail = file.read(8)
            length = int.from_bytes(tail[:4], "little")
            if tail[4:] != b"PAR1" or length + 12 > size:
                raise InputError(
                    f"{path} is no whole Parquet file: it does not end with its footer; perhaps it was cut short, so "
                    f"write or copy it again"
                )
            file.seek(size - 8 - length)
            content = file.read(length)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    try:
        groups, end = [], 0
        for group in Compact(content).struct(0)[4]:
            groups.append(RowGroup(int(group[3]), int(group[2])))
            end = max([end, *(_end(column[3]) for column in group[1])])
    except (IndexError, KeyError, TypeError, ValueError):
        raise InputError(f"{path} has a Parquet footer that cannot be understood: write the file again") from None
    if end > size - 8 - length or any(rows < 0 or decoded < 0 for rows, decoded in groups):
        raise InputError(f"{path} is shorter than its footer says: it was cut short; write or copy it again")
    return Footer(tuple(group for group in groups if group.rows), hashlib.sha256(content).hexdigest())


def _end(chunk: dict[int, Any]) -> int:
    """The first byte after a column chunk (``ColumnMetaData``: 7 compressed size, 9 data page, 11 dictionary page)."""
    return min(chunk[9], chunk.get(11) or chunk[9]) + chunk[7]


class Compact:
    """Thrift's compact protocol: a struct becomes ``{field number: value}``, texts stay bytes."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def struct(self, depth: int) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            kind = head & 15
            number = number + (head >> 4) if head >> 4 else self._signed()
            fields[number] = kind == 1 if kind < 3 else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if 4 <= kind <= 6:
            return self._signed()
        if kind == 8:
            return self._bytes(self._unsigned())
        if depth > DEEPEST:
            raise ValueError("nested too deeply")
        if kind == 12:
            return self.struct(depth + 1)
        if kind in (9, 10):
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._unsigned()
            return [self._value(head & 15, depth + 1) for _ in range(count)]
        if kind in (1, 2, 3):
            return self._byte()
        if kind == 7:
            return self._bytes(8)
        raise ValueError(f"there is no type {kind}")

    def _byte(self) -> int:
        self.at += 1
        return self.content[self.at - 1]

    def _bytes(self, count: int) -> bytes:
        if count > len(self.content) - self.at:
            raise ValueError("beyond the end")
        self.at += count
        return self.content[self.at - count : self.at]

    def _unsigned(self) -> int:
        number = self._byte()
        if number < 128:
            return number
        number, shift = number & 127, 7
        while (byte := self._byte()) >= 128 and shift < 63:
            number |= (byte & 127) << shift
            shift += 7
        return number | (byte & 127) << shift

    def _signed(self) -> int:
        number = self._unsigned()
        return (number >> 1) ^ -(number & 1)
