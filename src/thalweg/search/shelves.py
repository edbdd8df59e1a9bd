"""The places where Optuna keeps studies, with what it lacks: a batch is written as a whole, and one process asks at a time.

>>> shelf = open_shelf("study.db")                        # or study.log, or postgresql://user@host/studies
>>> with shelf.alone("digits"):                           # nobody else asks meanwhile
...     shelf.write(Batch(study, new=trials))             # 64 trials in one transaction

Optuna's own interface writes trial by trial and value by value: asking 64 trials and telling them takes seconds on SQLite.
Here the same rows go into the same tables in one transaction, through Optuna's own models, and the same records into the
journal in one append; what Optuna reads afterwards is the same (tested).
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from thalweg.errors import InputError, MissingDependency

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial, TrialState


@dataclass(frozen=True)
class Change:
    """What is written to one running trial. ``state`` and ``values`` end it."""

    trial_id: int
    steps: Mapping[int, float] = field(default_factory=dict)
    user: Mapping[str, Any] = field(default_factory=dict)
    system: Mapping[str, Any] = field(default_factory=dict)
    state: TrialState | None = None
    values: Sequence[float] | None = None


@dataclass(frozen=True)
class Written:
    """What came of a batch: the ids of the trials that it ended, and those of its new trials by number."""

    ended: list[int]
    new: dict[int, int]


@dataclass(frozen=True)
class Batch:
    """What is written at once: attributes of the study, new trials, changes to running ones."""

    study_id: int
    system: Mapping[str, Any] = field(default_factory=dict)
    new: Sequence[FrozenTrial] = ()
    changes: Sequence[Change] = ()


class Shelf(Protocol):
    """One place that holds studies."""

    @property
    def storage(self) -> BaseStorage:
        """Optuna's storage, for reading."""
        ...

    def alone(self, key: str) -> contextlib.AbstractContextManager[None]:
        """Until the block ends no other process is inside such a block with the same key; a process that dies leaves it."""
        ...

    def write(self, batch: Batch) -> Written:
        """Writes all of it or nothing; trials that had ended are left alone."""
        ...

    def trials(self, study_id: int) -> list[FrozenTrial]:
        """All trials of a study, by number."""
        ...

    def close(self) -> None: ...


def open_shelf(where: str) -> Shelf:
    """Opens a file or URL; see ``open_store``. Raises ``InputError``, ``MissingDependency``."""
    scheme, separator, rest = where.partition(":")
    if scheme == "journal" or (where.endswith(".log") and "://" not in where):
        from thalweg.search.journal import Journal

        return Journal(_parent_made(Path(rest if scheme == "journal" else where)))
    from thalweg.search.tables import Tables

    if scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        try:
            import psycopg  # noqa: F401
        except ImportError:
            raise MissingDependency("psycopg", "a study in PostgreSQL", extra="search") from None
        return Tables(f"postgresql+psycopg{separator}{rest}", where=where)
    if scheme == "sqlite":
        path = rest.removeprefix("///")
        if not rest.startswith("///") or path in ("", ":memory:"):
            raise InputError(f"{where}: a study is kept in a file, as in sqlite:///study.db")
        return Tables(f"sqlite:///{path}", where=where, file=_parent_made(Path(path)))
    if "://" in where:
        raise InputError(f"{where}: a study is kept in a file of SQLite, a journal (study.log) or PostgreSQL")
    return Tables(f"sqlite:///{where}", where=where, file=_parent_made(Path(where)))


@contextlib.contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Waits for a lock on a file, which the operating system takes back from a process that dies."""
    import fcntl

    with path.open("ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)


def lock_number(key: str) -> int:
    """A signed 64-bit number for a name, as PostgreSQL's advisory locks want it."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big", signed=True)


def utc_now() -> datetime.datetime:
    """The time as Optuna's tables hold it, without a zone."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)


def _parent_made(path: Path) -> Path:
    if path.is_dir():
        raise InputError(f"{path}: this is a folder: name a file for the study")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: its folder can't be made ({error.strerror})") from None
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: its folder can't be written to")
    return path
