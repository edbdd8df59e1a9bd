"""Arrays in files without compression, read some rows at a time: ``.npy`` pairs and IDX pairs.

>>> source = ArraySource(npy_file(Path("X.npy")), npy_file(Path("y.npy")), name="pixels")
>>> source.read(source.spans(row_bytes=3136)[0]).inputs.shape
(1337, 28, 28)

A file is described once, by its header: type, shape, where the numbers begin. Headers never hold code: arrays of Python
objects are refused. A compressed IDX file cannot be read from its middle; it is decompressed into a temporary file first.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import tempfile
import zlib
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import IO, Any

import numpy as np

from thalweg.data.sources.arrays import IDX_TYPES, as_images
from thalweg.data.streaming.source import SPAN_BYTES, Columns, Span, spans_of
from thalweg.errors import InputError

DIGESTED = 16
"""Blocks of 64 KiB of a file, at equal distances, that make its digest together with its header and size."""


@dataclass(frozen=True)
class ArrayFile:
    """Numbers in C order from byte ``offset`` of ``content``; ``path`` is what the user knows the file as."""

    path: Path
    content: Path
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int
    keep: Any = None
    """A temporary file that lives as long as this."""

    def __post_init__(self) -> None:
        size = self.content.stat().st_size - self.offset
        if min(self.shape, default=0) < 0 or size < self.dtype.itemsize * int(np.prod(self.shape, dtype=object)):
            raise InputError(
                f"{self.path} is cut short: its header announces shape {self.shape}, and {size:,} bytes follow"
            )

    @property
    def row_bytes(self) -> int:
        return self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=object))

    def read(self, first: int, rows: int) -> np.ndarray:
        """``(rows, …)`` in the machine's own byte order."""
        count = rows * self.row_bytes // self.dtype.itemsize
        try:
            numbers = np.fromfile(self.content, self.dtype, count, offset=self.offset + first * self.row_bytes)
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error}") from None
        if numbers.size != count:
            raise InputError(f"{self.path} was cut short while it was read: copy it again")
        return numbers.astype(self.dtype.newbyteorder("="), copy=False).reshape(rows, *self.shape[1:])

    def digest(self) -> str:
        digest = hashlib.sha256(f"{self.path.name} {self.dtype.str} {self.shape}".encode())
        with self.content.open("rb") as file:
            size = self.content.stat().st_size
            for block in range(DIGESTED):
                file.seek(self.offset + (size - self.offset) * block // DIGESTED)
                digest.update(file.read(1 << 16))
        return digest.hexdigest()


def npy_file(path: Path) -> ArrayFile:
    """Raises ``InputError`` for a file that is no array of numbers in C order, or holds Python objects."""
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = header(file)
            offset = file.tell()
    except FileNotFoundError:
        raise InputError(f"{path} is missing: put the inputs into X.npy and the targets into y.npy") from None
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} is no whole .npy file ({_first_line(error)}): write it with numpy.save") from None
    if dtype.hasobject:
        raise InputError(
            f"{path} holds Python objects, which could run code when read: save an array of numbers instead"
        )
    if dtype.kind not in "fiub" or (dtype.kind == "f" and dtype.itemsize > 8):
        raise InputError(f"{path} is of type {dtype}: save an array of numbers")
    if fortran and len(shape) > 1:
        raise InputError(
            f"{path} holds its columns one after the other, so that rows cannot be read: "
            f"save it again after numpy.ascontiguousarray"
        )
    return ArrayFile(path, path, dtype, shape, offset)


def idx_file(path: Path) -> ArrayFile:
    """Raises ``InputError`` for a file that is not in the IDX format. One that is compressed is decompressed first."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4 + 4 * 255)
            if (
                len(head) < 4
                or head[:2] != b"\0\0"
                or head[2] not in IDX_TYPES
                or not 0 < head[3] <= len(head) // 4 - 1
            ):
                raise InputError(
                    f"{path} is no IDX file: it begins with {head[:4].hex(' ') or 'nothing'}, not with 00 00 08 …"
                )
            dtype, shape = np.dtype(IDX_TYPES[head[2]]), tuple(np.frombuffer(head, ">u4", head[3], 4).tolist())
            offset = 4 + 4 * head[3]
            if path.suffix != ".gz":
                return ArrayFile(path, path, dtype, shape, offset)
            file.seek(0)
            keep = _copied(file, offset + dtype.itemsize * int(np.prod(shape, dtype=object)), path)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    return ArrayFile(path, Path(keep.name), dtype, shape, offset, keep)


class ArraySource:
    """Inputs ``(n, …)`` and targets ``(n,)`` or ``(n, 1)`` from two files of one length."""

    target = "target"

    def __init__(self, inputs: ArrayFile, targets: ArrayFile, *, name: str, notes: tuple[str, ...] = ()) -> None:
        if len(inputs.shape) < 2 or 0 in inputs.shape:
            raise InputError(f"{inputs.path} has shape {inputs.shape}: give one row for each example, as (n, features)")
        if targets.shape not in ((inputs.shape[0],), (inputs.shape[0], 1)):
            raise InputError(
                f"{targets.path} has shape {targets.shape} and {inputs.path} {inputs.shape}: "
                f"give one target for each row, shape ({inputs.shape[0]},)"
            )
        self.name, self.notes = name, notes
        self._inputs, self._targets = inputs, targets
        self.rows = inputs.shape[0]
        self.row_bytes = inputs.row_bytes
        self.numbers = inputs.row_bytes // inputs.dtype.itemsize

    def spans(self, row_bytes: int) -> list[Span]:
        return list(spans_of([[self.rows]], max(SPAN_BYTES // max(row_bytes, 1), 1)))

    def read(self, span: Span) -> Columns:
        return Columns(as_images(self._inputs.read(span.first, span.rows)), self.answers(span), None)

    def answers(self, span: Span) -> Any:
        import polars as pl

        values = self._targets.read(span.first, span.rows).ravel()
        return pl.Series(self.target, values.astype(np.float32) if values.dtype == np.float16 else values)

    def where(self, span: Span, row: int = 0) -> str:
        return f"{self._inputs.path}, row {span.first + row + 1:,}"

    def digest(self) -> str:
        return hashlib.sha256(f"{self._inputs.digest()} {self._targets.digest()}".encode()).hexdigest()


def _copied(file: BufferedIOBase, size: int, path: Path) -> IO[bytes]:
    """A temporary file of the first ``size`` bytes: never more than the header announced, nor than there is room for."""
    keep = tempfile.NamedTemporaryFile(prefix="thalweg-", suffix=".idx")  # noqa: SIM115 (it lives as long as the source)
    free = shutil.disk_usage(Path(keep.name).parent).free
    if size > free:
        raise InputError(
            f"{path} takes {size / 1e9:,.1f} GB without compression, and {free / 1e9:,.1f} GB are free for temporary files: "
            f"decompress it where there is room"
        )
    while size > 0 and (block := file.read(min(size, 1 << 20))):
        keep.write(block)
        size -= len(block)
    keep.flush()
    return keep


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
