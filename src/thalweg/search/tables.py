"""Optuna's tables in SQLite or PostgreSQL, a whole batch in one transaction.

>>> tables = Tables("sqlite:///study.db", where="study.db", file=Path("study.db"))
>>> tables.write(Batch(study, new=trials))

The rows are those that Optuna's ``RDBStorage`` writes, made with its own models (schema of Optuna 3 to 5).
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from optuna.distributions import distribution_to_json
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.dialects import postgresql, sqlite

from thalweg.errors import InputError
from thalweg.search.rows import PARAMETERS, STEPS, SYSTEM, TRIALS, USER, VALUES, Rows
from thalweg.search.shelves import Batch, Change, Written, file_lock, lock_number, utc_now

WAIT = 120
"""Seconds to wait for another process that writes."""
STUDY_SYSTEM = models.StudySystemAttributeModel.__table__


class Tables:
    """A shelf in a database. ``file`` is that of SQLite, None for a server; ``where`` is what the user called it."""

    def __init__(self, url: str, *, where: str, file: Path | None = None) -> None:
        self.file = file
        options: dict[str, Any] = {"creator": lambda: _connected(file)} if file else {"pool_pre_ping": True}
        self._locks = sa.create_engine(url, poolclass=sa.pool.NullPool)
        try:
            with self.alone("thalweg: tables"):
                rows = RDBStorage(url, engine_kwargs=options)
        except (sa.exc.SQLAlchemyError, sqlite3.Error, StorageInternalError, RuntimeError) as error:
            self._locks.dispose()
            raise InputError(f"{_without_password(where)}: the study can't be opened ({_first_line(error)})") from None
        self.engine: sa.Engine = rows.engine
        self.storage = _CachedStorage(rows)
        self._rows = Rows()

    @contextlib.contextmanager
    def alone(self, key: str) -> Iterator[None]:
        if self.file is not None:
            with file_lock(self.file.with_name(self.file.name + ".ask")):
                yield
            return
        with self._locks.connect() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_lock(lock_number(key))))
            connection.commit()
            try:
                yield
            finally:
                connection.execute(sa.select(sa.func.pg_advisory_unlock(lock_number(key))))
                connection.commit()

    def write(self, batch: Batch) -> Written:
        with self.engine.begin() as connection:
            if batch.system:
                rows = [{"study_id": batch.study_id, **row} for row in _attributes(batch.system)]
                _replace(connection, STUDY_SYSTEM, rows, ("study_id", "key"))
            new = _create(connection, batch.study_id, batch.new) if batch.new else {}
            return Written(_change(connection, batch.changes), new)

    def trials(self, study_id: int) -> list[FrozenTrial]:
        with self.engine.connect() as connection:
            return self._rows.read(connection, study_id)

    def close(self) -> None:
        self.storage.remove_session()
        self.engine.dispose()
        self._locks.dispose()


def _connected(file: Path) -> sqlite3.Connection:
    """With a write-ahead log: readers and a writer don't wait for each other, and a batch costs half. A commit survives the
    process; the last ones before a power cut may be lost.
    """
    connection = sqlite3.connect(file, timeout=WAIT, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _create(connection: sa.Connection, study_id: int, trials: Sequence[FrozenTrial]) -> dict[int, int]:
    """Returns the ids by number."""
    here = TRIALS.c.study_id == study_id
    # Optuna takes the same lock where it numbers a trial, so its processes and ours never give a number twice.
    connection.execute(
        sa.select(models.StudyModel.study_id).where(models.StudyModel.study_id == study_id).with_for_update()
    )
    start = connection.scalar(sa.select(sa.func.count()).select_from(TRIALS).where(here)) or 0
    now = utc_now()
    connection.execute(
        sa.insert(TRIALS),
        [
            {"number": start + place, "study_id": study_id, "state": trial.state, "datetime_start": now}
            for place, trial in enumerate(trials)
        ],
    )
    numbers = connection.execute(sa.select(TRIALS.c.number, TRIALS.c.trial_id).where(here, TRIALS.c.number >= start))
    ids = {row.number: row.trial_id for row in numbers}
    parameters, system = [], []
    for place, trial in enumerate(trials):
        of = {"trial_id": ids[start + place]}
        for name, value in trial.params.items():
            kind = trial.distributions[name]
            parameters.append(
                {
                    **of,
                    "param_name": name,
                    "param_value": kind.to_internal_repr(value),
                    "distribution_json": distribution_to_json(kind),
                }
            )
        system += [{**of, **row} for row in _attributes(trial.system_attrs)]
    if parameters:
        connection.execute(sa.insert(PARAMETERS), parameters)
    if system:
        connection.execute(sa.insert(SYSTEM), system)
    return ids


def _change(connection: sa.Connection, changes: Sequence[Change]) -> list[int]:
    ended: list[int] = []
    now, values, steps, user, system = utc_now(), [], [], [], []
    open_ids = _running(connection, [change.trial_id for change in changes if change.state is None])
    for state in {change.state: None for change in changes if change.state is not None}:
        # The condition makes the first to end a trial the only one.
        here = TRIALS.c.trial_id.in_([change.trial_id for change in changes if change.state == state])
        done = sa.update(TRIALS).where(here, TRIALS.c.state == TrialState.RUNNING)
        end = done.values(state=state, datetime_complete=now).returning(TRIALS.c.trial_id)
        ended += connection.scalars(end)
    open_ids.update(ended)
    for change in changes:
        if change.trial_id not in open_ids:
            continue
        of = {"trial_id": change.trial_id}
        for objective, value in enumerate(change.values or ()):
            stored, kind = models.TrialValueModel.value_to_stored_repr(value)
            values.append({**of, "objective": objective, "value": stored, "value_type": kind})
        for step, value in change.steps.items():
            shown, sort = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
            steps.append({**of, "step": step, "intermediate_value": shown, "intermediate_value_type": sort})
        user += [{**of, **row} for row in _attributes(change.user)]
        system += [{**of, **row} for row in _attributes(change.system)]
    if values:
        connection.execute(sa.insert(VALUES), values)
    _replace(connection, STEPS, steps, ("trial_id", "step"))
    _replace(connection, USER, user, ("trial_id", "key"))
    _replace(connection, SYSTEM, system, ("trial_id", "key"))
    return ended


def _running(connection: sa.Connection, trial_ids: Sequence[int]) -> set[int]:
    if not trial_ids:
        return set()
    chosen = sa.select(TRIALS.c.trial_id).where(TRIALS.c.trial_id.in_(trial_ids), TRIALS.c.state == TrialState.RUNNING)
    return set(connection.scalars(chosen))


def _replace(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], keys: tuple[str, ...]
) -> None:
    if rows:
        insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
        new = {name: insert.excluded[name] for name in rows[0] if name not in keys}
        latest = {tuple(row[key] for key in keys): row for row in rows}  # a statement may not touch a row twice
        connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=new), list(latest.values()))


def _attributes(attributes: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"key": key, "value_json": json.dumps(value)} for key, value in attributes.items()]


def _first_line(error: Exception) -> str:
    original = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    return str(original or error).strip().partition("\n")[0]


def _without_password(where: str) -> str:
    try:
        return sa.make_url(where).render_as_string(hide_password=True) if "://" in where else where
    except sa.exc.ArgumentError:
        return where
