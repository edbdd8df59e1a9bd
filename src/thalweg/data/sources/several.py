"""Data in several files, read whole: what streams when it is large is also read when it is small.

>>> parquet_named("clicks/"), parquet_named("clicks/2024-*.parquet")          # the files, sorted
>>> frame = read_parquets(parquet_named("clicks/"))
>>> arrays = read_npy_pair(*npy_pair("X.npy,y.npy"))                          # or a folder that holds the two
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from thalweg.data.sources.arrays import Arrays, as_array
from thalweg.data.sources.table import read_table
from thalweg.errors import InputError

if TYPE_CHECKING:
    import polars


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files in a folder and below it, sorted; names that begin with a dot or ``_`` are no data."""
    return sorted(
        path
        for path in folder.rglob("*.parquet")
        if path.is_file() and not any(part[0] in "._" for part in path.relative_to(folder).parts)
    )


def parquet_named(name: str) -> list[Path]:
    """The Parquet files that are meant by a file, a folder or a pattern; none where it is something else."""
    path = Path(name).expanduser()
    try:
        if any(sign in name for sign in "*?[") and not path.exists():
            return sorted(Path(found) for found in glob.glob(str(path), recursive=True) if found.endswith(".parquet"))
        if path.is_dir():
            return parquet_files(path)
        return [path] if path.is_file() and path.name.lower().endswith(".parquet") else []
    except OSError:  # a name that is too long, say; whoever opens it says what is wrong
        return []


def npy_pair(name: str) -> tuple[Path, Path] | None:
    """The files of inputs and targets: ``X.npy,y.npy``, or a folder that holds these."""
    path = Path(name).expanduser()
    try:
        if path.is_dir() and (path / "X.npy").exists():
            return path / "X.npy", path / "y.npy"
    except OSError:
        return None
    parts = [Path(part.strip()).expanduser() for part in name.split(",")]
    return (parts[0], parts[1]) if len(parts) == 2 and all(part.suffix == ".npy" for part in parts) else None


def read_parquets(paths: Sequence[Path], *, texts: Sequence[str] = ()) -> polars.DataFrame:
    """The rows of all files, one below the other. Raises ``InputError`` where their columns differ, or one is broken."""
    import polars as pl

    frames = [read_table(path, texts=texts) for path in paths]
    for path, frame in zip(paths, frames, strict=True):
        if frame.columns != frames[0].columns:
            raise InputError(f"{path} has other columns than {paths[0]}: give files with the same columns")
        for one, first in zip(frame, frames[0], strict=True):
            joins = (one.dtype.is_numeric() and first.dtype.is_numeric()) or pl.Null in (one.dtype, first.dtype)
            if one.dtype != first.dtype and not joins:
                raise InputError(
                    f'the column "{one.name}" is {one.dtype} in {path} and {first.dtype} in {paths[0]}: write it in one type'
                )
    return pl.concat(frames, how="vertical_relaxed")


def read_npy_pair(inputs: Path, targets: Path) -> Arrays:
    """Inputs ``(n, …)`` and targets ``(n,)`` of two files, held in memory. Raises ``InputError`` as streaming does."""
    from thalweg.data.streaming.arrays import ArraySource, npy_file

    files = npy_file(inputs), npy_file(targets)
    ArraySource(*files, name="")  # it says what does not fit
    x, y = (file.read(0, file.shape[0]) for file in files)
    wide = y.ravel().astype(np.float32) if y.dtype == np.float16 else y.ravel()
    return Arrays(as_array(x, str(inputs)), wide)
