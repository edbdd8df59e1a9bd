"""From a path to a stream; and whether one is needed, for data that fit in memory are better held there.

>>> stream = open_stream("clicks/", target="bought", drop=["session"])    # Parquet: a file, a folder, a pattern with *
>>> stream = open_stream("X.npy,y.npy")                                   # or a folder that holds both
>>> stream = open_stream("train-images-idx3-ubyte")                       # the labels lie beside it
>>> is_large("clicks/")
True
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from thalweg.data.sources.arrays import is_idx
from thalweg.data.sources.several import npy_pair, parquet_named
from thalweg.data.streaming.arrays import ArraySource, idx_file, npy_file
from thalweg.data.streaming.parquet import ParquetSource
from thalweg.data.streaming.source import Source
from thalweg.data.streaming.stream import Stream
from thalweg.errors import InputError

COMFORTABLE = 0.25
"""Of the memory that is free: raw rows, encoded rows, gradients and all else have to find room."""
_DECODED = {".csv": 3.0, ".tsv": 3.0, ".txt": 3.0, ".gz": 20.0}
"""Bytes in memory, raw and encoded, for one in a file; 5 for others, such as pixels."""


def open_stream(
    source: str | Path,
    *,
    target: str | None = None,
    task: str | None = None,
    weights: str | None = None,
    drop: Sequence[str] = (),
) -> Stream:
    """Opens files to be read row by row, and reads their targets once.

    ``target``, ``weights`` and the columns to ``drop`` are those of a table; ``task`` overrules what the target suggests.
    Raises ``InputError`` for files that are missing, broken, of different columns, hold Python objects, or cannot be
    read from their middle, as CSV.
    """
    name, path = str(source), Path(source).expanduser()
    found = parquet_named(name)
    if found:
        shown = path.name.split(".")[0] or name
        return Stream(ParquetSource(found, name=shown, target=target, weights=weights, drop=drop), task=task)
    if target is not None or weights is not None or drop:
        _refuse_missing(name, path)
        _refuse_kind(path)
        raise InputError(f"{source} is no table: leave out target, weights and drop, which name columns")
    return Stream(_arrays(name, path), task=task)


def is_large(source: str | Path) -> bool:
    """Whether data would take more than a quarter of the free memory, read whole and encoded: an estimate from sizes."""
    name = str(source)
    files = parquet_named(name) or [Path(part).expanduser() for part in name.split(",")]
    files = [file for given in files for file in (given.rglob("*") if given.is_dir() else [given])]
    return sum(_bytes_in_memory(file) for file in files if file.is_file()) > COMFORTABLE * free_memory()


def free_memory() -> int:
    """Bytes that this process may still take: of the machine, or of its control group where that is less."""
    free = [_machine()]
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            free.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # there is none, or it says "max"
            continue
    return max(min(free), 0)


def _bytes_in_memory(file: Path) -> float:
    size = file.stat().st_size
    if file.suffix.lower() != ".parquet":
        return _DECODED.get(file.suffix.lower(), 5.0) * size
    import polars as pl

    try:
        frame = pl.scan_parquet(file, glob=False, hive_partitioning=False)
        numbers = frame.select(pl.len()).collect().item() * len(frame.collect_schema())
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        return size
    return max(12 * numbers, size)  # 8 bytes raw and 4 encoded; texts weigh more


def _machine() -> int:
    try:
        available = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    except OSError:
        available = None
    if available:
        return int(available[1]) * 1024
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (ValueError, OSError, AttributeError):
        return 4 << 30


def _arrays(name: str, path: Path) -> Source:
    pair = npy_pair(name)
    if pair is not None:
        return ArraySource(npy_file(pair[0]), npy_file(pair[1]), name=path.name if path.is_dir() else pair[0].stem)
    _refuse_missing(name, path)
    _refuse_kind(path)
    if path.suffix == ".npy":
        raise InputError(f'{path} holds inputs alone: give both files, as "X.npy,y.npy"')
    labels = path.with_name(re.sub(r"(?i)idx\d", "idx1", path.name.replace("images", "labels")))
    if labels == path or not labels.exists():
        raise InputError(f"{path} has no labels beside it: put the file {labels.name} into {path.parent}")
    notes = tuple(
        f"{file.name} is compressed and was decompressed into a temporary file, which is deleted at the end."
        for file in (path, labels)
        if file.suffix == ".gz"
    )
    return ArraySource(idx_file(path), idx_file(labels), name=path.name.split("-images")[0].split(".")[0], notes=notes)


def _refuse_missing(name: str, path: Path) -> None:
    if any(sign in name for sign in "*?[") and not path.exists():
        raise InputError(f"no Parquet file is called {name}: check the pattern")
    if not path.exists() and "," not in name:
        raise InputError(f"{path} does not exist: check the path")


def _refuse_kind(path: Path) -> None:
    if path.is_file() and (is_idx(path) or path.suffix == ".npy"):
        return
    if path.is_dir():
        raise InputError(
            f"{path} holds neither Parquet files nor X.npy and y.npy: put such there, or name an IDX file of images"
        )
    if path.is_file():
        raise InputError(
            f"{path} cannot be read from its middle, so it must fit in memory: write it as Parquet, for example with "
            f'polars.scan_csv("…").sink_parquet("…")'
        )
