"""Optuna's journal with whole batches in one append, and safe from a process that was killed while it wrote.

>>> journal = Journal(Path("study.log"))
>>> journal.write(Batch(study, new=trials))                # one append, one flush to disk

A line without its end is what a killed process leaves; Optuna refuses to read past it, and with it all that comes later. Here
it goes before the next line is written: its batch had not been confirmed to anybody.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import uuid
from pathlib import Path
from typing import Any

from optuna.distributions import distribution_to_json
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import get_lock_file
from optuna.storages.journal._storage import JournalOperation
from optuna.trial import FrozenTrial

from thalweg.errors import InputError
from thalweg.search.shelves import Batch, Change, Written, file_lock

BEGUN, ENDED = "thalweg:begun", "thalweg:ended"
"""The attributes by which a writer knows its own trials, and sees whether it was the first to end one."""


class _File(JournalFileBackend):
    """The file of the journal, mended before it is appended to."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        with get_lock_file(self._lock), open(self._file_path, "r+b") as file:
            file.seek(_whole_lines(file))
            file.truncate()
            file.write(text)
            file.flush()
            os.fsync(file.fileno())


def _whole_lines(file: Any) -> int:
    """The number of bytes up to the end of the last whole line."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(end - 65536, 0)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


class Journal:
    """A shelf in Optuna's journal file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.storage = JournalStorage(_File(str(path)))
        except (ValueError, KeyError, AssertionError) as error:
            raise InputError(f"{path}: this is no journal of Optuna ({error})") from None
        except OSError as error:
            raise InputError(f"{path}: the journal can't be opened ({error.strerror})") from None

    def alone(self, key: str) -> contextlib.AbstractContextManager[None]:
        return file_lock(self.path.with_name(self.path.name + ".ask"))

    def write(self, batch: Batch) -> Written:
        # Records of another writer than this storage: one that comes too late is passed over instead of raising.
        worker = uuid.uuid4().hex
        records = [
            {"op_code": JournalOperation.SET_STUDY_SYSTEM_ATTR, "study_id": batch.study_id, "system_attr": {key: value}}
            for key, value in batch.system.items()
        ]
        records += [_creation(batch.study_id, trial, worker) for trial in batch.new]
        for change in batch.changes:
            records += _records(change, worker)
        if records:
            self.storage._backend.append_logs([{**record, "worker_id": worker} for record in records])
        trials = {
            trial._trial_id: trial for trial in self.storage.get_all_trials(batch.study_id, deepcopy=False)
        }  # fmt: skip
        ends = dict.fromkeys(change.trial_id for change in batch.changes if change.state is not None)
        new = {one.number: place for place, one in trials.items() if one.system_attrs.get(BEGUN) == worker}
        return Written([one for one in ends if trials[one].system_attrs.get(ENDED) == worker], new)

    def trials(self, study_id: int) -> list[FrozenTrial]:
        return sorted(self.storage.get_all_trials(study_id, deepcopy=False), key=lambda trial: trial.number)

    def close(self) -> None:
        pass


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")


def _creation(study_id: int, trial: FrozenTrial, worker: str) -> dict[str, Any]:
    return {
        "op_code": JournalOperation.CREATE_TRIAL,
        "study_id": study_id,
        "datetime_start": _now(),
        "state": trial.state,
        "value": None,
        "values": None,
        "distributions": {name: distribution_to_json(kind) for name, kind in trial.distributions.items()},
        "params": {name: trial.distributions[name].to_internal_repr(value) for name, value in trial.params.items()},
        "user_attrs": trial.user_attrs,
        "system_attrs": {**trial.system_attrs, BEGUN: worker},
        "intermediate_values": {},
    }


def _records(change: Change, worker: str) -> list[dict[str, Any]]:
    of = {"trial_id": change.trial_id}
    records: list[dict[str, Any]] = [
        {**of, "op_code": JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE, "step": step, "intermediate_value": value}
        for step, value in change.steps.items()
    ]
    records += [
        {**of, "op_code": JournalOperation.SET_TRIAL_USER_ATTR, "user_attr": {key: value}}
        for key, value in change.user.items()
    ]
    system = {**change.system, ENDED: worker} if change.state is not None else change.system
    records += [
        {**of, "op_code": JournalOperation.SET_TRIAL_SYSTEM_ATTR, "system_attr": {key: value}}
        for key, value in system.items()
    ]
    if change.state is not None:
        values = None if change.values is None else list(change.values)
        records.append(
            {**of, "op_code": JournalOperation.SET_TRIAL_STATE_VALUES, "state": change.state, "values": values}
            | {"datetime_complete": _now()}
        )
    return records
