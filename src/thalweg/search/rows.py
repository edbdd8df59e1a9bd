"""Trials out of Optuna's tables: those that have changed since, by plain queries.

>>> rows = Rows()
>>> rows.read(connection, study_id)                        # all trials of the study, by number
>>> rows.read(connection, study_id)                        # again: only those that were open are read anew

Optuna's own reading goes through SQLAlchemy's mapper, one object for each cell, which took longer than all writing.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial

TRIALS = models.TrialModel.__table__
PARAMETERS = models.TrialParamModel.__table__
VALUES = models.TrialValueModel.__table__
STEPS = models.TrialIntermediateValueModel.__table__
USER = models.TrialUserAttributeModel.__table__
SYSTEM = models.TrialSystemAttributeModel.__table__
MOST = 500
"""Trials asked for in one query: databases bound the variables of a statement."""


class Rows:
    """Remembers the trials that are over: nothing about them changes any more."""

    def __init__(self) -> None:
        self._over: dict[int, FrozenTrial] = {}

    def read(self, connection: sa.Connection, study_id: int) -> list[FrozenTrial]:
        """All trials of a study. What is read of one is at least as new as its state, which is read first."""
        names = ("trial_id", "number", "state", "datetime_start", "datetime_complete")
        rows = connection.execute(
            sa.select(*(TRIALS.c[name] for name in names))
            .where(TRIALS.c.study_id == study_id)
            .order_by(TRIALS.c.number)
        ).all()
        wanted = [row for row in rows if row.trial_id not in self._over]
        found = {trial._trial_id: trial for start in range(0, len(wanted), MOST)
                 for trial in _built(connection, wanted[start : start + MOST])}  # fmt: skip
        self._over.update((key, trial) for key, trial in found.items() if trial.state.is_finished())
        return [self._over.get(row.trial_id) or found[row.trial_id] for row in rows]


def _built(connection: sa.Connection, rows: Sequence[Any]) -> Iterator[FrozenTrial]:
    ids = [row.trial_id for row in rows]
    parameters = _by_trial(
        connection, PARAMETERS, ids, "param_name", "param_value", "distribution_json", order="param_id"
    )
    values = _by_trial(connection, VALUES, ids, "value", "value_type", order="objective")
    steps = _by_trial(connection, STEPS, ids, "step", "intermediate_value", "intermediate_value_type")
    user, system = (_by_trial(connection, table, ids, "key", "value_json") for table in (USER, SYSTEM))
    number_of = models.TrialValueModel.stored_repr_to_value
    step_of = models.TrialIntermediateValueModel.stored_repr_to_intermediate_value
    for row in rows:
        own = [(name, value, _distribution(text)) for name, value, text in parameters[row.trial_id]]
        yield FrozenTrial(
            number=row.number,
            state=row.state,
            value=None,
            values=[number_of(value, kind) for value, kind in values[row.trial_id]] or None,
            datetime_start=row.datetime_start,
            datetime_complete=row.datetime_complete,
            params={name: kind.to_external_repr(value) for name, value, kind in own},
            distributions={name: kind for name, _, kind in own},
            user_attrs={key: json.loads(text) for key, text in user[row.trial_id]},
            system_attrs={key: json.loads(text) for key, text in system[row.trial_id]},
            intermediate_values={step: step_of(value, kind) for step, value, kind in steps[row.trial_id]},
            trial_id=row.trial_id,
        )


def _by_trial(
    connection: sa.Connection, table: sa.Table, ids: Sequence[int], *names: str, order: str = ""
) -> defaultdict[int, list[tuple[Any, ...]]]:
    query = sa.select(table.c.trial_id, *(table.c[name] for name in names)).where(table.c.trial_id.in_(ids))
    found: defaultdict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for row in connection.execute(query.order_by(table.c[order]) if order else query):
        found[row[0]].append(tuple(row[1:]))
    return found


@lru_cache(maxsize=1024)
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)
