"""From what lies in a study's folder to its page, of a study that still goes too; and what to try next.

>>> write_study_page(StudyFolder(Path("runs/digits-study-1")))
>>> advice(space, finished, confirmed)
['The best trials have lr near its upper end, 0.1: search beyond it.']
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import thalweg
from thalweg.experiments.tuning.folder import StudyFolder, Trials
from thalweg.experiments.tuning.objectives import best_of, finished_of, front_of, values_of
from thalweg.experiments.tuning.trainer import ABOVE, DIVERGED
from thalweg.search import Choices, Finished, Importance, Range, Space, importance, parallel, ranked
from thalweg.search.store import Direction

if TYPE_CHECKING:
    from thalweg.report.front import Front

EDGE = 0.08
"""A place this near to the end of a range is at its end."""
LITTLE = 0.03
"""A share of importance below which a hyperparameter need not be searched."""


def advice(space: Space, finished: Sequence[Finished], shares: Mapping[str, float]) -> list[str]:
    """What to try next: ranges whose end the best trials have come to, hyperparameters that matter little."""
    order = [trial for trial in ranked(finished) if trial.pruned_at is None] or ranked(finished)
    best = order[: max(3, len(finished) // 16)]
    said = []
    for name in space.searched if len(finished) >= 8 else ():
        kind = space[name]
        places = sorted(kind.place(trial.values[name]) for trial in best if name in trial.values)
        if not places or not _ordered(kind) or shares.get(name, 1.0) < LITTLE:
            continue
        middle = places[len(places) // 2]
        step = 0.5 / len(kind.values) + 1e-9 if isinstance(kind, Choices) else EDGE
        end = kind.at(0.0) if middle <= step else kind.at(1.0) if middle >= 1 - step else None
        if end is not None:
            side = "lower" if middle <= step else "upper"
            shown = f"{end:.4g}" if isinstance(end, float) else end
            said.append(f"The best trials have {name} at its {side} end, {shown}: search beyond it.")
    little = [name for name, share in shares.items() if share < LITTLE]
    if little and len(little) < len(shares):
        several = len(little) > 1
        said.append(
            f"{', '.join(little)} explain{'' if several else 's'} next to nothing here: "
            f"leave {'them' if several else 'it'} as in the best trial, and spend the trials on the others."
        )
    return said


def _ordered(kind: object) -> bool:
    if isinstance(kind, Choices):
        numbers = [value for value in kind.values if isinstance(value, int | float) and not isinstance(value, bool)]
        return len(numbers) == len(kind.values) > 1 and numbers == sorted(numbers)
    return isinstance(kind, Range)


def write_study_page(folder: StudyFolder) -> None:
    """Makes ``page.html`` from the folder's files."""
    from thalweg import report

    report.write(folder.page, rendered_study(folder))


def rendered_study(folder: StudyFolder, *, status: str = "") -> str:
    """The page of a study as its files stand; writes nothing. A ``status`` takes the place of the one in the files."""
    from thalweg.report.study import StudyReport, Trial, study_page

    about = tomllib.loads(folder.study.read_text(encoding="utf-8"))
    search, space = about.pop("search"), Space.parse(about.pop("space"))
    result: dict[str, Any] = folder.read_json(folder.result) if folder.result.exists() else {"status": "running"}
    kept = Trials(folder)
    records = kept.read()
    watch = str(about["watch"])
    objectives = search.get("objectives", [watch])
    aims: dict[str, Direction] = {name: "maximize" if name in ABOVE else "minimize" for name in objectives}
    finished = finished_of(records, aims)
    drawn = parallel(space, finished)
    places = {line["number"]: line["places"] for line in drawn["lines"]}
    found = importance(space, finished, seed=int(about["seed"]))
    shares = _rows(found)
    best = best_of(records, aims)
    began = min((record["ended"] - record["seconds"] for record in records), default=0.0)
    names = [axis["name"] for axis in drawn["axes"]]
    page = StudyReport(
        name=folder.name,
        metric=watch,
        more=watch in ABOVE,
        created=result.get("created", ""),
        status=status or result["status"],
        task=result.get("task", ""),
        data=str(about["data"]),
        trials=[
            Trial(
                record["number"],
                record["values"],
                record["status"],
                record["metrics"]["dev"].get(watch, math.nan) if record["status"] != DIVERGED else math.nan,
                record["epochs"],
                record["seconds"],
                record["ended"] - began,
                record["why"],
                kept.curves(record["number"], watch),
                {name: place for name, place in zip(names, places[record["number"]], strict=True) if place is not None},
            )
            for record in records
        ],
        best=None if best is None else best["number"],
        confirmed=result.get("confirmed"),
        metrics=result.get("metrics", {}),
        axes=drawn["axes"],
        importance=shares,
        importance_note=found.note,
        way=result.get("decision", {}).get("sentence", ""),
        gain=result.get("decision", {}).get("gain", math.nan),
        advice=advice(space, finished, {name: share for name, share, *_ in shares}),
        notes=result.get("notes", []),
        front=_front(folder, space, records, aims, seed=int(about["seed"])),
        settings={name: value for name, value in about.items() if value not in ({}, [], "runs")},
        search={name: _text(value) for name, value in search.items()}
        | {name: _text(space[name].text) for name in space},
        commands=[] if best is None else [f"thalweg train {folder.best}", f"thalweg predict {folder.winner.path} DATA"],
        seconds=result.get("seconds", math.nan),
        storage_seconds=result.get("storage_seconds", math.nan),
        version=thalweg.__version__,
    )
    return study_page(page)


def _front(
    folder: StudyFolder, space: Space, records: Sequence[Mapping[str, Any]], aims: Mapping[str, Direction], *, seed: int
) -> Front | None:
    """What the page shows of several objectives; None for one."""
    from thalweg.report.front import Front

    if len(aims) < 2:
        return None
    finished = finished_of(records, aims)
    return Front(
        {name: direction == "maximize" for name, direction in aims.items()},
        {one.number: values_of(record, list(aims)) for one, record in zip(finished, records, strict=True)
         if one.succeeded and one.pruned_at is None},
        [one["number"] for one in front_of(records, aims)["front"]],
        {name: _rows(importance(space, finished, seed=seed, objective=place)) for place, name in enumerate(aims) if place},
        f"thalweg train {folder.trials}/NUMBER/spec.toml",
    )  # fmt: skip


def _rows(found: Importance) -> list[tuple[str, float, float]]:
    return [(share.name, share.share, share.spread) for share in found.shares]


def _text(value: object) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)
