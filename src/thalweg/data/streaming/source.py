"""What can be read a span of rows at a time: one interface, and where its spans lie.

>>> source = ParquetSource([Path("houses.parquet")], target="price")
>>> spans = source.spans(row_bytes=200)              # some megabytes each, none across files
>>> inputs, answers = source.read(spans[0])          # a frame or an array, and the raw targets

Spans are read with ordinary reads, not through a memory map: pages of a map count as resident until the system wants them
back, and a map of a file that is cut short meanwhile ends the process without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

SPAN_BYTES = 1 << 22
"""Bytes of encoded rows read together: few, for many spans are mixed in the shuffle buffer; enough to read fast."""


class Span(NamedTuple):
    """Rows ``first`` to ``first + rows`` of a file, which are ``start`` to ``start + rows`` of the whole."""

    file: int
    first: int
    rows: int
    start: int


class Columns(NamedTuple):
    """Rows as they were read: inputs ``(n, …)``, raw targets and raw weights ``(n,)``."""

    inputs: Any
    answers: Any
    weights: Any | None


class Source(Protocol):
    """Files of one kind, checked as far as their headers say. Reading raises ``InputError`` naming file and rows."""

    name: str
    target: str
    rows: int
    row_bytes: int
    """Of one raw row, about."""
    numbers: int
    """Values in one row of the inputs."""
    notes: tuple[str, ...]

    def spans(self, row_bytes: int) -> list[Span]:
        """All rows once, in their order; ``row_bytes`` are those of an encoded row."""

    def read(self, span: Span) -> Columns: ...

    def answers(self, span: Span) -> Any:
        """The targets alone: a polars series."""

    def where(self, span: Span, row: int = 0) -> str:
        """The file, and the row in it that is ``row`` in the span; counted from 1."""

    def digest(self) -> str:
        """What tells this content from another, without reading all of it."""


def spans_of(files: Iterable[Iterable[int]], wanted: int) -> Iterator[Span]:
    """Spans of about ``wanted`` rows, less than twice as many. Small groups of a file are read together, large ones (a file
    is one group where it has none) in equal pieces."""
    start = 0
    for file, groups in enumerate(files):
        first = held = 0
        for rows in [*groups, 0]:
            if held and (held + rows > wanted or not rows):
                for size in _pieces(held, wanted):
                    yield Span(file, first, size, start)
                    first, start = first + size, start + size
                held = 0
            held += rows


def _pieces(rows: int, wanted: int) -> list[int]:
    count = max(rows // wanted, 1)
    return np.diff(np.arange(count + 1) * rows // count).tolist()
